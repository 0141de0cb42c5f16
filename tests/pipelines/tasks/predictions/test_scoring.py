"""Each request is scored once, however late it is delivered; a prediction made in hindsight enters no live metric."""

import datetime as dt
from typing import Any

import pytest

from ml.monitoring.findings import Window
from pipelines.execution.context import Context
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.lakehouse.registry.model_version import ModelVersion
from pipelines.lakehouse.tables.arrow import records
from pipelines.tasks.data.labels import live_predictions
from pipelines.tasks.monitoring import retraining, window_judge
from pipelines.tasks.monitoring.measurement import measure
from pipelines.tasks.monitoring.monitored_windows import monitored_windows
from pipelines.tasks.predictions.scoring import score, seen_until, window_start
from tests.pipelines.tasks.ingested_flights import FEBRUARY, FLIGHT_DELAY, JANUARY, MARCH, rows
from tests.pipelines.tasks.mutants import registered, trained, training_flights

SCHEDULE = FLIGHT_DELAY.spine.table


def day(number: int) -> dt.datetime:
    """A day of January at noon."""
    return dt.datetime(2013, 1, number, 12, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def fitted() -> tuple[Any, Any]:
    """A model and the rows that it was trained on, in the four weeks before March."""
    seen = training_flights(400)
    return trained(seen, "logistic_regression"), seen


@pytest.fixture
def champion(context: Context, fitted: Any) -> ModelVersion:
    """A champion that was trained on rows until the 3rd of January."""
    version = registered(context.lakehouse, *fitted, estimator="logistic_regression")
    context.lakehouse.models.set_tags(version, {"trained_until": day(3).isoformat()})
    context.lakehouse.models.set_alias(version, CHAMPION)
    return context.lakehouse.models.by_alias(FLIGHT_DELAY.model, CHAMPION)


def request(context: Context, key: str, *due: dt.datetime) -> None:
    """Deliver a request, moved as often as there are further instants."""
    flight = {
        "departure_hour": 9, "departure_weekday": 4, "scheduled_departure_at": day(1), "carrier": "UA", "flight": 1, "tailnum": "N1", "origin": "EWR",
        "destination": "ORD", "distance": 719.0, "scheduled_minutes": 120.0,
    }  # fmt: skip
    names = {column.name for column in SCHEDULE.columns}
    made = [{**{k: v for k, v in flight.items() if k in names}, "flight_id": key, "prediction_at": at} for at in due]
    context.lakehouse.tables.append_once(SCHEDULE, records(SCHEDULE, made), batch_id=f"{key} {due}")


def predictions(context: Context) -> dict[str, dict[str, Any]]:
    """The predictions by request; each request has one."""
    found = rows(context, "predictions")
    assert len({row["request_key"] for row in found}) == len(found)
    return {row["request_key"]: row for row in found}


@pytest.mark.usefixtures("champion")
def test_a_request_that_is_delivered_late_is_scored_by_the_next_run(context: Context) -> None:
    """Although later ones have been scored already; one from before the look-back waits for a run that names it."""
    request(context, "first", day(5))
    request(context, "on time", day(20))
    score(context, since=day(4), until=day(21), alias=CHAMPION)
    request(context, "late", day(15))
    request(context, "too late", day(6))
    assert score(context, since=None, until=day(22), alias=CHAMPION).rows == 1
    assert set(predictions(context)) == {"first", "on time", "late"}
    score(context, since=day(4), until=day(22), alias=CHAMPION)
    assert set(predictions(context)) == {"first", "on time", "late", "too late"}


@pytest.mark.usefixtures("champion")
def test_requests_without_a_prediction_are_a_finding_until_they_are_scored(context: Context) -> None:
    """Those that scoring still looks for by itself are none."""
    request(context, "first", day(5))
    score(context, since=day(4), until=day(21), alias=CHAMPION)
    for number, at in enumerate((6, 7, 30)):
        request(context, f"late {number}", day(at))
    windows = (Window(start=JANUARY, end=FEBRUARY),)
    assert window_judge._unscored(context, windows, FEBRUARY) == {JANUARY: 2}
    retraining.decide(context, since=None, until=MARCH)
    (found,) = [row for row in rows(context, "findings") if row["kind"] == "requests_without_prediction"]
    assert "3 requests of the window have no prediction" in found["message"]
    assert "--param since=2013-01-01" in found["message"]
    score(context, since=day(4), until=FEBRUARY, alias=CHAMPION)
    assert window_judge._unscored(context, windows, MARCH) == {}
    retraining.decide(context, since=None, until=MARCH)
    assert "requests_without_prediction" not in {row["kind"] for row in rows(context, "findings")}
    assert [row["withdrawn"] for row in rows(context, "findings_history") if row["kind"] == found["kind"]] == [True]


@pytest.mark.usefixtures("champion")
def test_a_moved_request_is_scored_once_at_its_newest_time(context: Context) -> None:
    """Delivered with two times at once, or moved after it was scored."""
    request(context, "moved", day(10), day(12))
    assert score(context, since=day(4), until=day(21), alias=CHAMPION).rows == 1
    assert predictions(context)["moved"]["prediction_at"].day == 12
    request(context, "moved", day(25))
    assert score(context, since=None, until=FEBRUARY, alias=CHAMPION).rows == 0
    assert predictions(context)["moved"]["prediction_at"].day == 12


@pytest.mark.usefixtures("champion")
def test_two_scorings_of_one_window_make_one_prediction_each(context: Context) -> None:
    """The second one looked for requests before the first had written: the key of the table decides."""
    request(context, "a", day(5))
    request(context, "b", day(6))
    tables = context.lakehouse.tables
    append, calls = tables.append_once, []

    def other_first(*arguments: Any, **options: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 1:
            assert score(context, since=day(4), until=day(7), alias=CHAMPION).rows == 2
        return append(*arguments, **options)

    tables.append_once = other_first  # type: ignore[method-assign]  # another run writes first
    assert score(context, since=day(4), until=day(8), alias=CHAMPION).rows == 0
    assert set(predictions(context)) == {"a", "b"}


@pytest.mark.usefixtures("champion")
def test_a_prediction_of_what_the_version_was_trained_on_is_marked_and_not_live(
    context: Context, said: list[str]
) -> None:
    """A first scoring without a start does not make any; a run that does says that nothing is measured on them."""
    request(context, "seen", day(2))
    request(context, "unseen", day(5))
    assert score(context, since=None, until=day(21), alias=CHAMPION).rows == 1
    assert "hindsight" not in " ".join(said)
    score(context, since=JANUARY, until=day(21), alias=CHAMPION)
    assert "1 predictions up to 2013-01-21; 1 of them in hindsight: the version was trained and evaluated" in said[-1]
    assert {key: row["hindsight"] for key, row in predictions(context).items()} == {"seen": True, "unseen": False}
    live = live_predictions(context, JANUARY, FEBRUARY).toArrow()["request_key"].to_pylist()
    assert live == ["unseen"]
    assert set(window_judge._days_scored(context, (Window(start=JANUARY, end=FEBRUARY),)).values()) == {1}


@pytest.mark.usefixtures("champion")
def test_a_month_that_was_scored_in_hindsight_alone_says_so(context: Context, said: list[str]) -> None:
    """Neither is the scoring job to be checked, nor is a label waited for; each finding names its month."""
    request(context, "seen", day(2))
    score(context, since=JANUARY, until=day(21), alias=CHAMPION)
    measure(context, since=None, until=FEBRUARY)
    assert "2013-01: no prediction to measure" in said
    retraining.decide(context, since=None, until=FEBRUARY)
    (finding,) = [line for line in said if line.startswith("finding of ")]
    assert finding.startswith(
        "finding of 2013-01: no predictions were made in the window: its 1 were made in hindsight"
    )


@pytest.mark.usefixtures("champion")
def test_some_history_that_was_scored_in_hindsight_does_not_make_the_rest_of_it_due(context: Context) -> None:
    """Neither for the next scoring without a start, nor for the monitor, which has no window before the first live one."""
    context.lakehouse.models.set_tags(
        context.lakehouse.models.by_alias(FLIGHT_DELAY.model, CHAMPION), {"trained_until": dt.datetime(2013, 2, 10, tzinfo=dt.UTC).isoformat()}
    )  # fmt: skip
    request(context, "seen", day(2))
    request(context, "seen, too", day(20))
    request(context, "live", dt.datetime(2013, 2, 20, tzinfo=dt.UTC))
    score(context, since=JANUARY, until=day(3), alias=CHAMPION)
    assert set(predictions(context)) == {"seen"}
    assert window_judge._unscored(context, (Window(start=JANUARY, end=FEBRUARY),), MARCH) == {}
    score(context, since=None, until=MARCH, alias=CHAMPION)
    assert set(predictions(context)) == {"seen", "live"}
    found = monitored_windows(context, JANUARY, MARCH)
    assert [window.start for window in found] == [FEBRUARY]


def test_what_a_version_has_seen_ends_after_its_last_trained_or_evaluated_row(champion: ModelVersion) -> None:
    """Here or where it came from; without a statement nothing is known."""
    tags = {"trained_until": day(1).isoformat(), "evaluated_until": day(9).isoformat()}
    end = seen_until(ModelVersion(model=champion.model, number=1, run_id="", tags=tags, aliases=()))
    assert end == day(9) + dt.timedelta(microseconds=1)
    assert seen_until(ModelVersion(model=champion.model, number=1, run_id="", tags={}, aliases=())) is None


@pytest.mark.parametrize(
    ("first", "last", "start"),
    [(None, None, day(3)), (day(1), day(20), day(13)), (day(18), day(20), day(18))],
)
def test_the_look_back_begins_before_the_newest_prediction_and_not_before_the_first(
    first: dt.datetime | None, last: dt.datetime | None, start: dt.datetime
) -> None:
    """The first scoring begins after what the version has seen."""
    assert window_start(first, last, day(3), look_back_days=7) == start
