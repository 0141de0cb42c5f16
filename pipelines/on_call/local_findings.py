"""Reads the findings of an environment that still stand, for status and for the page of the house."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.declarations.use_case import UseCase
from pipelines.lakehouse.lakehouse import Lakehouse
from pipelines.on_call.cause import newest_window

READ = 200
"""More findings than a month has."""


def standing_findings(lakehouse: Lakehouse, use_case: UseCase) -> Sequence[Mapping[str, Any]]:
    """Return the findings of the newest month that has any, without those that later mornings did not find again."""
    table = lakehouse.tables.read(use_case.table("findings"))
    newest = table.orderBy(table["window_start"].desc()).limit(READ).toArrow().to_pylist()
    days = lakehouse.tables.read(use_case.table("alarm_days"))
    judged = days.orderBy(days["window_end"].desc()).limit(1).toArrow().to_pylist()
    return newest_window(newest, judged=judged[0]["window_end"] if judged else None)
