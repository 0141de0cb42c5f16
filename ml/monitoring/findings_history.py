"""What was known as of each decision: a window is measured again while labels arrive, and what was known then stays.

Findings have the table ``findings_history``, measurements the tables ``metrics_history`` and ``drift_history``.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ml.monitoring.findings import Finding


def findings_changes(
    before: Sequence[Finding], now: Sequence[Finding], *, recorded_at: datetime
) -> list[dict[str, Any]]:
    """Return the rows of the table ``findings_history`` for what changed between two measurements of the same windows.

    Parameters
    ----------
    before, now
        The findings of the windows as stored, and as they are now.
    recorded_at
        The instant of the decision.

    Returns
    -------
    list of dict
        A row for each finding that is new or differs, and one with ``withdrawn`` for each that is no longer found.
    """
    old = {(finding.window_start, finding.key): finding for finding in before}
    new = {(finding.window_start, finding.key): finding for finding in now}
    changed = [(finding, False) for place, finding in new.items() if old.get(place) != finding]
    gone = [(finding, True) for place, finding in old.items() if place not in new]
    return [
        {**finding.as_row(), "recorded_at": recorded_at, "withdrawn": withdrawn}
        for finding, withdrawn in changed + gone
    ]


def measurement_changes(
    before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]], *, key: Sequence[str], recorded_at: datetime
) -> list[dict[str, Any]]:
    """Return the rows of a table of measurements' history: each measurement that is new or differs from the stored one.

    Parameters
    ----------
    before, now
        The measurements as stored, and as they are now. When they were computed is no difference.
    key
        The columns by which two rows are the same measurement.
    recorded_at
        The end of what was measured.
    """
    stored = {tuple(row[name] for name in key): row for row in before}
    return [
        {**row, "recorded_at": recorded_at}
        for row in now
        if (old := stored.get(tuple(row[name] for name in key))) is None
        or any(not _same(value, old.get(name)) for name, value in row.items() if name != "computed_at")
    ]


def measured_at(
    history: Sequence[Mapping[str, Any]], instant: datetime, *, key: Sequence[str]
) -> list[Mapping[str, Any]]:
    """Return measurements as they were known at an instant: of each the newest row until then."""
    newest: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for row in sorted(history, key=lambda row: row["recorded_at"]):
        if row["recorded_at"] <= instant:
            newest[tuple(row[name] for name in key)] = row
    return list(newest.values())


def known_at(history: Sequence[Mapping[str, Any]], instant: datetime) -> list[Mapping[str, Any]]:
    """Return the findings as they were known at an instant: of each the newest row until then, unless withdrawn."""
    newest: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for row in sorted(history, key=lambda row: row["recorded_at"]):
        if row["recorded_at"] <= instant:
            names = ("window_start", "kind", "column_name", "slice_key", "slice_value", "statistic")
            newest[tuple(row[name] for name in names)] = row
    return [row for row in newest.values() if not row["withdrawn"]]


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)
    return bool(a == b)
