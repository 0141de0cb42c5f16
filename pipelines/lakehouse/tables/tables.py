"""The one place that writes tables: every write is checked first, done once, and repeated when another was faster."""

import random
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeAlias, TypeVar

import pandas as pd
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.spec.errors import LakehouseError
from pipelines.declarations.asset import Table
from pipelines.lakehouse.guard import Guard
from pipelines.lakehouse.tables import arrow_rows
from pipelines.lakehouse.tables.store import ColumnRange, Commit, Instant, TableStore, Upkeep, Written
from pipelines.lakehouse.tables.table_schemas import column_ddl, former, lacking, require_fit, require_stored
from pipelines.telemetry.attributes import (
    OPERATION,
    ROWS,
    SKIPPED,
    SYSTEM,
    TABLE,
    VERSION_READ,
    VERSION_WRITTEN,
    Attribute,
)
from pipelines.telemetry.instruments import ROWS_WRITTEN
from pipelines.telemetry.recording import measure, span

Rows: TypeAlias = DataFrame | pa.Table | pd.DataFrame
"""What may be written. A time without a zone is taken as UTC; a pandas index is left out."""

Outcome = TypeVar("Outcome")

ATTEMPTS = 8
FIRST_WAIT_SECONDS = 0.05


class NoKeyError(LakehouseError, ValueError):
    """A merge into a table whose declaration has no key."""


class NoTableVersionError(LakehouseError, LookupError):
    """A version that a table does not have."""

    exit_code = 2


class Tables:
    """The Delta tables of one environment.

    Attributes
    ----------
    versions_read
        Address to the last version that was read here; None for a table that was never written.
    guard
        What each write passes.
    """

    def __init__(self, spark: SparkSession, store: TableStore, *, wait: Callable[[float], None] = time.sleep) -> None:
        self._spark = spark
        self._store = store
        self._wait = wait
        self.versions_read: dict[str, int | None] = {}
        self.guard: Guard = nullcontext

    def read(self, table: Table, *, version: int | None = None) -> DataFrame:
        """Return a table's rows as of one version, by default the newest, and remember which it was.

        The version is fixed now: a write between this call and the computation does not change the result.

        Parameters
        ----------
        version
            The Delta version to read.

        Returns
        -------
        DataFrame
            The declared columns in their order; no rows if the table was never written.

        Raises
        ------
        NoTableVersionError
            If a version is asked for that does not exist.
        """
        with span(f"read {table.address}", _facts(table, "read")) as noted:
            newest = self.version(table)
            if version is not None and (newest is None or not 0 <= version <= newest):
                raise NoTableVersionError(
                    f"table {table.address} has no version {version}: "
                    + (f"versions 0 to {newest} exist." if newest is not None else "it was never written.")
                )
            chosen = newest if version is None else version
            self.versions_read[table.address] = chosen
            noted.set(VERSION_READ, chosen)
            if chosen is None:
                return self._spark.createDataFrame([], column_ddl(table, comments=False))
            return self._as_declared(table, self._store.read(table, chosen), is_newest=chosen == newest)

    def stream(self, table: Table) -> DataFrame | None:
        """Return an existing table's rows as a stream; None on an engine that cannot stream, which has `added`."""
        return self._store.stream(table)

    def commit_digest(self, table: Table, version: int) -> str | None:
        """Return what tells the commit of a version from any other; None if it is known no more, or on an engine that streams."""
        return self._store.commit_digest(table, version)

    def added(self, table: Table, *, after: int, upto: int, columns: Sequence[str]) -> pa.Table:
        """Return columns of at least the rows that were added after one version up to another.

        Raises
        ------
        IncrementUnknownError
            If maintenance has removed what says so.
        """
        return self._store.added(table, after, upto, columns)

    def exists(self, table: Table) -> bool:
        """Whether the table has been created."""
        return self._store.columns(table) is not None

    def version(self, table: Table) -> int | None:
        """Return the newest version; None if the table does not exist."""
        return self._store.version(table)

    def create(self, table: Table) -> None:
        """Create the table as declared, without rows, unless it exists; on Databricks with its keys and comments."""
        self._repeat(lambda: self._store.create(table))

    def append_once(self, table: Table, rows: Rows, *, batch_id: str) -> Written:
        """Add a batch; the same batch id a second time adds nothing, nor does a row whose key the table has.

        The batch's mark is part of the Delta commit that adds its rows, so there is no moment at which one is there
        without the other. The declared key holds over the whole table, also with two writers: of two commits that add
        the same key the second one fails and is repeated on what the first one wrote. A table without a key takes
        every row.

        Returns
        -------
        Written
            With the rows that this batch brought, also if an earlier attempt wrote them.

        Raises
        ------
        SchemaMismatchError
            If the rows do not fit the declaration, with everything that is wrong; nothing is written.
        DuplicateKeysError
            If two rows of the batch have the same key; nothing is written.
        """
        return self._put(table, "append", rows, lambda to, own, count: self._store.append(to, own, batch_id, count))

    def merge(self, table: Table, rows: Rows, *, batch_id: str | None = None) -> Written:
        """Replace the rows that have the key of a new row, add the others; the same merge twice changes nothing.

        Parameters
        ----------
        batch_id
            The batch that the commit names, for `find_batch`.

        Raises
        ------
        NoKeyError
            If the declaration has no primary key.
        SchemaMismatchError
            If the rows do not fit the declaration, with everything that is wrong; nothing is written.
        DuplicateKeysError
            If two rows have the same key, with some of those keys; nothing is written.
        """
        if not table.row_key:
            raise NoKeyError(f"table {table.address} has no primary key to merge by: declare one, or append.")
        return self._put(table, "merge", rows, lambda to, own, count: self._store.merge(to, own, batch_id, count))

    def overwrite_window(
        self, table: Table, rows: Rows, *, column: str, start: Instant, end: Instant, batch_id: str | None = None
    ) -> Written:
        """Replace the rows with ``start <= column < end`` by others of the same window.

        Parameters
        ----------
        batch_id
            The batch that the commit names, for `find_batch`.

        Raises
        ------
        SchemaMismatchError
            If rows lie outside the window or do not fit the declaration; nothing is written.
        """
        table.column(column)
        window = ColumnRange(column=column, start=start, end=end)
        return self._put(
            table, "replace", rows, lambda to, own, count: self._store.replace(to, own, window, batch_id, count), window
        )

    def find_batch(self, table: Table, batch_id: str) -> Commit | None:
        """Return the commit that wrote a batch; None if there is none among the table's newest commits.

        A task that repeats a batch reads the table as it was before that commit: what the batch itself has written
        must not count as an earlier delivery.
        """
        return self._store.find(table, batch_id) if self.exists(table) else None

    def history(self, table: Table) -> tuple[Commit, ...]:
        """Return the table's commits, newest first; none if it does not exist."""
        return self._store.history(table)

    def record_changes(self, table: Table) -> None:
        """Let each further commit of a table say which rows it changed, for what reads them outside of these jobs."""
        self._repeat(lambda: self._store.record_changes(table))

    def maintain(self, table: Table, *, before: datetime, keep: Collection[int]) -> Upkeep | None:
        """Compact a table and remove what is older than an instant and not of a kept version.

        Readers are not disturbed: they have a version that is younger, or kept. A writer that commits meanwhile makes the
        compaction fail, which is then repeated.

        Returns
        -------
        Upkeep
            None if writers were faster each time: then the next maintenance does it.
        """
        try:
            return self._repeat(lambda: self._store.maintain(table, before=before, keep=keep))
        except Exception as error:
            if self._store.is_conflict(error):
                return None
            raise

    def _put(
        self, table: Table, operation: str, rows: Rows, action: Callable[[Table, Any, int], Written],
        window: ColumnRange | None = None,
    ) -> Written:  # fmt: skip
        """Check rows and write them, as one span."""
        facts = _facts(table, operation)
        with span(f"{operation} {table.address}", facts) as noted:
            checked, count = self._checked(table, rows, window=window)
            written = self._write(table, checked, lambda to, own: action(to, own, count))
            for attribute, value in (
                (ROWS, written.rows),
                (VERSION_WRITTEN, written.version),
                (SKIPPED, written.skipped),
            ):
                noted.set(attribute, value)
        if not written.skipped:
            measure(ROWS_WRITTEN, written.rows, facts)
        return written

    def _checked(self, table: Table, rows: Rows, *, window: ColumnRange | None = None) -> tuple[Any, int]:
        own = self._store.accept(arrow_rows.from_pandas(rows) if isinstance(rows, pd.DataFrame) else rows)
        facts = self._store.facts(own, table, unique=table.row_key, window=window)
        require_fit(table, facts, window=window)
        return self._store.conform(own, table), facts.rows

    def _write(self, table: Table, rows: Any, action: Callable[[Table, Any], Written]) -> Written:
        stored = self._store.columns(table)
        if stored is None:
            self.create(table)
            stored = ()
        elif require_stored(table, stored):
            self._repeat(lambda: self._store.add_columns(table))
        gone = former(table, stored)
        to = replace(table, columns=(*table.columns, *gone)) if gone else table
        own = self._store.conform(arrow_rows.with_former(rows, gone), to) if gone else rows
        return self._repeat(lambda: action(to, own))

    def _as_declared(self, table: Table, rows: DataFrame, *, is_newest: bool) -> DataFrame:
        """Return the declared columns of rows: one that was declared after they were written has no values."""
        stored = self._store.columns(table) or () if is_newest else rows.dtypes
        absent = {column.name for column in lacking(table, dict(stored))}
        if not absent and not former(table, stored):
            return rows
        return rows.select(
            *(F.lit(None).cast(c.type).alias(c.name) if c.name in absent else F.col(c.name) for c in table.columns)
        )

    def _repeat(self, action: Callable[[], Outcome]) -> Outcome:
        for attempt in range(1, ATTEMPTS):
            try:
                with self.guard():
                    return action()
            except Exception as error:
                if not self._store.is_conflict(error):
                    raise
            # Writers that collided must not collide again: each waits a random part of a growing time.
            self._wait(random.uniform(0.5, 1.0) * FIRST_WAIT_SECONDS * 2**attempt)  # noqa: S311 - no secret
        with self.guard():
            return action()


def _facts(table: Table, operation: str) -> dict[Attribute, object]:
    return {SYSTEM: "delta", TABLE: table.address, OPERATION: operation}
