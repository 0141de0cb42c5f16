"""Estimated and realised metrics, as the report shows them: what was expected before labels arrived, by month."""

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.report.records import ReportRecords, Row
from pipelines.report.sections.quality import most_used

CHANCE = 1.96
"""Standard errors of the realised value within which an error of the estimate is no more than chance explains."""


@dataclass(frozen=True, kw_only=True)
class MonthEstimate:
    """One metric of the champion in one month; None for what is not known, as before the first label.

    Attributes
    ----------
    estimated
        Expected of all predictions, without labels.
    realised, error, standard_error
        On the predictions whose labels are known: the value, how far the estimate of the same predictions is above
        it, and the standard error of the value.
    """

    start: dt.datetime
    version: int
    estimated: float | None
    realised: float | None
    error: float | None
    standard_error: float | None
    predictions: int
    labelled: int

    @property
    def judged(self) -> str:
        """Whether chance explains the error."""
        if self.error is None or not self.standard_error:
            return "no labels yet" if self.realised is None else "not known"
        return "within chance" if abs(self.error) <= CHANCE * self.standard_error else "off"


@dataclass(frozen=True, kw_only=True)
class EstimateTable:
    """One metric over the months.

    Attributes
    ----------
    typical_error
        Root of the mean square of the months' errors; None without any.
    """

    metric: str
    rows: tuple[MonthEstimate, ...]
    typical_error: float | None


def estimate_tables(records: ReportRecords) -> tuple[EstimateTable, ...]:
    """Return every metric that was estimated for the champion, the one that decides first."""
    own = [row for row in records.main_environment.estimates if row["alias"] == records.champion]
    names = sorted({row["metric"] for row in own}, key=lambda name: (name != records.policy.metric, name))
    return tuple(_table(name, [row for row in own if row["metric"] == name]) for name in names)


def _table(name: str, rows: Sequence[Row]) -> EstimateTable:
    starts = sorted({row["window_start"] for row in rows})
    chosen = [most_used([row for row in rows if row["window_start"] == start]) for start in starts]
    shown = tuple(_month(row) for row in chosen if row is not None)
    errors = [month.error for month in shown if month.error is not None]
    typical = math.sqrt(math.fsum(error**2 for error in errors) / len(errors)) if errors else None
    return EstimateTable(metric=name, rows=shown, typical_error=typical)


def _month(row: Row) -> MonthEstimate:
    return MonthEstimate(
        start=row["window_start"], version=row["model_version"], estimated=row["estimated"], realised=row["realised"],
        error=row["error"], standard_error=row["standard_error"], predictions=row["predictions"],
        labelled=row["labelled"],
    )  # fmt: skip
