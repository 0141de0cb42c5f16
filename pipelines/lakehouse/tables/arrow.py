"""How declared columns look in Arrow, in which rows travel between our code and every engine."""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from pipelines.declarations.asset import Table
from pipelines.scoring.columns import ARROW_TYPES, UTC_INSTANT

if TYPE_CHECKING:  # the contract of a source needs no engine
    from pyspark.sql import DataFrame

__all__ = ["ARROW_TYPES", "UTC_INSTANT", "arrow_schema", "in_utc", "records", "to_pandas"]


def arrow_schema(table: Table) -> pa.Schema:
    """Return the Arrow schema of a declared table: declared order, instants in UTC with microseconds."""
    return pa.schema([pa.field(c.name, ARROW_TYPES[c.type], nullable=c.nullable) for c in table.columns])


def records(table: Table, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Return plain records as rows of a declared table; a column that a record lacks is missing in it."""
    return pa.Table.from_pylist([dict(row) for row in rows], schema=arrow_schema(table))


def to_pandas(rows: "DataFrame") -> pd.DataFrame:
    """Return the rows of a Spark data frame with its instants in UTC; Spark's own conversion would drop the zone."""
    frame: pd.DataFrame = rows.toArrow().to_pandas()
    return frame


def in_utc(instant: dt.datetime) -> dt.datetime:
    """Return an instant of a row in UTC, in which it is where an engine gives it without a zone."""
    return instant.replace(tzinfo=dt.UTC) if instant.tzinfo is None else instant.astimezone(dt.UTC)
