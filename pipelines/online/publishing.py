"""Brings the online store up to what a request at an instant may use: the newest row of each entity, and no later one.

A publication is known by two things: the instant up to which it goes, and the changes of the feature table that it has taken in.
The rows that may differ from the publication before lie at or after an instant that follows from both (`changed_since`), so only
these are read. What is written, the instant and the changes are one transaction: a publication that is killed has not been.
"""

import datetime as dt
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from pipelines.scoring.columns import ARROW_TYPES
from pipelines.scoring.function import FeatureLookup
from pipelines.scoring.online import POSTGRES_TYPES, address, quoted

BEGINNING = dt.datetime(1, 1, 1, tzinfo=dt.UTC)
STATE, TAKEN = "mlops.published", "mlops.taken"
"""The tables of the store that say up to when each feature table is published, and which of its changes are taken in."""


class Rows(Protocol):
    """What a publication asks of a feature table."""

    def newest(self, since: dt.datetime, before: dt.datetime, keys: pa.Table | None = None) -> pa.Table:
        """Return of each entity, or of some, the newest row with ``since <= time < before``."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """What the store says of one feature table.

    Attributes
    ----------
    until
        Rows from before this instant are in the store; None if it was never published.
    changes
        The ids of the changes of the feature table that it includes.
    """

    until: dt.datetime | None
    changes: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Publication:
    """What one publication of a feature table has done."""

    table: str
    until: dt.datetime
    written: int
    removed: int


def changed_since(published: Published, changes: Mapping[str, dt.datetime], until: dt.datetime) -> dt.datetime | None:
    """Return from which instant on the rows of a feature table may differ from what is published; None if none can.

    Parameters
    ----------
    changes
        Each change of the feature table with the earliest instant of its rows.
    until
        Up to which instant it is to be published.

    Returns
    -------
    datetime
        `BEGINNING` where all is to be published: the first time, and where a change that was taken in has been undone.
    """
    if published.until is None or not published.changes <= changes.keys():
        return BEGINNING
    new = [since for change, since in changes.items() if change not in published.changes]
    moved = [min(published.until, until)] if until != published.until else []
    return min([*new, *moved], default=None)


def publish(
    connection: Any, lookup: FeatureLookup, rows: Rows, *, changes: Mapping[str, dt.datetime], until: dt.datetime
) -> Publication:
    """Bring one feature table of the store up to an instant; the same twice changes nothing.

    Parameters
    ----------
    connection
        Of psycopg, to the store.
    lookup
        Of the feature table, with all columns that any look-up reads.
    until
        The instant of the requests that are next; rows that must wait (`available_after_minutes`) are held back.
    """
    before = until - dt.timedelta(minutes=lookup.available_after_minutes)
    with connection.transaction():
        _ensure(connection, lookup)
        # One publication at a time, also of several processes: who comes second sees what the first one has done.
        connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [lookup.table])
        since = changed_since(_published(connection, lookup.table), changes, before)
        written = removed = 0
        if since is not None:
            written, removed = _bring(connection, lookup, rows, since, before)
            _note(connection, lookup.table, before, changes)
    return Publication(table=lookup.table, until=before, written=written, removed=removed)


def _bring(
    connection: Any, lookup: FeatureLookup, rows: Rows, since: dt.datetime, before: dt.datetime
) -> tuple[int, int]:
    """Replace what the store has from an instant on by the newest rows, and return how many were written and removed."""
    keys, table = list(lookup.keys.values()), address(lookup.table)
    newest = rows.newest(since, before)
    listed = ", ".join(map(quoted, keys))
    stale = connection.execute(
        f"DELETE FROM {table} WHERE {quoted(lookup.time)} >= %s RETURNING {listed}",  # noqa: S608 - declared names, quoted
        [since],
    ).fetchall()
    _insert(connection, lookup, newest)
    # An entity whose newest row is gone, or is not to be known yet, has an older one again.
    there = set(zip(*(newest.column(name).to_pylist() for name in keys), strict=True))
    lost = [key for key in stale if key not in there]
    older = newest.slice(0, 0)
    if lost and since > BEGINNING:
        schema = pa.schema([(name, ARROW_TYPES[lookup.kinds[name]]) for name in keys])
        asked = pa.table([list(values) for values in zip(*lost, strict=True)], schema=schema)
        older = rows.newest(BEGINNING, since, asked)
        _insert(connection, lookup, older)
    return newest.num_rows + older.num_rows, len(lost) - older.num_rows


def _insert(connection: Any, lookup: FeatureLookup, rows: pa.Table) -> None:
    if not rows.num_rows:
        return
    names, keys = list(lookup.kinds), list(lookup.keys.values())
    connection.execute(f"CREATE TEMP TABLE arriving (LIKE {address(lookup.table)}) ON COMMIT DROP")
    with connection.cursor().copy(
        f"COPY arriving ({', '.join(map(quoted, names))}) FROM STDIN (FORMAT BINARY)"
    ) as copy:
        copy.set_types([POSTGRES_TYPES[lookup.kinds[name]].replace("double precision", "float8") for name in names])
        for row in zip(*(rows.column(name).to_pylist() for name in names), strict=True):
            copy.write_row(row)
    assigned = ", ".join(f"{quoted(name)} = EXCLUDED.{quoted(name)}" for name in names)
    columns, key = ", ".join(map(quoted, names)), ", ".join(map(quoted, keys))
    connection.execute(
        f"INSERT INTO {address(lookup.table)} ({columns}) SELECT {columns} FROM arriving "  # noqa: S608 - declared names, quoted
        f"ON CONFLICT ({key}) DO UPDATE SET {assigned}"
    )
    connection.execute("DROP TABLE arriving")


def _ensure(connection: Any, lookup: FeatureLookup) -> None:
    """Create what the store lacks; a feature table whose columns are others is created anew and published whole."""
    schema, table = lookup.table.split(".")
    connection.execute("CREATE SCHEMA IF NOT EXISTS mlops")
    connection.execute(f"CREATE TABLE IF NOT EXISTS {STATE} (feature_table text PRIMARY KEY, until timestamptz)")
    connection.execute(
        f"CREATE TABLE IF NOT EXISTS {TAKEN} (feature_table text, change text, PRIMARY KEY (feature_table, change))"
    )
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}")
    wanted = {name: POSTGRES_TYPES[kind].replace("timestamptz", "timestamp with time zone")
              for name, kind in lookup.kinds.items()}  # fmt: skip
    found = dict(
        connection.execute(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = %s AND table_name = %s",
            [schema, table],
        ).fetchall()
    )
    if found == wanted:
        return
    connection.execute(f"DROP TABLE IF EXISTS {address(lookup.table)}")
    for state in (STATE, TAKEN):
        connection.execute(f"DELETE FROM {state} WHERE feature_table = %s", [lookup.table])  # noqa: S608 - names of ours
    columns = ", ".join(f"{quoted(name)} {kind}" for name, kind in wanted.items())
    key = ", ".join(map(quoted, lookup.keys.values()))
    connection.execute(f"CREATE TABLE {address(lookup.table)} ({columns}, PRIMARY KEY ({key}))")
    connection.execute(f"CREATE INDEX ON {address(lookup.table)} ({quoted(lookup.time)})")


def _published(connection: Any, table: str) -> Published:
    state = connection.execute(f"SELECT until FROM {STATE} WHERE feature_table = %s", [table]).fetchone()  # noqa: S608 - names of ours
    taken = connection.execute(f"SELECT change FROM {TAKEN} WHERE feature_table = %s", [table]).fetchall()  # noqa: S608 - as above
    return Published(until=state[0] if state else None, changes=frozenset(change for (change,) in taken))


def _note(connection: Any, table: str, until: dt.datetime, changes: Collection[str]) -> None:
    connection.execute(f"DELETE FROM {STATE} WHERE feature_table = %s", [table])  # noqa: S608 - names of ours
    connection.execute(f"INSERT INTO {STATE} VALUES (%s, %s)", [table, until])  # noqa: S608 - as above
    connection.execute(f"DELETE FROM {TAKEN} WHERE feature_table = %s AND change <> ALL(%s)", [table, list(changes)])  # noqa: S608 - as above
    connection.cursor().executemany(
        f"INSERT INTO {TAKEN} VALUES (%s, %s) ON CONFLICT DO NOTHING",  # noqa: S608 - as above
        [(table, change) for change in changes],
    )


def published_until(connection: Any, lookups: Sequence[FeatureLookup]) -> dict[str, dt.datetime | None]:
    """Return up to which instant each feature table is published; None if it never was."""
    return {lookup.table: _published(connection, lookup.table).until for lookup in lookups}


def by_table(lookups: Sequence[FeatureLookup], merged: Callable[..., FeatureLookup]) -> list[FeatureLookup]:
    """Return one look-up for each feature table, with the columns that any look-up in it reads."""
    found: dict[str, FeatureLookup] = {}
    for lookup in lookups:
        known = found.get(lookup.table)
        found[lookup.table] = lookup if known is None else merged(known, kinds={**known.kinds, **lookup.kinds})
    return list(found.values())
