"""How declared columns look in Arrow and in pandas: the same for one row as for many, whatever values they hold."""

from collections.abc import Mapping
from typing import Any

import numpy as np
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

ROWS_OF_ONE_THREAD = 10_000
"""Up to so many rows a second thread takes longer to be woken than it saves."""

_STABLE = {pa.int32(): pd.Int32Dtype(), pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
"""Without them a column of integers with one gap becomes one of floats, and a row alone differs from the row in a batch."""

_MASKED = frozenset(_STABLE.values())


def to_frame(rows: pa.Table) -> pd.DataFrame:
    """Return rows as a data frame whose types follow from the columns' alone, not from what a batch happens to hold."""
    frame: pd.DataFrame = rows.to_pandas(types_mapper=_STABLE.get, use_threads=rows.num_rows > ROWS_OF_ONE_THREAD)
    return frame


def numbers(column: "pd.Series[float]") -> pa.Array:
    """Return a column as numbers; NaN means missing."""
    return _array(column, pa.float64())


def texts(column: "pd.Series[str]") -> pa.Array:
    """Return a column as text; a gap stays one."""
    return _array(column, pa.string())


def _array(column: "pd.Series[Any]", kind: pa.DataType) -> pa.Array:
    """Return a column in a type; Arrow is given what holds the values, as it asks a series for much that only few have."""
    if isinstance(column.dtype, np.dtype):
        held: Any = column.to_numpy() if column.dtype.kind in "fiubO" else column
    else:
        held = column.array if column.dtype in _MASKED else column
    values = pa.array(held, from_pandas=True)
    return values if values.type == kind else values.cast(kind)
