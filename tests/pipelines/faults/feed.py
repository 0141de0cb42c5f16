"""Writes the small feed of the journeys: flights of a few weeks whose effects on the air time are known.

One carrier is slow at one airport, which only one of the two estimators can learn. From a day on another carrier is slow
everywhere: the metric of a champion that was trained before falls, and one that is trained later is better.
"""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.pipelines.flight_files import write_all

FIRST = dt.datetime(2013, 1, 1, tzinfo=dt.UTC)
CHANGED = dt.datetime(2013, 2, 15, tzinfo=dt.UTC)
LAST = dt.datetime(2013, 5, 1, tzinfo=dt.UTC)
FLIGHTS_A_DAY = 60
ROUTES = {("EWR", "ORD"): 110, ("JFK", "LAX"): 330, ("LGA", "BOS"): 40, ("JFK", "MIA"): 150}
CARRIERS = ("UA", "B6", "DL")
UNREADABLE_EVERY = 997
"""Every so many flights one has an air time that is no number: it belongs into quarantine."""


def flights() -> Iterator[dict[str, str]]:
    """Return the flights of the feed, day by day."""
    random = np.random.default_rng(13)
    for day in range((LAST - FIRST).days):
        date = FIRST + dt.timedelta(days=day)
        for number in range(FLIGHTS_A_DAY):
            origin, destination = list(ROUTES)[random.integers(len(ROUTES))]
            carrier = CARRIERS[random.integers(len(CARRIERS))]
            slow = 25 * (carrier == "B6" and origin == "JFK") + 30 * (carrier == "DL" and date >= CHANGED)
            minutes = ROUTES[origin, destination] + slow + random.normal(0, 6)
            unreadable = (day * FLIGHTS_A_DAY + number) % UNREADABLE_EVERY == UNREADABLE_EVERY - 1
            yield {
                "month": str(date.month), "day": str(date.day), "carrier": carrier, "flight": str(number),
                "origin": origin, "dest": destination, "air_time": "long" if unreadable else f"{max(minutes, 20):.0f}",
                "time_hour": f"{date:%Y-%m-%d}T14:00:00Z", "minute": str(number % 60),
            }  # fmt: skip


def write_feed(folder: Path) -> Path:
    """Write the files of the feed into a new folder and return it."""
    folder.mkdir()
    return write_all(folder, *flights())
