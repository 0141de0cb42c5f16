"""Keeps a finding that no decision on a window makes: in the findings, and in their history."""

import datetime as dt

from ml.monitoring.findings import Finding
from ml.monitoring.findings_history import findings_changes
from pipelines.execution.context import Context
from pipelines.lakehouse.tables.arrow import records


def keep_finding(context: Context, found: Finding, *, at: dt.datetime) -> None:
    """Write a finding as of an instant; the same one again takes its place."""
    tables = context.lakehouse.tables
    findings, history = context.use_case.table("findings"), context.use_case.table("findings_history")
    tables.merge(history, records(history, findings_changes([], [found], recorded_at=at)))
    tables.merge(findings, records(findings, [found.as_row()]))
