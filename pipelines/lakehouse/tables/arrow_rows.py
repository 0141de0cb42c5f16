"""Rows in Arrow: brought to one form, looked at before a write. What is wrong about them is said in `table_schemas`."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from pipelines.declarations.asset import Column, Table
from pipelines.lakehouse.tables.arrow import ARROW_TYPES, arrow_schema
from pipelines.lakehouse.tables.store import ColumnRange, RowFacts
from pipelines.lakehouse.tables.table_schemas import spark_type

SHOWN = 5
"""How many duplicate keys a message shows."""


def from_pandas(rows: pd.DataFrame) -> pa.Table:
    """Return a pandas frame as Arrow without its index; NaN in a column of objects or floats means missing."""
    return pa.Table.from_pandas(rows, preserve_index=False)


def arrow_facts(rows: pa.Table, table: Table, *, unique: Sequence[str], window: ColumnRange | None) -> RowFacts:
    """Look at Arrow rows and say what a write must know.

    Parameters
    ----------
    rows
        Any rows; columns may be missing, wrong or too many.
    unique
        Columns that no two rows may share; empty for none.
    window
        The range that the rows replace; None if they do not.
    """
    present = set(rows.column_names)
    repeated = len(present) < len(rows.column_names)
    required = [column.name for column in table.columns if not column.nullable and column.name in present]
    return RowFacts(
        columns=tuple((field.name, spark_type(field.type)) for field in rows.schema),
        rows=rows.num_rows,
        nulls={} if repeated else {name: rows.column(name).null_count for name in required},
        duplicates=_duplicates(rows, unique) if unique and present.issuperset(unique) and not repeated else (),
        outside=_outside(rows, table, window) if window and window.column in present and not repeated else 0,
    )


def conform(rows: pa.Table, table: Table) -> pa.Table:
    """Return rows that fit the declaration in its order and its exact Arrow types."""
    schema = arrow_schema(table)
    arrays = [_cast(rows.column(field.name), field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def with_former(rows: Any, gone: Sequence[Column]) -> Any:
    """Return rows, of Arrow or of Spark, with columns that are declared no more and have no value in them."""
    for column in gone:
        if isinstance(rows, pa.Table):
            rows = rows.append_column(column.name, pa.nulls(rows.num_rows, ARROW_TYPES[column.type]))
        else:
            rows = rows.withColumn(column.name, F.lit(None).cast(column.type))
    return rows


def utc(rows: pa.Table) -> pa.Table:
    """Return rows whose times all say that they are in UTC: the zone is added where there is none."""
    for place, field in enumerate(rows.schema):
        if pa.types.is_timestamp(field.type):
            kind = pa.timestamp("us", "UTC")
            rows = rows.set_column(place, pa.field(field.name, kind), _cast(rows.column(place), kind))
    return rows


def _cast(values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_timestamp(kind) and pa.types.is_timestamp(values.type) and values.type.tz is None:
        values = pc.assume_timezone(values, "UTC")
    return values.cast(kind)


def _duplicates(rows: pa.Table, unique: Sequence[str]) -> tuple[tuple[Any, ...], ...]:
    counted = rows.select(list(unique)).group_by(list(unique)).aggregate([([], "count_all")])
    if counted.num_rows == rows.num_rows:
        return ()
    twice = counted.filter(pc.greater(counted["count_all"], 1)).select(list(unique)).slice(0, SHOWN)
    return tuple(tuple(row.values()) for row in twice.to_pylist())


def _outside(rows: pa.Table, table: Table, window: ColumnRange) -> int:
    kind = arrow_schema(table).field(window.column).type
    if spark_type(rows.schema.field(window.column).type) != table.column(window.column).type:
        return 0  # the wrong type is what is reported
    values = _cast(rows.column(window.column), kind)
    inside = pc.and_(
        pc.greater_equal(values, pa.scalar(window.start, kind)), pc.less(values, pa.scalar(window.end, kind))
    )
    return int(rows.num_rows - (pc.sum(inside).as_py() or 0))
