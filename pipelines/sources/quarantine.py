"""What happens to a row that breaks its source's contract: it goes to the table ``quarantine`` with its reasons."""

import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.lakehouse.tables.arrow import UTC_INSTANT


class Reasons:
    """Why rows of one delivery break the contract.

    Attributes
    ----------
    broken
        Shape ``(rows,)``: whether a row breaks it.
    """

    def __init__(self, rows: int) -> None:
        self.broken = np.zeros(rows, dtype=bool)
        self._found: list[tuple[np.ndarray[tuple[int], np.dtype[np.int64]], Callable[[int], str]]] = []

    def add(self, breaks: pa.ChunkedArray | pa.Array, sentence: Callable[[int], str]) -> None:
        """Add a reason: which rows break it, and the sentence for a row by its position."""
        mask = np.asarray(pc.fill_null(breaks, False))
        if mask.any():
            self.broken |= mask
            self._found.append((np.flatnonzero(mask), sentence))

    def by_position(self) -> dict[int, list[str]]:
        """Return the sentences of each broken row, by its position in the delivery."""
        reasons: dict[int, list[str]] = {}
        for rows, sentence in self._found:
            for row in rows:
                reasons.setdefault(int(row), []).append(sentence(int(row)))
        return dict(sorted(reasons.items()))


def broken_rows(rows: pa.Table, reasons: Mapping[int, Sequence[str]]) -> pa.Table:
    """Return ``row_number``, ``reasons`` and ``row`` of broken rows.

    Parameters
    ----------
    rows
        The broken rows, as delivered.
    reasons
        Position in the delivery to sentences, one for each of the rows, in their order.
    """
    return pa.table(
        {
            "row_number": pa.array(reasons, pa.int64()),
            "reasons": pa.array(["; ".join(sentences) for sentences in reasons.values()], pa.string()),
            "row": pa.array([json.dumps(row, default=str) for row in rows.to_pylist()], pa.string()),
        }
    )


def quarantine_rows(broken: pa.Table, *, source: str, batch_id: str, at: dt.datetime) -> pa.Table:
    """Return the rows of the table ``quarantine`` for the broken rows of one batch."""
    rows = broken.num_rows
    return (
        broken.append_column("source", pa.repeat(source, rows))
        .append_column("batch_id", pa.repeat(batch_id, rows))
        .append_column("quarantined_at", pa.repeat(pa.scalar(at, UTC_INSTANT), rows))
    )
