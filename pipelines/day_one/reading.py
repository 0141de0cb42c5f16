"""Reads where the data of a use case lies: in an open lakehouse, or in a deployed environment by SQL."""

import datetime as dt
from typing import TYPE_CHECKING

from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from pipelines.day_one.ranges import DataRanges, Span
from pipelines.declarations.asset import Table
from pipelines.declarations.use_case import UseCase
from pipelines.lakehouse.lakehouse import Lakehouse
from pipelines.lakehouse.tables.arrow import in_utc

if TYPE_CHECKING:
    from pipelines.remote.connection import Remote
    from pipelines.remote.statements import Sql


def ranges_here(lakehouse: Lakehouse, use_case: UseCase) -> DataRanges:
    """Return the ranges of an environment that is open."""

    def span(table: Table, column: str) -> Span | None:
        rows = lakehouse.tables.read(table)
        found = rows.agg(F.min(column).alias("first"), F.max(column).alias("last")).toArrow().to_pylist()[0]
        return _span(found["first"], found["last"])

    return DataRanges(**{name: span(*where) for name, where in _columns(use_case).items()})


def ranges_deployed(remote: "Remote", sql: "Sql", use_case: UseCase) -> DataRanges:
    """Return the ranges of a deployed environment.

    Raises
    ------
    RemoteError
        If the workspace cannot be asked, or does not allow it.
    """
    from pipelines.remote.statements import quoted

    found = {}
    for name, (table, column) in _columns(use_case).items():
        rows = sql.rows_if_exists(
            f"SELECT min({quoted(column)}) AS first, max({quoted(column)}) AS last "  # noqa: S608 - names of ours, quoted
            f"FROM {quoted(remote.name(table.address))}"
        )
        found[name] = _span(rows[0]["first"], rows[0]["last"]) if rows else None
    return DataRanges(**found)


def _columns(use_case: UseCase) -> dict[str, tuple[Table, str]]:
    return {
        "requests": (use_case.spine.table, use_case.spine.prediction_time),
        "labels": (use_case.labels.table, "known_at"),
        "predictions": (use_case.table("predictions"), "prediction_at"),
    }


def _span(first: dt.datetime | None, last: dt.datetime | None) -> Span | None:
    if first is None or last is None:
        return None
    return Span(first=in_utc(first), last=in_utc(last))
