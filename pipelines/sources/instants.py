"""Delivered instants and days become instants in UTC and dates, by the zone, the unit and the range that are declared."""

import datetime as dt
from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.declarations.delivery import Instants
from pipelines.lakehouse.tables.arrow import UTC_INSTANT

Refuse = Callable[[pa.ChunkedArray, str], None]
"""Called with the rows that cannot be taken (True) and what is wrong with their value."""

_LEAP_YEAR = r"(?:\d\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
_DAY = (
    r"(?:\d{4}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
    rf"|{_LEAP_YEAR}-02-29)"
)
_CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,6}0*)?)?"
_OFFSET = r"(?:Z|[-+](?:0\d|1[0-4]):?[0-5]\d)"
INSTANT = rf"^{_DAY}(?:[T ]{_CLOCK}{_OFFSET}?)?$"
"""A day that the calendar has, in ISO 8601, with or without a clock and an offset."""
_AWARE = rf"[:.]\d+{_OFFSET}$"
_MIDNIGHT = rf"^{_DAY}(?:[T ]00:00(?::00(?:\.0+)?)?)?$"

EPOCH = dt.date(1970, 1, 1)
DAY_IN = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
MICROSECONDS = DAY_IN["us"]
NEEDS_DAY = "is an instant, not a day: deliver the day"


def to_instants(values: pa.ChunkedArray, family: str, how: Instants, refuse: Refuse) -> pa.ChunkedArray:
    """Return plain text, timestamps, dates or whole numbers as instants in UTC; null where one was refused."""
    if family == "text":
        instants = _from_text(values, how, refuse)
    elif family == "integer":
        instants = _from_numbers(values, how, refuse)
    elif family == "timestamp":
        ticks = _microseconds(values.cast(pa.int64()), values.type.unit, refuse)
        instants = ticks.cast(UTC_INSTANT) if values.type.tz else _placed(ticks, how, refuse)
    else:
        instants = _placed(_midnights(values, refuse), how, refuse)
    return _only_plausible(instants, MICROSECONDS, how, refuse)


def to_dates(values: pa.ChunkedArray, family: str, how: Instants, refuse: Refuse) -> pa.ChunkedArray:
    """Return plain text, dates or timestamps without a zone as dates; null where one was refused."""
    if family == "text":
        days = _days_from_text(values, refuse)
    elif family == "date":
        days = _days(_midnights(values, refuse))
    elif values.type.tz:
        refuse(pc.is_valid(values), NEEDS_DAY)
        days = pa.chunked_array([pa.nulls(len(values), pa.date32())])
    else:
        ticks = _microseconds(values.cast(pa.int64()), values.type.unit, refuse)
        days = _days(_only_multiples(ticks, MICROSECONDS, NEEDS_DAY, refuse))
    return _only_plausible(days, 1, how, refuse)


def where(values: pa.ChunkedArray, holds: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the values where a condition holds, null elsewhere."""
    # Nulls as a column: with one null as a scalar, Arrow mixes up the texts of a slice.
    return pc.if_else(holds, values, pa.chunked_array([pa.nulls(len(values), values.type)]))


def _from_text(values: pa.ChunkedArray, how: Instants, refuse: Refuse) -> pa.ChunkedArray:
    readable = pc.match_substring_regex(values, INSTANT)
    refuse(pc.invert(readable), "is not a timestamp")
    values = where(values, readable)
    if pc.any(
        pc.match_substring_regex(values, r"\.\d{7}")
    ).as_py():  # zeros that other systems write after microseconds
        values = pc.replace_substring_regex(values, r"(\.\d{6})0+", r"\1")
    aware = pc.match_substring_regex(values, _AWARE)
    instants = where(values, aware).cast(UTC_INSTANT)
    if pc.all(aware).as_py():
        return instants
    ticks = where(values, pc.invert(aware)).cast(pa.timestamp("us")).cast(pa.int64())
    return pc.coalesce(instants, _placed(ticks, how, refuse))


def _from_numbers(values: pa.ChunkedArray, how: Instants, refuse: Refuse) -> pa.ChunkedArray:
    if not how.time_unit:
        refuse(pc.is_valid(values), "is a number without a unit: declare time_unit (s, ms, us or ns)")
        return pa.chunked_array([pa.nulls(len(values), UTC_INSTANT)])
    if values.type == pa.uint64():
        fits = pc.less_equal(values, pa.scalar(2**63 - 1, pa.uint64()))
        refuse(pc.invert(fits), f"is no instant, counted in {how.time_unit}")
        values = where(values, fits)
    return _microseconds(values.cast(pa.int64()), how.time_unit, refuse).cast(UTC_INSTANT)


def _microseconds(ticks: pa.ChunkedArray, unit: str, refuse: Refuse) -> pa.ChunkedArray:
    """Return counts of a unit since 1970 as microseconds, for the years 1 to 9999 that a Python date can hold."""
    first, last = ((day - EPOCH).days * DAY_IN[unit] for day in (dt.date.min, dt.date.max))
    first, last = max(first, -(2**63)), min(last, 2**63 - 1)
    held = pc.and_(pc.greater_equal(ticks, first), pc.less_equal(ticks, last))
    refuse(pc.invert(held), f"is no instant, counted in {unit}")
    ticks = where(ticks, held)
    if unit == "ns":
        finer = "has nanoseconds, where microseconds are stored: round it in the reader"
        return pc.divide(_only_multiples(ticks, 1_000, finer, refuse), 1_000)
    return pc.multiply(ticks, MICROSECONDS // DAY_IN[unit])


def _midnights(values: pa.ChunkedArray, refuse: Refuse) -> pa.ChunkedArray:
    """Return the microseconds at which days begin."""
    if values.type == pa.date64():
        return _only_multiples(_microseconds(values.cast(pa.int64()), "ms", refuse), MICROSECONDS, NEEDS_DAY, refuse)
    seconds = pc.multiply(values.cast(pa.int32()).cast(pa.int64()), DAY_IN["s"])
    return _microseconds(seconds, "s", refuse)


def _only_multiples(ticks: pa.ChunkedArray, step: int, wrong: str, refuse: Refuse) -> pa.ChunkedArray:
    exact = pc.equal(ticks, pc.multiply(pc.divide(ticks, step), step))
    refuse(pc.invert(exact), wrong)
    return where(ticks, exact)


def _days(midnights: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.divide(midnights, MICROSECONDS).cast(pa.int32()).cast(pa.date32())


def _days_from_text(values: pa.ChunkedArray, refuse: Refuse) -> pa.ChunkedArray:
    single = pc.match_substring_regex(values, _MIDNIGHT)
    readable = pc.match_substring_regex(values, INSTANT)
    refuse(pc.invert(readable), "is not a date")
    refuse(pc.and_(readable, pc.invert(single)), NEEDS_DAY)
    return pc.utf8_slice_codeunits(where(values, single), 0, 10).cast(pa.date32())


def _placed(ticks: pa.ChunkedArray, how: Instants, refuse: Refuse) -> pa.ChunkedArray:
    """Return the instants at which clocks in the declared zone show these microseconds since 1970."""
    if not how.time_zone:
        refuse(pc.is_valid(ticks), "has no time zone: declare time_zone, or deliver an offset")
        return pa.chunked_array([pa.nulls(len(ticks), UTC_INSTANT)])
    if how.time_zone == "UTC":
        return ticks.cast(UTC_INSTANT)
    shown = pd.Series(np.asarray(pc.fill_null(ticks, 0)).astype("datetime64[us]"))
    instants = shown.dt.tz_localize(how.time_zone, ambiguous="NaT", nonexistent="NaT").dt.tz_convert("UTC")
    placed = where(pa.chunked_array([pa.Array.from_pandas(instants).cast(UTC_INSTANT)]), pc.is_valid(ticks))
    refuse(
        pc.and_(pc.is_valid(ticks), pc.is_null(placed)),
        f"is in an hour that the clocks in {how.time_zone} skip or repeat: deliver an offset",
    )
    return placed


def _only_plausible(values: pa.ChunkedArray, a_day: int, how: Instants, refuse: Refuse) -> pa.ChunkedArray:
    """Refuse what is outside of the declared dates; values count units of which a day has so many."""
    counts = values.cast(pa.int32() if values.type == pa.date32() else pa.int64()).cast(pa.int64())
    first, after = (how.earliest - EPOCH).days * a_day, ((how.latest - EPOCH).days + 1) * a_day
    plausible = pc.and_(pc.greater_equal(counts, first), pc.less(counts, after))
    refuse(
        pc.invert(plausible),
        f"is not from {how.earliest} to {how.latest}: declare earliest and latest if such a date can be right",
    )
    return where(values, plausible)
