"""The one table of metrics: name, kind, unit, meaning, and the attributes by which each is split.

Names and units follow OpenTelemetry's semantic conventions where there is one
(https://opentelemetry.io/docs/specs/semconv/http/http-metrics/); the product's own begin with ``mlops.``. What splits a metric
has few values: a run's id, a version or a trace never does.
"""

from dataclasses import dataclass
from enum import StrEnum

from pipelines.declarations.urgency import CauseArea, Severity
from pipelines.telemetry.attributes import (
    ERROR,
    JOB,
    METHOD,
    OPERATION,
    ROUTE,
    SOURCE,
    STATE,
    STATUS,
    TABLE,
    TASK,
    Attribute,
)
from pipelines.telemetry.metric_alerts import Aggregation, MetricAlert

STATUS_COMMAND = "mlops status --env ENV --remote"
"""The first command of every alert here; ``ENV`` stands for the environment that the alert names."""
ML_ENGINEER = "ML engineer"


class InstrumentKind(StrEnum):
    """How measurements are put together."""

    COUNTER = "counter"
    HISTOGRAM = "histogram"
    GAUGE = "gauge"


@dataclass(frozen=True, kw_only=True, eq=False)
class Instrument:
    """One metric.

    Attributes
    ----------
    unit
        As UCUM writes it.
    split_by
        The attributes of its measurements.
    bounds
        Upper bounds of a histogram's buckets, in its unit.
    alerts
        When it is an alert; none for a metric that is only looked at.
    """

    name: str
    kind: InstrumentKind
    unit: str
    meaning: str
    split_by: tuple[Attribute, ...]
    bounds: tuple[float, ...] = ()
    alerts: tuple[MetricAlert, ...] = ()


ROWS_WRITTEN = Instrument(
    name="mlops.table.rows", kind=InstrumentKind.COUNTER, unit="{row}", meaning="rows written to tables",
    split_by=(TABLE, OPERATION),
)  # fmt: skip
TASK_SECONDS = Instrument(
    name="mlops.task.duration", kind=InstrumentKind.HISTOGRAM, unit="s", meaning="seconds of each attempt at a task",
    split_by=(JOB, TASK, STATE), bounds=(1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200),
)  # fmt: skip
TASK_ERRORS = Instrument(
    name="mlops.task.errors", kind=InstrumentKind.COUNTER, unit="{error}", meaning="attempts at tasks that failed",
    split_by=(JOB, TASK, ERROR),
    alerts=(
        MetricAlert(
            name="task_fails_again", words="a task fails again and again", aggregation=Aggregation.SUM, above=2,
            minutes=60, every_minutes=15, split_by=(JOB, TASK), area=CauseArea.PLATFORM, severity=Severity.TODAY,
            owner=ML_ENGINEER, command=STATUS_COMMAND, page="run-books.md#a-job-that-failed",
        ),
    ),
)  # fmt: skip
MACHINE_PROCESSOR = Instrument(
    name="system.cpu.utilization", kind=InstrumentKind.GAUGE, unit="1",
    meaning="share of the driver's processors that was busy during an attempt at a task", split_by=(JOB, TASK),
)  # fmt: skip
MACHINE_MEMORY = Instrument(
    name="system.memory.utilization", kind=InstrumentKind.GAUGE, unit="1",
    meaning="share of the driver's memory that was in use when an attempt at a task ended", split_by=(JOB, TASK),
)  # fmt: skip
EXECUTORS_LOST = Instrument(
    name="mlops.spark.executors.lost", kind=InstrumentKind.COUNTER, unit="{executor}",
    meaning="executors that a Spark cluster lost during an attempt at a task, without those that it let go", split_by=(JOB, TASK),
)  # fmt: skip
QUARANTINED = Instrument(
    name="mlops.source.quarantined", kind=InstrumentKind.COUNTER, unit="{row}",
    meaning="rows that broke their source's contract", split_by=(SOURCE,),
    alerts=(
        MetricAlert(
            name="rows_quarantined", words="many rows of a source were put into quarantine", aggregation=Aggregation.SUM,
            above=1000, minutes=1440, every_minutes=60, split_by=(SOURCE,), area=CauseArea.DATA, severity=Severity.TODAY,
            owner="team", command=STATUS_COMMAND, page="run-books.md#a-source-that-stopped",
        ),
    ),
)  # fmt: skip
STORE_LAG = Instrument(
    name="mlops.online_store.lag", kind=InstrumentKind.GAUGE, unit="s",
    meaning="how far the online store was behind a feature table before it was published", split_by=(TABLE,),
    alerts=(
        MetricAlert(
            name="features_stale", words="the online store is behind a feature table", aggregation=Aggregation.MAXIMUM,
            above=3600, minutes=30, every_minutes=10, split_by=(TABLE,), area=CauseArea.PLATFORM, severity=Severity.TODAY,
            owner=ML_ENGINEER, command=STATUS_COMMAND, page="run-books.md#stale-features",
        ),
    ),
)  # fmt: skip
STREAM_LAG = Instrument(
    name="mlops.stream.lag", kind=InstrumentKind.GAUGE, unit="s",
    meaning="how long ago the first request fell due that has no prediction, after an increment of a stream", split_by=(TABLE,),
    alerts=(
        MetricAlert(
            name="stream_behind", words="a stream is behind its requests",
            aggregation=Aggregation.MAXIMUM, above=3600, minutes=30, every_minutes=10, split_by=(TABLE,), area=CauseArea.PLATFORM,
            severity=Severity.NOW, owner=ML_ENGINEER, command=STATUS_COMMAND, page="run-books.md#a-stream-that-lags",
        ),
    ),
)  # fmt: skip
STREAM_WAITING = Instrument(
    name="mlops.stream.waiting", kind=InstrumentKind.GAUGE, unit="{request}",
    meaning="requests that are due and have no prediction, after an increment of a stream", split_by=(TABLE,),
)  # fmt: skip
LATENCY = Instrument(
    name="http.server.request.duration", kind=InstrumentKind.HISTOGRAM, unit="s",
    meaning="seconds from a request's head to its answer", split_by=(METHOD, ROUTE, STATUS),
    bounds=(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10),
    alerts=(
        MetricAlert(
            name="endpoint_slow", words="the endpoint answers slowly", aggregation=Aggregation.MEAN, above=0.5,
            minutes=15, every_minutes=5, area=CauseArea.PLATFORM, severity=Severity.TODAY, owner=ML_ENGINEER,
            command=STATUS_COMMAND, page="run-books.md#a-slow-endpoint",
        ),
        MetricAlert(
            name="endpoint_errors", words="the endpoint answers with errors of its own",
            aggregation=Aggregation.COUNT, above=10, minutes=15, every_minutes=5, at_least=(STATUS, 500), area=CauseArea.PLATFORM,
            severity=Severity.NOW, owner=ML_ENGINEER, command=STATUS_COMMAND, page="run-books.md#a-slow-endpoint",
        ),
    ),
)  # fmt: skip
QUEUE = Instrument(
    name="mlops.serving.waiting", kind=InstrumentKind.GAUGE, unit="{request}",
    meaning="requests that waited for the scorer when one more came", split_by=(),
    alerts=(
        MetricAlert(
            name="requests_wait", words="requests wait for the scorer", aggregation=Aggregation.MAXIMUM, above=16,
            minutes=15, every_minutes=5, area=CauseArea.PLATFORM, severity=Severity.TODAY, owner=ML_ENGINEER,
            command=STATUS_COMMAND, page="run-books.md#a-slow-endpoint",
        ),
    ),
)  # fmt: skip

INSTRUMENTS = (
    ROWS_WRITTEN,
    TASK_SECONDS,
    TASK_ERRORS,
    MACHINE_PROCESSOR,
    MACHINE_MEMORY,
    EXECUTORS_LOST,
    QUARANTINED,
    STORE_LAG,
    STREAM_LAG,
    STREAM_WAITING,
    LATENCY,
    QUEUE,
)
"""Every metric, in the order of the documentation."""
