"""Delta tables written and read by Spark itself: the store of the JVM engine (folders) and of Databricks (catalog)."""

import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TypeVar
from uuid import uuid4

import pyarrow as pa
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - its usual name
from pyspark.sql.pandas.types import from_arrow_schema

from pipelines.declarations.asset import Table
from pipelines.lakehouse.tables.arrow_rows import SHOWN, utc
from pipelines.lakehouse.tables.delta_increments import IncrementUnknownError
from pipelines.lakehouse.tables.store import RECENT, ColumnRange, Commit, Instant, RowFacts, Upkeep, Written
from pipelines.lakehouse.tables.table_schemas import column_ddl, ddl

Answer = TypeVar("Answer")

CONFLICTS = ("DELTA_CONCURRENT", "DELTA_METADATA_CHANGED", "DELTA_PROTOCOL_CHANGED")
"""How the conditions begin with which Delta reports a lost race."""

MISSING = ("DELTA_TABLE_ONLY_OPERATION", "DELTA_MISSING_DELTA_TABLE", "PATH_NOT_FOUND", "TABLE_OR_VIEW_NOT_FOUND")
"""The conditions that say that a table does not exist, in a folder and in a catalog."""

USER_METADATA = "spark.databricks.delta.commitInfo.userMetadata"
"""The setting with the note that Delta keeps with the next commits of a session."""

CHANGE_FEED = "delta.enableChangeDataFeed"
RETENTION = ("delta.logRetentionDuration", "delta.deletedFileRetentionDuration")
"""The properties by which Delta removes commits and files."""

RETENTION_STEP_DAYS = 28
"""The retention grows in such steps with the age of the oldest kept version, so that it is not set anew every time."""

BATCH_VERSION = 1
"""Every batch is a Delta application of its own that has written version 1."""


class DeltaSql:
    """The tables of one environment by name or path; see `pipelines.lakehouse.tables.store.TableStore`.

    Parameters
    ----------
    reference
        A table as SQL names it.
    create_statement
        The statement that creates a table.
    folder
        Of a table, where it is one; a stream opens it by that.
    has_properties
        Whether a table's properties can be changed; Delta's jars for the local JVM engine cannot with this Spark.
    """

    def __init__(
        self,
        spark: SparkSession,
        *,
        reference: Callable[[Table], str],
        create_statement: Callable[[Table], str],
        has_properties: bool,
        folder: Callable[[Table], Path] | None = None,
    ) -> None:
        self._spark = spark
        self._folder = folder
        self._has_properties = has_properties
        self._reference = reference
        self._create_statement = create_statement

    @classmethod
    def in_folder(cls, spark: SparkSession, folder: Path) -> Self:
        """Return the store whose tables are folders ``<schema>/<table>``."""

        def of(table: Table) -> Path:
            return folder / table.schema / table.name

        def reference(table: Table) -> str:
            return f"delta.`{of(table)}`"

        def create_statement(table: Table) -> str:
            columns = column_ddl(table, comments=True)
            return f"CREATE TABLE IF NOT EXISTS {reference(table)} (\n{columns}\n)\nUSING DELTA"

        return cls(spark, reference=reference, create_statement=create_statement, has_properties=False, folder=of)

    @classmethod
    def in_catalog(cls, spark: SparkSession, catalog: str) -> Self:
        """Return the store whose tables are ``catalog.schema.table`` of Unity Catalog, with their keys."""
        return cls(
            spark,
            reference=lambda table: f"`{catalog}`.`{table.schema}`.`{table.name}`",
            create_statement=lambda table: ddl(table, catalog),
            has_properties=True,
        )

    def accept(self, rows: DataFrame | pa.Table) -> DataFrame:
        """Return rows as a Spark data frame."""
        if isinstance(rows, DataFrame):
            return rows
        # Spark infers no types from no rows, though Arrow has them.
        return self._spark.createDataFrame(utc(rows) if len(rows) else [], from_arrow_schema(utc(rows).schema))

    def facts(self, rows: DataFrame, table: Table, *, unique: Sequence[str], window: ColumnRange | None) -> RowFacts:
        """Aggregate once for counts, and once more for repeated keys."""
        columns = tuple(rows.dtypes)
        types = dict(columns)
        if len(types) < len(columns):
            return RowFacts(columns=columns, rows=0)
        required = [c.name for c in table.columns if not c.nullable and c.name in types]
        counts = [F.count(F.lit(1)).alias("rows"), *(_lacking(name).alias(f"null {name}") for name in required)]
        if window and types.get(window.column) == table.column(window.column).type:
            inside = F.coalesce(F.expr(_inside(window)), F.lit(False))
            counts.append(F.count_if(~inside).alias("outside"))
        keys = list(unique) if types.keys() >= set(unique) else []
        per_key = rows.groupBy(*keys).agg(*counts)
        names = [name for name in per_key.columns if name not in keys]
        repeated = F.count_if(F.col("rows") > 1).alias("repeated")
        found = per_key.agg(*(F.sum(name).alias(name) for name in names), repeated).collect()[0]
        return RowFacts(
            columns=columns,
            rows=found["rows"] or 0,
            nulls={name: found[f"null {name}"] or 0 for name in required},
            duplicates=_duplicates(per_key, keys) if keys and found["repeated"] else (),
            outside=found["outside"] or 0 if "outside" in names else 0,
        )

    def conform(self, rows: DataFrame, table: Table) -> DataFrame:
        """Return the declared columns in their order; an untyped column gets its declared type."""
        return rows.select(*(F.col(c.name).cast(c.type) for c in table.columns))

    def create(self, table: Table) -> None:
        """Create the table as declared, unless it exists."""
        self._spark.sql(self._create_statement(table))

    def add_columns(self, table: Table) -> None:
        """Append no rows of the declared columns: Delta adds those that the table does not have."""
        none = self._spark.createDataFrame([], column_ddl(table, comments=True))
        none.write.format("delta").mode("append").option("mergeSchema", "true").saveAsTable(self._reference(table))

    def columns(self, table: Table) -> tuple[tuple[str, str], ...] | None:
        """Return the stored columns; None if the table does not exist."""
        return _unless_missing(lambda: tuple(self._spark.table(self._reference(table)).dtypes))

    def version(self, table: Table) -> int | None:
        """Return the newest version from the history; None if the table does not exist."""
        newest = self._history(table, limit=1)
        return newest[0]["version"] if newest else None

    def read(self, table: Table, version: int) -> DataFrame:
        """Return the rows as of a version."""
        return self._spark.sql(f"SELECT * FROM {self._reference(table)} VERSION AS OF {int(version)}")  # noqa: S608 - declared names

    def stream(self, table: Table) -> DataFrame:
        """Return the rows as a stream that goes on after a correction.

        By itself the source ends with an error at the first commit that changes or removes rows. With ``ignoreChanges`` it
        gives all rows of the files that such a commit rewrites, with ``skipChangeCommits`` none, so requests that came with a
        correction would be lost (https://docs.delta.io/latest/delta-streaming.html#ignore-updates-and-deletes).
        """
        reader = self._spark.readStream.format("delta").option("ignoreChanges", "true")
        return reader.load(str(self._folder(table))) if self._folder else reader.table(self._reference(table))

    def commit_digest(self, table: Table, version: int) -> None:  # noqa: ARG002 -- the question is asked alike of every store
        """Return None: the stream's checkpoint says how far it has come."""
        return

    def added(self, table: Table, after: int, upto: int, columns: Sequence[str]) -> pa.Table:  # noqa: ARG002 -- as above
        """Raise: this engine reads what has come by its stream."""
        raise IncrementUnknownError(f"the rows of {table.address} between {after} and {upto} are read by `stream`")

    def append(self, table: Table, rows: DataFrame, batch_id: str, count: int) -> Written:
        """Insert what is new with one MERGE, whose commit names the batch; without a key, append with Delta's mark.

        Two inserts of one new key conflict: tables are created without row-level concurrency (see `ddl`), so a MERGE
        conflicts with whatever was added to the files that it reads. Repeating the MERGE adds nothing, so the note in
        the commit says only how many rows the batch once brought.
        """
        if table.row_key:
            return self._insert(table, rows, batch_id)
        mark = json.dumps({"batch_id": batch_id, "write": uuid4().hex})
        writer = rows.write.format("delta").mode("append").option("userMetadata", mark)
        writer.option("txnAppId", batch_id).option("txnVersion", BATCH_VERSION).saveAsTable(self._reference(table))
        own = [line for line in self._history(table, limit=RECENT) if line["userMetadata"] == mark]
        return Written(rows=count, version=own[0]["version"]) if own else self._written_before(table, batch_id)

    def _insert(self, table: Table, rows: DataFrame, batch_id: str) -> Written:
        counts = self._merge(table, rows, batch_id, "WHEN NOT MATCHED THEN INSERT *")
        if added := int(counts["num_inserted_rows"]):
            return self._written(table, added)
        return self._written_before(table, batch_id)

    def merge(self, table: Table, rows: DataFrame, batch_id: str | None, count: int) -> Written:
        """Update rows of equal key, insert the others."""
        self._merge(table, rows, batch_id, "WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *")
        return self._written(table, count)

    def replace(self, table: Table, rows: DataFrame, window: ColumnRange, batch_id: str | None, count: int) -> Written:
        """Overwrite the rows of the window in one commit."""
        writer = rows.write.format("delta").mode("overwrite").option("replaceWhere", _inside(window))
        if batch_id:
            writer = writer.option("userMetadata", json.dumps({"batch_id": batch_id}))
        writer.saveAsTable(self._reference(table))
        return self._written(table, count)

    def find(self, table: Table, batch_id: str) -> Commit | None:
        """Return the commit of a batch from the newest lines of the table's history."""
        commits = (_commit(line) for line in self._history(table, limit=RECENT))
        return next((found for found in commits if found.batch_id == batch_id), None)

    def history(self, table: Table) -> tuple[Commit, ...]:
        """Return the commits from the table's history."""
        return tuple(_commit(line) for line in self._history(table))

    def maintain(self, table: Table, *, before: datetime, keep: Collection[int]) -> Upkeep:
        """Set the table's retention, compact it and remove what is older; Delta shortens the log at its checkpoints.

        Delta has no list of versions to keep, so everything since the oldest kept version stays. The retention is a
        property of the table, and VACUUM is given none of its own: predictive optimization, which may run OPTIMIZE and
        VACUUM by itself, goes by the property, see
        https://learn.microsoft.com/azure/databricks/optimizations/predictive-optimization.
        """
        lines = {line["version"]: _commit(line).at for line in self._history(table)}
        old = sorted(version for version in set(keep) if version in lines and lines[version] < before)
        now = datetime.now(UTC)
        days = math.ceil((now - before).total_seconds() / 86_400)
        if old:
            age = (now - lines[old[0]]).total_seconds() / 86_400
            days = max(days, RETENTION_STEP_DAYS * math.ceil((age + 1) / RETENTION_STEP_DAYS))
        retain = ""
        if self._has_properties:
            self._set_retention(table, days)
        else:
            retain = f" RETAIN {days * 24} HOURS"
        # What it answers differs between engines and versions; the history says the same on all of them.
        self._spark.sql(f"OPTIMIZE {self._reference(table)}").collect()
        self._spark.sql(f"VACUUM {self._reference(table)}{retain}").collect()
        return Upkeep(compacted=0, kept=tuple(old))

    def record_changes(self, table: Table) -> None:
        """Switch the change data feed on.

        https://learn.microsoft.com/en-us/azure/databricks/delta/delta-change-data-feed
        """
        self._set_properties(table, {CHANGE_FEED: "true"})

    def _set_retention(self, table: Table, days: int) -> None:
        self._set_properties(table, dict.fromkeys(RETENTION, f"interval {days} days"))

    def _set_properties(self, table: Table, wanted: Mapping[str, str]) -> None:
        """Set properties that are stored otherwise; nothing is committed where none is."""
        reference = self._reference(table)
        stored = {row["key"]: row["value"] for row in self._spark.sql(f"SHOW TBLPROPERTIES {reference}").collect()}
        if any(stored.get(name) != value for name, value in wanted.items()):
            settings = ", ".join(f"'{name}' = '{value}'" for name, value in wanted.items())
            self._spark.sql(f"ALTER TABLE {reference} SET TBLPROPERTIES ({settings})")

    def is_conflict(self, error: Exception) -> bool:
        """Whether another writer committed first."""
        return isinstance(error, PySparkException) and (error.getCondition() or "").startswith(CONFLICTS)

    def _merge(self, table: Table, rows: DataFrame, batch_id: str | None, clauses: str) -> Row:
        if batch_id:
            self._spark.conf.set(USER_METADATA, json.dumps({"batch_id": batch_id}))
        try:
            return self._spark.sql(
                f"MERGE INTO {self._reference(table)} stored USING {{new}} new ON {_same_key(table)} {clauses}",
                new=rows,
            ).collect()[0]
        finally:
            if batch_id:
                self._spark.conf.unset(USER_METADATA)

    def _written(self, table: Table, count: int) -> Written:
        return Written(rows=count, version=self._history(table, limit=1)[0]["version"])

    def _written_before(self, table: Table, batch_id: str) -> Written:
        found = self.find(table, batch_id)
        version = found.version if found else self._history(table, limit=1)[0]["version"]
        return Written(rows=found.added if found else 0, version=version, skipped=True)

    def _history(self, table: Table, *, limit: int | None = None) -> list[Row]:
        statement = f"DESCRIBE HISTORY {self._reference(table)}" + (f" LIMIT {limit}" if limit else "")
        # As text: a collected timestamp would be turned into the local time of this machine.
        columns = (
            "version", "CAST(timestamp AS STRING) AS at", "operation", "userMetadata",
            "coalesce(operationMetrics['numTargetRowsInserted'], operationMetrics['numOutputRows'], '0') AS added",
        )  # fmt: skip
        return _unless_missing(lambda: self._spark.sql(statement).selectExpr(*columns).collect()) or []


def _unless_missing(ask: Callable[[], Answer]) -> Answer | None:
    try:
        return ask()
    except AnalysisException as error:
        if error.getCondition() in MISSING:
            return None
        raise


def _lacking(name: str) -> Column:
    return F.count_if(F.col(name).isNull())


def _duplicates(per_key: DataFrame, keys: Sequence[str]) -> tuple[tuple[Any, ...], ...]:
    repeated = per_key.where(F.col("rows") > 1).select(*keys).limit(SHOWN)
    return tuple(tuple(row.values()) for row in repeated.toArrow().to_pylist())


def _same_key(table: Table) -> str:
    return " AND ".join(f"stored.`{name}` = new.`{name}`" for name in table.row_key)


def _commit(line: Row) -> Commit:
    return Commit(
        version=line["version"],
        at=datetime.fromisoformat(line["at"]).replace(tzinfo=UTC),
        operation=line["operation"],
        batch_id=_batch_id(line["userMetadata"]),
        added=int(line["added"]),
    )


def _batch_id(mark: str | None) -> str | None:
    try:
        found = json.loads(mark or "{}")
    except json.JSONDecodeError:  # somebody else's note
        return None
    return found.get("batch_id") if isinstance(found, dict) else None


def _inside(window: ColumnRange) -> str:
    return f"`{window.column}` >= {_literal(window.start)} AND `{window.column}` < {_literal(window.end)}"


def _literal(instant: Instant) -> str:
    if isinstance(instant, datetime):
        return (
            f"TIMESTAMP '{instant.astimezone(UTC).isoformat(sep=' ', timespec='microseconds').replace('+00:00', 'Z')}'"
        )
    return f"DATE '{instant.isoformat()}'"
