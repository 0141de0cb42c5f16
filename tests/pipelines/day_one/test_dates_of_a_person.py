"""On an environment that has no champion, or whose data ended years ago: what a person is told, and what a schedule does."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from pipelines.day_one.reading import ranges_here
from pipelines.execution.context import Context, TaskError
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.lakehouse.registry.model_version import ModelVersion, NoModelVersionError
from pipelines.tasks.data.ingest import ingest
from pipelines.tasks.monitoring.measurement import measure
from pipelines.tasks.predictions.scoring import score
from tests.pipelines.flight_files import write_all
from tests.pipelines.tasks.conftest import context, files, said  # noqa: F401 - fixtures
from tests.pipelines.tasks.ingested_flights import FEBRUARY, FLIGHT_DELAY, MARCH, landing, refresh
from tests.pipelines.tasks.mutants import registered, trained, training_flights

NOW = dt.datetime(2026, 11, 28, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def fitted() -> tuple[Any, Any]:
    """A model and the rows that it was trained on."""
    seen = training_flights(400)
    return trained(seen, "logistic_regression"), seen


@pytest.fixture
def champion(context: Context, fitted: Any) -> ModelVersion:  # noqa: F811 - the fixture
    """A champion that was trained on rows of January and February."""
    version = registered(context.lakehouse, *fitted, estimator="logistic_regression")
    context.lakehouse.models.set_tags(version, {"trained_until": FEBRUARY.isoformat(), "verdict": "promote"})
    context.lakehouse.models.set_alias(version, CHAMPION)
    return version


def test_scheduled_scoring_waits_for_the_first_champion(context: Context, said: list[str]) -> None:  # noqa: F811 -- a fixture by its name
    """It says so in one line and succeeds; a person who named a date is told what to run instead."""
    assert score(context, since=None, until=None, alias=CHAMPION).rows == 0
    assert said == ["flight_delay has no champion in 'dev' yet: scoring waits for it"]
    with pytest.raises(NoModelVersionError, match="Run the training job"):
        score(context, since=None, until=MARCH, alias=CHAMPION)


def test_a_champion_that_is_gone_is_not_waited_for(context: Context, champion: ModelVersion) -> None:  # noqa: F811 -- a fixture by its name
    """Scheduled scoring then fails: somebody removed the alias."""
    context.lakehouse.models.delete_alias(champion.model, CHAMPION)
    with pytest.raises(NoModelVersionError):
        score(context, since=None, until=None, alias=CHAMPION)


@pytest.mark.usefixtures("champion")
def test_a_window_without_requests_is_an_error_that_names_their_range(
    context: Context,  # noqa: F811 -- a fixture by its name
    files: Path,  # noqa: F811 -- a fixture by its name
) -> None:
    """For a person; a schedule finds nothing new and goes on."""
    with pytest.raises(TaskError, match=r"nor at any other time: run flight_delay\.features first"):
        score(context, since=None, until=NOW, alias=CHAMPION)
    refresh(context, files, FEBRUARY, landing(1, 5), landing(2, 9))
    with pytest.raises(
        TaskError,
        match=r"from 2013-01-05 to 2013-01-09, and version 1 was trained and evaluated on all of them: train with an earlier end"
        r".*--param since=2013-01-05 --param until=2013-01-10",
    ):
        score(context, since=None, until=NOW, alias=CHAMPION)
    assert score(context, since=None, until=None, alias=CHAMPION).rows == 0
    found = ranges_here(context.lakehouse, FLIGHT_DELAY)
    assert found.requests is not None
    assert found.requests.words == "from 2013-01-05 to 2013-01-09"
    assert found.labels is not None
    assert found.predictions is None
    with pytest.raises(TaskError, match=r"nor in any other: run flight_delay.scoring first"):
        measure(context, since=None, until=MARCH)
    scored = score(context, since=dt.datetime(2013, 1, 1, tzinfo=dt.UTC), until=MARCH, alias=CHAMPION)
    assert scored.rows == 2
    assert score(context, since=dt.datetime(2013, 1, 1, tzinfo=dt.UTC), until=MARCH, alias=CHAMPION).rows == 0


def test_sources_that_have_delivered_nothing_yet_are_an_error_with_the_window_that_was_read(
    context: Context,  # noqa: F811 -- a fixture by its name
    files: Path,  # noqa: F811 -- a fixture by its name
) -> None:
    """A window before all data is found by the first task, not by a later one; after a delivery, no news are good news."""
    write_all(files)
    long_ago = dt.datetime(1910, 1, 1, tzinfo=dt.UTC)
    with pytest.raises(TaskError, match=r"from 1900-01-01 to 1910-01-01.*--param since="):
        ingest(context, since=None, until=long_ago, location=str(files))
    assert ingest(context, since=None, until=None, location=str(files)).rows
    assert ingest(context, since=None, until=None, location=str(files)).rows == 0
