"""Writes a delivery that comes in parts, so that no more than one of them is in memory.

Each part is a batch of its own, of which bronze and quarantine are written as it comes. The counts of all parts are written
last, in one commit: until then the window counts as not delivered, and a run that is repeated finds what it has written.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from pipelines.declarations.source import Corrections
from pipelines.execution.context import Context, TaskError
from pipelines.lakehouse.tables.arrow import records
from pipelines.sources.alarm import Quarantined, alarm_of
from pipelines.sources.deliveries import changes, digest
from pipelines.sources.quarantine import Breach, quarantine_rows
from pipelines.tasks.data.feed_window import FeedWindow, batch_id, count_row, note_quarantined, write_bronze
from pipelines.tasks.data.receiving import Receiving

Counts = Sequence[Mapping[str, Any]]


@dataclass
class WrittenParts:
    """What has been written of a delivery so far."""

    parts: int = 0
    read: int = 0
    quarantined: int = 0
    new: int = 0
    counts: list[dict[str, Any]] = field(default_factory=list)
    breaches: dict[tuple[str, str], Breach] = field(default_factory=dict)

    def add(self, breaches: Iterable[Breach]) -> None:
        """Add the ways in which rows of a part break the contract."""
        for one in breaches:
            kind = (one.column, one.wrong)
            known = self.breaches.get(kind)
            self.breaches[kind] = replace(known, rows=known.rows + one.rows) if known else one


def write_parts(
    context: Context, window: FeedWindow, parts: Iterable[pa.Table], counts: Counts, receiving: Receiving
) -> tuple[int, str | None]:
    """Write the parts of a delivery, then their counts; return the rows that are new in bronze or differ there, and the alarm.

    Raises
    ------
    TaskError
        If the feed replaces windows, which takes all rows at once.
    """
    source = window.source
    if source.corrections is Corrections.REPLACE_WINDOW:
        raise TaskError(
            f"source {source.name} replaces what its window has ({source.corrections.value}), which takes one table: let its "
            f"reader return one, or declare corrections by {Corrections.NEWER_ROW.value!r}."
        )
    done = WrittenParts()
    for part in receiving.private(parts):
        done.parts += 1
        _write_part(context, replace(window, part=done.parts), receiving, part, counts, done)
    if done.counts:
        ingests = context.use_case.table("ingests")
        written = "|".join(str(row["batch_id"]) for row in done.counts)
        batch = f"{window.name}~/{digest(pa.table({'batches': [written]}))}"
        context.lakehouse.tables.append_once(ingests, records(ingests, done.counts), batch_id=batch)
    context.say(
        f"{source.name}: read {done.read:,} in {done.parts} parts, {done.quarantined:,} quarantined; {done.new:,} new"
    )
    commonest = tuple(sorted(done.breaches.values(), key=lambda one: -one.rows))
    found = Quarantined(source=source.name, read=done.read, quarantined=done.quarantined, commonest=commonest)
    return done.new, alarm_of(source, found)


def _write_part(
    context: Context, window: FeedWindow, receiving: Receiving, part: pa.Table, counts: Counts, done: WrittenParts
) -> None:
    source, tables = window.source, context.lakehouse.tables
    checked, content = receiving.checked(part)
    batch, recorded = batch_id(window.name, content, counts)
    if recorded and not recorded["rows_quarantined"]:
        done.read += int(recorded["rows_read"])
        return
    found = changes(checked, _stored_of(context, window, checked.kept, batch), source)
    if recorded and found.checked.broken.num_rows == recorded["rows_quarantined"]:
        done.read += int(recorded["rows_read"])
        done.quarantined += int(recorded["rows_quarantined"])
        done.add(found.checked.breaches)
        return
    write_bronze(context, window, found, batch)
    broken = quarantine_rows(found.checked.broken, source=source.name, batch_id=batch, at=context.now)
    tables.append_once(context.use_case.table("quarantine"), broken, batch_id=batch)
    note_quarantined(source.name, found.checked.broken.num_rows)
    done.counts.append(count_row(context, window, found, batch))
    done.read += found.checked.rows_read
    done.quarantined += found.checked.broken.num_rows
    done.new += found.new.num_rows
    done.add(found.checked.breaches)


def _stored_of(context: Context, window: FeedWindow, kept: pa.Table, batch: str) -> pa.Table:
    """Return the bronze rows that have a key of the part, as they were before the batch's own commit."""
    tables, declared = context.lakehouse.tables, window.source.table
    if not declared.row_key or kept.num_rows == 0 or not tables.exists(declared):
        return kept.slice(0, 0)
    own = tables.find_batch(declared, batch)
    stored = tables.read(declared, version=own.version - 1 if own else None)
    if declared.time_key:  # few files of a feed that comes in order
        span = pc.min_max(kept[declared.time_key]).as_py()
        stored = stored.where(F.col(declared.time_key).between(F.lit(span["min"]), F.lit(span["max"])))
    keys = context.lakehouse.spark.createDataFrame(kept.select(list(declared.row_key)))
    found = stored.join(F.broadcast(keys), on=list(declared.row_key), how="left_semi").toArrow()
    return found.select(kept.column_names).cast(kept.schema)
