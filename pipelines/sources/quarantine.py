"""What happens to a row that breaks its source's contract: it goes to the table ``quarantine`` with its reasons."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.lakehouse.tables.arrow import UTC_INSTANT
from pipelines.sources.delivered import as_json, said

PROBLEMS = "_problems"
"""The column in which a reader says what it could not compute from: a sentence, or null in a row without a problem."""


@dataclass(frozen=True, kw_only=True)
class Breach:
    """One way in which rows of a delivery break its contract.

    Attributes
    ----------
    column
        The column that is wrong; empty for a row as a whole.
    wrong
        What is wrong, without the value.
    rows
        How many rows have it.
    example
        The whole sentence of the first of them.
    """

    column: str
    wrong: str
    rows: int
    example: str


@dataclass(frozen=True)
class _Found:
    rows: np.ndarray[tuple[int], np.dtype[np.int64]]
    column: str
    wrong: str
    sentence: Callable[[int], str]


class Reasons:
    """Why rows of one delivery break the contract.

    Attributes
    ----------
    broken
        Shape ``(rows,)``: whether a row breaks it.
    hidden
        Columns of which no sentence shows a value.
    """

    def __init__(self, rows: int, *, hidden: frozenset[str] = frozenset()) -> None:
        self.broken = np.zeros(rows, dtype=bool)
        self.hidden = hidden
        self._found: list[_Found] = []

    def add(
        self, breaks: pa.ChunkedArray | pa.Array, column: str, wrong: str, values: pa.ChunkedArray | None = None
    ) -> None:
        """Add what is wrong with a column in the rows where `breaks` is true; its sentences show the values, if given."""
        shown = None if column in self.hidden else values
        self._add(breaks, column, wrong, lambda row: _sentence(column, wrong, shown, row))

    def add_duplicates(self, breaks: pa.Array, key: Callable[[int], str]) -> None:
        """Add the rows whose key an earlier row of the delivery has; `key` says it."""
        self._add(breaks, "", "duplicate key", lambda row: f"duplicate key {key(row)}")

    def add_problems(self, problems: pa.ChunkedArray) -> None:
        """Add what a reader could not compute from: a sentence for each such row, unless it may show what is hidden."""
        if self.hidden:
            self._add(pc.is_valid(problems), "", "cannot be computed", lambda _row: "cannot be computed")
            return
        sentences = problems.cast(pa.string())
        self._add(pc.is_valid(sentences), "", "cannot be computed", lambda row: str(sentences[row].as_py()))

    def by_position(self) -> dict[int, list[str]]:
        """Return the sentences of each broken row, by its position in the delivery."""
        reasons: dict[int, list[str]] = {}
        for found in self._found:
            for row in found.rows.tolist():
                reasons.setdefault(row, []).append(found.sentence(row))
        return dict(sorted(reasons.items()))

    def breaches(self) -> tuple[Breach, ...]:
        """Return the kinds of breach, the commonest first."""
        kinds = [
            Breach(column=one.column, wrong=one.wrong, rows=len(one.rows), example=one.sentence(int(one.rows[0])))
            for one in self._found
        ]
        return tuple(sorted(kinds, key=lambda kind: -kind.rows))

    def _add(self, breaks: pa.ChunkedArray | pa.Array, column: str, wrong: str, sentence: Callable[[int], str]) -> None:
        mask = np.asarray(pc.fill_null(breaks, False))
        if mask.any():
            self.broken |= mask
            self._found.append(_Found(np.flatnonzero(mask), column, wrong, sentence))


def _sentence(column: str, wrong: str, values: pa.ChunkedArray | None, row: int) -> str:
    return f"{column}: {wrong}" if values is None else f"{column}: {said(values, row)} {wrong}"


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
            "row": pa.array(as_json(rows), pa.string()),
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
