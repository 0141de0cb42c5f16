"""What a delivery changes about the rows that its feed delivered before; pure functions on Arrow rows.

How a feed corrects itself is declared (`pipelines.declarations.source.Corrections`).
"""

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.declarations.asset import Table
from pipelines.declarations.source import Corrections, Source
from pipelines.sources.contract import Checked
from pipelines.sources.quarantine import Breach, broken_rows

DIGEST_CHARACTERS = 16
"""64 bits of a digest: enough to tell the deliveries of one window apart."""


@dataclass(frozen=True, kw_only=True)
class DeliveryChange:
    """What a delivery changes about the stored rows.

    Attributes
    ----------
    checked
        The delivery; rows that may not replace a stored one are broken.
    new
        The kept rows that are not stored as they are.
    removed
        How many stored rows the delivery no longer has; only of a feed that replaces windows.
    earliest
        The time of the first row that is new or removed; None if there is none, or the table has no time.
    """

    checked: Checked
    new: pa.Table
    removed: int
    earliest: dt.datetime | None


def digest(delivery: pa.Table) -> str:
    """Return a text that is the same for the same rows in the same order: the first 64 bits of a SHA-256, in hex."""
    hashed = hashlib.sha256()
    with pa.ipc.new_stream(_Hashing(hashed), delivery.schema.remove_metadata()) as stream:
        stream.write_table(delivery.combine_chunks().replace_schema_metadata(None))
    return hashed.hexdigest()[:DIGEST_CHARACTERS]


def changes(checked: Checked, stored: pa.Table, source: Source) -> DeliveryChange:
    """Compare the kept rows of a delivery with the rows stored before, by the way in which their feed corrects itself.

    Parameters
    ----------
    stored
        Rows kept from earlier deliveries that this one can touch, in the columns of ``checked.kept``: for a feed that
        replaces windows all rows of the window.
    """
    key, columns = source.table.row_key, checked.kept.column_names
    same = _is_in(checked.kept, stored, columns)
    removed = stored.slice(0, 0)
    if source.corrections is Corrections.NEVER and key:
        differs = pc.and_(_is_in(checked.kept, stored, key), pc.invert(same))
        if pc.any(differs).as_py():
            checked = _without(checked, differs, "contradicts the row of its key that an earlier delivery brought")
            same = _is_in(checked.kept, stored, columns)
    elif source.corrections is Corrections.REPLACE_WINDOW and checked.kept.num_rows:
        removed = stored.filter(pc.invert(_is_in(stored, checked.kept, columns)))
    new = checked.kept.filter(pc.invert(same))
    time_key = source.table.time_key
    touched = [] if time_key is None else [pc.min(rows[time_key]).as_py() for rows in (new, removed) if rows.num_rows]
    return DeliveryChange(checked=checked, new=new, removed=removed.num_rows, earliest=min(touched, default=None))


def outside_window(checked: Checked, table: Table, since: dt.datetime, until: dt.datetime) -> Checked:
    """Return a delivery that replaces its window, without the kept rows whose time lies outside; those are broken."""
    times = checked.kept[str(table.time_key)]
    kind = times.type
    outside = pc.or_(pc.less(times, pa.scalar(since, kind)), pc.greater_equal(times, pa.scalar(until, kind)))
    if not pc.any(outside).as_py():
        return checked
    return _without(checked, outside, f"{table.time_key}: lies outside of the window that the delivery replaces")


def _without(checked: Checked, wrong: pa.ChunkedArray, reason: str) -> Checked:
    reasons = {position: [reason] for position in checked.positions.filter(_flat(wrong)).to_pylist()}
    right = pc.invert(wrong)
    breach = Breach(column="", wrong=reason, rows=len(reasons), example=reason)
    return replace(
        checked,
        kept=checked.kept.filter(right),
        positions=checked.positions.filter(_flat(right)),
        broken=pa.concat_tables([checked.broken, broken_rows(checked.kept.filter(wrong), reasons)]),
        breaches=tuple(sorted((*checked.breaches, breach), key=lambda kind: -kind.rows)),
    )


def _is_in(rows: pa.Table, others: pa.Table, columns: Sequence[str]) -> pa.Array:
    """Return for each row whether another table has a row of the same values in these columns."""
    if not rows.num_rows or not others.num_rows:
        return pa.array([False] * rows.num_rows, pa.bool_())
    return pc.is_in(_text(rows, columns), value_set=_text(others, columns))


def _text(rows: pa.Table, columns: Sequence[str]) -> pa.Array:
    """Return one text per row that is the same for the same values, missing ones included."""
    texts = [pc.fill_null(rows[name].cast(pa.string()), "\0").combine_chunks() for name in columns]
    return pc.binary_join_element_wise(*texts, "\x1f")


def _flat(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


class _Hashing:
    """A file to write to that keeps nothing but a hash."""

    closed = False

    def __init__(self, hashed: "hashlib._Hash") -> None:
        self._hashed = hashed

    def write(self, content: bytes) -> int:
        """Add bytes to the hash."""
        self._hashed.update(content)
        return len(content)

    def flush(self) -> None:
        """Do nothing: there is nothing to empty."""

    def close(self) -> None:
        """Do nothing: there is nothing to close."""
