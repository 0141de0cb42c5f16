"""Counts the moments before and after each store call of this process, and acts at one of them.

The calls are wrapped from outside, on the classes; the product has no hook for it. A store call is a commit to a table, a
call of the MLflow client that is not known to be a read (runs, artifacts, models, versions, tags, aliases), and the taking of
a job's lock.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mlflow import MlflowClient

from pipelines.command_line import interrupts
from pipelines.execution import locks
from pipelines.lakehouse.registry.guarded_client import READS
from pipelines.lakehouse.tables.delta_files import DeltaFiles
from pipelines.lakehouse.tables.delta_sql import DeltaSql

COMMITS = ("create", "add_columns", "append", "merge", "replace")
"""The methods of a `TableStore` that write."""
Act = Callable[[int, str], None]
"""Called at each point with its number, from 0, and its name."""


class Points:
    """The points that this process has passed.

    Parameters
    ----------
    act
        What is done at each of them.
    """

    def __init__(self, act: Act) -> None:
        self._act, self._inside = act, 0
        self.names: list[str] = []

    @contextmanager
    def around(self, what: str) -> Iterator[None]:
        """Pass a point before the block and one after it; blocks inside of a block are none."""
        if self._inside:
            yield
            return
        task = interrupts._state.doing[-1] if interrupts._state.doing else "the run"
        self._inside += 1
        try:
            self._pass(f"before {what}, {task}")
            yield
            self._pass(f"after {what}, {task}")
        finally:
            self._inside -= 1

    def _pass(self, name: str) -> None:
        self.names.append(name)
        self._act(len(self.names) - 1, name)


def instrument(act: Act) -> Points:
    """Wrap every store call of this process; it cannot be undone, so this is for processes of their own."""
    points = Points(act)
    for store in (DeltaFiles, DeltaSql):
        for name in COMMITS:
            _wrap(store, name, points, lambda name, call: f"{name} {call[1].address}")
    for name in dir(MlflowClient):
        if not name.startswith(("_", *READS)) and callable(getattr(MlflowClient, name)):
            _wrap(MlflowClient, name, points, lambda name, _call: name)
    _wrap(locks, "_acquire", points, lambda _name, call: f"taking the lock of {call[1].job}")
    return points


def _wrap(owner: Any, name: str, points: Points, title: Callable[[str, tuple[Any, ...]], str]) -> None:
    called = getattr(owner, name)

    @functools.wraps(called)
    def wrapped(*arguments: Any, **options: Any) -> Any:
        with points.around(title(name, arguments)):
            return called(*arguments, **options)

    setattr(owner, name, wrapped)
