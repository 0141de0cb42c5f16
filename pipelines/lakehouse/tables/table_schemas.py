"""Declared columns against real ones: what breaks a declaration, the DDL of a table. No table is touched."""

from collections import Counter
from collections.abc import Iterable, Sequence

import pyarrow as pa

from ml.spec.errors import LakehouseError
from pipelines.declarations.asset import TYPES, Column, Layer, Table, column
from pipelines.declarations.mistakes import IDENTIFIER
from pipelines.lakehouse.tables.arrow import ARROW_TYPES
from pipelines.lakehouse.tables.store import ColumnRange, RowFacts

KEEP_INPUTS = frozenset(
    ((Layer.FEATURES, "training_set"), (Layer.INFERENCE, "predictions"), (Layer.INFERENCE, "answers"))
)
"""Standard tables that keep inputs with every row, and so have columns of whatever was an input once."""
UNTYPED = "void"
"""The type of a column that holds nothing but missing values: it fits every declared type."""


CONFLICTING_WRITES = {"delta.enableDeletionVectors": "false", "delta.isolationLevel": "Serializable"}
"""The properties with which two writers of one new key conflict on Databricks."""


class SchemaMismatchError(LakehouseError, ValueError):
    """Rows that do not fit their table's declaration; nothing was written."""


class DuplicateKeysError(LakehouseError, ValueError):
    """Rows that share a key which the declaration says is unique; nothing was written."""


def require_fit(table: Table, facts: RowFacts, *, window: ColumnRange | None = None) -> None:
    """Raise unless rows fit the declaration of their table, naming everything that is wrong at once.

    Raises
    ------
    SchemaMismatchError
        For missing, undeclared, repeated and wrongly typed columns, missing values where there must be one, and rows
        outside the window that they are to replace.
    DuplicateKeysError
        If that is the only thing wrong.
    """
    wrong = [
        *_wrong_columns(table, facts.columns),
        *(
            f"column {name!r} has no value in {count} of {facts.rows} rows"
            for name, count in facts.nulls.items()
            if count
        ),
    ]
    if window is not None and facts.outside:
        wrong.append(
            f"{facts.outside} of {facts.rows} rows lie outside the window "
            f"{window.start} <= {window.column} < {window.end}"
        )
    if wrong:
        raise SchemaMismatchError(
            f"table {table.address}: rows do not fit the declaration, nothing was written: {'; '.join(wrong)}. "
            "Correct the rows or the declaration."
        )
    if facts.duplicates:
        shown = "; ".join(_pairs(table.row_key, key) for key in facts.duplicates)
        raise DuplicateKeysError(
            f"table {table.address}: more than one row with the same key, nothing was written: {shown}. "
            f"Keep one row for each {', '.join(table.row_key)}."
        )


def lacking(table: Table, stored: Iterable[str]) -> tuple[Column, ...]:
    """Return the declared columns that a table on disk does not have."""
    names = set(stored)
    return tuple(column for column in table.columns if column.name not in names)


def former(table: Table, stored: Iterable[tuple[str, str]]) -> tuple[Column, ...]:
    """Return the inputs of earlier declarations that a table on disk keeps: they stay, and new rows have no value in them.

    A column that no declaration can have had, because of its name or its type, is none of them.
    """
    if (table.layer, table.name) not in KEEP_INPUTS:
        return ()
    declared = {column.name for column in table.columns}
    possible = [(name, kind) for name, kind in stored if kind in TYPES and IDENTIFIER.fullmatch(name)]
    return tuple(column(name, kind) for name, kind in possible if name not in declared)


def require_stored(table: Table, stored: Sequence[tuple[str, str]]) -> tuple[Column, ...]:
    """Return the columns that a table on disk has to be given before rows are written to it.

    Those that came into the declaration later and may lack a value, as they will in every row that is there already.

    Raises
    ------
    SchemaMismatchError
        With every column that differs in another way.
    """
    added = tuple(column for column in lacking(table, dict(stored)) if column.nullable)
    gone = {column.name for column in former(table, stored)}
    own = [(name, kind) for name, kind in stored if name not in gone]
    wrong = _wrong_columns(table, [*own, *((column.name, column.type) for column in added)])
    if wrong:
        raise SchemaMismatchError(
            f"table {table.address}: the stored table is older than its declaration, nothing was written: {'; '.join(wrong)}. "
            "Keep the columns as they were; or, on this machine, start again in another folder (--root) or on a branch of the "
            "use case; or alter the stored table as its owner (docs/run-books.md, a table of an earlier release)."
        )
    return added


def _wrong_columns(table: Table, got: Sequence[tuple[str, str]]) -> list[str]:
    declared = {column.name: column.type for column in table.columns}
    counts = Counter(name for name, _ in got)
    types = dict(got)
    return [
        *(f"column {name!r} is missing (declared {kind})" for name, kind in declared.items() if name not in types),
        *(f"column {name!r} is not declared" for name in types if name not in declared),
        *(f"column {name!r} stands {count} times" for name, count in counts.items() if count > 1),
        *(
            f"column {name!r} is {types[name]}, declared {kind}"
            for name, kind in declared.items()
            if types.get(name, kind) not in (kind, UNTYPED)
        ),
    ]


def spark_type(kind: pa.DataType) -> str:
    """Return the Spark SQL type of an Arrow type; of a type that no column may have, its Arrow name.

    A time without a zone is taken as UTC, so it counts as a timestamp. Units and the two widths of text do not matter.
    """
    if pa.types.is_dictionary(kind):
        return spark_type(kind.value_type)
    if pa.types.is_null(kind):
        return UNTYPED
    if pa.types.is_timestamp(kind):
        return "timestamp"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return "string"
    return {declared: name for name, declared in ARROW_TYPES.items()}.get(kind, str(kind))


def ddl(table: Table, catalog: str) -> str:
    """Return the statement that creates a table in Unity Catalog.

    A primary key with a time key makes it a feature table: ``PRIMARY KEY (entity, known_at TIMESERIES)``, see
    https://docs.databricks.com/en/machine-learning/feature-store/uc/feature-tables-uc.html.

    Databricks does not enforce the key. Under row-level concurrency two MERGE statements that insert the same new key
    need not conflict; a table without deletion vectors has none, and its MERGE statements conflict, see
    https://learn.microsoft.com/en-us/azure/databricks/optimizations/isolation/row-level-concurrency.
    """
    lines = [column_ddl(table, comments=True)]
    if table.primary_key:
        keys = [_quoted(name) for name in table.primary_key if name != table.time_key]
        if table.time_key:
            keys.append(f"{_quoted(table.time_key)} TIMESERIES")
        lines.append(f"  CONSTRAINT {_quoted(f'{table.name}_key')} PRIMARY KEY ({', '.join(keys)})")
    body = ",\n".join(lines)
    name = ".".join(_quoted(part) for part in (catalog, table.schema, table.name))
    settings = ", ".join(f"'{name}' = '{value}'" for name, value in CONFLICTING_WRITES.items())
    return (
        f"CREATE TABLE IF NOT EXISTS {name} (\n{body}\n)\nUSING DELTA\nCOMMENT {_text(table.comment)}\n"
        f"TBLPROPERTIES ({settings})"
    )


def column_ddl(table: Table, *, comments: bool) -> str:
    """Return the column list of a ``CREATE TABLE``, one column a line."""
    return ",\n".join(
        f"  {_quoted(c.name)} {c.type.upper()}"
        f"{'' if c.nullable else ' NOT NULL'}"
        f"{f' COMMENT {_text(c.comment)}' if comments and c.comment else ''}"
        for c in table.columns
    )


def _pairs(names: Sequence[str], values: Sequence[object]) -> str:
    return ", ".join(f"{name}={value}" for name, value in zip(names, values, strict=True))


def _quoted(name: str) -> str:
    return f"`{name}`"


def _text(words: str) -> str:
    escaped = words.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
