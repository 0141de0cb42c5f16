"""Task of the features job: write each feed's delivery as bronze rows and quarantined rows, and count both.

What was delivered names a batch: the feed, the window and a digest of the rows. So a corrected file for the same window
is another batch, and the same file a second time is not. A batch is complete once its count is in the table ``ingests``;
until then every step can be repeated: it compares with bronze as it was before the batch's own commit.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from pipelines.declarations.asset import Table
from pipelines.declarations.source import Corrections, Source
from pipelines.declarations.source_locations import locations
from pipelines.execution.context import Context, TaskError, TaskResult
from pipelines.lakehouse.tables.arrow import records
from pipelines.sources.alarm import joined, quarantine_alarm, recorded_alarm
from pipelines.sources.contract import Checked
from pipelines.sources.deliveries import changes, outside_window
from pipelines.sources.parts import parts_of
from pipelines.sources.quarantine import quarantine_rows
from pipelines.tasks.data.delivery_parts import frame_parts
from pipelines.tasks.data.feed_window import PART, FeedWindow, batch_id, count_row, note_quarantined, write_bronze
from pipelines.tasks.data.ingest_parts import write_parts
from pipelines.tasks.data.receiving import Receiving, receiving_of
from pipelines.tasks.data.redaction_key import redaction_key

Read = tuple[Checked, str]
"""A delivery as checked, and the digest of its rows."""
BEGINNING = dt.datetime(1900, 1, 1, tzinfo=dt.UTC)
"""Where the first window of a feed begins."""


def ingest(context: Context, *, since: dt.datetime | None, until: dt.datetime | None, location: str) -> TaskResult:
    """Read each feed's window, keep the rows that fulfil its contract, quarantine the others.

    Parameters
    ----------
    location
        Where the feeds lie (`pipelines.declarations.source_locations`).

    Raises
    ------
    DeclarationError
        If `location` names a source that the use case has not.
    TaskError
        If more of a delivery is quarantined than its source allows; all its rows are written by then.
    """
    end = context.end_of_window(since, until)
    counts = _counts(context)
    windows = [
        _window(source, since or next_start(counts.get(source.name, ()), source.late_days), end, counts)
        for source in context.use_case.sources
    ]
    _say_what_was_read_already(context, windows)
    places = locations(location, context.use_case.sources)
    # Every feed is read before anything is written: if one cannot be read, no part of the window is written.
    key = redaction_key(context)
    receivings = {one.name: receiving_of(one, context, key) for one in context.use_case.sources}
    read = [
        (window, _read(window, places[window.source.name], receivings[window.source.name]))
        for window in windows
        if window.since < window.until
    ]
    written = [
        (
            window,
            *_write_any(context, window, found, counts.get(window.source.name, ()), receivings[window.source.name]),
        )
        for window, found in read
    ]
    said = joined([alarm for _, _, alarm in written])
    if said:  # only now, when all feeds are written, so that no row is lost by it
        begun = min(window.since for window, _, alarm in written if alarm)
        raise TaskError(
            f"{said} Then run the job again with --param since={_in_words(begun)} --param until={_in_words(end)}: it keeps what "
            "was corrected, and nothing comes twice."
        )
    _require_a_delivery(context, windows, places)
    return TaskResult(rows=sum(rows for _, rows, _ in written))


def _say_what_was_read_already(context: Context, windows: Sequence[FeedWindow]) -> None:
    """Name the feeds of which nothing is read, so that their 0 rows are not taken for what a folder or a window has."""
    read: dict[str, list[str]] = {}
    for window in windows:
        if window.since >= window.until:
            read.setdefault(f"{window.since:%Y-%m-%d %H:%M}", []).append(window.source.name)
    for until, sources in read.items():
        context.say(
            f"{', '.join(sources)}: not read, for all until {until} was delivered already; --param since=INSTANT reads a window "
            "again"
        )


def _require_a_delivery(context: Context, windows: Sequence[FeedWindow], places: Mapping[str, str]) -> None:
    """Raise if none of the feeds has ever delivered a row: then nothing after this task can do anything."""
    if any(_delivered(counts) is not None for counts in _counts(context).values()):
        return
    read = "; ".join(
        f"{window.source.name}{f' in {place}' if (place := places[window.source.name]) else ''} from "
        f"{window.since:%Y-%m-%d} to {window.until:%Y-%m-%d}"
        for window in windows
    )
    raise TaskError(
        f"no source of {context.use_case.name} has a row ({read}), and none has ever delivered one: name the window and the "
        "folder of the data, for example --param since=2025-01-01 --param location=FOLDER."
    )


def next_start(counts: Iterable[Mapping[str, Any]], late_days: int) -> dt.datetime:
    """Return where the next window of a feed begins: at the end of what was delivered without a gap.

    A window counts if it delivered rows: one that was read too early is read again with the next.

    Parameters
    ----------
    counts
        Rows of the table ``ingests`` about the feed.
    late_days
        So many days before that end are read again.
    """
    delivered = _delivered(counts)
    if delivered is None:
        return BEGINNING
    first, end = delivered
    return max(end - dt.timedelta(days=late_days), first)


def delivered_until(context: Context, tables: Sequence[Table]) -> dt.datetime | None:
    """Return until when all feeds of some bronze tables have delivered without a gap; None if none has delivered anything."""
    counts = _counts(context)
    spans = [_delivered(counts.get(source.name, ())) for source in context.use_case.sources if source.table in tables]
    ends = [span[1] for span in spans if span is not None]
    if not ends:
        return None
    return min(ends) if len(ends) == len(spans) else BEGINNING


def _delivered(counts: Iterable[Mapping[str, Any]]) -> tuple[dt.datetime, dt.datetime] | None:
    """Return the first span that was delivered without a gap; None if no window delivered rows."""
    windows = sorted((row["since"], row["until"]) for row in counts if row["rows_read"])
    if not windows:
        return None
    first = end = windows[0][0]
    for begun, ended in windows:
        if begun > end:
            break
        end = max(end, ended)
    return first, end


def _counts(context: Context) -> Mapping[str, list[dict[str, Any]]]:
    """Return the rows of the table ``ingests`` by feed, with instants in UTC."""
    found: dict[str, list[dict[str, Any]]] = {}
    stored = context.lakehouse.tables.read(context.use_case.table("ingests"))
    columns = ("source", "batch_id", "since", "until", "rows_read", "rows_quarantined", "ingested_at")
    for row in stored.select(*columns).toArrow().to_pylist():
        instants = {name: row[name].astimezone(dt.UTC) for name in ("since", "until", "ingested_at")}
        found.setdefault(row["source"], []).append({**row, **instants})
    return found


def _read(window: FeedWindow, location: str, receiving: Receiving) -> Read | Iterable[pa.Table]:
    """Return a delivery as checked with the digest of its rows, or the parts of one that comes in parts."""
    delivery = receiving.read(location, window.since, window.until)
    if isinstance(delivery, DataFrame):
        return frame_parts(delivery, window.source.table.primary_key)
    if not isinstance(delivery, pa.Table):
        return parts_of(delivery)
    checked, content = receiving.checked(delivery)
    if window.source.corrections is Corrections.REPLACE_WINDOW:
        checked = outside_window(checked, window.source.table, window.since, window.until)
    return checked, content


def _write_any(
    context: Context,
    window: FeedWindow,
    found: Read | Iterable[pa.Table],
    counts: Sequence[Mapping[str, Any]],
    receiving: Receiving,
) -> tuple[int, str | None]:
    if isinstance(found, tuple):
        return _write(context, window, found, counts)
    return write_parts(context, window, found, counts, receiving)


def _window(
    source: Source, since: dt.datetime, until: dt.datetime, counts: Mapping[str, Sequence[Mapping[str, Any]]]
) -> FeedWindow:
    """Return what is read of a feed: of one that was ingested to the end of the window before, only what raised an alarm.

    The feed or its declaration may have been corrected since; a delivery that is the same raises its alarm again.
    """
    window = FeedWindow(source=source, since=since, until=until)
    ended = [row for row in counts.get(source.name, ()) if row["until"] == until]
    newest = max(ended, key=lambda row: row["ingested_at"], default=None)
    if since < until or newest is None:
        return window
    # The newest row of each part; a whole delivery is one.
    rows = {str(row["batch_id"]).rsplit("/", 2)[0]: row for row in sorted(ended, key=lambda row: row["ingested_at"])}
    same = [row for row in rows.values() if (PART in row["batch_id"]) and row["since"] == newest["since"]]
    alarm = recorded_alarm(source, same if PART in newest["batch_id"] else [newest])
    return replace(window, since=newest["since"]) if alarm else window


def _in_words(instant: dt.datetime) -> str:
    return f"{instant:%Y-%m-%d}" if instant.time() == dt.time() else f"{instant:%Y-%m-%dT%H:%M:%S}"


def _write(
    context: Context, window: FeedWindow, read: tuple[Checked, str], counts: Iterable[Mapping[str, Any]]
) -> tuple[int, str | None]:
    """Write one checked delivery, then its count; return the rows that are new in bronze or differ there, and the alarm."""
    (checked, content), source, tables = read, window.source, context.lakehouse.tables
    batch, recorded = batch_id(window.name, content, counts)
    if recorded and not recorded["rows_quarantined"]:
        context.say(f"{source.name}: read {checked.rows_read:,}, delivered before; 0 new")
        return 0, None
    found = changes(checked, _stored_before(context, window, checked.kept, batch), source)
    if recorded and found.checked.broken.num_rows == recorded["rows_quarantined"]:
        context.say(f"{source.name}: read {checked.rows_read:,}, delivered before; 0 new")
        return 0, quarantine_alarm(source, found.checked)
    write_bronze(context, window, found, batch)
    broken = quarantine_rows(found.checked.broken, source=source.name, batch_id=batch, at=context.now)
    tables.append_once(context.use_case.table("quarantine"), broken, batch_id=batch)
    ingests = context.use_case.table("ingests")
    tables.append_once(ingests, records(ingests, [count_row(context, window, found, batch)]), batch_id=batch)
    note_quarantined(source.name, found.checked.broken.num_rows)
    context.say(
        f"{source.name}: read {checked.rows_read:,} = kept {found.checked.kept.num_rows:,} + quarantined "
        f"{found.checked.broken.num_rows:,}; {found.new.num_rows:,} new"
        + (f"; {found.removed:,} replaced" if found.removed else "")
    )
    return int(found.new.num_rows), quarantine_alarm(source, found.checked)


def _stored_before(context: Context, window: FeedWindow, kept: pa.Table, batch: str) -> pa.Table:
    """Return the bronze rows that a delivery can touch, as they were before the batch's own commit."""
    tables, declared = context.lakehouse.tables, window.source.table
    none = kept.slice(0, 0)
    if not declared.row_key or kept.num_rows == 0 or not tables.exists(declared):
        return none
    own = tables.find_batch(declared, batch)
    stored = tables.read(declared, version=own.version - 1 if own else None)
    time = F.col(declared.time_key) if declared.time_key else None
    if time is None:
        touched = F.lit(True)
    elif window.source.corrections is Corrections.REPLACE_WINDOW:
        touched = (time >= F.lit(window.since)) & (time < F.lit(window.until))
    else:
        span = pc.min_max(kept[str(declared.time_key)]).as_py()
        touched = time.between(F.lit(span["min"]), F.lit(span["max"]))
    return stored.where(touched).toArrow().select(kept.column_names).cast(kept.schema)
