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
from pipelines.tasks.stream_lag import note_lag
from pipelines.tasks.stream_progress import progress_of
from pipelines.tasks.streaming import stream
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
