"""The rollout that an endpoint takes part in: its challenger, loaded and tried like every version, and who answers what.

It follows the registry as the champion does. A challenger that cannot be taken answers nothing; why is noted, and the job of
the rollout returns it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import pyarrow as pa

from ml.rollout.routing import is_challengers
from ml.spec.errors import LakehouseError, sentence_of
from pipelines.lakehouse.registry.rollout_state import RolloutState
from pipelines.serving.versions import Followed, Loaded


class NotComparableError(LakehouseError):
    """A challenger that takes other requests than the champion."""


@dataclass(frozen=True, kw_only=True)
class ServedRollout:
    """A rollout whose challenger can answer.

    Attributes
    ----------
    sticky_by
        Columns of a request whose values decide which version answers it.
    """

    state: RolloutState
    challenger: Loaded
    sticky_by: tuple[str, ...]

    def divided(self, requests: pa.Table) -> list[bool]:
        """Return for each request whether the challenger answers it."""
        values = zip(*(requests.column(name).to_pylist() for name in self.sticky_by), strict=True)
        salt, percentage = self.state.rollout_id, self.state.percentage
        return [is_challengers(row, salt=salt, percentage=percentage) for row in values]


class RolloutSource(Protocol):
    """Where rollouts and their versions come from."""

    def rollout(self) -> RolloutState | None:
        """Return the rollout that goes on; None without one."""

    def load(self, number: int) -> Loaded:
        """Return a version that has been tried."""


class FollowedRollout:
    """The rollout that goes on, as of the last look."""

    def __init__(
        self, source: RolloutSource, followed: Followed, say: Callable[[str], None], *, sticky_by: tuple[str, ...],
        refused: Callable[[RolloutState, str], None],
    ) -> None:  # fmt: skip
        self._source = source
        self._followed = followed
        self._say = say
        self._sticky_by = sticky_by
        self._note = refused
        self._current: ServedRollout | None = None
        self._refused: set[tuple[str, int]] = set()

    @property
    def current(self) -> ServedRollout | None:
        """The rollout that takes part in answering; None where the champion answers alone."""
        return self._current

    def look(self) -> bool:
        """Take the state that the registry has; return whether it is another one. A registry that is away changes nothing."""
        try:
            state = self._source.rollout()
        except Exception as error:  # noqa: BLE001 - whatever a registry raises, the endpoint goes on
            self._say(f"the registry does not answer, the rollout stays: {sentence_of(error)}")
            return False
        before, self._current = self._current, self._taken(state)
        if before and (self._current is None or self._current.state.rollout_id != before.state.rollout_id):
            self._say(f"the rollout of version {before.state.version} is over here")
        if self._current and (before is None or before.state.percentage != self._current.state.percentage):
            state = self._current.state
            what = (
                f"answers {state.percentage}% of the requests"
                if state.percentage
                else "scores every request and answers none"
            )
            self._say(f"version {state.version} {what}")
        return self._current != before

    def _taken(self, state: RolloutState | None) -> ServedRollout | None:
        if state is None or (state.rollout_id, state.version) in self._refused:
            return None
        if self._current and self._current.challenger.number == state.version:
            return replace(self._current, state=state)
        try:
            challenger = self._loaded(state.version)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a version is its reason
            self._refused.add((state.rollout_id, state.version))
            why = f"version {state.version} is not taken as challenger: {sentence_of(error)}"
            self._say(why)
            self._note(state, why)
            return None
        key = challenger.function.key
        return ServedRollout(state=state, challenger=challenger, sticky_by=self._sticky_by or (key,))

    def _loaded(self, number: int) -> Loaded:
        challenger, champion = self._source.load(number), self._followed.loaded
        if challenger.function.request != champion.function.request:
            raise NotComparableError(
                f"version {number} takes requests with other columns than version {champion.number}."
            )
        return challenger
