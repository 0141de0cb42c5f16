"""Answers requests: the version in use, the online store, the scoring function, and the journal before anybody is told.

While a rollout goes on, its challenger answers its part of the requests, and each version scores what the other has answered.
What the challenger cannot answer the champion does.
"""

import datetime as dt
from collections.abc import Callable, Sequence

import pyarrow as pa

from pipelines.declarations.asset import Table
from pipelines.lakehouse.registry.rollout_state import RolloutState
from pipelines.scoring.online import OnlineFeatures
from pipelines.scoring.stored import StoredRows
from pipelines.serving.journal import Journal
from pipelines.serving.rollout_keeping import RolloutKeeping, timed_answer
from pipelines.serving.rollouts import ServedRollout
from pipelines.serving.shadow import ShadowLot
from pipelines.serving.versions import Followed, Loaded
from pipelines.tasks.rollout.answer_rows import answer_rows

Asked = list[tuple[str, pa.Table]]


class Answering:
    """What the scorer's thread calls."""

    def __init__(
        self, followed: Followed, *, store: str, table: Table, journal: Journal, rollouts: RolloutKeeping | None = None,
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:  # fmt: skip
        self._followed = followed
        self._store = store
        self._table = table
        self._journal = journal
        self._rollouts = rollouts
        self._clock = clock
        self._looked_up: dict[bool, OnlineFeatures] = {}

    def __call__(self, asked: Asked) -> list[pa.Table]:
        """Return the answer to each request; all of them are in the journal."""
        loaded = self._followed.loaded
        requests = pa.concat_tables([rows for _, rows in asked])
        ids = [f"{name}/{place}" for name, rows in asked for place in range(rows.num_rows)]
        rollout = self._rollouts.followed.current if self._rollouts else None
        if rollout is None or rollout.challenger.number == loaded.number:
            shown = self._answered(loaded, ids, requests, self._online(loaded).newest(requests), None)
        else:
            shown = self._divided(loaded, rollout, ids, requests, alone=len(asked) == 1)
        found, place = [], 0
        for _, rows in asked:
            found.append(shown.slice(place, rows.num_rows))
            place += rows.num_rows
        return found

    def _answered(
        self, loaded: Loaded, ids: Sequence[str], requests: pa.Table, features: StoredRows, rollout: RolloutState | None
    ) -> pa.Table:
        """Return what is shown of the answers of one version, which are in the journal."""
        answers, seconds = timed_answer(loaded, requests, features)
        self._journal.write(
            answer_rows(
                self._table, ids, requests, answers, loaded.function, at=self._clock(), seconds=seconds, rollout=rollout
            )
        )
        return answers.select(list(loaded.function.answer_columns))

    def _divided(
        self, champion: Loaded, rollout: ServedRollout, ids: list[str], requests: pa.Table, *, alone: bool
    ) -> pa.Table:
        """Return what is shown of the answers of two versions, in the order of the requests, and let the shadow score them."""
        features = self._online(champion).newest(requests)
        chosen = rollout.divided(requests)
        own = [place for place, of_challenger in enumerate(chosen) if of_challenger]
        by_challenger = self._of_challenger(champion, rollout, ids, requests, features, own)
        others = [place for place in range(len(ids)) if by_challenger is None or not chosen[place]]
        parts, order = ([by_challenger], list(own)) if by_challenger is not None else ([], [])
        if others:
            parts.append(self._of_champion(champion, rollout, ids, requests, features, others, alone=alone))
            order += others
        if by_challenger is not None:
            self._shadow(champion, rollout, ids, requests, features, own, by_champion=True)
        unanswered = set() if by_challenger is not None else set(own)  # the challenger has failed on these already
        left = [place for place in others if place not in unanswered]
        self._shadow(champion, rollout, ids, requests, features, left, by_champion=False)
        together = pa.concat_tables(parts, promote_options="default")
        return together.take(sorted(range(len(order)), key=order.__getitem__))

    def _of_challenger(
        self, champion: Loaded, rollout: ServedRollout, ids: list[str], requests: pa.Table, features: StoredRows,
        places: list[int],
    ) -> pa.Table | None:  # fmt: skip
        """Return the challenger's answers to its part; None where it has none, or fails."""
        if not places:
            return None
        part, names, challenger = requests.take(places), [ids[place] for place in places], rollout.challenger
        try:
            rows = (
                features.take(places)
                if _look_up_alike(champion, challenger)
                else self._online(challenger, own=False).newest(part)
            )
            return self._answered(challenger, names, part, rows, rollout.state)
        except Exception as error:  # noqa: BLE001 - whatever fails, the champion answers
            self._note(names, part, challenger, error, rollout)
            return None

    def _of_champion(
        self, champion: Loaded, rollout: ServedRollout, ids: list[str], requests: pa.Table, features: StoredRows,
        places: list[int], *, alone: bool,
    ) -> pa.Table:  # fmt: skip
        part, names = requests.take(places), [ids[place] for place in places]
        try:
            return self._answered(champion, names, part, features.take(places), rollout.state)
        except Exception as error:
            if alone:  # requests that failed together are asked again one by one
                self._note(names, part, champion, error, rollout)
            raise

    def _shadow(
        self, champion: Loaded, rollout: ServedRollout, ids: list[str], requests: pa.Table, features: StoredRows,
        places: list[int], *, by_champion: bool,
    ) -> None:  # fmt: skip
        if not places or self._rollouts is None:
            return
        scorer = champion if by_champion else rollout.challenger
        known = features.take(places) if by_champion or _look_up_alike(champion, scorer) else None
        self._rollouts.shadow.offer(
            ShadowLot(
                ids=[ids[place] for place in places], requests=requests.take(places), features=known, scorer=scorer,
                rollout=rollout.state,
            )
        )  # fmt: skip

    def _note(
        self, names: Sequence[str], part: pa.Table, version: Loaded, error: Exception, rollout: ServedRollout
    ) -> None:
        if self._rollouts is not None:
            keys = part.column(version.function.key).to_pylist()
            self._rollouts.note_failure(names, keys, version.number, error, rollout.state)

    def _online(self, loaded: Loaded, *, own: bool = True) -> OnlineFeatures:
        """Return the look-ups of a version's function, of the champion or not; others of the version before are closed."""
        found = self._looked_up.get(own)
        if found is None or not found.serves(loaded.function):
            if found is not None:
                found.close()
            found = self._looked_up[own] = OnlineFeatures(loaded.function, self._store)
        return found


def _look_up_alike(one: Loaded, other: Loaded) -> bool:
    return one.function.lookups == other.function.lookups
