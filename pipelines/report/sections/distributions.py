"""The distributions behind a decision: of each column that had moved, before and after, as the drift statistic saw them."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ml.metrics.metric_labels import metric_label
from ml.monitoring.findings_history import measured_at
from ml.profiles.group_shares import GroupShare, group_shares
from pipelines.report.records import EnvironmentRecords, Row
from pipelines.report.sections.findings import OF_COLUMNS


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """One column in the rows that a version was trained on, and in those that it scored in a window.

    Attributes
    ----------
    statistics
        What was found about it, for example ``JS distance 0.0753, above 0.0613``.
    rows_before, rows_after
        How many rows either share is of.
    """

    column: str
    version: int
    statistics: tuple[str, ...]
    rows_before: int
    rows_after: int
    groups: tuple[GroupShare, ...]

    @property
    def largest(self) -> float:
        """The largest share; the width of the widest bar."""
        return max(max(group.before, group.after) for group in self.groups)


def distributions(
    environment: EnvironmentRecords, found: Iterable[Row], start: dt.datetime | None, moment: dt.datetime
) -> tuple[Distribution, ...]:
    """Return the columns that findings of a window are about, the one that exceeds its threshold the most first.

    A column is left out if the profiles of its version or of the window are not stored any more.

    Parameters
    ----------
    found
        The findings known at the moment of the decision.
    start
        Of the window; None if none had been closed.
    """
    by_column: dict[str, list[Row]] = {}
    for finding in found:
        if finding["kind"] in OF_COLUMNS and finding["window_start"] == start:
            by_column.setdefault(finding["column_name"], []).append(finding)
    version = None if start is None else _version(environment, start, moment)
    before = environment.references.get(version) if version is not None else None
    after = environment.profiles.get((start, version)) if start is not None and version is not None else None
    if version is None or before is None or after is None or before.spec != after.spec:
        return ()
    shown = []
    for name in sorted(by_column, key=lambda name: (-_excess(by_column[name]), name)):
        if name not in before.columns:
            continue
        old, new = before.columns[name], after.columns[name]
        groups = group_shares(old, new)
        if groups:
            shown.append(
                Distribution(
                    column=name, version=version, statistics=tuple(map(_sentence, by_column[name])),
                    rows_before=old.rows, rows_after=new.rows, groups=groups,
                )
            )  # fmt: skip
    return tuple(shown)


def _version(environment: EnvironmentRecords, start: dt.datetime, moment: dt.datetime) -> int | None:
    """Return the version with whose training rows a window had been compared last by a moment."""
    rows = [row for row in environment.drift_history if row["window_start"] == start]
    known = measured_at(rows, moment, key=("model_id",))
    newest = max(known, key=lambda row: row["recorded_at"], default=None)
    return None if newest is None or newest["model_id"] is None else int(newest["model_id"])


def _excess(findings: Iterable[Row]) -> float:
    return max(excess(finding) for finding in findings)


def excess(finding: Mapping[str, Any]) -> float:
    """Return how many times its threshold a finding's value is; 0 where it has none."""
    value, threshold = finding["value"], finding["threshold"]
    return abs(value) / threshold if value is not None and threshold else 0.0


def _sentence(finding: Row) -> str:
    return f"{metric_label(finding['statistic'])} {finding['value']:.4f}, above {finding['threshold']:.4f}"
