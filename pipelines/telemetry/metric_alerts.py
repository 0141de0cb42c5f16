"""When a metric is an alert: its threshold, over how long it is watched, and what a person on call needs.

Each alert is declared beside its metric in `pipelines.telemetry.instruments`. The stacks make an alert rule of Azure Monitor
of it, and the page for people on call shows it.
"""

from dataclasses import dataclass
from enum import StrEnum

from pipelines.declarations.urgency import CauseArea, Severity
from pipelines.telemetry.attributes import Attribute


class Aggregation(StrEnum):
    """What of the measurements within the watched time is compared with the threshold."""

    SUM = "sum"
    MEAN = "mean"
    MAXIMUM = "maximum"
    COUNT = "count"


@dataclass(frozen=True, kw_only=True, eq=False)
class MetricAlert:
    """One alert on one metric.

    Attributes
    ----------
    name
        As people and the alert rule name it: letters and ``_``.
    words
        How its mail begins, by which somebody finds it on the page.
    above
        The threshold, in the metric's unit, for a count in measurements: a greater value is an alert.
    minutes
        How long the measurements are that are put together.
    every_minutes
        How often somebody looks.
    split_by
        The attributes of the metric whose values are watched apart, each on its own.
    at_least
        An attribute and the least number of it that a measurement must carry to count; None for all measurements.
    owner, command, page
        Who acts first, their first command, and the section of the documentation that goes on from there.
    """

    name: str
    words: str
    aggregation: Aggregation
    above: float
    minutes: int
    every_minutes: int
    area: CauseArea
    severity: Severity
    owner: str
    command: str
    page: str
    split_by: tuple[Attribute, ...] = ()
    at_least: tuple[Attribute, int] | None = None
