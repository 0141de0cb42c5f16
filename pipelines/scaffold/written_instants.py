"""How a file writes its instants: in ISO 8601, as a country does, or as a count since 1970; with or without a zone."""

import itertools
import re
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.sources.instants import INSTANT
from pipelines.sources.local_forms import iso_instants

MOSTLY = 0.95
COUNTS = {"s": 1, "ms": 10**3, "us": 10**6}
FIRST, LAST = 946_684_800, 2_051_222_400
"""Counts of seconds from 2000 to 2034: what is in between, in a column whose name speaks of time, is an instant."""
TIME_WORDS = re.compile(
    r"(^|[^a-z])(time|timestamp|ts|date|datetime|at|when|epoch|created|updated|zeit|datum)([^a-z]|$)"
)
_AWARE = r"[:.]\d+(?:Z|[-+]\d\d:?\d\d)$"
_LOCAL = re.compile(
    r"^(?P<a>\d{1,2})(?P<mark>[./-])(?P<b>\d{1,2})(?P=mark)\d{4}"
    r"(?P<clock>(?P<gap>[ T]|, )\d{1,2}:\d{2}(?P<seconds>:\d{2})?(?P<half> ?[AaPp][Mm])?)?$"
)
_YEAR_FIRST = re.compile(
    r"^\d{4}(?P<mark>[./])\d{1,2}(?P=mark)\d{1,2}(?P<clock>[ T]\d{1,2}:\d{2}(?P<seconds>:\d{2})?)?$"
)

LOOKED_AT = 1_000
"""So many values say whether a form is tried on all of them."""
_SPELLED_DAYS = {
    r"^(19|20)\d{6}": "%Y%m%d",
    r"^\d{1,2}-[A-Za-z]{3}-\d{4}": "%d-%b-%Y",
    r"^\d{1,2}-[A-Za-z]{3}-\d{2}": "%d-%b-%y",
    r"^\d{1,2} [A-Za-z]{3} \d{4}": "%d %b %Y",
    r"^\d{1,2} [A-Za-z]+ \d{4}": "%d %B %Y",
    r"^[A-Za-z]{3} \d{1,2}, \d{4}": "%b %d, %Y",
    r"^[A-Za-z]+ \d{1,2}, \d{4}": "%B %d, %Y",
}
"""Days without marks between them, or with the English name of the month, and how each is read."""
_CLOCKS = {
    "": "",
    r" \d{1,2}:\d{2}": " %H:%M",
    r" \d{1,2}:\d{2}:\d{2}": " %H:%M:%S",
    r" \d{1,2}:\d{2} ?[AaPp][Mm]": " %I:%M %p",
}


@dataclass(frozen=True, kw_only=True)
class InstantForm:
    """How instants are written.

    Attributes
    ----------
    pattern
        In the words of `datetime.strptime`, where it is not ISO 8601; empty where it is.
    unit
        Of counts since 1970: ``s``, ``ms`` or ``us``; empty for none.
    has_zone
        Whether every one says its own zone.
    days_only
        Whether none has a clock.
    odd
        Values that are no instants.
    said
        What is ambiguous, a sentence each.
    """

    pattern: str = ""
    unit: str = ""
    has_zone: bool = False
    days_only: bool = False
    odd: tuple[str, ...] = ()
    said: tuple[str, ...] = ()


def written_instants(values: pa.ChunkedArray, family: str, header: str) -> InstantForm | None:
    """Return how the instants of a column are written; None if it holds no instants."""
    if family == "date":
        return InstantForm(days_only=True)
    if family == "timestamp":
        return InstantForm(has_zone=values.type.tz is not None)
    if family == "integer":
        return _counted(values, header)
    whole = pc.all(pc.match_substring_regex(values, r"^\d{9,18}$")).as_py()
    return _counted(values.cast(pa.int64()), header) if whole else _iso(values) or _local(values) or _spelled(values)


def _counted(values: pa.ChunkedArray, header: str) -> InstantForm | None:
    """Return the unit of counts since 1970, of a column whose name speaks of time."""
    spoken = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", header).lower()
    span = pc.min_max(values).as_py()
    if span["min"] is None or not TIME_WORDS.search(spoken):
        return None
    units = [
        unit
        for unit, in_second in COUNTS.items()
        if FIRST * in_second <= span["min"] <= span["max"] <= LAST * in_second
    ]
    return InstantForm(unit=units[0], has_zone=True) if units else None


def _iso(values: pa.ChunkedArray) -> InstantForm | None:
    fits = pc.match_substring_regex(values, INSTANT)
    if pc.mean(fits.cast(pa.float64())).as_py() < MOSTLY:
        return None
    instants = values.filter(fits)
    days_only = pc.all(pc.equal(pc.utf8_length(instants), 10)).as_py()
    aware = pc.match_substring_regex(instants, _AWARE)
    said: tuple[str, ...] = ()
    if pc.any(aware).as_py() and not pc.all(aware).as_py():
        said = ("has instants with a zone and instants without one: the declared zone is that of the latter.",)
    odd = values.filter(pc.invert(fits)).to_pylist()
    return InstantForm(has_zone=bool(pc.all(aware).as_py()), days_only=bool(days_only), odd=tuple(odd), said=said)


def _local(values: pa.ChunkedArray) -> InstantForm | None:
    """Return the form of instants like 31.12.2024 14:05, as far as the values tell the day from the month."""
    texts = pc.unique(values).to_pylist()
    found = [match for text in texts if (match := _LOCAL.match(text))]
    years = [match for text in texts if (match := _YEAR_FIRST.match(text))]
    if len(years) >= MOSTLY * len(texts):
        return _with_pattern(values, years[0], "%Y{0}%m{0}%d", ())
    if not found or len(found) < MOSTLY * len(texts):
        return None
    first, second = max(int(match["a"]) for match in found), max(int(match["b"]) for match in found)
    if first > 12 and second > 12:
        return None
    said: tuple[str, ...] = ()
    if first <= 12 and second <= 12 and found[0]["mark"] != ".":
        why = "in which day and month could be swapped: the month is taken to be first"
        said = (f"has dates like {texts[0]!r}, {why}; change the pattern in sources.py if it is the day.",)
    month_first = second > 12 or bool(said)
    return _with_pattern(values, found[0], "%m{0}%d{0}%Y" if month_first else "%d{0}%m{0}%Y", said)


def _spelled(values: pa.ChunkedArray) -> InstantForm | None:
    """Return the form of instants like 20241231, 31-Dec-2024 or December 31, 2024 14:05."""
    some = values.slice(0, LOOKED_AT)
    for (day, day_pattern), (clock, clock_pattern) in itertools.product(_SPELLED_DAYS.items(), _CLOCKS.items()):
        written = pc.match_substring_regex(some, f"{day}{clock}$")
        if pc.mean(written.cast(pa.float64())).as_py() < MOSTLY:
            continue
        pattern = day_pattern + clock_pattern
        fits = pc.match_substring_regex(iso_instants(values, pattern), INSTANT)
        if pc.mean(fits.cast(pa.float64())).as_py() >= MOSTLY:
            return InstantForm(
                pattern=pattern, days_only=not clock, odd=tuple(values.filter(pc.invert(fits)).to_pylist())
            )
    return None


def _with_pattern(values: pa.ChunkedArray, form: re.Match[str], day: str, said: tuple[str, ...]) -> InstantForm | None:
    parts = form.groupdict()
    clock = ""
    if form["clock"]:
        gap, seconds, half = parts.get("gap") or form["clock"][0], ":%S" if form["seconds"] else "", parts.get("half")
        clock = gap + (f"%I:%M{seconds}{' ' if half[0] == ' ' else ''}%p" if half else f"%H:%M{seconds}")
    pattern = day.format(form["mark"]) + clock
    fits = pc.match_substring_regex(iso_instants(values, pattern), INSTANT)
    if pc.mean(fits.cast(pa.float64())).as_py() < MOSTLY:
        return None
    odd = tuple(values.filter(pc.invert(fits)).to_pylist())
    return InstantForm(pattern=pattern, days_only=not clock, odd=odd, said=said)
