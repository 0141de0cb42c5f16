"""Task of the features job: write each feed's delivery as bronze rows and quarantined rows, and count both.

A row is kept once however often it is delivered. A row that contradicts one kept earlier is quarantined.
"""

import datetime as dt
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.spec.entries import load
from pipelines.declarations.asset import Table
from pipelines.declarations.source import Source
from pipelines.execution.context import Context, TaskError, TaskResult
from pipelines.lakehouse.tables.arrow import records
from pipelines.sources.alarm import joined, quarantine_alarm
from pipelines.sources.contract import Checked, check, compare
from pipelines.sources.quarantine import quarantine_rows

BEGINNING = dt.datetime(1900, 1, 1, tzinfo=dt.UTC)
"""Where the first window of a feed begins."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One delivery of one feed: its window, and the id under which its rows are written once."""

    source: Source
    since: dt.datetime
    until: dt.datetime

    @property
    def id(self) -> str:
        """The same for the same feed and window."""
        return f"{self.source.name}/{self.since.isoformat()}/{self.until.isoformat()}"


def ingest(context: Context, *, since: dt.datetime | None, until: dt.datetime | None, location: str) -> TaskResult:
    """Read each feed's window, keep the rows that fulfil its contract, quarantine the others.

    Raises
    ------
    TaskError
        If more of a delivery is quarantined than its source allows; all its rows are written by then.
    """
    end = context.end_of_window(since, until)
    last = _last_ends(context)
    batches = [
        Batch(source=source, since=since or last.get(source.name, BEGINNING), until=end)
        for source in context.use_case.sources
    ]
    # Every feed is read before anything is written: if one cannot be read, no part of the window is written.
    checked = [(batch, _read(batch, location)) for batch in batches if batch.since < batch.until]
    written = sum(_write(context, batch, rows) for batch, rows in checked)
    alarms = joined([quarantine_alarm(batch.source, rows) for batch, rows in checked])
    if alarms:  # after all feeds are written: no row is lost by the alarm
        raise TaskError(alarms)
    return TaskResult(rows=written)


def _last_ends(context: Context) -> dict[str, dt.datetime]:
    ingests = context.lakehouse.tables.read(context.use_case.table("ingests"))
    ends = ingests.groupBy("source").agg(F.max("until").alias("until")).toArrow().to_pylist()
    return {row["source"]: row["until"].astimezone(dt.UTC) for row in ends}


def _read(batch: Batch, location: str) -> Checked:
    delivery: pa.Table = load(batch.source.reader)(location, batch.since, batch.until)
    return check(delivery, batch.source)


def _write(context: Context, batch: Batch, checked: Checked) -> int:
    """Write one checked delivery and its count; return the rows that are new in bronze."""
    tables, declared = context.lakehouse.tables, batch.source.table
    checked, new = compare(checked, _delivered_before(context, declared, checked.kept), declared.row_key)
    written = tables.append_once(declared, new, batch_id=batch.id)
    broken = quarantine_rows(checked.broken, source=batch.source.name, batch_id=batch.id, at=context.now)
    tables.append_once(context.use_case.table("quarantine"), broken, batch_id=batch.id)
    tables.append_once(context.use_case.table("ingests"), _count(context, batch, checked, new), batch_id=batch.id)
    context.say(
        f"{batch.source.name}: read {checked.rows_read:,} = kept {checked.kept.num_rows:,} + quarantined "
        f"{checked.broken.num_rows:,}; {written.rows:,} new"
    )
    return int(written.rows)


def _delivered_before(context: Context, declared: Table, kept: pa.Table) -> pa.Table:
    """Return the bronze rows from the time that a delivery covers."""
    if declared.time_key is None or kept.num_rows == 0 or not context.lakehouse.tables.exists(declared):
        return kept.slice(0, 0)
    span = pc.min_max(kept[declared.time_key]).as_py()
    within = F.col(declared.time_key).between(F.lit(span["min"]), F.lit(span["max"]))
    return context.lakehouse.tables.read(declared).where(within).toArrow().select(kept.column_names).cast(kept.schema)


def _count(context: Context, batch: Batch, checked: Checked, new: pa.Table) -> pa.Table:
    time_key = batch.source.table.time_key
    earliest = pc.min(new[time_key]).as_py() if time_key and new.num_rows else None
    record = {
        "source": batch.source.name, "batch_id": batch.id, "since": batch.since, "until": batch.until,
        "rows_read": checked.rows_read, "rows_kept": checked.kept.num_rows,
        "rows_quarantined": checked.broken.num_rows, "rows_new": new.num_rows, "earliest_event": earliest,
        "ingested_at": context.now,
    }  # fmt: skip
    return records(context.use_case.table("ingests"), [record])
