"""The monitoring job reports on the next day what changed suddenly, and says nothing about days like those before.

The feed is generated: a month that the champion was trained on, then five weeks whose days differ as those of the month
do. On the fourth of April a unit and a category change, and the weather and the labels stop.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.declarations.asset import Table
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.lakehouse.tables.arrow import records
from pipelines.tasks.monitoring.daily_alarm import alarm
from pipelines.tasks.monitoring.drift import detect_drift
from pipelines.tasks.monitoring.retraining import decide
from tests.pipelines.tasks.mutants import (
    FLIGHT_DELAY,
    SPLIT,
    TRAINING_DAYS,
    context_of,
    flights,
    registered,
    store_training_set,
    trained,
    training_flights,
)
from tests.pipelines.use_case_runs import rows_of, run_job

CHANGED = dt.datetime(2013, 4, 4, tzinfo=dt.UTC)
AT_SIX = dt.timedelta(hours=6)
BEGINNING = SPLIT - dt.timedelta(days=TRAINING_DAYS)
END = CHANGED + dt.timedelta(days=3)
A_DAY = 120
PER_HOUR = {"schedule": 6, "reports": 5, "weather": 3}
Found = list[dict[str, Any]]
"""Rows of the findings table."""


def differing(rows: pd.DataFrame) -> pd.DataFrame:
    """The flights with wind and visibility that differ from day to day, and at weekends."""
    day = rows["prediction_at"].dt.floor("D")
    random = np.random.default_rng(4)
    gusts = pd.Series(random.normal(0, 0.4, 400), index=pd.date_range(BEGINNING, periods=400, freq="D"))
    wind = 10 + 2 * rows["wind_speed"] + 4 * day.map(gusts) + 3 * (day.dt.weekday > 4)
    return rows.assign(wind_speed=wind, aircraft_seats=rows["aircraft_seats"].round())


def scored_rows(version: int) -> pd.DataFrame:
    """Every flight that was scored: from the fourth of April on wind is in another unit and a carrier is new."""
    days = (END - SPLIT).days
    rows = differing(flights("training", A_DAY * days, first=SPLIT, days=days, seed=11, prefix="live-"))
    since = rows["prediction_at"] >= CHANGED
    new = since & (np.arange(len(rows)) % 10 < 3)
    rows["wind_speed"] = rows["wind_speed"].where(~since, rows["wind_speed"] * 60)
    rows["carrier"] = rows["carrier"].where(~new, "ZZ")
    made = {
        "alias": CHAMPION, "model_version": version, "scored_at": END, "batch_id": "b", "features_version": "{}",
        "score": 1 / (1 + np.exp(-rows["carrier_late_rate_1d"])), "hindsight": False,
    }  # fmt: skip
    return rows.assign(**made)[[column.name for column in FLIGHT_DELAY.table("predictions").columns]]


def delivered(table: Table, per_hour: int, until: dt.datetime) -> Iterator[dict[str, Any]]:
    """Rows of a table at equal distances, from six to midnight of every day."""
    values = {"string": "x", "double": 1.0, "int": 1, "bigint": 1, "date": BEGINNING.date()}
    for hour in range(int((until - BEGINNING) / dt.timedelta(hours=1))):
        at = BEGINNING + dt.timedelta(hours=hour)
        for i in range(per_hour if at.hour >= 6 else 0):
            instant = at + dt.timedelta(minutes=60 * i / per_hour)
            row = {
                column.name: instant if column.type == "timestamp" else values[column.type] for column in table.columns
            }
            yield {**row, table.primary_key[0]: f"{instant.isoformat()}"}


def counts(read_until: Mapping[str, dt.datetime]) -> list[dict[str, Any]]:
    """What ingesting says: how far each source was read."""
    return [
        {
            "source": source, "batch_id": f"{source}/{until}", "since": BEGINNING, "until": until, "rows_read": 1, "rows_kept": 1,
            "rows_quarantined": 0, "rows_new": 1, "ingested_at": until,
        }
        for source, until in read_until.items()
    ]  # fmt: skip


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lakehouse]:
    """An environment with a champion, what it scored, and what the sources delivered."""
    with open_lakehouse("dev", root=tmp_path_factory.mktemp("alarm")) as lakehouse:
        seen = differing(training_flights(A_DAY * TRAINING_DAYS))
        store_training_set(lakehouse, "run", seen)
        version = registered(lakehouse, trained(seen, "logistic_regression"), seen, estimator="logistic_regression")
        lakehouse.models.set_alias(version, CHAMPION)
        tables = lakehouse.tables
        tables.append_once(FLIGHT_DELAY.table("predictions"), scored_rows(version.number), batch_id="b")
        stops = {"weather": CHANGED + dt.timedelta(hours=9)}
        sources = {source.name: source for source in FLIGHT_DELAY.sources if source.name in PER_HOUR}
        for name, source in sources.items():
            rows = delivered(source.table, PER_HOUR[name], stops.get(name, END))
            tables.append_once(source.table, records(source.table, rows), batch_id=name)
        labels = FLIGHT_DELAY.labels.table
        tables.append_once(
            labels, records(labels, delivered(labels, 5, CHANGED + dt.timedelta(hours=8))), batch_id="labels"
        )
        ingests = FLIGHT_DELAY.table("ingests")
        tables.append_once(ingests, records(ingests, counts(dict.fromkeys(sources, END))), batch_id="ingests")
        yield lakehouse


def monitored(lakehouse: Lakehouse, until: dt.datetime, **options: Any) -> Found:
    """Run the monitoring job at an instant and return what the daily alarm had not said before."""
    before = len(of_days(lakehouse))
    done = run_job(lakehouse, FLIGHT_DELAY, "monitoring", {"until": until.isoformat()}, **options)
    assert done.succeeded, [attempt.error for attempt in done.attempts]
    return of_days(lakehouse)[before:]


def of_days(lakehouse: Lakehouse) -> Found:
    """The findings of the daily alarm, the oldest first."""
    found = [row for row in rows_of(lakehouse, FLIGHT_DELAY, "findings") if row["kind"] in KINDS]
    return sorted(found, key=lambda row: (row["window_start"], row["kind"], row["column_name"]))


KINDS = ("sudden_change", "source_stopped", "source_volume", "labels_stopped")
ALARM = {"only": ["alarm"]}


@pytest.fixture(scope="module")
def days(feed: Lakehouse) -> dict[str, Found]:
    """What was said on three mornings: before the change, after its first day, and after its second."""
    return {
        "before": monitored(feed, CHANGED + AT_SIX, **ALARM),
        "next day": monitored(feed, CHANGED + AT_SIX + dt.timedelta(days=1), skip=["estimate", "retrain", "measure"]),
        "after two": monitored(feed, CHANGED + AT_SIX + dt.timedelta(days=2), **ALARM),
    }


def test_nothing_is_said_about_five_weeks_like_those_of_the_training(days: dict[str, Found]) -> None:
    """Days differ, and weekends do, in the reference as well."""
    assert days["before"] == []


def test_a_unit_that_changed_is_reported_on_the_next_day_with_both_medians(days: dict[str, Found]) -> None:
    """The column, the quantile, from where to where, how many times, in how many rows of which day."""
    (found,) = [row for row in days["next day"] if row["column_name"] == "wind_speed"]
    assert (found["kind"], found["window_start"].day) == ("sudden_change", 4)
    assert found["message"].startswith("wind_speed: median ")
    assert "-fold), values above" in found["message"]
    assert "in 100% of " in found["message"]
    assert "rows of 2013-04-04 (" in found["message"]


def test_a_new_category_is_reported_by_name(days: dict[str, Found]) -> None:
    """With its share of the day's rows."""
    (found,) = [row for row in days["next day"] if row["column_name"] == "carrier"]
    assert "carrier: new category ('ZZ' in " in found["message"]
    assert found["value"] == pytest.approx(0.3, abs=0.12)
    assert "(0% before, 0% to 0% on single days)" in found["message"]


def test_a_source_that_stopped_is_named_with_its_last_row_and_its_usual_gap(days: dict[str, Found]) -> None:
    """It was read until six of the next morning, so it is not the scoring job that has to be repaired."""
    (found,) = [row for row in days["next day"] if row["kind"] == "source_stopped"]
    assert found["statistic"] == "source weather"
    for said in (
        "source weather has stopped",
        "2013-04-04 08:40",
        "21 hours before",
        "6 hours (learned)",
        "not the scoring",
    ):
        assert said in found["message"]


def test_labels_that_stopped_are_reported_and_the_source_that_still_delivers_is_named(days: dict[str, Found]) -> None:
    """What they are made of arrives, so their builder is looked at."""
    (found,) = [row for row in days["next day"] if row["kind"] == "labels_stopped"]
    assert "no outcome becomes known any more" in found["message"]
    assert "source reports still delivers" in found["message"]


def test_nothing_else_is_said_and_the_decision_keeps_it(days: dict[str, Found], feed: Lakehouse) -> None:
    """Four findings, once; the next day repeats only what still stands still, and history has them too."""
    assert sorted(row["kind"] for row in days["next day"]) == [
        "labels_stopped", "source_stopped", "sudden_change", "sudden_change",
    ]  # fmt: skip
    assert {row["kind"] for row in days["after two"]} == {"labels_stopped", "source_stopped"}
    kept = [row for row in rows_of(feed, FLIGHT_DELAY, "findings_history") if row["kind"] in KINDS]
    assert not any(row["withdrawn"] for row in kept)
    assert len(kept) == len(of_days(feed))


def test_a_day_is_judged_once(days: dict[str, Found], feed: Lakehouse) -> None:
    """Every day that was scored has its row, with the champion that it was compared with."""
    judged = rows_of(feed, FLIGHT_DELAY, "alarm_days")
    assert len(judged) == (CHANGED - SPLIT).days + 2
    assert sum(row["alarms"] for row in judged) == 2
    assert alarm(context_of(feed, "again", now=CHANGED + AT_SIX), since=None, until=None).rows == 0
    assert days["before"] == []


def test_a_month_that_is_measured_again_keeps_what_was_measured_first(days: dict[str, Found], feed: Lakehouse) -> None:
    """The table has the newest comparison of April, its history both, each with the instant of its decision."""
    assert days["next day"]
    again = CHANGED + AT_SIX + dt.timedelta(days=2)
    for _ in range(2):
        detect_drift(context_of(feed, "again", now=again), since=None, until=None)
    april = {"column_name": "wind_speed", "drift_type": "BASELINE", "window_start": CHANGED.replace(day=1)}
    newest, history = (
        [row for row in rows_of(feed, FLIGHT_DELAY, name) if {key: row[key] for key in april} == april]
        for name in ("drift", "drift_history")
    )
    assert len(newest) == 1
    assert sorted(row["recorded_at"] for row in history) == [again - dt.timedelta(days=1), again]
    assert len({row["js_distance"] for row in history}) == 2


@pytest.mark.proof
@pytest.mark.parametrize(("length", "starts"), [("week", {1}), ("day", {1, 2, 3, 4, 5, 6})])
def test_windows_of_the_declared_length_are_profiled_and_judged(
    length: str, starts: set[int], days: dict[str, Found], feed: Lakehouse
) -> None:
    """Weeks begin on Monday; the decision is about windows of that length, and what the alarm said stays."""
    declared = replace(FLIGHT_DELAY, monitoring=replace(FLIGHT_DELAY.monitoring, window=length, minimum_rows=50))
    until = CHANGED.replace(day=8, hour=length == "day")  # one decision of an instant is kept
    context = context_of(feed, length, now=until, declared=declared)
    for task in (detect_drift, decide):
        task(context, since=until - dt.timedelta(days=7), until=until)
    profiled = [row for row in rows_of(feed, FLIGHT_DELAY, "profiles") if row["granularity"] == f"1 {length}"]
    assert {row["window_start"].day for row in profiled if row["window_start"].month == 4} == starts
    (decided,) = [row for row in rows_of(feed, FLIGHT_DELAY, "retrainings") if row["decided_at"] == until]
    assert decided["run_id"] == length
    assert len(of_days(feed)) == sum(map(len, days.values()))
