"""The catalogue of shared feature tables as lines of text: owner, key, columns, freshness, readers. Pure."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines.declarations.asset import Column, Table
from pipelines.declarations.shared_features import SharedTable

LOOKBACK = "24 * 28"
"""Of the lookup that is printed: four weeks, to be changed by the reader."""


@dataclass(frozen=True, kw_only=True)
class SharedLine:
    """One shared feature table as people see it.

    Attributes
    ----------
    readers
        Each with its team.
    newest
        The instant of its newest row by environment; None where it has none.
    """

    address: str
    owner: str
    team: str
    comment: str
    key: str
    columns: str
    fresh_within_hours: float
    available_after_minutes: int
    readers: tuple[str, ...]
    newest: Mapping[str, dt.datetime | None]


def shared_lines(
    shared: Sequence[SharedTable], newest: Mapping[str, Mapping[str, dt.datetime | None]]
) -> tuple[SharedLine, ...]:
    """Return the lines.

    Parameters
    ----------
    newest
        Environment to address to the instant of the newest row.
    """
    return tuple(
        SharedLine(
            address=one.table.address, owner=one.table.use_case, team=one.team, comment=one.table.comment,
            key=", ".join(one.table.row_key), columns=", ".join(f"{c.name} {c.type}" for c in values_of(one.table)),
            fresh_within_hours=one.fresh_within_hours, available_after_minutes=one.feature.available_after_minutes,
            readers=tuple(f"{reader.name} (team {reader.team})" for reader in one.readers),
            newest={name: found.get(one.table.address) for name, found in newest.items()},
        )
        for one in shared
    )  # fmt: skip


def values_of(table: Table) -> tuple[Column, ...]:
    """Return the columns that are no part of the key: what there is to look up."""
    return tuple(column for column in table.columns if column.name not in table.row_key)


def declaration_for_readers(shared: SharedTable, columns: Sequence[str]) -> str:
    """Return what a reader writes into its folder to read some columns of a shared table, as Python.

    Parameters
    ----------
    columns
        Names of the columns that are no part of the key; empty for all.

    Raises
    ------
    DeclarationError
        If the table has no such column, with the nearest name.
    """
    table, wait = shared.table, shared.feature.available_after_minutes
    late = f", available_after_minutes={wait}" if wait else ""
    chosen = tuple(table.column(name) for name in columns) or values_of(table)
    # Not the name by which a reader may have a table of its own.
    name, values = f"{table.name.upper()}_READ", [one.name for one in chosen if one.name not in table.row_key]
    lines = [
        "from pipelines.api import Layer, Lookup, SharedFeatures, Table, column, key",
        "",
        f"{name} = Table(",
        f"    use_case={_text(table.use_case)},",
        "    layer=Layer.SHARED,",
        f"    name={_text(table.name)},",
        f"    comment={_text(table.comment)},",
        "    columns=(",
        *(f"        key({_column(table.column(one))})," for one in table.row_key),
        *(f"        column({_column(one)})," for one in chosen if one.name not in table.row_key),
        "    ),",
        f"    primary_key=({', '.join(map(_text, table.primary_key))},),",
        f"    time_key={_text(str(table.time_key))},",
        ")",
        "SHARED_FEATURES = (",
        f"    SharedFeatures(table={name}, fresh_within_hours={shared.fresh_within_hours:g}{late}),",
        ")",
        "# keys: column of the requests, column of the table; columns: column of the table, name of the input.",
        f"{table.name.upper()}_LOOKUP = Lookup(",
        f"    table={name},",
        f"    keys={{{', '.join(f'{_text(one)}: {_text(one)}' for one in table.primary_key)}}},",
        f"    columns={{{', '.join(f'{_text(one)}: {_text(one)}' for one in values)}}},",
        f"    lookback_hours={LOOKBACK},  # older rows count as unknown",
        ")",
    ]
    return "\n".join(lines)


def _column(column: Column) -> str:
    return (
        _text(column.name)
        if column.type == "string" and not column.nullable
        else f"{_text(column.name)}, {_text(column.type)}"
    )


def _text(words: str) -> str:
    return '"' + words.replace("\\", "\\\\").replace('"', '\\"') + '"'
