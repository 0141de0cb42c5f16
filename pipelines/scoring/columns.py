"""How declared columns look in Arrow and in pandas: the same for one row as for many, whatever values they hold."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
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

Values: TypeAlias = "pd.Series[Any] | npt.NDArray[Any] | pd.api.extensions.ExtensionArray"
ROWS_OF_ONE_THREAD = 10_000
"""Up to so many rows a second thread takes longer to be woken than it saves."""

_STABLE = {pa.int32(): pd.Int32Dtype(), pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
"""Without them a column of integers with one gap becomes one of floats, and a row alone differs from the row in a batch."""

_MASKED = frozenset(_STABLE.values())


def to_frame(rows: pa.Table) -> pd.DataFrame:
    """Return rows as a data frame whose types follow from the columns' alone, not from what a batch happens to hold."""
    frame: pd.DataFrame = rows.to_pandas(types_mapper=_STABLE.get, use_threads=rows.num_rows > ROWS_OF_ONE_THREAD)
    return frame


def held(frame: pd.DataFrame, names: Iterable[str]) -> dict[str, Values]:
    """Return what holds the values of columns, for `numbers` and `texts`; none of them may be there twice.

    A series is made only where Arrow needs one: to make one of each column takes longer than to read a few rows. What pandas has
    for it is no public name, so where it is not there all columns are series.
    """
    read: Callable[[], Iterable[Any]] | None = getattr(frame, "_iter_column_arrays", None)
    if read is None:
        return {name: frame[name] for name in dict.fromkeys(names)}
    arrays = dict(zip(frame.columns, read(), strict=True))
    return {name: arrays[name] if _is_plain(arrays[name]) else frame[name] for name in dict.fromkeys(names)}


def numbers(column: Values) -> pa.Array:
    """Return a column as numbers; NaN means missing."""
    return _array(column, pa.float64())


def texts(column: Values) -> pa.Array:
    """Return a column as text; a gap stays one."""
    return _array(column, pa.string())


def _is_plain(values: Any) -> bool:
    """Return whether Arrow reads an array as it reads the series that has it."""
    return values.dtype.kind in "fiubO" if isinstance(values, np.ndarray) else values.dtype in _MASKED


def _array(column: Values, kind: pa.DataType) -> pa.Array:
    read = pa.array(column, from_pandas=True)
    return read if read.type == kind else read.cast(kind)
