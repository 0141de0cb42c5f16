"""Looks features up in the online store: one statement for all requests and all feature tables, so one round trip.

The store is Postgres, as on Databricks, where the Online Feature Store is Lakebase: its online tables have the newest row of each
entity, in the schemas of their feature tables, see
https://docs.databricks.com/aws/en/machine-learning/feature-store/online-feature-store.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from ml.spec.errors import LakehouseError
from pipelines.declarations.online_store import SCHEME, online_table
from pipelines.scoring.columns import ARROW_TYPES
from pipelines.scoring.function import ScoringFunction
from pipelines.scoring.stored import StoredRows

POSTGRES_TYPES: Mapping[str, str] = {
    "string": "text",
    "boolean": "boolean",
    "int": "integer",
    "bigint": "bigint",
    "double": "double precision",
    "date": "date",
    "timestamp": "timestamptz",
}
"""The type in Postgres of every declared Spark SQL type, none of which loses a value on the way."""


class StoreError(LakehouseError):
    """An online store that does not answer, or lacks a table."""


class OnlineFeatures:
    """The feature rows of a scoring function's look-ups in one online store; each thread has a connection."""

    def __init__(self, function: ScoringFunction, store: str) -> None:
        self._function = function
        self._store = store
        self._statement = lookup_statement(function, published=store.startswith(SCHEME))
        self._keys = key_columns(function)
        self._local = threading.local()

    def newest(self, requests: pa.Table) -> StoredRows:
        """Return for each look-up the stored row of each request's entity, the newest of its feature table.

        Raises
        ------
        StoreError
            If the store cannot be asked, or was never published to.
        """
        if not self._function.lookups:
            return StoredRows([])
        return StoredRows(self._asked({name: requests.column(name).to_pylist() for name in self._keys}))

    def serves(self, function: ScoringFunction) -> bool:
        """Return whether another function looks up the same, so that a new version needs no new connection."""
        return function.lookups == self._function.lookups and function.request == self._function.request

    def close(self) -> None:
        """Close this thread's connection."""
        if (connection := getattr(self._local, "connection", None)) is not None:
            connection.close()
            self._local.connection = None

    def _connection(self) -> Any:
        import psycopg

        if not self._store.startswith(SCHEME):
            return psycopg.connect(self._store, autocommit=True)
        if self._function.connect is None:
            raise StoreError(
                f"the online store is {self._store}, and this version was registered before its use case declared `online`: "
                "train it again, or let requests give the looked-up columns."
            )
        return self._function.connect(self._store)

    def _asked(self, keys: Mapping[str, Sequence[Any]]) -> list[tuple[Any, ...]]:
        """Return the columns of the statement's answer; a connection that was lost is opened again, once."""
        import psycopg

        for attempt in (1, 2):
            try:
                if getattr(self._local, "connection", None) is None:
                    self._local.connection = self._connection()
                cursor = self._local.connection.cursor(binary=True)
                rows = cursor.execute(self._statement, list(keys.values()), prepare=True).fetchall()
                return (
                    list(zip(*rows, strict=True)) if rows else [()] * sum(len(x.kinds) for x in self._function.lookups)
                )
            except psycopg.OperationalError as error:
                self.close()
                if attempt == 2:
                    raise StoreError(f"the online store does not answer: {error}") from error
            except psycopg.errors.UndefinedTable as error:
                raise StoreError(
                    f"the online store lacks a table ({error.diag.message_primary}): publish it."
                ) from error
        raise AssertionError  # both attempts have returned or raised


def empty_features(function: ScoringFunction) -> list[pa.Table]:
    """Return no rows for each look-up."""
    return [
        pa.schema([(name, ARROW_TYPES[kind]) for name, kind in lookup.kinds.items()]).empty_table()
        for lookup in function.lookups
    ]


def key_columns(function: ScoringFunction) -> tuple[str, ...]:
    """Return the columns of a request by which it is looked up, each once."""
    return tuple(dict.fromkeys(name for lookup in function.lookups for name in lookup.keys))


def lookup_statement(function: ScoringFunction, *, published: bool = False) -> str:
    """Return the statement that finds the rows of all look-ups for all requests, in their order; its parameters are lists of keys.

    Parameters
    ----------
    published
        Whether the tables are those that a platform has published, which have names of their own.
    """
    kinds = {column.name: POSTGRES_TYPES[column.kind] for column in function.request}
    keys = key_columns(function)
    lists = ", ".join(f"%s::{kinds[name]}[]" for name in keys)
    asked = ", ".join(quoted(f"key {name}") for name in keys)
    selected = ", ".join(
        f"f{place}.{quoted(name)}" for place, lookup in enumerate(function.lookups) for name in lookup.kinds
    )
    joins = " ".join(
        f"LEFT JOIN {address(online_table(lookup.table) if published else lookup.table)} f{place} ON "
        + " AND ".join(f"f{place}.{quoted(own)} = r.{quoted(f'key {name}')}" for name, own in lookup.keys.items())
        for place, lookup in enumerate(function.lookups)
    )
    rows = f"unnest({lists}) WITH ORDINALITY AS r({asked}, place)"
    return f"SELECT {selected} FROM {rows} {joins} ORDER BY r.place"  # noqa: S608 - declared names, quoted


def address(table: str) -> str:
    """Return the quoted form of ``schema.table``."""
    return ".".join(quoted(part) for part in table.split("."))


def quoted(name: str) -> str:
    """Return a name as Postgres takes it, whatever it holds."""
    return '"' + name.replace('"', '""').replace("%", "%%") + '"'
