"""Ingest: what is delivered is kept once or quarantined with its reasons; counts add up; nothing is written by half."""

import datetime as dt
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame

from pipelines.declarations.asset import Table
from pipelines.declarations.registry import use_case
from pipelines.execution.context import Context, TaskError, TaskResult
from pipelines.lakehouse.lakehouse import open_lakehouse
from pipelines.sources.files import SourceError
from pipelines.tasks import features
from pipelines.tasks.features import build_features
from pipelines.tasks.ingest import ingest
from pipelines.tasks.labels import build_labels
from tests.pipelines.flight_files import write, write_all

FLIGHT_DELAY = use_case("flight_delay")
JANUARY, FEBRUARY, MARCH = (dt.datetime(2013, month, 1, tzinfo=dt.UTC) for month in (1, 2, 3))
BRONZE = "flight_delay_bronze."


@pytest.fixture
def said() -> list[str]:
    """The lines that the tasks print."""
    return []


@pytest.fixture
def context(tmp_path: Path, said: list[str]) -> Iterator[Context]:
    """A context in an empty environment, whose lines are kept."""
    with open_lakehouse("dev", root=tmp_path / "lakehouse") as lakehouse:
        yield Context(lakehouse=lakehouse, use_case=FLIGHT_DELAY, run_id="r1", now=MARCH, say=said.append)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder for deliveries."""
    folder = tmp_path / "files"
    folder.mkdir()
    return folder


def rows(context: Context, name: str) -> list[dict[str, Any]]:
    """The rows of a table."""
    return context.lakehouse.tables.read(context.use_case.table(name)).toArrow().to_pylist()


def count_of(context: Context, source: str) -> dict[str, Any]:
    """The newest count of a source's batches."""
    return max((row for row in rows(context, "ingests") if row["source"] == source), key=lambda row: row["until"])


def test_what_was_read_is_kept_or_quarantined_and_the_counts_are_printed(
    context: Context, said: list[str], files: Path
) -> None:
    """The quarantine names source, row and reasons."""
    write_all(files, {}, {"flight": "101", "origin": "BOS"}, {"flight": "102", "distance": "far"})
    ingest(context, since=JANUARY, until=FEBRUARY, location=str(files))
    count = count_of(context, "schedule")
    assert (count["rows_read"], count["rows_kept"], count["rows_quarantined"]) == (3, 1, 2)
    assert "schedule: read 3 = kept 1 + quarantined 2; 1 new" in said
    broken = [row for row in rows(context, "quarantine") if row["source"] == "schedule"]
    assert [row["reasons"] for row in broken] == [
        "origin: 'BOS' is none of EWR, JFK, LGA", "distance: 'far' is not a finite number",
    ]  # fmt: skip
    assert json.loads(broken[0]["row"])["flight"] == "101"


def test_the_same_window_again_adds_nothing(context: Context, files: Path) -> None:
    """Not in bronze, not in quarantine, not in the counts."""
    write_all(files, {}, {"flight": "101", "origin": "BOS"})
    for _ in range(2):
        result = ingest(context, since=JANUARY, until=FEBRUARY, location=str(files))
    assert result.rows == 0
    assert len(rows(context, BRONZE + "schedule")) == 1
    assert len([row for row in rows(context, "quarantine") if row["source"] == "schedule"]) == 1
    assert len([row for row in rows(context, "ingests") if row["source"] == "schedule"]) == 1


def test_an_overlapping_window_brings_only_what_is_new(context: Context, files: Path) -> None:
    """The repeated row counts as kept."""
    write_all(files, {})
    ingest(context, since=JANUARY, until=FEBRUARY, location=str(files))
    write_all(files, {}, {"flight": "101"})
    ingest(context, since=dt.datetime(2013, 1, 5, tzinfo=dt.UTC), until=MARCH, location=str(files))
    count = count_of(context, "schedule")
    assert (count["rows_kept"], count["rows_new"]) == (2, 1)
    assert len(rows(context, BRONZE + "schedule")) == 2


def test_a_row_that_contradicts_an_earlier_one_is_quarantined(context: Context, files: Path) -> None:
    """What was kept first stays."""
    write_all(files, {})
    ingest(context, since=JANUARY, until=FEBRUARY, location=str(files))
    write_all(files, {"distance": "999"})
    ingest(context, since=dt.datetime(2013, 1, 5, tzinfo=dt.UTC), until=MARCH, location=str(files))
    assert rows(context, BRONZE + "schedule")[0]["distance"] == 719
    broken = next(r for r in rows(context, "quarantine") if r["source"] == "schedule")
    assert "contradicts the row" in broken["reasons"]


def test_an_empty_batch_is_recorded(context: Context, files: Path) -> None:
    """No rows were read, and that is known."""
    write_all(files)
    ingest(context, since=JANUARY, until=FEBRUARY, location=str(files))
    count = count_of(context, "schedule")
    assert (count["rows_read"], count["earliest_event"]) == (0, None)


def test_without_since_a_window_begins_where_the_last_one_ended(context: Context, files: Path) -> None:
    """And at the beginning of time when there was none."""
    write_all(files, {}, {"flight": "101", "month": "2", "time_hour": "2013-02-10T14:00:00Z"})
    ingest(context, since=None, until=FEBRUARY, location=str(files))
    ingest(context, since=None, until=MARCH, location=str(files))
    counts = sorted((r for r in rows(context, "ingests") if r["source"] == "schedule"), key=lambda row: row["until"])
    assert [(row["since"].year, row["rows_new"]) for row in counts] == [(1900, 1), (2013, 1)]
    assert counts[1]["since"] == counts[0]["until"]


def test_a_window_that_ends_before_it_begins_is_refused(context: Context) -> None:
    """With the remedy."""
    with pytest.raises(TaskError, match="is empty: give a since before its until"):
        ingest(context, since=MARCH, until=FEBRUARY, location="")


@pytest.mark.parametrize("damage", ["header", "corrupt", "gone"])
def test_a_delivery_that_cannot_be_read_writes_nothing_of_any_feed(context: Context, files: Path, damage: str) -> None:
    """The weather is read after the flights: none of them is kept either."""
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


def test_a_crash_after_the_first_write_is_mended_by_the_next_run(
    context: Context, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the next run ends later: no row is lost, none is there twice."""
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


def refresh(context: Context, files: Path, until: dt.datetime, *flights: dict[str, str]) -> TaskResult:
    """Ingest flights up to an instant and bring the feature tables up to date."""
    write_all(files, *flights)
    ingest(replace(context, run_id=str(until)), since=None, until=until, location=str(files))
    build_labels(context)
    return build_features(context)


def landing(flight: int, day: int, delay: str = "0", **more: str) -> dict[str, str]:
    """A flight that landed on a day of January with a delay."""
    at = f"2013-01-{day:02d}T14:00:00Z"
    return {"flight": str(flight), "day": str(day), "time_hour": at, "arr_delay": delay, **more}


def history(context: Context) -> dict[int, dict[str, Any]]:
    """The history of the carrier, by day of landing."""
    return {row["known_at"].day: row for row in rows(context, "carrier_history")}


def test_histories_are_built_from_what_has_landed_and_forget_after_their_window(context: Context, files: Path) -> None:
    """One day and 28 days; cancelled flights do not count."""
    flights = [landing(1, 2, "20"), landing(2, 3, "0"), landing(3, 3, "NA", dep_time="NA"), landing(4, 4, "40")]
    refresh(context, files, FEBRUARY, *flights)
    found = history(context)
    assert sorted(found) == [2, 3, 4]
    assert (found[3]["flights_28d"], found[3]["late_rate_28d"], found[3]["mean_delay_28d"]) == (2, 0.5, 10.0)
    assert (found[4]["flights_28d"], found[4]["mean_delay_28d"]) == (3, 20.0)
    assert found[3]["flights_1d"] == 2  # landed on the 2nd at 18:20 and on the 3rd at 18:00: within a day
    assert found[4]["flights_1d"] == 1  # 24 hours and 40 minutes after the one before


def test_refreshing_in_two_batches_gives_what_one_batch_gives(context: Context, files: Path, tmp_path: Path) -> None:
    """The memory of the table reaches back over the batches' border."""
    flights = [landing(n, 1 + n % 28, str(7 * n % 50)) for n in range(40)]
    middle = dt.datetime(2013, 1, 15, tzinfo=dt.UTC)
    refresh(context, files, middle, *flights)
    refresh(context, files, FEBRUARY, *flights)
    with open_lakehouse("staging", root=tmp_path / "other") as other:
        whole = replace(context, lakehouse=other)
        refresh(whole, files, FEBRUARY, *flights)
        for table in ("carrier_history", "route_history", "airport_hour_history", "tail_history", "labels"):
            key = FLIGHT_DELAY.table(table).row_key
            order = lambda row, key=key: tuple(row[name] for name in key)  # noqa: E731 - one use
            assert sorted(rows(context, table), key=order) == sorted(rows(whole, table), key=order)


def test_a_late_batch_mends_the_histories_it_touches(context: Context, files: Path) -> None:
    """A landing that is delivered after later ones counts in all of them."""
    refresh(context, files, FEBRUARY, landing(1, 2, "0"), landing(3, 20, "0"))
    write_all(files, landing(1, 2, "0"), landing(2, 10, "30"), landing(3, 20, "0"))
    ingest(replace(context, run_id="late"), since=JANUARY, until=MARCH, location=str(files))
    build_features(context)
    found = history(context)
    assert found[10]["flights_28d"] == 2
    assert (found[20]["flights_28d"], found[20]["mean_delay_28d"]) == (3, 10.0)


def test_a_refresh_without_news_writes_nothing(context: Context, files: Path) -> None:
    """The versions of the tables stay."""
    refresh(context, files, FEBRUARY, landing(1, 2))
    table = FLIGHT_DELAY.table("carrier_history")
    before = context.lakehouse.tables.version(table)
    assert build_features(context).rows == 0
    assert context.lakehouse.tables.version(table) == before


def test_the_cost_of_a_refresh_follows_the_new_rows(
    context: Context, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the table: the builder is given the memory's days and the new rows, no more."""
    days = [landing(day, day) for day in range(1, 29)]
    march = {"month": "3", "time_hour": "2013-03-20T14:00:00Z", "day": "20", "flight": "900"}
    refresh(context, files, FEBRUARY, *days)
    seen: list[tuple[str, int]] = []
    load = features.load

    def counting(entry: str) -> Callable[[DataFrame], DataFrame]:
        return lambda frame: seen.append((entry.rpartition(":")[2], frame.count())) or load(entry)(frame)

    monkeypatch.setattr(features, "load", counting)
    refresh(context, files, dt.datetime(2013, 4, 1, tzinfo=dt.UTC), *days, march)
    assert dict(seen)["carrier_history"] == 1  # January lies more than 28 days back


def test_labels_are_late_arrivals_and_missing_for_flights_that_never_came(context: Context, files: Path) -> None:
    """More than 15 minutes is late; 15 are not."""
    flights = [landing(1, 2, "15"), landing(2, 3, "16"), landing(3, 4, "NA"), landing(4, 5, "NA", dep_time="NA")]
    refresh(context, files, FEBRUARY, *flights)
    found = {row["request_key"][-1]: (row["outcome"], row["label"]) for row in rows(context, "labels")}
    assert found == {"1": ("landed", 0.0), "2": ("landed", 1.0), "3": ("diverted", None), "4": ("cancelled", None)}


def test_a_report_that_is_not_filed_yet_gives_no_label(context: Context, files: Path) -> None:
    """Labels arrive three days after the flight."""
    refresh(context, files, dt.datetime(2013, 1, 5, tzinfo=dt.UTC), landing(1, 2), landing(2, 1))
    assert [row["request_key"][-1] for row in rows(context, "labels")] == ["2"]


def test_the_weather_of_a_delivery_without_flights_is_kept(context: Context, files: Path) -> None:
    """Feeds do not wait for each other."""
    write_all(files)
    write(files, "weather.csv", {}, {"wind_speed": "1048.4", "time_hour": "2013-01-10T15:00:00Z"})
    ingest(context, since=JANUARY, until=FEBRUARY, location=str(files))
    assert len(rows(context, BRONZE + "weather")) == 1
    assert "wind_speed: 1048.4 is above 200" in rows(context, "quarantine")[0]["reasons"]
