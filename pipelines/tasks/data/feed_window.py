"""A feed's window, the batches that it was delivered in, and the writing of one batch into bronze."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.declarations.source import Corrections, Source
from pipelines.execution.context import Context
from pipelines.sources.deliveries import DeliveryChange
from pipelines.telemetry.attributes import ROWS, SOURCE
from pipelines.telemetry.events import ROWS_QUARANTINED
from pipelines.telemetry.instruments import QUARANTINED
from pipelines.telemetry.recording import event, measure

PART = "~"
"""What stands between the window and the number of a part, in the name of a batch."""


@dataclass(frozen=True, kw_only=True)
class FeedWindow:
    """What is read from one feed.

    Attributes
    ----------
    part
        The number of the part, from 1, of a delivery that comes in parts; 0 for a whole one.
    """

    source: Source
    since: dt.datetime
    until: dt.datetime
    part: int = 0

    @property
    def name(self) -> str:
        """How the batches of this feed and window begin."""
        whole = f"{self.source.name}/{self.since.isoformat()}/{self.until.isoformat()}"
        return f"{whole}{PART}{self.part}" if self.part else whole


def batch_id(window: str, content: str, counts: Iterable[Mapping[str, Any]]) -> tuple[str, Mapping[str, Any] | None]:
    """Return the id of a delivery's batch; and the count of the newest delivery of the window, if its content is the same.

    The id is the window's name, the number of the delivery within the window, and the digest of the content: the same
    content that comes again after another one is a correction that was taken back. The same content twice in a row is
    another batch only if its rows are judged otherwise: then the declaration was corrected.

    Parameters
    ----------
    counts
        Rows of the table ``ingests`` about the feed.
    """
    ids = {str(row["batch_id"]): row for row in counts}
    delivered = dict(name.removeprefix(f"{window}/").split("/") for name in ids if name.startswith(f"{window}/"))
    last = max(map(int, delivered), default=0)
    recorded = ids.get(f"{window}/{last}/{content}")
    return f"{window}/{last + 1}/{content}", recorded


def write_bronze(context: Context, window: FeedWindow, found: DeliveryChange, batch: str) -> None:
    """Bring the change into bronze by one commit that names the batch; nothing if it has done so already."""
    tables, declared = context.lakehouse.tables, window.source.table
    if found.earliest is None and not (declared.time_key is None and found.new.num_rows):
        return
    if tables.find_batch(declared, batch) is not None:
        return
    match window.source.corrections:
        case Corrections.REPLACE_WINDOW:
            tables.overwrite_window(
                declared, found.checked.kept, column=str(declared.time_key), start=window.since, end=window.until,
                batch_id=batch,
            )  # fmt: skip
        case Corrections.NEWER_ROW:
            tables.merge(declared, found.new, batch_id=batch)
        case _:
            tables.append_once(declared, found.new, batch_id=batch)


def count_row(context: Context, window: FeedWindow, found: DeliveryChange, batch: str) -> dict[str, Any]:
    """Return the row of the table ``ingests`` for a batch."""
    return {
        "source": window.source.name, "batch_id": batch, "since": window.since, "until": window.until,
        "rows_read": found.checked.rows_read, "rows_kept": found.checked.kept.num_rows,
        "rows_quarantined": found.checked.broken.num_rows, "rows_new": found.new.num_rows,
        "earliest_event": found.earliest, "ingested_at": context.now,
    }  # fmt: skip


def note_quarantined(source: str, rows: int) -> None:
    """Let the telemetry know how many rows of a source broke its contract; not which, nor why."""
    if rows:
        measure(QUARANTINED, rows, {SOURCE: source})
        event(ROWS_QUARANTINED, {SOURCE: source, ROWS: rows})
