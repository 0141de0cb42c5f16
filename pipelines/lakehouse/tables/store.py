"""What an engine's store of Delta tables can do, and the records it answers with. `Tables` is its only caller."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Protocol

import pyarrow as pa
from pyspark.sql import DataFrame

from pipelines.declarations.asset import Table

RECENT = 100
"""Among how many of the newest commits a batch is looked for: more than other writers make before a task is repeated."""

Instant = datetime | date
"""A bound of a window: a time-zone aware instant for a timestamp column, a date for a date column."""


@dataclass(frozen=True, kw_only=True)
class ColumnRange:
    """A half-open range ``[start, end)`` of one column."""

    column: str
    start: Instant
    end: Instant


@dataclass(frozen=True, kw_only=True)
class RowFacts:
    """What a store found out about rows before it writes them.

    Attributes
    ----------
    columns
        Name and Spark SQL type of each column, in order; a name may stand twice.
    rows
        How many rows there are.
    nulls
        Rows without a value, for each declared column that must have one.
    duplicates
        Some of the keys that more than one row has.
    outside
        How many rows lie outside the window.
    """

    columns: tuple[tuple[str, str], ...]
    rows: int
    nulls: dict[str, int] = field(default_factory=dict)
    duplicates: tuple[tuple[Any, ...], ...] = ()
    outside: int = 0


@dataclass(frozen=True, kw_only=True)
class Written:
    """The outcome of one write.

    Attributes
    ----------
    rows
        How many rows the batch brought into the table, now or in the attempt that was first to commit it.
    version
        A Delta version of the table that holds the rows.
    skipped
        Whether the batch was there already, so nothing was written now.
    """

    rows: int
    version: int
    skipped: bool = False


@dataclass(frozen=True, kw_only=True)
class Commit:
    """One line of a table's history, the same on every engine.

    Attributes
    ----------
    batch_id
        The batch that the commit wrote; None for other writes.
    added
        How many rows it inserted.
    """

    version: int
    at: datetime
    operation: str
    batch_id: str | None
    added: int = 0


@dataclass(frozen=True, kw_only=True)
class Upkeep:
    """What one maintenance of a table did.

    Attributes
    ----------
    compacted
        How many files were replaced by larger ones.
    files, commits
        How many files and commits of old versions were removed; None where the engine does not say.
    kept
        The versions older than the retention that stay.
    """

    compacted: int
    files: int | None = None
    commits: int | None = None
    kept: tuple[int, ...] = ()


class TableStore(Protocol):
    """How one engine keeps Delta tables; rows are in the engine's own form between `accept` and a write."""

    def accept(self, rows: DataFrame | pa.Table) -> Any:
        """Return `rows` in the form in which this engine writes them."""

    def facts(self, rows: Any, table: Table, *, unique: Sequence[str], window: ColumnRange | None) -> RowFacts:
        """Look at `rows` once and say what a write must know."""

    def conform(self, rows: Any, table: Table) -> Any:
        """Return `rows` with the declared columns in their declared order."""

    def create(self, table: Table) -> None:
        """Create the table without rows unless it exists."""

    def add_columns(self, table: Table) -> None:
        """Give a stored table the declared columns that it lacks, without values in the rows that are there."""

    def columns(self, table: Table) -> tuple[tuple[str, str], ...] | None:
        """Return name and Spark SQL type of each stored column; None if the table does not exist."""

    def version(self, table: Table) -> int | None:
        """Return the newest version; None if the table does not exist."""

    def read(self, table: Table, version: int) -> DataFrame:
        """Return the rows as of a version."""

    def stream(self, table: Table) -> DataFrame | None:
        """Return the rows of an existing table as a stream; None if the engine has none: then there is `added`."""

    def commit_digest(self, table: Table, version: int) -> str | None:
        """Return what tells the commit of a version from any other; None if the log has it no more, or for `stream`."""

    def added(self, table: Table, after: int, upto: int, columns: Sequence[str]) -> pa.Table:
        """Return columns of at least the rows that were added after one version up to another."""

    def append(self, table: Table, rows: Any, batch_id: str, count: int) -> Written:
        """Add the rows whose key the table lacks, unless the batch is there; the batch's mark is part of the commit.

        Two writers that add the same new key conflict, so the slower one looks again and leaves that row out.
        """

    def merge(self, table: Table, rows: Any, batch_id: str | None, count: int) -> Written:
        """Replace rows of equal key, add the others; the commit names the batch."""

    def replace(self, table: Table, rows: Any, window: ColumnRange, batch_id: str | None, count: int) -> Written:
        """Replace what lies in the window by rows; the commit names the batch."""

    def find(self, table: Table, batch_id: str) -> Commit | None:
        """Return the commit of a batch; None if it is not among the newest `RECENT` ones."""

    def history(self, table: Table) -> tuple[Commit, ...]:
        """Return the table's commits, newest first; none if it does not exist."""

    def maintain(self, table: Table, *, before: datetime, keep: Collection[int]) -> Upkeep:
        """Compact an existing table and remove what is older than an instant and not of a kept version."""

    def record_changes(self, table: Table) -> None:
        """Let each further commit of an existing table say which rows it changed, where that is an option of the table."""

    def is_conflict(self, error: Exception) -> bool:
        """Whether a write failed only because another writer was faster."""
