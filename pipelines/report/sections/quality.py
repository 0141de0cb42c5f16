"""Quality month by month, as the report shows it: champion and baseline, labels, slices."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from ml.metrics.metric_table import metric
from ml.monitoring.findings import ALL_ROWS
from pipelines.report.comparison import MonthOutcome, month_outcomes
from pipelines.report.records import EnvironmentRecords, ReportRecords, Row


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One metric of one alias in one month, and the counts it was measured on."""

    version: int
    value: float | None
    standard_error: float | None
    predictions: int
    labelled: int
    without_label: int
    missing: int
    assumed: int = 0
    not_due: int | None = None

    @property
    def waiting(self) -> int:
        """Predictions whose outcome is not due yet."""
        known = self.labelled + self.without_label + self.missing
        return self.predictions - known if self.not_due is None else self.not_due

    @property
    def late(self) -> int:
        """Predictions whose outcome came after its due time and does not count."""
        return self.predictions - self.labelled - self.without_label - self.missing - self.waiting


@dataclass(frozen=True, kw_only=True)
class Month:
    """One month in production.

    Attributes
    ----------
    secondary, baseline_secondary
        The same models in the policy's second metric.
    outcome
        The comparison on the predictions themselves; None if they were not read.
    changed
        Whether another version was live in the month before.
    """

    start: dt.datetime
    champion: Measured
    baseline: Measured | None
    secondary: Measured | None
    baseline_secondary: Measured | None
    outcome: MonthOutcome | None
    changed: bool


@dataclass(frozen=True, kw_only=True)
class SliceCell:
    """The champion on one slice in one month; `value` is None where there are too few labels.

    Attributes
    ----------
    better
        How much better than on all rows of the month, in the metric's unit.
    """

    value: float | None
    better: float | None
    labelled: int


@dataclass(frozen=True, kw_only=True)
class SliceTable:
    """One slice column: its values, the most frequent first, over the months.

    Attributes
    ----------
    few
        The values that had too few labels in every month.
    largest
        The largest distance of a cell from its month.
    """

    key: str
    rows: tuple[tuple[str, tuple[SliceCell, ...]], ...]
    few: tuple[str, ...]
    largest: float


def secondary_metric(records: ReportRecords) -> str | None:
    """Return the second metric of the policy: a guard rail, or one that is only reported; None for none."""
    return next((name for name in records.policy.compared if name != records.policy.metric), None)


def months(records: ReportRecords) -> tuple[Month, ...]:
    """Return every month in which the champion was measured, oldest first."""
    environment, main, second = records.main_environment, records.policy.metric, secondary_metric(records)
    scored = environment.scored
    outcomes = (
        {
            o.month: o
            for o in month_outcomes(
                scored, records.policy, second, records.window, problem=records.problem, costs=records.costs
            )
        }
        if scored is not None
        else {}
    )
    found: list[Month] = []
    for start in month_starts(environment, records.champion, main):
        champion = _measured(environment, start, records.champion, main)
        assert champion is not None  # noqa: S101 - the starts are those of its measurements
        found.append(
            Month(
                start=start,
                champion=champion,
                baseline=_measured(environment, start, records.baseline, main),
                secondary=_measured(environment, start, records.champion, second),
                baseline_secondary=_measured(environment, start, records.baseline, second),
                outcome=outcomes.get(start),
                changed=bool(found) and found[-1].champion.version != champion.version,
            )
        )
    return tuple(found)


def month_starts(environment: EnvironmentRecords, alias: str, name: str) -> tuple[dt.datetime, ...]:
    """Return the windows in which an alias was measured, oldest first."""
    return tuple(
        sorted({r["window_start"] for r in environment.metrics if r["alias"] == alias and r["metric"] == name})
    )


def slice_tables(records: ReportRecords, shown: Sequence[Month]) -> tuple[SliceTable, ...]:
    """Return the champion's metric by slice and month."""
    name, alias = records.policy.metric, records.champion
    rows = [
        r
        for r in records.main_environment.metrics
        if r["alias"] == alias and r["metric"] == name and r["slice_key"] != ALL_ROWS
    ]
    keys = sorted({row["slice_key"] for row in rows})
    return tuple(_slice_table(key, [r for r in rows if r["slice_key"] == key], records, shown) for key in keys)


def _slice_table(key: str, rows: Sequence[Row], records: ReportRecords, shown: Sequence[Month]) -> SliceTable:
    labelled: dict[str, int] = {}
    for row in rows:
        labelled[row["slice_value"]] = labelled.get(row["slice_value"], 0) + row["labelled"]
    table = tuple(
        (value, tuple(_slice_cell([r for r in rows if r["slice_value"] == value], month, records) for month in shown))
        for value in sorted(labelled, key=lambda value: (-labelled[value], value))
    )
    largest = max((abs(cell.better) for _, cells in table for cell in cells if cell.better is not None), default=0.0)
    few = tuple(value for value, cells in table if all(cell.value is None for cell in cells))
    kept = tuple((value, cells) for value, cells in table if value not in few)
    return SliceTable(key=key, rows=kept, few=few, largest=largest)


def _slice_cell(rows: Sequence[Row], month: Month, records: ReportRecords) -> SliceCell:
    row = most_used([row for row in rows if row["window_start"] == month.start])
    if row is None:
        return SliceCell(value=None, better=None, labelled=0)
    value = row["value"] if row["labelled"] >= records.minimum_rows else None
    whole = month.champion.value
    better = (
        None
        if value is None or whole is None
        else metric(records.policy.metric, records.problem, records.costs).sign * (value - whole)
    )
    return SliceCell(value=value, better=better, labelled=row["labelled"])


def most_used(rows: Sequence[Row]) -> Row | None:
    """Return the row of the version that made most predictions; several versions may have shared a window."""
    return max(rows, key=lambda row: (row["predictions"], row["computed_at"]), default=None)


def _measured(environment: EnvironmentRecords, start: dt.datetime, alias: str, name: str | None) -> Measured | None:
    row = most_used(
        [
            r
            for r in environment.metrics
            if (r["window_start"], r["alias"], r["metric"], r["slice_key"]) == (start, alias, name, ALL_ROWS)
        ]
    )
    if row is None:
        return None
    return Measured(
        version=row["model_version"], value=row["value"], standard_error=row["standard_error"],
        predictions=row["predictions"], labelled=row["labelled"], without_label=row["without_label"] or 0,
        missing=row["missing_labels"], assumed=row.get("assumed") or 0, not_due=row.get("not_due"),
    )  # fmt: skip
