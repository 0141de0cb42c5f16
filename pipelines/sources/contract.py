"""The contract of a source: types, required columns, ranges, keys. Rows that break it are separated, with reasons.

Works on columns (`pyarrow.compute`), once over a delivery, and gives the same answer on every engine.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.declarations.asset import Column
from pipelines.declarations.source import Rule, Source
from pipelines.lakehouse.tables.arrow import ARROW_TYPES
from pipelines.sources.conversion import convert
from pipelines.sources.delivered import only, plain
from pipelines.sources.files import check_header
from pipelines.sources.quarantine import PROBLEMS, Breach, Reasons, broken_rows


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
    breaches
        In which ways rows break the contract, and how many do.
    """

    kept: pa.Table
    positions: pa.Array
    broken: pa.Table
    breaches: tuple[Breach, ...] = ()

    @property
    def rows_read(self) -> int:
        """Rows delivered: those kept and those broken."""
        return int(self.kept.num_rows + self.broken.num_rows)


def check(delivery: pa.Table, source: Source, *, hidden: frozenset[str] = frozenset()) -> Checked:
    """Separate the rows of a delivery that fulfil their source's contract from those that break it.

    Parameters
    ----------
    delivery
        Exactly the columns of the source's table, each as text or typed; also `PROBLEMS`, if a reader computed from values
        that it could not read.
    source
        Types and required columns come from its table's columns, the key from the table's, ranges from its rules; how values
        are delivered is its own.
    hidden
        Columns of which no value may be in a reason or in a broken row.

    Returns
    -------
    Checked
        Every delivered row is in exactly one of its two parts, whatever its values and their Arrow types are.

    Raises
    ------
    SourceError
        If a column is missing, unexpected or there twice.
    """
    declared, found = source.table.columns, None
    if delivery.column_names.count(PROBLEMS) == 1:
        found, delivery = delivery[PROBLEMS], delivery.drop_columns([PROBLEMS])
    check_header(f"source {source.name}", delivery.column_names, [column.name for column in declared])
    reasons = Reasons(delivery.num_rows, hidden=hidden)
    if found is not None:
        reasons.add_problems(found)
    typed = {column.name: _typed(delivery[column.name], column, source, reasons) for column in declared}
    for rule in source.rules:
        _check_rule(typed[rule.column], rule, reasons)
    _check_key(typed, source.table.row_key, reasons)
    kept = pa.table(typed).filter(pa.array(~reasons.broken))
    positions = pa.array(np.flatnonzero(~reasons.broken), pa.int64())
    sentences = reasons.by_position()
    shown = delivery.select([name for name in delivery.column_names if name not in hidden])
    broken = broken_rows(only(shown, list(sentences)), sentences)
    return Checked(kept=kept, positions=positions, broken=broken, breaches=reasons.breaches())


def _typed(delivered: pa.ChunkedArray, column: Column, source: Source, reasons: Reasons) -> pa.ChunkedArray:
    """Return the values in the declared type; what cannot be is null and has its reason."""
    values, family = plain(delivered)
    types = source.types(column.name)
    if not column.nullable:
        reasons.add(pc.is_null(values), column.name, "is missing and required")
    if family not in types:
        wrong = f"is delivered as {delivered.type}, allowed are {', '.join(types)}"
        reasons.add(pc.is_valid(values), column.name, wrong, values)
        return pa.chunked_array([pa.nulls(len(values), ARROW_TYPES[column.type])])
    refuse = partial(_refuse, reasons, column.name, values)
    return convert(values, family, column.type, source.instants(column.name), refuse)


def _refuse(reasons: Reasons, column: str, values: pa.ChunkedArray, breaks: pa.ChunkedArray, wrong: str) -> None:
    reasons.add(breaks, column, wrong, values)


def _check_rule(values: pa.ChunkedArray, rule: Rule, reasons: Reasons) -> None:
    if rule.minimum is not None:
        reasons.add(pc.less(*_comparable(values, rule.minimum)), rule.column, f"is below {rule.minimum!r}", values)
    if rule.maximum is not None:
        reasons.add(pc.greater(*_comparable(values, rule.maximum)), rule.column, f"is above {rule.maximum!r}", values)
    if rule.allowed:
        strange = pc.and_(pc.is_valid(values), pc.invert(pc.is_in(values, pa.array(rule.allowed))))
        reasons.add(strange, rule.column, f"is none of {', '.join(rule.allowed)}", values)


def _comparable(values: pa.ChunkedArray, bound: float) -> tuple[pa.ChunkedArray, float]:
    """Return numbers and a bound of one type; a whole number that no double holds exactly is compared as the nearest."""
    small = isinstance(bound, int) and abs(bound) < 2**31
    return (values, bound) if small else (values.cast(pa.float64(), safe=False), float(bound))


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
    reasons.add_duplicates(
        pa.array(duplicate),
        lambda row: ", ".join(name if name in reasons.hidden else f"{name}={typed[name][row].as_py()}" for name in key),
    )
