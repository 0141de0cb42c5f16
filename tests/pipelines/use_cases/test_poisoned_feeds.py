"""One value of a file, whatever it is, never ends a feed of the examples: its row is kept or quarantined, the others are kept."""

import datetime as dt
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.spec.entries import load
from pipelines.declarations.source import Source
from pipelines.sources.contract import Checked, check
from pipelines.use_cases.air_time import tables as air_time
from pipelines.use_cases.flight_delay import tables as flight_delay
from tests.pipelines.flight_files import AIRCRAFT, AIRPORT, FLIGHT, OBSERVATION, write, write_all

BEGIN, END = dt.datetime(1900, 1, 1, tzinfo=dt.UTC), dt.datetime(2100, 1, 1, tzinfo=dt.UTC)
POISON = st.one_of(
    st.sampled_from(
        [
            "1e18", "-1e18", "inf", "-inf", "nan", "1e-10", "1e400", "9" * 30, "-1", "0", "2500", "60", "24", "7.0", "NA", "",
            "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "2262-04-11T23:47:16Z", "1677-09-21T00:12:44Z",
            "2013-03-10T07:30:00Z", "2013-11-03T05:30:00Z", "2013-01-10T14:00:00.123456789Z", "2013-01-10T14:00:00+99:00",
            "2013-01-10", "Mars/Phobos", "\\N", "\x00", "\ufffd", "a\nb", '"', ",", "é", " 1 ", "+1", "1_000", "0x10", "٣",
        ]
    ),
    st.text(st.characters(codec="utf-8"), max_size=5), st.floats().map(str), st.integers().map(str),
)  # fmt: skip


def _fed(source: Source, folder: Path) -> tuple[pa.Table, Checked]:
    delivery = load(source.reader)(str(folder), BEGIN, END)
    return delivery, check(delivery, source)


def _poisoned(good: Mapping[str, str]) -> st.SearchStrategy[dict[str, str]]:
    return st.tuples(st.sampled_from(sorted(good)), POISON).map(lambda one: {one[0]: one[1]})


@pytest.mark.parametrize("source", [*flight_delay.SOURCES[:3], *air_time.SOURCES], ids=lambda source: source.reader)
@settings(max_examples=15)
@given(change=_poisoned(FLIGHT))
def test_a_poisoned_flight_is_one_row(source: Source, change: dict[str, str]) -> None:
    """The other flights are kept, and the reasons name the text that the reader could not compute from."""
    with tempfile.TemporaryDirectory() as folder:
        write_all(Path(folder), {"flight": "7"}, {"flight": "8", **change}, {"flight": "9"})
        delivery, checked = _fed(source, Path(folder))
    assert delivery.num_rows == checked.rows_read == 3
    assert {key.rpartition("-")[2] for key in checked.kept["flight_id"].to_pylist()} >= {"7", "9"}
    assert checked.broken.num_rows <= 1


@settings(max_examples=15)
@given(change=_poisoned(OBSERVATION))
def test_a_poisoned_observation_is_one_row(change: dict[str, str]) -> None:
    """The other observations are kept."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), "weather.csv", {}, {"origin": "JFK", **change}, {"origin": "LGA"})
        delivery, checked = _fed(flight_delay.SOURCES[3], Path(folder))
    assert delivery.num_rows == checked.rows_read == 3
    assert {"EWR", "LGA"} <= set(checked.kept["origin"].to_pylist())


@settings(max_examples=15)
@given(change=_poisoned(AIRCRAFT))
def test_a_poisoned_aircraft_is_one_row(change: dict[str, str]) -> None:
    """The other aircraft are kept."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), "planes.csv", {}, {"tailnum": "N101", **change}, {"tailnum": "N102"})
        delivery, checked = _fed(flight_delay.SOURCES[4], Path(folder))
    assert delivery.num_rows == checked.rows_read == 3
    assert {"N100", "N102"} <= set(checked.kept["tailnum"].to_pylist())


@settings(max_examples=15)
@given(change=_poisoned({name: AIRPORT[name] for name in AIRPORT if name != "faa"}))
def test_a_poisoned_airport_concerns_only_the_flights_to_it(change: dict[str, str]) -> None:
    """They are quarantined with its name if their time of arrival depends on it; the others are kept."""
    with tempfile.TemporaryDirectory() as folder:
        write_all(Path(folder), {"flight": "7"}, {"flight": "9", "dest": "SJU"})
        write(Path(folder), "airports.csv", change)
        _, checked = _fed(flight_delay.SOURCES[0], Path(folder))
    assert checked.rows_read == 2
    assert "SJU" in checked.kept["destination"].to_pylist()


@pytest.mark.parametrize(
    ("source", "name", "change", "reason"),
    [
        (0, "flights.csv", {"minute": "1e18"}, "minute: '1e18' is not a whole number"),
        (0, "flights.csv", {"minute": "60"}, "minute: '60' is not from 0 to 59"),
        (1, "flights.csv", {"arr_delay": "inf"}, "arrival_delay: 'inf' is not a finite number"),
        (2, "flights.csv", {"time_hour": "noon"}, "time_hour: 'noon' is not a timestamp"),
        (3, "weather.csv", {"time_hour": "2013-01-10 14:00"}, "time_hour: '2013-01-10 14:00' has no time zone"),
        (4, "planes.csv", {"year": "inf"}, "year: 'inf' is not a whole number"),
    ],
)
def test_the_reason_has_the_column_of_the_file_and_its_text(
    tmp_path: Path, source: int, name: str, change: dict[str, str], reason: str
) -> None:
    """Not only that something computed from it is missing."""
    write(write_all(tmp_path, {}), name, change)
    _, checked = _fed(flight_delay.SOURCES[source], tmp_path)
    assert reason in checked.broken["reasons"].to_pylist()[0]
