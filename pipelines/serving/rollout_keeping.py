"""What an endpoint needs to take part in rollouts: the rollout, its shadow, and where answers and failures are kept."""

import datetime as dt
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from pipelines.declarations.asset import Table
from pipelines.declarations.use_case import UseCase
from pipelines.lakehouse.registry.rollout_state import RolloutState
from pipelines.scoring.stored import StoredRows
from pipelines.serving.journal import Journal
from pipelines.serving.journals import Journals
from pipelines.serving.rollouts import FollowedRollout
from pipelines.serving.shadow import Shadow, ShadowLot
from pipelines.serving.source import Registry
from pipelines.serving.versions import Followed, Loaded
from pipelines.tasks.rollout.answer_rows import answer_rows, failure_rows


class RolloutKeeping:
    """The part of an endpoint in rollouts."""

    def __init__(
        self, followed: FollowedRollout, *, store: str, answers: tuple[Table, Journal], failures: tuple[Table, Journal],
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:  # fmt: skip
        self.followed = followed
        self.shadow = Shadow(store=store, keep=self._keep, failed=self._shadow_failed)
        self._answers, self._failures = answers, failures
        self._clock = clock

    def note_failure(
        self, ids: Sequence[str], keys: Sequence[str | None], version: int, error: Exception, rollout: RolloutState
    ) -> None:
        """Keep that a version could not score requests."""
        table, journal = self._failures
        journal.write(failure_rows(table, ids, keys, version, error, at=self._clock(), rollout=rollout))

    def _keep(self, lot: ShadowLot, features: StoredRows) -> None:
        table, journal = self._answers
        answers, seconds = timed_answer(lot.scorer, lot.requests, features)
        rows = answer_rows(
            table, lot.ids, lot.requests, answers, lot.scorer.function, at=self._clock(), seconds=seconds, rollout=lot.rollout,
            is_shadow=True,
        )  # fmt: skip
        journal.write(rows)

    def _shadow_failed(self, lot: ShadowLot, error: Exception) -> None:
        keys = lot.requests.column(lot.scorer.function.key).to_pylist()
        self.note_failure(lot.ids, keys, lot.scorer.number, error, lot.rollout)


def opened_rollouts(
    use_case: UseCase, registry: Registry, followed: Followed, journals: Journals, store: str, say: Callable[[str], None]
) -> RolloutKeeping | None:  # fmt: skip
    """Return what takes part in rollouts, its shadow started; None for a use case without any."""
    if use_case.rollout.is_direct:
        return None
    table, journal = journals.failures

    def refused(state: RolloutState, why: str) -> None:
        at = dt.datetime.now(dt.UTC)
        journal.write(failure_rows(table, [state.rollout_id], [None], state.version, why, at=at, rollout=state))

    rollout = FollowedRollout(registry, followed, say, sticky_by=use_case.rollout.sticky_by, refused=refused)
    rollout.look()
    keeping = RolloutKeeping(rollout, store=store, answers=journals.answers, failures=journals.failures)
    keeping.shadow.start()
    return keeping


def rollout_facts(rollouts: RolloutKeeping | None) -> Mapping[str, Any]:
    """Return what ``/version`` says of the rollout that goes on."""
    current = rollouts.followed.current if rollouts else None
    if rollouts is None or current is None:
        return {}
    state = current.state
    return {
        "challenger": state.version,
        "challenger_answers_percent": state.percentage,
        "left_out_of_the_shadow": rollouts.shadow.left_out,
    }


def timed_answer(loaded: Loaded, requests: pa.Table, features: StoredRows) -> tuple[pa.Table, float]:
    """Return a version's answers, and how many seconds they took from the features on."""
    begun = time.perf_counter()
    answers = loaded.function.answer(requests, features, loaded.model, version=loaded.number)
    return answers, time.perf_counter() - begun
