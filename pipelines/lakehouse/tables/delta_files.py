"""Delta tables in folders, written by `deltalake` and read through Spark: the store of the embedded engine.

Sail reads what is written here, but does not write it: it ignores Delta's transaction marks, drops columns that a table
does not have, and overwrites a whole table where one partition was meant.
"""

import threading
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Schema, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError
from pyspark.sql import DataFrame, SparkSession

from pipelines.declarations.asset import Table
from pipelines.lakehouse.tables import arrow_rows, delta_increments, delta_upkeep
from pipelines.lakehouse.tables.arrow import ARROW_TYPES, arrow_schema
from pipelines.lakehouse.tables.store import RECENT, ColumnRange, Commit, Instant, RowFacts, Upkeep, Written
from pipelines.lakehouse.tables.table_schemas import lacking, spark_type

BATCH_MARK = 1
"""Every batch is a Delta application of its own that has written version 1."""


class DeltaFiles:
    """The tables of one environment as folders ``<schema>/<table>``; see `pipelines.lakehouse.tables.store.TableStore`."""

    def __init__(self, spark: SparkSession, folder: Path) -> None:
        self._spark = spark
        self._folder = folder
        self._opened: dict[tuple[str, int], _Opened] = {}

    def accept(self, rows: DataFrame | pa.Table) -> pa.Table:
        """Return rows as Arrow: computed once, so what was checked is what is written."""
        return rows if isinstance(rows, pa.Table) else rows.toArrow()

    def facts(self, rows: pa.Table, table: Table, *, unique: Sequence[str], window: ColumnRange | None) -> RowFacts:
        """Look at the rows in memory."""
        return arrow_rows.arrow_facts(rows, table, unique=unique, window=window)

    def conform(self, rows: pa.Table, table: Table) -> pa.Table:
        """Return rows in the declared order and types."""
        return arrow_rows.conform(rows, table)

    def create(self, table: Table) -> None:
        """Create the table, unless it exists.

        Required columns are not marked in the log: Sail cannot read a required text column from a file that a merge
        wrote ("Cannot cast column from Utf8View"). That they are there is checked before each write.
        """
        optional = pa.schema([field.with_nullable(True) for field in arrow_schema(table)])
        # What shortens the log knows which versions are kept; deltalake's own clean-up does not.
        DeltaTable.create(
            self._path(table), schema=optional, name=table.name, description=table.comment, mode="ignore",
            configuration={delta_upkeep.OWN_CLEAN_UP: "false"},
        )  # fmt: skip

    def add_columns(self, table: Table) -> None:
        """Add the declared columns to the log that it lacks, not marked as required, as in `create`."""
        added = lacking(table, (name for name, _ in self.columns(table) or ()))
        fields = pa.schema([(column.name, ARROW_TYPES[column.type]) for column in added])
        self._open(table).alter.add_columns(Schema.from_arrow(fields).fields)

    def columns(self, table: Table) -> tuple[tuple[str, str], ...] | None:
        """Return the stored columns from the log; None if the folder holds no log."""
        if not self._exists(table):
            return None
        schema = pa.schema(self._open(table).schema().to_arrow())
        return tuple((field.name, spark_type(field.type)) for field in schema)

    def version(self, table: Table) -> int | None:
        """Return the newest version in the log; None if the folder holds no log."""
        return int(self._open(table).version()) if self._exists(table) else None

    def read(self, table: Table, version: int) -> DataFrame:
        """Return the rows as of a version, through Spark."""
        return self._spark.read.format("delta").option("versionAsOf", version).load(self._path(table))

    def stream(self, table: Table) -> None:  # noqa: ARG002 -- the question is asked alike of every store
        """Return None: Sail has no Structured Streaming on Delta tables."""
        return

    def commit_digest(self, table: Table, version: int) -> str | None:
        """Return a digest of the commit from the log."""
        return delta_increments.commit_digest(self._path(table), version)

    def added(self, table: Table, after: int, upto: int, columns: Sequence[str]) -> pa.Table:
        """Return the rows from the files that the commits have added."""
        wanted = pa.schema([(name, ARROW_TYPES[table.column(name).type]) for name in columns])
        return delta_increments.added_rows(self._path(table), after, upto, wanted)

    def append(self, table: Table, rows: pa.Table, batch_id: str, count: int) -> Written:
        """Insert what is new and name the batch in the commit; two inserts of one key conflict.

        delta-rs checks a merge against what was committed since it read the table, so a concurrent insert makes it fail.
        A batch that brings no new row makes no commit. A table without a key has Delta's mark of the batch instead.
        """
        stored = self._open(table)
        if not table.row_key and stored.transaction_version(batch_id) is not None:
            return self._written_before(table, batch_id)
        if not table.row_key:
            marks = [Transaction(batch_id, BATCH_MARK)]
            write_deltalake(stored, rows, mode="append", commit_properties=_named(batch_id, marks))
            delta_upkeep.remove_hint(self._path(table))
            return Written(rows=count, version=stored.version())
        merger = stored.merge(
            rows, _same_key(table, rows), source_alias="new", target_alias="stored", commit_properties=_named(batch_id)
        )
        inserted = int(merger.when_not_matched_insert_all().execute()["num_target_rows_inserted"])
        delta_upkeep.remove_hint(self._path(table))
        if not inserted and count:
            return self._written_before(table, batch_id)
        return Written(rows=inserted, version=stored.version())

    def merge(self, table: Table, rows: pa.Table, batch_id: str | None, count: int) -> Written:
        """Update rows of equal key, insert the others."""
        stored = self._open(table)
        merger = stored.merge(
            rows, _same_key(table, rows), source_alias="new", target_alias="stored", commit_properties=_named(batch_id)
        )
        merger.when_matched_update_all().when_not_matched_insert_all().execute()
        delta_upkeep.remove_hint(self._path(table))
        return Written(rows=count, version=stored.version())

    def replace(self, table: Table, rows: pa.Table, window: ColumnRange, batch_id: str | None, count: int) -> Written:
        """Overwrite the rows of the window in one commit."""
        stored = self._open(table)
        inside = f'"{window.column}" >= {_literal(window.start)} AND "{window.column}" < {_literal(window.end)}'
        write_deltalake(stored, rows, mode="overwrite", predicate=inside, commit_properties=_named(batch_id))
        delta_upkeep.remove_hint(self._path(table))
        return Written(rows=count, version=stored.version())

    def find(self, table: Table, batch_id: str) -> Commit | None:
        """Return the commit of a batch from the newest entries of the log."""
        return next((found for found in self._commits(table, RECENT) if found.batch_id == batch_id), None)

    def history(self, table: Table) -> tuple[Commit, ...]:
        """Return the commits from the log."""
        return tuple(self._commits(table, None)) if self._exists(table) else ()

    def _written_before(self, table: Table, batch_id: str) -> Written:
        found = self.find(table, batch_id)
        version = found.version if found else self._open(table).version()
        return Written(rows=found.added if found else 0, version=version, skipped=True)

    def _commits(self, table: Table, limit: int | None) -> Iterator[Commit]:
        for line in self._open(table).history(limit):
            counts = line.get("operationMetrics", {})
            yield Commit(
                version=line["version"],
                at=datetime.fromtimestamp(line["timestamp"] / 1000, UTC),
                operation=line["operation"],
                batch_id=line.get("batch_id"),
                added=int(counts.get("num_target_rows_inserted", counts.get("num_added_rows", 0))),
            )

    def files(self, table: Table, version: int | None) -> tuple[tuple[str, int], ...]:
        """Return the names and sizes in bytes of the files that hold a version; None is the newest."""
        newest = self._open(table)
        at = newest if version in (None, newest.version()) else DeltaTable(self._path(table), version=version)
        added = pa.table(at.get_add_actions())
        return tuple(zip(added["path"].to_pylist(), added["size_bytes"].to_pylist(), strict=True))

    def maintain(self, table: Table, *, before: datetime, keep: Collection[int]) -> Upkeep:
        """Compact the table and remove what is old; what this process has read of the log is read anew."""
        done = delta_upkeep.maintain(self._path(table), before=before, keep=keep)
        self._opened = {place: opened for place, opened in self._opened.items() if place[0] != self._path(table)}
        return done

    def record_changes(self, table: Table) -> None:
        """Do nothing: what a commit has added stands in its log, which `added` reads."""

    def is_conflict(self, error: Exception) -> bool:
        """Whether another writer committed first."""
        return isinstance(error, CommitFailedError)

    def _path(self, table: Table) -> str:
        return str(self._folder / table.schema / table.name)

    def _exists(self, table: Table) -> bool:
        return bool(DeltaTable.is_deltatable(self._path(table)))

    def _open(self, table: Table) -> DeltaTable:
        """Return the table as of its newest commit: opened once, from then on only the commits since are read.

        Each thread has its own: a write must conflict with what another one committed after this call.
        """
        path = self._path(table)
        delta_upkeep.remove_hint(path)
        place = (path, threading.get_ident())
        known = self._opened.get(place)
        if known is not None and known.commit == _commit_file(path, known.version):
            known.table.update_incremental()
        else:  # for the first time, or the table was removed and created again
            known = _Opened(table=DeltaTable(path))
        version = int(known.table.version())
        self._opened[place] = _Opened(table=known.table, version=version, commit=_commit_file(path, version))
        return known.table


@dataclass(frozen=True, kw_only=True)
class _Opened:
    """A table whose log was read up to a version, and what the file of that commit was."""

    table: DeltaTable
    version: int = 0
    commit: tuple[int, int] | None = None


def _commit_file(path: str, version: int) -> tuple[int, int] | None:
    """Return by what the file of a commit is told from that of another table in its place; None if it is gone."""
    try:
        found = Path(path, "_delta_log", f"{version:020}.json").stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


def _same_key(table: Table, rows: pa.Table) -> str:
    """Return the condition that a stored row has the key of a new one; the bounds let files be left out unread."""
    same = [f'stored."{name}" = new."{name}"' for name in table.row_key]
    for name in table.row_key:
        bounds = pc.min_max(rows.column(name)).as_py()
        if isinstance(bounds["min"], str | datetime):
            low, high = (_literal(bounds[bound]) for bound in ("min", "max"))
            same += [f'stored."{name}" >= {low}', f'stored."{name}" <= {high}']
    return " AND ".join(same)


def _named(batch_id: str | None, marks: Sequence[Transaction] = ()) -> CommitProperties:
    return CommitProperties(custom_metadata={"batch_id": batch_id} if batch_id else None, app_transactions=list(marks))


def _literal(instant: Instant | str) -> str:
    if isinstance(instant, str):
        return "'" + instant.replace("'", "''") + "'"
    if isinstance(instant, datetime):
        return f"'{instant.astimezone(UTC).isoformat(timespec='microseconds').replace('+00:00', 'Z')}'"
    return f"'{instant.isoformat()}'"
