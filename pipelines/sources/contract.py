"""The contract of a source: types, required columns, ranges, keys. Rows that break it are separated, with reasons.

Works on columns (`pyarrow.compute`), once over a delivery, and gives the same answer on every engine.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.declarations.asset import Column
from pipelines.declarations.source import Rule, Source
from pipelines.sources.conversion import convert
from pipelines.sources.files import check_header
from pipelines.sources.quarantine import Reasons, broken_rows


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A delivery after the check.

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


def check(delivery: pa.Table, source: Source) -> Checked:
    """Separate the rows of a delivery that fulfil their source's contract from those that break it.

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
        If a column is missing or unexpected.
    """
    declared = source.table.columns
    check_header(f"source {source.name}", delivery.column_names, [column.name for column in declared])
    reasons = Reasons(delivery.num_rows)
    typed = {column.name: _typed(delivery[column.name], column, reasons) for column in declared}
    for rule in source.rules:
        _check_rule(typed[rule.column], rule, reasons)
    _check_key(typed, source.table.row_key, reasons)
    kept = pa.table(typed).filter(pa.array(~reasons.broken))
    positions = pa.array(np.flatnonzero(~reasons.broken), pa.int64())
    found = reasons.by_position()
    return Checked(
        kept=kept, positions=positions, broken=broken_rows(delivery.take(pa.array(found, pa.int64())), found)
    )


def _typed(values: pa.ChunkedArray, column: Column, reasons: Reasons) -> pa.ChunkedArray:
    """Return the values in the declared type; what cannot be is null and has its reason."""
    if pa.types.is_null(values.type):  # a column without any value, or no rows at all
        values = values.cast(pa.string())
    converted = convert(values, column.type)
    wrong = pc.and_(pc.is_valid(values), pc.is_null(converted))
    reasons.add(wrong, lambda row: f"{column.name}: {values[row].as_py()!r} is not a {_in_words(column.type)}")
    if not column.nullable:
        reasons.add(pc.is_null(values), lambda _: f"{column.name}: is missing and required")
    return converted


def _in_words(kind: str) -> str:
    return {"double": "finite number", "int": "whole number", "bigint": "whole number"}.get(kind, kind)


def _check_rule(values: pa.ChunkedArray, rule: Rule, reasons: Reasons) -> None:
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


def _check_key(typed: dict[str, pa.ChunkedArray], key: tuple[str, ...], reasons: Reasons) -> None:
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
