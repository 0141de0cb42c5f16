"""What a delivered column holds, whichever way Arrow encodes it: the type in the contract's words, and a value in words."""

import datetime as dt
import json
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

LONGEST_VALUE = 80
UNDECODED = "�"
"""What stands in a text for bytes that are not of its encoding."""
_IS_OF: tuple[tuple[str, Callable[[pa.DataType], bool]], ...] = (
    ("text", pa.types.is_string),
    ("integer", pa.types.is_integer),
    ("float", pa.types.is_floating),
    ("decimal", pa.types.is_decimal),
    ("boolean", pa.types.is_boolean),
    ("date", pa.types.is_date),
    ("timestamp", pa.types.is_timestamp),
)
_UNSAYABLE = (ValueError, OverflowError, LookupError, TypeError, NotImplementedError)
"""What Arrow raises for a value that Python has no object for: an instant in the year 20000, a zone that does not exist."""


def plain(values: pa.ChunkedArray) -> tuple[pa.ChunkedArray, str]:
    """Undo encodings, and name the type.

    Parameters
    ----------
    values
        A column of any Arrow type.

    Returns
    -------
    pyarrow.ChunkedArray
        The same values without dictionary, run ends, views and extension; bytes as text, with `UNDECODED` in the place of
        what is not UTF-8.
    str
        ``text``, ``integer``, ``float``, ``decimal``, ``boolean``, ``date`` or ``timestamp``; Arrow's name of any other.
    """
    kind = values.type
    if isinstance(kind, pa.BaseExtensionType):
        return plain(pa.chunked_array([chunk.storage for chunk in values.chunks], kind.storage_type))
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        try:
            return _unpacked(values)
        except pa.ArrowNotImplementedError:  # of a type that no column may have
            return values, str(kind)
    if pa.types.is_null(kind):  # a column without any value, or no rows at all
        return values.cast(pa.string()), "text"
    if _is_text(kind):
        return _decoded(values), "text"
    return values, next((name for name, holds in _IS_OF if holds(kind)), str(kind))


def said(values: pa.ChunkedArray, row: int) -> str:
    """Return a value as a sentence shows it: short, and whatever it is."""
    try:
        value = values[row].as_py()
        text = value.isoformat() if isinstance(value, dt.date) else repr(value)
    except _UNSAYABLE:
        text = _printed(values, row)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def as_json(rows: pa.Table) -> list[str]:
    """Return rows of any types as JSON objects, each value as near to what was delivered as JSON allows."""
    columns = [_values(plain(rows[name])[0]) for name in rows.column_names]
    return [_json(dict(zip(rows.column_names, row, strict=True))) for row in zip(*columns, strict=True)]


def only(rows: pa.Table, positions: Sequence[int]) -> pa.Table:
    """Return the rows at these positions, also of types for which Arrow has no such function."""
    chosen = pa.array(positions, pa.int64())
    return pa.table({name: _only(rows[name], chosen) for name in rows.column_names})


def _only(values: pa.ChunkedArray, chosen: pa.Array) -> pa.ChunkedArray:
    try:
        return values.take(chosen)
    except pa.ArrowNotImplementedError:
        rows = [values.slice(row, 1) for row in chosen.to_pylist()]
        return pa.chunked_array([chunk for row in rows for chunk in row.chunks], values.type)


def _unpacked(values: pa.ChunkedArray) -> tuple[pa.ChunkedArray, str]:
    if pa.types.is_run_end_encoded(values.type):
        return plain(pc.run_end_decode(values))
    if not values.num_chunks:
        return plain(pa.chunked_array([], values.type.value_type))
    words = [plain(pa.chunked_array([chunk.dictionary])) for chunk in values.chunks]
    family = words[0][1]
    return pa.chunked_array(
        [of.take(chunk.indices).combine_chunks() for (of, _), chunk in zip(words, values.chunks, strict=True)]
    ), family


def _is_text(kind: pa.DataType) -> bool:
    tests = (
        pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_binary,
        pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary,
    )  # fmt: skip
    return any(holds(kind) for holds in tests)


def _decoded(values: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        text = values.cast(pa.string())
        text.validate(full=True)
    except pa.ArrowInvalid:  # some value is not UTF-8, and Arrow refuses all of them
        found = values.cast(pa.binary()).to_pylist()
        return pa.chunked_array([pa.array([None if v is None else v.decode(errors="replace") for v in found])])
    return text


def _values(values: pa.ChunkedArray) -> list[Any]:
    try:
        return list(values.to_pylist())
    except _UNSAYABLE:
        return [_value(values, row) for row in range(len(values))]


def _value(values: pa.ChunkedArray, row: int) -> Any:
    try:
        return values[row].as_py()
    except _UNSAYABLE:
        return _printed(values, row)


def _printed(values: pa.ChunkedArray, row: int) -> str:
    """Return a value as Arrow prints it: the one line between the brackets of a column."""
    lines = [line.strip() for line in values.slice(row, 1).combine_chunks().to_string().splitlines()]
    return " ".join(lines[1:-1])


def _json(row: dict[str, Any]) -> str:
    try:
        return json.dumps(row, default=str, allow_nan=False)
    except ValueError:  # JSON has no NaN and no infinity
        return json.dumps(
            {name: str(value) if _is_no_json(value) else value for name, value in row.items()}, default=str
        )


def _is_no_json(value: Any) -> bool:
    try:
        json.dumps(value, default=str, allow_nan=False)
    except ValueError:
        return True
    return False
