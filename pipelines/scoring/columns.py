"""How declared columns look in Arrow and in pandas: the same for one row as for many, whatever values they hold."""

from collections.abc import Mapping

import pandas as pd
import pyarrow as pa

UTC_INSTANT = pa.timestamp("us", tz="UTC")

ARROW_TYPES: Mapping[str, pa.DataType] = {
    "string": pa.string(),
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "date": pa.date32(),
    "timestamp": UTC_INSTANT,
}
"""The Arrow type of every declared Spark SQL type."""

_STABLE = {pa.int32(): pd.Int32Dtype(), pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
"""Without them a column of integers with one gap becomes one of floats, and a row alone differs from the row in a batch."""


def to_frame(rows: pa.Table) -> pd.DataFrame:
    """Return rows as a data frame whose types follow from the columns' alone, not from what a batch happens to hold."""
    frame: pd.DataFrame = rows.to_pandas(types_mapper=_STABLE.get)
    return frame


def numbers(column: "pd.Series[float]") -> pa.Array:
    """Return a column as numbers; NaN means missing."""
    return pa.array(column, from_pandas=True).cast(pa.float64())


def texts(column: "pd.Series[str]") -> pa.Array:
    """Return a column as text; a gap stays one."""
    return pa.array(column, from_pandas=True).cast(pa.string())
