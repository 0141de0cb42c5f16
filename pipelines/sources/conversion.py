"""Delivered text becomes the declared types; what cannot be converted becomes null."""

from collections.abc import Callable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.lakehouse.tables.arrow import UTC_INSTANT

NUMBER = r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$"
WHOLE = r"^\s*[-+]?\d{1,18}\s*$"
INSTANT = r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[-+]\d\d:?\d\d)?)?$"
INT_LIMIT = 2**31


def convert(values: pa.ChunkedArray, kind: str) -> pa.ChunkedArray:
    """Return values in a declared Spark SQL type; null where a value has no such type."""
    return _CONVERSIONS[kind](values)


def _only(values: pa.ChunkedArray, holds: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(holds, values, pa.scalar(None, values.type))


def _to_double(values: pa.ChunkedArray) -> pa.ChunkedArray:
    if _is_text(values):
        values = pc.utf8_trim_whitespace(_only(values, pc.match_substring_regex(values, NUMBER)))
        values = pc.if_else(pc.starts_with(values, "+"), pc.utf8_slice_codeunits(values, 1), values)
    numbers = values.cast(pa.float64())
    return _only(numbers, pc.is_finite(numbers))


def _to_whole(values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if _is_text(values):
        values = pc.utf8_trim_whitespace(_only(values, pc.match_substring_regex(values, WHOLE)))
        values = pc.if_else(pc.starts_with(values, "+"), pc.utf8_slice_codeunits(values, 1), values).cast(pa.int64())
    if pa.types.is_floating(values.type):
        values = _only(values, pc.and_(pc.is_finite(values), pc.equal(pc.floor(values), values))).cast(pa.int64())
    if kind == pa.int32():
        values = _only(values, pc.and_(pc.greater_equal(values, -INT_LIMIT), pc.less(values, INT_LIMIT)))
    return values.cast(kind)


def _to_boolean(values: pa.ChunkedArray) -> pa.ChunkedArray:
    if not _is_text(values):
        return values.cast(pa.bool_())
    lower = pc.utf8_lower(values)
    known = pc.is_in(lower, pa.array(["true", "false"]))
    return pc.equal(_only(lower, known), "true")


def _to_instant(values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if not _is_text(values):
        return values.cast(kind)
    import pandas as pd

    readable = _only(values, pc.match_substring_regex(values, INSTANT))
    instants = pd.to_datetime(pd.Series(readable.to_pylist(), dtype="str"), errors="coerce", utc=True, format="ISO8601")
    return pa.chunked_array([pa.Array.from_pandas(instants.dt.as_unit("us")).cast(UTC_INSTANT).cast(kind)])


def _is_text(values: pa.ChunkedArray) -> bool:
    return bool(pa.types.is_string(values.type) or pa.types.is_large_string(values.type))


_CONVERSIONS: Mapping[str, Callable[[pa.ChunkedArray], pa.ChunkedArray]] = {
    "string": lambda values: values.cast(pa.string()),
    "double": _to_double,
    "int": lambda values: _to_whole(values, pa.int32()),
    "bigint": lambda values: _to_whole(values, pa.int64()),
    "boolean": _to_boolean,
    "timestamp": lambda values: _to_instant(values, UTC_INSTANT),
    "date": lambda values: _to_instant(values, pa.date32()),
}
