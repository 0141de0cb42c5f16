"""The one table of events: log records with a fixed sentence, declared attributes, and the trace that they belong to.

The lines that a person reads while a job runs are no events: they may quote a value, so they stay on the screen.
"""

from dataclasses import dataclass
from enum import IntEnum


class EventSeverity(IntEnum):
    """Numbers of OpenTelemetry's log data model (https://opentelemetry.io/docs/specs/otel/logs/data-model/)."""

    INFO = 9
    WARN = 13
    ERROR = 17


@dataclass(frozen=True, kw_only=True, eq=False)
class Event:
    """One kind of event; its sentence is its whole text."""

    name: str
    severity: EventSeverity
    sentence: str


RUN_BEGUN = Event(name="mlops.run.begun", severity=EventSeverity.INFO, sentence="a run of a job has begun")
RUN_ENDED = Event(
    name="mlops.run.ended", severity=EventSeverity.INFO, sentence="a run of a job has ended without a failed task"
)
RUN_FAILED = Event(name="mlops.run.failed", severity=EventSeverity.ERROR, sentence="a run of a job has failed")
TASK_FAILED = Event(name="mlops.task.failed", severity=EventSeverity.ERROR, sentence="an attempt at a task has failed")
ROWS_QUARANTINED = Event(
    name="mlops.source.quarantined", severity=EventSeverity.WARN, sentence="rows of a source broke its contract"
)
STREAM_BEHIND = Event(
    name="mlops.stream.behind",
    severity=EventSeverity.WARN,
    sentence="a stream is further behind its requests than is tolerated",
)
STORE_BEHIND = Event(
    name="mlops.online_store.behind",
    severity=EventSeverity.WARN,
    sentence="the online store is too far behind a feature table",
)

EVENTS = (RUN_BEGUN, RUN_ENDED, RUN_FAILED, TASK_FAILED, ROWS_QUARANTINED, STREAM_BEHIND, STORE_BEHIND)
"""Every kind of event, in the order of the documentation."""
