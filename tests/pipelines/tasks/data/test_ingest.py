"""Ingest keeps each delivered row once or quarantines it with its reasons; no part of a delivery is written."""

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.declarations.asset import Table
from pipelines.execution.context import Context, TaskError
from pipelines.sources.files import SourceError
from pipelines.tasks.data.ingest import ingest
from tests.pipelines.flight_files import write, write_all
from tests.pipelines.tasks.ingested_flights import FEBRUARY, FLIGHT_DELAY, JANUARY, MARCH, count_of, rows

BRONZE = "flight_delay_bronze."


def test_every_row_read_is_kept_or_quarantined_and_the_counts_are_printed(
    context: Context, said: list[str], files: Path
) -> None:
    """The quarantine has source, row and reasons."""
    broken_two = {"flight": "101", "origin": "BOS"}, {"flight": "102", "distance": "far"}
    write_all(files, {}, {"flight": "103"}, *broken_two)
    ingest(context, since=JANUARY, until=FEBRUARY, location=str(files))
    count = count_of(context, "schedule")
    assert (count["rows_read"], count["rows_kept"], count["rows_quarantined"]) == (4, 2, 2)
    assert "schedule: read 4 = kept 2 + quarantined 2; 2 new" in said
    broken = [row for row in rows(context, "quarantine") if row["source"] == "schedule"]
    assert [row["reasons"] for row in broken] == [
        "origin: 'BOS' is none of EWR, JFK, LGA", "distance: 'far' is not a finite number",
    ]  # fmt: skip
    assert json.loads(broken[0]["row"])["flight"] == "101"


def test_the_same_window_again_adds_nothing(context: Context, files: Path) -> None:
    """Neither to bronze nor to quarantine nor to the counts."""
    write_all(files, {}, {"flight": "101", "origin": "BOS"})
    for _ in range(2):
        result = ingest(context, since=JANUARY, until=FEBRUARY, location=str(files))
    assert result.rows == 0
    assert len(rows(context, BRONZE + "schedule")) == 1
    assert len([row for row in rows(context, "quarantine") if row["source"] == "schedule"]) == 1
    assert len([row for row in rows(context, "ingests") if row["source"] == "schedule"]) == 1


def test_an_overlapping_window_adds_only_new_rows(context: Context, files: Path) -> None:
    """The repeated row counts as kept."""
    write_all(files, {})
    ingest(context, since=JANUARY, until=FEBRUARY, location=str(files))
    write_all(files, {}, {"flight": "101"})
    ingest(context, since=dt.datetime(2013, 1, 5, tzinfo=dt.UTC), until=MARCH, location=str(files))
    count = count_of(context, "schedule")
    assert (count["rows_kept"], count["rows_new"]) == (2, 1)
    assert len(rows(context, BRONZE + "schedule")) == 2


def test_a_row_that_contradicts_an_earlier_one_is_quarantined(context: Context, files: Path) -> None:
    """The earlier row stays."""
    write_all(files, {}, {"flight": "101"})
    ingest(context, since=JANUARY, until=FEBRUARY, location=str(files))
    write_all(files, {"distance": "999"}, {"flight": "101"})
    ingest(context, since=dt.datetime(2013, 1, 5, tzinfo=dt.UTC), until=MARCH, location=str(files))
    assert rows(context, BRONZE + "schedule")[0]["distance"] == 719
    broken = next(r for r in rows(context, "quarantine") if r["source"] == "schedule")
    assert "contradicts the row" in broken["reasons"]


def test_an_empty_batch_is_recorded(context: Context, files: Path) -> None:
    """With 0 rows read and no earliest event."""
    write_all(files)
    ingest(context, since=JANUARY, until=FEBRUARY, location=str(files))
    count = count_of(context, "schedule")
    assert (count["rows_read"], count["earliest_event"]) == (0, None)


def test_without_since_a_window_begins_where_the_last_one_ended(context: Context, files: Path) -> None:
    """The first window begins before any event."""
    write_all(files, {}, {"flight": "101", "month": "2", "time_hour": "2013-02-10T14:00:00Z"})
    ingest(context, since=None, until=FEBRUARY, location=str(files))
    ingest(context, since=None, until=MARCH, location=str(files))
    counts = sorted((r for r in rows(context, "ingests") if r["source"] == "schedule"), key=lambda row: row["until"])
    assert [(row["since"].year, row["rows_new"]) for row in counts] == [(1900, 1), (2013, 1)]
    assert counts[1]["since"] == counts[0]["until"]


def test_a_window_that_ends_before_it_begins_is_refused(context: Context) -> None:
    """The error says what to give."""
    with pytest.raises(TaskError, match="is empty: give a since before its until"):
        ingest(context, since=MARCH, until=FEBRUARY, location="")


@pytest.mark.parametrize("damage", ["header", "corrupt", "gone"])
def test_a_delivery_that_cannot_be_read_writes_nothing_of_any_feed(context: Context, files: Path, damage: str) -> None:
    """The weather file is broken and read after the flights: no table is written."""
    write_all(files, {})
    weather = files / "weather.csv"
    if damage == "header":
        weather.write_text(weather.read_text().replace("humid", "humidity"))
    elif damage == "corrupt":
        weather.write_text(weather.read_text() + "EWR,2013\n")
    else:
        weather.unlink()
    with pytest.raises(SourceError, match=r"weather\.csv"):
        ingest(context, since=JANUARY, until=FEBRUARY, location=str(files))
    assert [table.address for table in FLIGHT_DELAY.tables if context.lakehouse.tables.version(table)] == []


def test_the_run_after_a_crash_completes_the_batch(
    context: Context, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The crash came after the first write and the next run ends later: no row is lost or added twice."""
    write_all(files, {}, {"flight": "101", "month": "2", "time_hour": "2013-02-10T14:00:00Z"})
    append = context.lakehouse.tables.append_once

    def crash(table: Table, *args: Any, **kwargs: Any) -> Any:
        if table.name == "ingests":
            raise OSError("the machine went away")
        return append(table, *args, **kwargs)

    monkeypatch.setattr(context.lakehouse.tables, "append_once", crash)
    with pytest.raises(OSError, match="went away"):
        ingest(context, since=None, until=FEBRUARY, location=str(files))
    monkeypatch.undo()
    ingest(context, since=None, until=MARCH, location=str(files))
    assert sorted(row["flight"] for row in rows(context, BRONZE + "schedule")) == [100, 101]


def test_the_weather_of_a_delivery_without_flights_is_kept(context: Context, files: Path) -> None:
    """Feeds do not wait for each other."""
    write_all(files)
    write(files, "weather.csv", {}, {"wind_speed": "1048.4", "time_hour": "2013-01-10T15:00:00Z"})
    ingest(context, since=JANUARY, until=FEBRUARY, location=str(files))
    assert len(rows(context, BRONZE + "weather")) == 1
    assert "wind_speed: 1048.4 is above 200" in rows(context, "quarantine")[0]["reasons"]


def test_a_delivery_that_is_mostly_quarantined_fails_after_every_feed_is_written(context: Context, files: Path) -> None:
    """The sentence has the share and the commonest reasons, each with an example; the weather, read last, is written too."""
    write_all(files, {}, {"flight": "101", "origin": "BOS"}, {"flight": "102", "origin": "BOS", "distance": "far"})
    with pytest.raises(TaskError) as alarm:
        ingest(context, since=JANUARY, until=FEBRUARY, location=str(files))
    assert "source schedule: 2 of 3 rows (67%) are quarantined" in str(alarm.value)
    assert "most often: 2 rows like (origin: 'BOS' is none of EWR, JFK, LGA); 1 rows like (distance" in str(alarm.value)
    assert len(rows(context, BRONZE + "schedule")) == 1
    assert len([row for row in rows(context, "quarantine") if row["source"] == "schedule"]) == 2
    assert len(rows(context, BRONZE + "weather")) == 1


@pytest.mark.parametrize("since", [JANUARY, None])
def test_a_repeat_of_a_window_that_raised_an_alarm_raises_it_again_and_writes_nothing(
    context: Context, files: Path, since: dt.datetime | None
) -> None:
    """A scheduler that repeats the failed task does not make it succeed; a corrected file does."""
    write_all(files, {"distance": "far"}, {"flight": "101", "distance": "far"}, {"flight": "102"})
    for _ in range(3):
        with pytest.raises(TaskError, match="source schedule: 2 of 3 rows"):
            ingest(context, since=since, until=FEBRUARY, location=str(files))
    assert len([row for row in rows(context, "quarantine") if row["source"] == "schedule"]) == 2
    write_all(files, {}, {"flight": "101"}, {"flight": "102"})
    later = replace(context, now=context.now + dt.timedelta(hours=1))
    assert ingest(later, since=JANUARY, until=FEBRUARY, location=str(files)).rows == 2
    assert ingest(later, since=since, until=FEBRUARY, location=str(files)).rows == 0


POISON = {
    "sched_arr_time": "1e18", "arr_delay": "inf", "minute": "1e-10", "time_hour": "9999-12-31T00:00:00Z", "hour": "1e18",
    "distance": "1e400", "flight": "9" * 40, "dest": "\x00", "carrier": "\ufffd",
}  # fmt: skip


def test_one_poisoned_value_is_one_quarantined_row_and_all_others_are_kept(context: Context, files: Path) -> None:
    """Whatever column of a flight it stands in, and however the reader computes with it."""
    poisoned = [{"flight": str(200 + n), name: value} for n, (name, value) in enumerate(POISON.items())]
    write_all(files, *({"flight": str(n)} for n in range(100, 120)), *poisoned)
    write(files, "planes.csv", {}, {"tailnum": "N101", "year": "inf"}, {"tailnum": "N102"})
    ingest(context, since=dt.datetime(1900, 1, 1, tzinfo=dt.UTC), until=FEBRUARY, location=str(files))
    count = count_of(context, "schedule")
    assert (count["rows_read"], count["rows_kept"]) == (
        29,
        22,
    )  # a delay is no part of it, and any text may name an airport
    reasons = {row["reasons"] for row in rows(context, "quarantine")}
    for name in ("sched_arr_time: '1e18'", "minute: '1e-10'", "time_hour: '9999-12-31T00:00:00Z'", "year: 'inf'"):
        assert any(name in reason for reason in reasons), name
    assert count_of(context, "aircraft")["rows_kept"] == 2
