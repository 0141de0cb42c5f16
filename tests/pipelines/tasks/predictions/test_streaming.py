"""A stream scores each request once, as batch would, however it comes and whatever became of the table meanwhile."""

import datetime as dt
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from pipelines.api import StreamingPolicy
from pipelines.execution.context import Context
from pipelines.execution.jobs import held_for_run
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.lakehouse.tables.arrow import records
from pipelines.tasks.predictions.stream_lag import note_lag
from pipelines.tasks.predictions.stream_progress import progress_of
from pipelines.tasks.predictions.streaming import stream
from tests.pipelines.tasks.ingested_flights import FLIGHT_DELAY, MARCH, rows
from tests.pipelines.tasks.mutants import registered, trained, training_flights

STREAMED = replace(FLIGHT_DELAY, streaming=StreamingPolicy())
SCHEDULE = STREAMED.spine.table
COLUMNS = {column.name for column in SCHEDULE.columns}


def day(number: int, hour: int = 12) -> dt.datetime:
    """An instant of January."""
    return dt.datetime(2013, 1, number, hour, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def fitted() -> tuple[Any, Any]:
    """A model and the rows that it was trained on."""
    seen = training_flights(400)
    return trained(seen, "logistic_regression"), seen


def with_champion(lakehouse: Lakehouse, fitted: Any, said: list[str]) -> Context:
    """A context with a champion that was trained on rows until the 3rd of January."""
    version = registered(lakehouse, *fitted, estimator="logistic_regression")
    lakehouse.models.set_tags(version, {"trained_until": day(3).isoformat()})
    lakehouse.models.set_alias(version, CHAMPION)
    return Context(lakehouse=lakehouse, use_case=STREAMED, run_id="r1", now=MARCH, say=said.append)


@pytest.fixture
def said() -> list[str]:
    """The lines that the task prints."""
    return []


@pytest.fixture
def streamed(tmp_path: Path, fitted: Any, said: list[str]) -> Iterator[Context]:
    """A champion on the embedded engine; its run holds the lock of the job."""
    with open_lakehouse("dev", root=tmp_path / "lakehouse") as lakehouse:
        context = with_champion(lakehouse, fitted, said)
        with held_for_run(context, STREAMED.job("stream")):
            yield context


def request(context: Context, key: str, *due: dt.datetime, day_of: int = 1) -> None:
    """Deliver a request, moved as often as there are further instants."""
    flight = {
        "departure_hour": 9, "departure_weekday": 4, "scheduled_departure_at": day(day_of), "carrier": "UA", "flight": 1,
        "tailnum": "N1", "origin": "EWR", "destination": "ORD", "distance": 719.0, "scheduled_minutes": 120.0,
    }  # fmt: skip
    made = [{**{k: v for k, v in flight.items() if k in COLUMNS}, "flight_id": key, "prediction_at": at} for at in due]
    context.lakehouse.tables.append_once(SCHEDULE, records(SCHEDULE, made), batch_id=f"{key} {due}")


def streams(context: Context, until: dt.datetime) -> int:
    """How many predictions an increment has made."""
    return stream(context, until=until, alias=CHAMPION, trigger="available_now").rows or 0


def predicted(context: Context) -> dict[str, dict[str, Any]]:
    """The predictions by request; each request has one."""
    found = rows(context, "predictions")
    assert len({row["request_key"] for row in found}) == len(found)
    return {row["request_key"]: row for row in found}


def through_life(context: Context) -> None:
    """Let requests come early, late, moved and not yet due."""
    request(context, "first", day(5))
    request(context, "not due", day(20))
    assert streams(context, day(6)) == 1
    request(context, "late", day(4))
    request(context, "moved", day(7), day(8))
    assert streams(context, day(9)) == 1  # what fell due before the first prediction is left to a run that names it
    assert streams(context, day(9)) == 0
    assert streams(context, day(21)) == 1
    request(context, "very late", day(15))
    assert streams(context, day(22)) == 1
    assert set(predicted(context)) == {"first", "moved", "not due", "very late"}
    assert predicted(context)["moved"]["prediction_at"].day == 8


def test_each_request_is_scored_once_when_it_has_come_and_is_due(streamed: Context) -> None:
    """Also late, moved, or long after it came; an increment without anything new writes nothing."""
    through_life(streamed)


@pytest.mark.jvm
@pytest.mark.proof
def test_structured_streaming_does_the_same_from_its_checkpoint(
    jvm_spark: Any, tmp_path: Path, fitted: Any, said: list[str]
) -> None:
    """The function of the micro-batches runs in a process of the server, and passes the fence of the lock there."""
    assert jvm_spark is not None
    with open_lakehouse("dev", engine="spark", root=tmp_path / "lakehouse") as lakehouse:
        context = with_champion(lakehouse, fitted, said)
        with held_for_run(context, STREAMED.job("stream")):
            through_life(context)


def log(context: Context) -> Path:
    """The folder of the table of requests on the embedded engine."""
    folder = context.lakehouse.folder
    assert folder is not None
    return folder / "tables" / SCHEDULE.schema / SCHEDULE.name


def test_a_compaction_brings_nothing_and_what_maintenance_removed_is_looked_for_everywhere(
    streamed: Context, said: list[str]
) -> None:
    """A request that came meanwhile is scored in either case, and none twice."""
    request(streamed, "first", day(5))
    streams(streamed, day(6))
    request(streamed, "second", day(5, 20))
    DeltaTable(str(log(streamed))).optimize.compact()
    tables = streamed.lakehouse.tables
    kept = progress_of(streamed, CHAMPION)
    assert kept is not None
    newest = tables.version(SCHEDULE) or 0
    assert tables.added(SCHEDULE, after=newest - 1, upto=newest, columns=("flight_id",)).num_rows == 0
    assert streams(streamed, day(7)) == 1
    request(streamed, "third", day(6, 20))
    DeltaTable(str(log(streamed))).optimize.compact()
    for commit in (newest, newest + 1):
        DeltaTable(str(log(streamed)), version=newest + 2).create_checkpoint()
        (log(streamed) / "_delta_log" / f"{commit:020d}.json").unlink()
    (log(streamed) / "_delta_log" / "_last_checkpoint").unlink(missing_ok=True)
    assert streams(streamed, day(8)) == 1
    assert "is not known (the log has version" in " ".join(said)
    assert set(predicted(streamed)) == {"first", "second", "third"}


def forget_opened(streamed: Context) -> None:
    """Open the tables again, as the next process does: their logs were exchanged under them."""
    streamed.lakehouse.tables._store._store._opened.clear()  # type: ignore[attr-defined]  # of the embedded engine alone


def test_a_table_that_was_put_back_is_looked_through_again(streamed: Context, said: list[str], tmp_path: Path) -> None:
    """With fewer versions, or with others under the same numbers."""
    request(streamed, "first", day(5))
    shutil.copytree(log(streamed), tmp_path / "copy")
    request(streamed, "second", day(5, 20))
    assert streams(streamed, day(6)) == 2
    shutil.rmtree(log(streamed))
    shutil.copytree(tmp_path / "copy", log(streamed))
    forget_opened(streamed)
    request(streamed, "third", day(5, 21))
    assert streams(streamed, day(7)) == 1
    assert "is another commit than the stream has read: it was restored" in " ".join(said)
    assert set(predicted(streamed)) == {"first", "second", "third"}
    shutil.rmtree(log(streamed))
    shutil.copytree(tmp_path / "copy", log(streamed))
    forget_opened(streamed)
    assert streams(streamed, day(8)) == 0
    assert "and the stream has read version" in said[-2]


class Clock:
    """Time that passes only by waiting; what happens then is done before the next increment."""

    def __init__(self, *happens: Callable[[], None]) -> None:
        self.now, self._happens = day(5), list(happens)

    def __call__(self) -> dt.datetime:
        """The present."""
        return self.now

    def wait(self, seconds: float) -> None:
        """Let time pass; after everything has happened, a signal ends the stream."""
        assert seconds == STREAMED.streaming.interval_seconds if STREAMED.streaming else False
        if not self._happens:
            raise KeyboardInterrupt
        self.now += dt.timedelta(hours=1)
        self._happens.pop(0)()


def test_a_continuous_stream_follows_the_alias_until_a_signal_ends_it(streamed: Context, fitted: Any) -> None:
    """What it had written stays; the next increment of the same process has the new champion."""
    models = streamed.lakehouse.models
    first = models.by_alias(STREAMED.model, CHAMPION)
    other = registered(streamed.lakehouse, *fitted, estimator="logistic_regression")

    def promoted() -> None:
        models.set_alias(other, CHAMPION)
        request(streamed, "later", day(5))

    clock = Clock(lambda: request(streamed, "sooner", day(5)), promoted)
    with pytest.raises(KeyboardInterrupt):
        stream(streamed, until=None, alias=CHAMPION, trigger="continuous", clock=clock, wait=clock.wait)
    versions = {key: row["model_version"] for key, row in predicted(streamed).items()}
    assert versions == {"sooner": first.number, "later": other.number}


def test_a_stream_that_lags_is_a_finding_that_says_how_far(streamed: Context, said: list[str]) -> None:
    """Which table, how many requests, how long; a later decision of monitoring leaves it."""
    request(streamed, "first", day(5))
    streams(streamed, day(6))
    request(streamed, "waits", day(6, 1))
    assert note_lag(streamed, CHAMPION, day(6, 1) + dt.timedelta(minutes=30)).requests == 1
    assert rows(streamed, "findings") == []
    assert note_lag(streamed, CHAMPION, day(6, 2)).seconds(day(6, 2)) == 3600
    (found,) = rows(streamed, "findings")
    assert (found["kind"], found["value"], found["threshold"]) == ("stream_lags", 60.0, 30.0)
    assert "the stream of flight_delay_bronze.schedule lags: 1 requests are due" in said[-1]
    streams(streamed, day(6, 2))
    assert note_lag(streamed, CHAMPION, day(7)).requests == 0


def test_without_a_champion_a_stream_waits_and_keeps_no_progress(tmp_path: Path, said: list[str]) -> None:
    """What has come is scored by the first one."""
    with open_lakehouse("dev", root=tmp_path / "lakehouse") as lakehouse:
        context = Context(lakehouse=lakehouse, use_case=STREAMED, run_id="r1", now=MARCH, say=said.append)
        request(context, "first", day(5))
        assert streams(context, day(6)) == 0
        assert progress_of(context, CHAMPION) is None
        assert "no champion" in said[-1]
