"""An input goes: deprecated while the champion needs it, then out of the declaration, through the real jobs."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ml.models.prediction import known_inputs
from pipelines.declarations.registry import use_case
from pipelines.declarations.use_case import UseCase
from pipelines.execution import jobs
from pipelines.execution.context import Context
from pipelines.execution.runner import JobRun
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.reproduction import reproduce
from tests.pipelines.flight_files import write_all
from tests.pipelines.tasks.test_life_of_a_regression import flights
from tests.pipelines.use_case_runs import rows_of, run_job

GOES = "route_air_time_21d"
AIR_TIME = use_case("air_time")
_, BOOSTING = AIR_TIME.estimators
LOOKUP = replace(AIR_TIME.lookups[0], columns={"mean_air_time_7d": "route_air_time_7d"})
COARSE = replace(BOOSTING, parameters={**BOOSTING.parameters, "max_iter": 25})
BEFORE = replace(AIR_TIME, estimators=(COARSE,))
DEPRECATED = replace(AIR_TIME, estimators=(BOOSTING,), deprecated_inputs=(GOES,))
GONE = replace(
    DEPRECATED, deprecated_inputs=(), lookups=(LOOKUP,),
    numeric_inputs=tuple(name for name in AIR_TIME.numeric_inputs if name != GOES),
)  # fmt: skip
MARCH, APRIL, MAY = (dt.datetime(2013, month, 1, tzinfo=dt.UTC) for month in (3, 4, 5))
LATER = MAY + dt.timedelta(hours=12)
STEPS: tuple[tuple[UseCase, str, dt.datetime], ...] = (
    (BEFORE, "features", MARCH),
    (BEFORE, "training", MARCH),
    (DEPRECATED, "features", APRIL),
    (DEPRECATED, "scoring", APRIL),
    (DEPRECATED, "monitoring", APRIL),
    (DEPRECATED, "features", MAY),
    (DEPRECATED, "training", MAY),
    (GONE, "scoring", MAY),
    (GONE, "monitoring", MAY),
    (GONE, "training", LATER),
)
"""Each job with the declaration of its day, and its end."""
LONG = {"training_days": "27", "evaluation_days": "21"}
DAYS = {
    ("training", MARCH): {"training_days": "20", "evaluation_days": "16"},
    ("training", MAY): LONG,
    ("training", LATER): LONG,
}


def run(lakehouse: Lakehouse, declared: UseCase, job: str, until: dt.datetime, **given: str) -> JobRun:
    """Run a job by a declaration."""
    skip = ["retrain"] if job == "monitoring" else []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs, "use_case", lambda name: {declared.name: declared}[name])
        return run_job(lakehouse, declared, job, {"until": until.isoformat(), **given}, skip=skip)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lakehouse, list[JobRun]]]:
    """Every job as it ended; the champion of March is a coarse one with all inputs."""
    files = str(write_all(tmp_path_factory.mktemp("flights"), *flights()))
    with open_lakehouse("dev", root=tmp_path_factory.mktemp("inputs")) as lakehouse:
        given = {**DAYS, **{("features", until): {"location": files} for _, _, until in STEPS}}
        yield (
            lakehouse,
            [run(lakehouse, declared, job, until, **given.get((job, until), {})) for declared, job, until in STEPS],
        )


def inputs_of(lakehouse: Lakehouse, number: int) -> Sequence[str]:
    """What a version was fitted on."""
    return known_inputs(lakehouse.models.load(lakehouse.models.version(AIR_TIME.model, number)), AIR_TIME.inputs)


def test_no_job_stops_on_the_way(lived: tuple[Lakehouse, list[JobRun]]) -> None:
    """Neither while the input is deprecated nor after it is gone."""
    _, runs = lived
    assert [(one.job, [a.error for a in one.attempts if a.error]) for one in runs if not one.succeeded] == []


def test_the_champion_is_compared_and_its_successor_does_without_the_input(
    lived: tuple[Lakehouse, list[JobRun]],
) -> None:
    """The gate compares both on the same rows, and the version of the shorter declaration with the one after it."""
    lakehouse, _ = lived
    verdicts = sorted(rows_of(lakehouse, AIR_TIME, "verdicts"), key=lambda row: row["decided_at"])
    assert [(row["outcome"], row["champion"]) for row in verdicts[:2]] == [
        ("promote", None), ("promote", verdicts[0]["promoted"]),
    ]  # fmt: skip
    assert verdicts[2]["champion"] == verdicts[1]["promoted"]
    first, second = (row["promoted"] for row in verdicts[:2])
    assert GOES in inputs_of(lakehouse, first)
    assert set(inputs_of(lakehouse, second)) == set(AIR_TIME.inputs) - {GOES}


def test_each_champion_scores_with_its_own_inputs(lived: tuple[Lakehouse, list[JobRun]]) -> None:
    """The first one's rows have the value, those of its successor were made when it was declared no more."""
    lakehouse, _ = lived
    kept: dict[int, set[bool]] = {}
    for row in rows_of(lakehouse, AIR_TIME, "predictions"):
        kept.setdefault(row["model_version"], set()).add(row[GOES] is not None)
    first, second = sorted(kept)
    assert (kept[first], kept[second]) == ({True}, {False})


def test_a_version_of_a_deprecated_input_is_reproduced(lived: tuple[Lakehouse, list[JobRun]]) -> None:
    """By the declaration that trained it, which computes the input and leaves it out of the fit."""
    lakehouse, _ = lived
    second = lakehouse.models.version(AIR_TIME.model, 2)
    context = Context(lakehouse=lakehouse, use_case=DEPRECATED, run_id="again", now=MAY, say=lambda _: None)
    assert reproduce(context, second).identical


def test_the_champion_that_loses_an_input_is_named_with_the_remedy(tmp_path: Path) -> None:
    """Taken out at once, nothing is compared with the champion and it scores no more: both say how it goes."""
    files = str(write_all(tmp_path, *flights()))
    with open_lakehouse("dev", root=tmp_path / "lakehouse") as lakehouse:
        for declared, until in ((BEFORE, MARCH), (GONE, MARCH + dt.timedelta(hours=12))):
            run(lakehouse, declared, "features", until, location=files)
            run(lakehouse, declared, "training", until, **DAYS["training", MARCH])
        scored = run(lakehouse, GONE, "scoring", MARCH, since="2013-02-20")
        assert lakehouse.models.by_alias(AIR_TIME.model, CHAMPION).number == 1
        verdict = max(rows_of(lakehouse, AIR_TIME, "verdicts"), key=lambda row: row["decided_at"])
    assert (verdict["outcome"], verdict["champion"]) == ("refuse", 1)
    for sentence in (verdict["sentence"], *(attempt.error for attempt in scored.attempts if attempt.error)):
        assert f"trained on {GOES}, which is not declared as an input" in sentence
        assert f"deprecated_inputs=({GOES!r},)" in sentence
    assert not scored.succeeded
