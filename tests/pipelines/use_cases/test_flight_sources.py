"""The feeds of both use cases deliver each row in the window in which it would have been published."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.use_cases.air_time import sources as air_time
from pipelines.use_cases.flight_delay import sources
from tests.pipelines.flight_files import write, write_all

BEGIN, END = dt.datetime(1900, 1, 1, tzinfo=dt.UTC), dt.datetime(2014, 2, 1, tzinfo=dt.UTC)


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> dt.datetime:
    """An instant in UTC."""
    return dt.datetime(year, month, day, hour, minute, tzinfo=dt.UTC)


def only(table: pa.Table) -> dict[str, Any]:
    """The single row of a table."""
    (row,) = table.to_pylist()
    return row


def test_a_flight_is_scheduled_two_hours_before_its_prediction(tmp_path: Path) -> None:
    """9:00 in New York is 14:00 UTC; the prediction is due at noon."""
    row = only(sources.read_schedule(str(write_all(tmp_path, {})), BEGIN, END))
    assert row["prediction_at"] == utc(2013, 1, 10, 12)
    assert row["scheduled_departure_at"] == utc(2013, 1, 10, 14)
    assert row["departure_weekday"] == 3
    assert row["flight_id"] == "20130110T14-UA-100"


def test_scheduled_minutes_count_the_change_of_time_zone(tmp_path: Path) -> None:
    """From 9:00 Eastern to 12:00 Central are four hours."""
    assert only(sources.read_schedule(str(write_all(tmp_path, {})), BEGIN, END))["scheduled_minutes"] == 240


def test_an_arrival_after_midnight_is_on_the_next_day(tmp_path: Path) -> None:
    """The feed has the hour of the scheduled arrival without its day."""
    late = {"hour": "22", "sched_dep_time": "2200", "time_hour": "2013-01-11T03:00:00Z", "sched_arr_time": "15"}
    assert only(sources.read_schedule(str(write_all(tmp_path, late)), BEGIN, END))["scheduled_minutes"] == 195


def test_an_arrival_is_known_when_the_flight_has_landed(tmp_path: Path) -> None:
    """Scheduled at 18:00 UTC and a quarter of an hour late."""
    row = only(sources.read_arrivals(str(write_all(tmp_path, {})), BEGIN, END))
    assert (row["known_at"], row["outcome"]) == (utc(2013, 1, 10, 18, 15), "landed")


def test_an_air_time_is_known_when_it_is_reported(tmp_path: Path) -> None:
    """Three days after the landing; the schedule of the same flight has no air time."""
    folder = str(write_all(tmp_path, {}))
    row = only(air_time.read_reports(folder, BEGIN, END))
    assert (row["reported_at"], row["air_time"]) == (utc(2013, 1, 13, 18, 15), "120")
    assert air_time.read_reports(folder, BEGIN, row["reported_at"]).num_rows == 0
    scheduled = only(air_time.read_schedule(folder, BEGIN, END))
    assert scheduled["prediction_at"] == only(sources.read_schedule(folder, BEGIN, END))["prediction_at"]
    assert "air_time" not in scheduled


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({"dep_time": "NA", "dep_delay": "NA", "arr_time": "NA", "arr_delay": "NA"}, "cancelled"),
        ({"arr_time": "NA", "arr_delay": "NA"}, "diverted"),
        ({"arr_delay": "NA"}, "diverted"),
    ],
)
def test_a_flight_that_never_arrives_is_closed_a_day_after_its_scheduled_arrival(
    tmp_path: Path, change: dict[str, str], outcome: str
) -> None:
    """The outcome tells cancelled from diverted flights."""
    row = only(sources.read_arrivals(str(write_all(tmp_path, change)), BEGIN, END))
    assert (row["known_at"], row["outcome"], row["arrival_delay"]) == (utc(2013, 1, 11, 18), outcome, None)


def test_a_report_is_filed_three_days_after_the_arrival(tmp_path: Path) -> None:
    """So labels arrive late."""
    row = only(sources.read_reports(str(write_all(tmp_path, {})), BEGIN, END))
    assert row["reported_at"] == utc(2013, 1, 13, 18, 15)


def test_a_weather_observation_is_published_an_hour_after_it_begins(tmp_path: Path) -> None:
    """It may have been made in the last minute of its hour."""
    assert only(sources.read_weather(str(write_all(tmp_path, {})), BEGIN, END))["published_at"] == utc(2013, 1, 10, 15)


def test_an_aircraft_without_a_year_is_registered_in_1970(tmp_path: Path) -> None:
    """The year in which it was built is missing."""
    folder = write(tmp_path, "planes.csv", {"year": "NA"})
    row = only(sources.read_aircraft(str(folder), BEGIN, END))
    assert (row["registered_at"], row["built"]) == (utc(1970, 1, 1), None)


@pytest.mark.proof
@pytest.mark.parametrize(
    "read", [sources.read_schedule, sources.read_arrivals, sources.read_reports, sources.read_weather]
)
def test_a_row_is_delivered_in_exactly_one_of_two_adjacent_windows(
    tmp_path: Path, read: Callable[[str, dt.datetime, dt.datetime], pa.Table]
) -> None:
    """At whatever instant the windows meet."""
    folder = str(write_all(tmp_path, {}))
    rows = [read(folder, BEGIN, cut).num_rows + read(folder, cut, END).num_rows for cut in _instants()]
    assert rows == [1] * len(rows)


def _instants() -> list[dt.datetime]:
    base = utc(2013, 1, 10, 12)
    return [base + dt.timedelta(hours=3 * step, minutes=15 * (step % 2)) for step in range(32)]


def test_text_that_is_no_number_is_delivered(tmp_path: Path) -> None:
    """The reader drops no row; the contract quarantines it."""
    folder = str(
        write_all(
            tmp_path, {"arr_delay": "soon", "time_hour": "2013-01-10T14:00:00Z"}, {"time_hour": "noon", "flight": "7"}
        )
    )
    window = (utc(2013, 1, 1), utc(2013, 2, 1))
    assert sources.read_arrivals(folder, *window)["arrival_delay"].to_pylist().count("soon") == 1
    assert None in sources.read_schedule(folder, *window)["prediction_at"].to_pylist()


def test_the_whole_year_of_the_package_is_read_and_its_keys_are_unique() -> None:
    """336,776 flights; each has a schedule, an outcome and a report."""
    schedule = sources.read_schedule("", BEGIN, END)
    arrivals = sources.read_arrivals("", BEGIN, END)
    assert schedule.num_rows == arrivals.num_rows == sources.read_reports("", BEGIN, END).num_rows == 336_776
    assert len(set(schedule["flight_id"].to_pylist())) == 336_776
    counts = arrivals.group_by("outcome").aggregate([([], "count_all")]).to_pylist()
    assert {row["outcome"]: row["count_all"] for row in counts} == {
        "landed": 327_346,
        "cancelled": 8_255,
        "diverted": 1_175,
    }
