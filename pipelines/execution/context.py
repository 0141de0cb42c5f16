"""What a task is given beside its parameters, and what it gives back."""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from ml.spec.errors import LakehouseError
from pipelines.declarations.use_case import UseCase
from pipelines.execution.parameters import empty_window

if TYPE_CHECKING:
    from pipelines.lakehouse.lakehouse import Lakehouse


class TaskError(LakehouseError):
    """A task cannot go on, and repeating it does not help; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """One run's surroundings.

    Attributes
    ----------
    run_id
        Names the run in every record it leaves.
    now
        The instant at which the run began; no task asks the clock for it again.
    say
        Takes one line for the person who watches.
    """

    lakehouse: "Lakehouse"
    use_case: UseCase
    run_id: str
    now: dt.datetime
    say: Callable[[str], None]

    def end_of_window(self, since: dt.datetime | None, until: dt.datetime | None) -> dt.datetime:
        """Return the end of a task's window, exclusive: `until`, or else the beginning of the run.

        Raises
        ------
        TaskError
            If `since` does not lie before it.
        """
        end = until or self.now
        if since is not None and since >= end:
            raise TaskError(empty_window(since, end))
        return end


@dataclass(frozen=True, kw_only=True)
class TaskResult:
    """What a task has done.

    Attributes
    ----------
    rows
        Rows written, if the task writes rows.
    values
        Texts for the tasks after it: conditions compare them, other jobs receive them.
    """

    rows: int | None = None
    values: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
