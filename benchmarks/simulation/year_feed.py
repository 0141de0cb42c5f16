"""The feeds of the simulated year: requests and reports of each day, and everything that goes wrong with them.

All is drawn from the number of the day, so a reader, the ledger and a run that is resumed see the same rows.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa

PER_DAY = 60
CHANGED_FROM = 210
"""From this day on, a request takes longer than before."""
LONGER_MINUTES = 12.0
SHARE_LATE, SHARE_BAD, SHARE_CORRECTED = 0.03, 0.02, 0.05
START = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0) - dt.timedelta(days=400)
"""The first day; the simulation puts another one here, so that a year ends before the present."""


class FeedUnavailableError(Exception):
    """The feed does not answer."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request, when it is delivered, and what is reported of it.

    Attributes
    ----------
    reports
        Instant and minutes of each report, the correction last.
    """

    key: str
    due: dt.datetime
    delivered: dt.datetime
    carrier: str
    origin: str
    minutes: float
    bad: bool
    reports: tuple[tuple[dt.datetime, float], ...]


start = START
unavailable = False
"""Whether the next read fails, once."""
torn = False
"""Whether the next read finds a file without its last column, once."""


@cache
def requests_of(day: int) -> tuple[Request, ...]:
    """Return the requests that fall due on a day."""
    drawn = np.random.default_rng([20250101, day])
    found = []
    for number in range(PER_DAY):
        due = start + dt.timedelta(days=day, minutes=int(drawn.integers(5 * 60, 23 * 60)), seconds=number % 60)
        late = day > 3 and drawn.random() < SHARE_LATE
        minutes = float(drawn.integers(40, 400))
        took = 0.8 * minutes + drawn.normal(0, 5) + (LONGER_MINUTES if day >= CHANGED_FROM else 0.0)
        reported = due + dt.timedelta(days=1 + float(drawn.random()))
        reports = [(reported, round(max(took, 10.0), 1))]
        if drawn.random() < SHARE_CORRECTED:
            reports.append((reported + dt.timedelta(days=2), round(max(took, 10.0) + 1, 1)))
        found.append(
            Request(
                key=f"r{day:04}-{number:03}", due=due, carrier="ABC"[drawn.integers(3)],
                origin=("NORTH", "SOUTH")[drawn.integers(2)], minutes=minutes, bad=bool(drawn.random() < SHARE_BAD),
                delivered=due + dt.timedelta(days=int(drawn.integers(1, 3))) if late else due - dt.timedelta(hours=1),
                reports=tuple(reports),
            )
        )  # fmt: skip
    return tuple(found)


def read_schedule(_location: str, since: dt.datetime, until: dt.datetime) -> pa.Table:
    """Return the requests due in the window that are delivered by its end; a bad one has impossible minutes.

    Raises
    ------
    FeedUnavailableError
        If the feed is set to fail.
    """
    global unavailable, torn
    if unavailable:
        unavailable = False
        raise FeedUnavailableError("the feed does not answer")
    names, torn = (SCHEDULE[:-1] if torn else SCHEDULE), False
    rows = [r for r in _days(since, until) if since <= r.due < until and r.delivered < until]
    delivered = pa.table(
        {
            "flight_id": [r.key for r in rows],
            "prediction_at": [r.due.isoformat() for r in rows],
            "departure_hour": [str(r.due.hour) for r in rows],
            "carrier": [r.carrier for r in rows],
            "origin": [r.origin for r in rows],
            "destination": ["EAST"] * len(rows),
            "scheduled_minutes": ["-1" if r.bad else str(r.minutes) for r in rows],
        },
        schema=pa.schema([(name, pa.string()) for name in SCHEDULE]),
    )
    return delivered.select(names)


SCHEDULE = ("flight_id", "prediction_at", "departure_hour", "carrier", "origin", "destination", "scheduled_minutes")
REPORTS = ("flight_id", "reported_at", "outcome", "carrier", "origin", "destination", "air_time")


def read_reports(_location: str, since: dt.datetime, until: dt.datetime) -> pa.Table:
    """Return the reports of the window; a correction is a newer row."""
    rows = [
        (r, at, took)
        for r in _days(since - dt.timedelta(days=5), until)
        for at, took in r.reports
        if since <= at < until
    ]
    return pa.table(
        {
            "flight_id": [r.key for r, _, _ in rows],
            "reported_at": [at.isoformat() for _, at, _ in rows],
            "outcome": ["landed"] * len(rows),
            "carrier": [r.carrier for r, _, _ in rows],
            "origin": [r.origin for r, _, _ in rows],
            "destination": ["EAST"] * len(rows),
            "air_time": [str(took) for _, _, took in rows],
        },
        schema=pa.schema([(name, pa.string()) for name in REPORTS]),
    )


def _days(since: dt.datetime, until: dt.datetime) -> Iterator[Request]:
    first = max(0, (since - start).days)
    for day in range(first, max(first, (until - start).days + 1)):
        yield from requests_of(day)
