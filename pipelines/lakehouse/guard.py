"""What every write of an environment passes: the locks of the job that writes, if it holds any."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

Guard = Callable[[], AbstractContextManager[None]]
"""Gives a block in which one write may be done; it raises if the writer may not write any more."""


class WriteGuard:
    """The conditions of a write, called as `Guard`; without conditions every write is allowed."""

    def __init__(self) -> None:
        self._conditions: list[Guard] = []

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Fulfil every condition for the time of one write."""
        with ExitStack() as fulfilled:
            for condition in tuple(self._conditions):
                fulfilled.enter_context(condition())
            yield

    @contextmanager
    def under(self, condition: Guard) -> Iterator[None]:
        """Require one more condition of every write, as long as the block lasts."""
        self._conditions.append(condition)
        try:
            yield
        finally:
            self._conditions.remove(condition)
