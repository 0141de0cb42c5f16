"""What was found as of each decision: findings change when a window is measured again, and what was known then stays."""

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


def known_at(history: Sequence[Mapping[str, Any]], instant: datetime) -> list[Mapping[str, Any]]:
    """Return the findings as they were known at an instant: of each the newest row until then, unless withdrawn."""
    newest: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for row in sorted(history, key=lambda row: row["recorded_at"]):
        if row["recorded_at"] <= instant:
            names = ("window_start", "kind", "column_name", "slice_key", "slice_value", "statistic")
            newest[tuple(row[name] for name in names)] = row
    return [row for row in newest.values() if not row["withdrawn"]]
