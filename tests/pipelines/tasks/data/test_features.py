"""Feature tables have the history as of each landing, however the deliveries were divided into batches."""

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import DataFrame

from pipelines.execution.context import Context
from pipelines.lakehouse.lakehouse import open_lakehouse
from pipelines.tasks.data import features
from pipelines.tasks.data.features import build_features
from pipelines.tasks.data.ingest import ingest
from tests.pipelines.flight_files import write_all
from tests.pipelines.tasks.ingested_flights import (
    FEBRUARY,
    FLIGHT_DELAY,
    JANUARY,
    MARCH,
    history,
    landing,
    refresh,
    rows,
)


def test_histories_count_landed_flights_within_their_window(context: Context, files: Path) -> None:
    """Windows of 1 day and of 28 days; a cancelled flight does not count."""
    flights = [landing(1, 2, "20"), landing(2, 3, "0"), landing(3, 3, "NA", dep_time="NA"), landing(4, 4, "40")]
    refresh(context, files, FEBRUARY, *flights)
    found = history(context)
    assert sorted(found) == [2, 3, 4]
    assert (found[3]["flights_28d"], found[3]["late_rate_28d"], found[3]["mean_delay_28d"]) == (2, 0.5, 10.0)
    assert (found[4]["flights_28d"], found[4]["mean_delay_28d"]) == (3, 20.0)
    assert found[3]["flights_1d"] == 2  # landed on the 2nd at 18:20 and on the 3rd at 18:00: within a day
    assert found[4]["flights_1d"] == 1  # 24 hours and 40 minutes after the one before


def test_two_batches_give_the_same_tables_as_one(context: Context, files: Path, tmp_path: Path) -> None:
    """A history looks back over the border between the batches."""
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


def test_a_late_batch_corrects_the_later_histories(context: Context, files: Path) -> None:
    """A landing that is delivered after later ones counts in all of them."""
    refresh(context, files, FEBRUARY, landing(1, 2, "0"), landing(3, 20, "0"))
    write_all(files, landing(1, 2, "0"), landing(2, 10, "30"), landing(3, 20, "0"))
    ingest(replace(context, run_id="late"), since=JANUARY, until=MARCH, location=str(files))
    build_features(context)
    found = history(context)
    assert found[10]["flights_28d"] == 2
    assert (found[20]["flights_28d"], found[20]["mean_delay_28d"]) == (3, 10.0)


def test_a_refresh_without_new_rows_writes_nothing(context: Context, files: Path) -> None:
    """The version of the table stays."""
    refresh(context, files, FEBRUARY, landing(1, 2))
    table = FLIGHT_DELAY.table("carrier_history")
    before = context.lakehouse.tables.version(table)
    assert build_features(context).rows == 0
    assert context.lakehouse.tables.version(table) == before


def test_a_refresh_reads_the_new_rows_and_the_days_of_its_window_only(
    context: Context, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The builder does not get rows from before the window, however long the table is."""
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
