"""The contract of a source: types, required columns, ranges, keys. Rows that break it are told apart, with reasons.

Works on columns (`pyarrow.compute`), once over a delivery, and gives the same answer on every engine.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.declarations.asset import Column
from pipelines.declarations.source import Rule, Source
from pipelines.lakehouse.tables.arrow import UTC_INSTANT
from pipelines.sources.files import check_header

NUMBER = r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$"
WHOLE = r"^\s*[-+]?\d{1,18}\s*$"
INSTANT = r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[-+]\d\d:?\d\d)?)?$"
INT_LIMIT = 2**31


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A delivery told apart.

    Attributes
    ----------
    kept
        The rows that fulfil the contract, in the declared types and order of columns.
    positions
        Where each kept row stood in the delivery, from 0.
    broken
        ``row_number`` (position in the delivery), ``reasons`` (sentences) and ``row`` (JSON) of the others.
    """

    kept: pa.Table
    positions: pa.Array
    broken: pa.Table

    @property
    def rows_read(self) -> int:
        """Rows delivered: those kept and those broken."""
        return int(self.kept.num_rows + self.broken.num_rows)


class _Reasons:
    """Collects, per row, why it breaks the contract."""

    def __init__(self, rows: int) -> None:
        self.broken = np.zeros(rows, dtype=bool)
        self._found: list[tuple[np.ndarray[tuple[int], np.dtype[np.int64]], Callable[[int], str]]] = []

    def add(self, breaks: pa.ChunkedArray | pa.Array, sentence: Callable[[int], str]) -> None:
        mask = np.asarray(pc.fill_null(breaks, False))
        if mask.any():
            self.broken |= mask
            self._found.append((np.flatnonzero(mask), sentence))

    def of_rows(self) -> dict[int, list[str]]:
        reasons: dict[int, list[str]] = {}
        for rows, sentence in self._found:
            for row in rows:
                reasons.setdefault(int(row), []).append(sentence(int(row)))
        return reasons


def check(delivery: pa.Table, source: Source) -> Checked:
    """Tell the rows of a delivery that fulfil their source's contract from those that break it.

    Parameters
    ----------
    delivery
        Exactly the columns of the source's table, each as text or already in its type.
    source
        Types and required columns come from its table's columns, the key from the table's, ranges from its rules.

    Returns
    -------
    Checked
        Every delivered row is in exactly one of its two parts.

    Raises
    ------
    SourceError
        If a column is missing or was not agreed.
    """
    declared = source.table.columns
    check_header(f"source {source.name}", delivery.column_names, [column.name for column in declared])
    reasons = _Reasons(delivery.num_rows)
    typed = {column.name: _typed(delivery[column.name], column, reasons) for column in declared}
    for rule in source.rules:
        _check_rule(typed[rule.column], rule, reasons)
    _check_key(typed, source.table.row_key, reasons)
    kept = pa.table(typed).filter(pa.array(~reasons.broken))
    positions = pa.array(np.flatnonzero(~reasons.broken), pa.int64())
    return Checked(kept=kept, positions=positions, broken=_broken(delivery, reasons.of_rows()))


def compare(checked: Checked, before: pa.Table, key: Sequence[str]) -> tuple[Checked, pa.Table]:
    """Hold the kept rows of a delivery against rows kept from earlier ones.

    Parameters
    ----------
    before
        Rows kept earlier, in the columns of ``checked.kept``.
    key
        The columns that no two rows share.

    Returns
    -------
    Checked
        As before, but rows that contradict an earlier row of their key are broken.
    pyarrow.Table
        The kept rows that are new; the others are repeated, to the letter.
    """
    if before.num_rows == 0 or not key:
        return checked, checked.kept
    known = pc.is_in(_text(checked.kept, key), value_set=_text(before, key))
    same = pc.is_in(_text(checked.kept, checked.kept.column_names), value_set=_text(before, checked.kept.column_names))
    differs = pc.and_(known, pc.invert(same))
    holds = pc.invert(differs)
    contradicting = checked.kept.filter(differs)
    reasons = {
        position: ["contradicts the row of its key that an earlier delivery brought"]
        for position in checked.positions.filter(differs).to_pylist()
    }
    rows = dict(zip(reasons, contradicting.to_pylist(), strict=True))
    return Checked(
        kept=checked.kept.filter(holds), positions=checked.positions.filter(holds),
        broken=pa.concat_tables([checked.broken, _records(reasons, rows)]),
    ), checked.kept.filter(pc.invert(known))  # fmt: skip


def _text(rows: pa.Table, columns: Sequence[str]) -> pa.Array:
    """Return one text per row that is the same for the same values, missing ones included."""
    texts = [pc.fill_null(rows[name].cast(pa.string()), "\0").combine_chunks() for name in columns]
    return pc.binary_join_element_wise(*texts, "\x1f")


def _typed(values: pa.ChunkedArray, column: Column, reasons: _Reasons) -> pa.ChunkedArray:
    """Return the values in the declared type; what cannot be is null and has its reason."""
    if pa.types.is_null(values.type):  # a column without any value, or no rows at all
        values = values.cast(pa.string())
    converted = _convert(values, column.type)
    wrong = pc.and_(pc.is_valid(values), pc.is_null(converted))
    reasons.add(wrong, lambda row: f"{column.name}: {values[row].as_py()!r} is not a {_in_words(column.type)}")
    if not column.nullable:
        reasons.add(pc.is_null(values), lambda _: f"{column.name}: is missing and required")
    return converted


def _in_words(kind: str) -> str:
    return {"double": "finite number", "int": "whole number", "bigint": "whole number"}.get(kind, kind)


def _convert(values: pa.ChunkedArray, kind: str) -> pa.ChunkedArray:
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


def _check_rule(values: pa.ChunkedArray, rule: Rule, reasons: _Reasons) -> None:
    if rule.minimum is not None:
        reasons.add(
            pc.less(values, rule.minimum),
            lambda row: f"{rule.column}: {values[row].as_py()!r} is below {rule.minimum!r}",
        )
    if rule.maximum is not None:
        reasons.add(
            pc.greater(values, rule.maximum),
            lambda row: f"{rule.column}: {values[row].as_py()!r} is above {rule.maximum!r}",
        )
    if rule.allowed:
        strange = pc.and_(pc.is_valid(values), pc.invert(pc.is_in(values, pa.array(rule.allowed))))
        allowed = ", ".join(rule.allowed)
        reasons.add(strange, lambda row: f"{rule.column}: {values[row].as_py()!r} is none of {allowed}")


def _check_key(typed: dict[str, pa.ChunkedArray], key: tuple[str, ...], reasons: _Reasons) -> None:
    """Keep the first good row of each key; the others are duplicates."""
    if not key:
        return
    position = pa.array(np.arange(len(reasons.broken)))
    rows = pa.table({name: typed[name] for name in key} | {"row_number": position}).filter(pa.array(~reasons.broken))
    first = rows.group_by(list(key)).aggregate([("row_number", "min")])["row_number_min"]
    duplicate = np.ones(len(reasons.broken), dtype=bool)
    duplicate[np.asarray(first)] = False
    duplicate &= ~reasons.broken
    reasons.add(
        pa.array(duplicate),
        lambda row: f"duplicate key {', '.join(f'{name}={typed[name][row].as_py()}' for name in key)}",
    )


def _broken(delivery: pa.Table, reasons: dict[int, list[str]]) -> pa.Table:
    rows = sorted(reasons)
    delivered = delivery.take(pa.array(rows, pa.int64())).to_pylist()
    return _records(reasons, dict(zip(rows, delivered, strict=True)))


def _records(reasons: Mapping[int, Sequence[str]], rows: Mapping[int, Mapping[str, Any]]) -> pa.Table:
    positions = sorted(reasons)
    return pa.table(
        {
            "row_number": pa.array(positions, pa.int64()),
            "reasons": pa.array(["; ".join(reasons[position]) for position in positions], pa.string()),
            "row": pa.array([json.dumps(rows[position], default=str) for position in positions], pa.string()),
        }
    )


_CONVERSIONS: Mapping[str, Callable[[pa.ChunkedArray], pa.ChunkedArray]] = {
    "string": lambda values: values.cast(pa.string()),
    "double": _to_double,
    "int": lambda values: _to_whole(values, pa.int32()),
    "bigint": lambda values: _to_whole(values, pa.int64()),
    "boolean": _to_boolean,
    "timestamp": lambda values: _to_instant(values, UTC_INSTANT),
    "date": lambda values: _to_instant(values, pa.date32()),
}
