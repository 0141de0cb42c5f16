"""What the monitor found, as the report shows it: the drift of every column, and findings."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ml.monitoring.findings import FindingKind
from ml.monitoring.findings_history import known_at, measured_at
from pipelines.execution.windows import window_of
from pipelines.report.records import EnvironmentRecords, ReportRecords, Row

OF_COLUMNS = (FindingKind.DRIFT, FindingKind.MISSING_RATE)
"""The kinds of finding that the drift grid shows; the others are listed one by one."""


@dataclass(frozen=True, kw_only=True)
class DriftCell:
    """One column in one month: the statistic, and what was found.

    Attributes
    ----------
    threshold
        The one that the statistic exceeds; None if it exceeds none.
    missing
        The finding about missing values; empty if there is none.
    """

    value: float | None
    threshold: float | None
    missing: str


@dataclass(frozen=True, kw_only=True)
class DriftGrid:
    """A drift statistic of every column and month, the columns with the largest drift first."""

    statistic: str
    rows: tuple[tuple[str, tuple[DriftCell, ...]], ...]
    largest: float


def drift_grid(records: ReportRecords, columns: Sequence[dt.datetime]) -> DriftGrid | None:
    """Return the drift of every column from what the champion was trained on; None if nothing was compared."""
    statistic = drawn_statistic(records.drift_statistics)
    environment = records.main_environment
    rows: dict[tuple[str, dt.datetime], Row] = {}
    # A window is compared again later, maybe with a newer champion: what the decision at its end was based on is shown.
    for row in sorted(_measured(environment, records.window), key=_decided_on(records.window), reverse=True):
        if row.get(statistic) is not None:
            rows[row["column_name"], row["window_start"]] = row
    if not rows or not columns:
        return None
    findings = {
        (f["column_name"], month, f["statistic"]): f
        for month in columns
        for f in _known_at_its_end(environment, month, records.window)
        if f["window_start"] == month
    }
    grid = {
        name: tuple(_drift_cell(rows.get((name, month)), name, month, statistic, findings) for month in columns)
        for name in {name for name, _ in rows}
    }
    ordered = sorted(grid, key=lambda name: (-max(cell.value or 0.0 for cell in grid[name]), name))
    largest = max(cell.value or 0.0 for cells in grid.values() for cell in cells)
    return DriftGrid(statistic=statistic, rows=tuple((name, grid[name]) for name in ordered), largest=largest)


def _measured(environment: EnvironmentRecords, length: str) -> Sequence[Row]:
    """Return the comparisons of each window as its decision knew them; those of windows without one as stored."""
    starts = {row["window_start"] for row in environment.drift_history}
    decided = {start: _decision(environment, start, length) for start in starts}
    known = [
        row
        for start, instant in decided.items()
        if instant is not None
        for row in measured_at(
            [row for row in environment.drift_history if row["window_start"] == start], instant,
            key=("column_name", "model_id"),
        )
    ]  # fmt: skip
    shown = {row["window_start"] for row in known}
    return [*known, *(row for row in environment.drift if row["window_start"] not in shown)]


def _decided_on(length: str) -> Callable[[Row], tuple[bool, dt.datetime, float]]:
    """Return the place of a comparison: the first one after its window had ended, before it the newest."""

    def place(row: Row) -> tuple[bool, dt.datetime, float]:
        computed, ended = row["computed_at"], window_of(row["window_start"], length).end <= row["computed_at"]
        return not ended, computed if ended else dt.datetime.min.replace(tzinfo=dt.UTC), -computed.timestamp()

    return place


def _known_at_its_end(environment: EnvironmentRecords, start: dt.datetime, length: str) -> Sequence[Row]:
    """Return the findings as known at the first decision after a window had ended; the stored ones if there is none."""
    decided = _decision(environment, start, length)
    if decided is None or not environment.findings_history:
        return environment.findings
    return known_at(environment.findings_history, decided)


def _decision(environment: EnvironmentRecords, start: dt.datetime, length: str) -> dt.datetime | None:
    """Return the instant of the first decision after a window had ended."""
    end = window_of(start, length).end
    return min((row["decided_at"] for row in environment.retrainings if row["decided_at"] >= end), default=None)


def drawn_statistic(statistics: Sequence[str]) -> str:
    """Return the first statistic that compares values, not missing ones."""
    return next((name for name in statistics if not name.startswith("missing")), "js_distance")


def table_findings(environment: EnvironmentRecords) -> tuple[Row, ...]:
    """Return the findings that are not about single columns, oldest first."""
    return tuple(f for f in all_findings(environment) if f["kind"] not in OF_COLUMNS)


def all_findings(environment: EnvironmentRecords) -> tuple[Row, ...]:
    """Return every finding, oldest first, the kinds that ask for a retraining before the others."""
    kinds = [kind.value for kind in FindingKind]
    return tuple(
        sorted(
            environment.findings,
            key=lambda f: (f["window_start"], kinds.index(f["kind"]), f["column_name"], f["slice_key"]),
        )
    )


def _drift_cell(
    row: Row | None, name: str, month: dt.datetime, statistic: str, findings: Mapping[tuple[str, dt.datetime, str], Row]
) -> DriftCell:
    above = findings.get((name, month, statistic))
    missing = findings.get((name, month, "missing_rate_difference"))
    return DriftCell(
        value=None if row is None else float(row[statistic]),
        threshold=None if above is None else above["threshold"],
        missing="" if missing is None else missing["message"],
    )
