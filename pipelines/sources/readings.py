"""For readers that compute: delivered text as numbers and instants, each row by itself, and why a row could not be read.

A value that cannot be read is missing in what is computed from it. So that its row is quarantined for the value and not
for what is missing, the reader hands `Readings.problems` on, as the column `PROBLEMS` of its delivery.
"""

import datetime as dt
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.declarations.delivery import TYPES_BY_DEFAULT, Instants
from pipelines.declarations.source import EARLIEST, LATEST
from pipelines.lakehouse.tables.arrow import ARROW_TYPES, UTC_INSTANT
from pipelines.sources.conversion import convert
from pipelines.sources.delivered import only, plain, said
from pipelines.sources.instants import Refuse, where
from pipelines.sources.quarantine import PROBLEMS

__all__ = ["PROBLEMS", "Readings", "rows_within"]

_ANY = Instants(time_zone="", time_unit="", earliest=EARLIEST, latest=LATEST)


class Readings:
    """Columns of a delivery as numbers and instants to compute with.

    Parameters
    ----------
    rows
        The delivery, as a function of `pipelines.sources.files` returns it.
    """

    def __init__(self, rows: pa.Table) -> None:
        self.rows = rows
        self._problems: dict[str, dict[int, str]] = {}

    def numbers(self, column: str, minimum: float, maximum: float, *, whole: bool = False) -> "pd.Series[float]":
        """Return finite numbers within inclusive bounds; NaN where a value is missing or is none.

        The bounds keep what is computed from the numbers, such as an instant so many minutes later, within what can be held.
        """
        numbers, refuse = self._read(column, "bigint" if whole else "double", _ANY)
        within = pc.and_(pc.greater_equal(numbers, minimum), pc.less_equal(numbers, maximum))
        refuse(pc.invert(within), f"is not from {minimum:g} to {maximum:g}")
        taken = where(numbers, within).cast(pa.float64())
        return pd.Series(taken.to_numpy(), dtype="float64")

    def instants(
        self,
        column: str,
        *,
        time_zone: str = "",
        time_unit: str = "",
        earliest: dt.date = EARLIEST,
        latest: dt.date = LATEST,
    ) -> "pd.Series[pd.Timestamp]":
        """Return instants in UTC; NaT where a value is missing or is none. The options are those of a `Source`."""
        how = Instants(time_zone=time_zone, time_unit=time_unit, earliest=earliest, latest=latest)
        instants, _ = self._read(column, "timestamp", how)
        return pd.Series(instants.to_pandas())

    def refuse(self, column: str, breaks: "pd.Series[bool]", wrong: str) -> None:
        """Say what else is wrong with the values of a column: in which rows, and in which words."""
        self._refuse(column, plain(self.rows[column])[0], pa.chunked_array([pa.array(breaks)]), wrong)

    def problems(self, *columns: str) -> "pd.Series[Any]":
        """Return the sentences about these columns, as far as they have been read; None in a row without one."""
        sentences: dict[int, list[str]] = {}
        for column in columns:
            for row, sentence in self._problems.get(column, {}).items():
                sentences.setdefault(row, []).append(sentence)
        found = np.full(self.rows.num_rows, None, dtype=object)
        for row, parts in sentences.items():
            found[row] = "; ".join(parts)
        return pd.Series(found, dtype=object)

    def _read(self, column: str, kind: str, how: Instants) -> tuple[pa.ChunkedArray, Refuse]:
        values, family = plain(self.rows[column])
        refuse = partial(self._refuse, column, values)
        return _converted(values, family, kind, how, refuse), refuse

    def _refuse(self, column: str, values: pa.ChunkedArray, breaks: pa.ChunkedArray, wrong: str) -> None:
        rows = np.flatnonzero(np.asarray(pc.fill_null(breaks, False)))
        known = self._problems.setdefault(column, {})
        known.update({row: f"{column}: {said(values, row)} {wrong}" for row in rows.tolist()})


def rows_within(
    rows: pa.Table, column: str, since: dt.datetime, until: dt.datetime, *, time_zone: str = "", time_unit: str = ""
) -> pa.Table:
    """Return the rows whose instant is in [since, until), and those whose instant cannot be read, to be quarantined.

    Parameters
    ----------
    rows, column
        A delivery and its column of instants, text or typed.
    since, until
        The window.
    time_zone, time_unit
        As the source declares them, where it does.
    """
    how = Instants(time_zone=time_zone, time_unit=time_unit, earliest=dt.date.min, latest=dt.date.max)
    instants = _converted(*plain(rows[column]), "timestamp", how, lambda _breaks, _wrong: None)
    inside = pc.and_(
        pc.greater_equal(instants, pa.scalar(since, UTC_INSTANT)), pc.less(instants, pa.scalar(until, UTC_INSTANT))
    )
    return only(rows, np.flatnonzero(np.asarray(pc.fill_null(inside, True))).tolist())


def _converted(values: pa.ChunkedArray, family: str, kind: str, how: Instants, refuse: Refuse) -> pa.ChunkedArray:
    """Return plain values in a declared type, as the contract converts them by default."""
    if family in TYPES_BY_DEFAULT[kind]:
        return convert(values, family, kind, how, refuse)
    refuse(pc.is_valid(values), f"is delivered as {values.type}, allowed are {', '.join(TYPES_BY_DEFAULT[kind])}")
    return pa.chunked_array([pa.nulls(len(values), ARROW_TYPES[kind])])
