"""Scoring and training see the same inputs, or a finding names the lookup by which they differ.

The flights are synthetic and go through the real jobs, week by week. The first week is undisturbed. In the second a
report arrives after scoring, and training joins it. The third is scored with a lookup by the wrong key, which is put
right before training, and the inputs builder is changed too.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml.models.fitting import fit
from ml.monitoring.findings import WHOLE_TABLE
from pipelines.declarations.registry import use_case
from pipelines.declarations.use_case import UseCase
from pipelines.execution import jobs
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.tasks.versions.candidates import sidecar
from tests.pipelines.flight_files import write_all
from tests.pipelines.tasks.test_life_of_a_regression import flights
from tests.pipelines.use_case_runs import rows_of, run_job

AIR_TIME = use_case("air_time")
DECLARED = replace(
    AIR_TIME, estimators=AIR_TIME.estimators[:1], monitoring=replace(AIR_TIME.monitoring, window="week"),
    gate=replace(AIR_TIME.gate, limit=None),
)  # fmt: skip
OTHER_BUILDER = replace(DECLARED, inputs_builder=f"{__name__}:inputs_in_minutes")
(LOOKUP,) = AIR_TIME.lookups
WRONG_KEY = replace(
    DECLARED, lookups=(replace(LOOKUP, keys={"destination": "origin", "origin": "destination"}),)
)  # fmt: skip
WEEK = dt.timedelta(days=7)
WEEKS = [dt.datetime(2013, 3, 4, tzinfo=dt.UTC) + number * WEEK for number in range(3)]
UNDISTURBED, LATE, CHANGED = WEEKS
LATE_FLIGHT = {
    "month": "3", "day": "9", "carrier": "UA", "flight": "900", "origin": "JFK", "dest": "MIA", "air_time": "400", "arr_delay": "300",
    "time_hour": "2013-03-09T14:00:00Z", "minute": "0",
}  # fmt: skip
ROUTE_INPUTS = {"route_air_time_7d", "route_air_time_21d"}


def inputs_in_minutes(requests: pd.DataFrame) -> pd.DataFrame:
    """The inputs builder after a change that nobody meant to matter."""
    return requests.assign(scheduled_hour=requests["departure_hour"] * 60)


def set_of(week: dt.datetime) -> str:
    """The run that assembled the training set of a week."""
    return f"set-{week:%m-%d}"


def champion(lakehouse: Lakehouse) -> None:
    """Register a model that was fitted on other flights, and make it the champion."""
    random = np.random.default_rng(1)
    rows = pd.DataFrame({name: random.normal(size=60) for name in DECLARED.numeric_inputs})
    rows = rows.assign(carrier="UA", origin="JFK", request_key=[f"r{n}" for n in range(60)])
    rows["prediction_at"] = pd.date_range(UNDISTURBED - 2 * WEEK, periods=60, freq="h")
    inputs, labels = rows[list(DECLARED.inputs)], random.normal(150, 50, 60)
    model = fit(
        DECLARED.estimators[0], inputs, labels, problem=DECLARED.problem, numeric=DECLARED.numeric_inputs,
        categorical=DECLARED.categorical_inputs, seed=1,
    )  # fmt: skip
    with lakehouse.models.start_run(DECLARED.name, name="champion") as run:
        version = lakehouse.models.register(
            DECLARED.model, model, run=run, input_example=inputs.head(5), output_example=labels[:5],
            pip_requirements=[], sidecar=sidecar(rows, inputs.assign(score=labels)),
        )  # fmt: skip
    lakehouse.models.set_alias(version, CHAMPION)


@pytest.fixture(scope="module")
def life(life_engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lakehouse]:
    """Three weeks that are scored and, when their labels are due, assembled for training."""
    every = [flight for flight in flights() if flight["month"] in ("2", "3")]
    in_time = str(write_all(tmp_path_factory.mktemp("flights"), *every))
    in_the_end = str(write_all(tmp_path_factory.mktemp("late"), *every, LATE_FLIGHT))
    with (
        open_lakehouse("dev", engine=life_engine, root=tmp_path_factory.mktemp("skew")) as lakehouse,
        pytest.MonkeyPatch.context() as patch,
    ):

        def run(job: str, until: dt.datetime, declared: UseCase = DECLARED, **more: Any) -> None:
            patch.setattr(jobs, "use_case", lambda _: declared)
            options = {name: more.pop(name) for name in ("only", "run_id") if name in more}
            done = run_job(lakehouse, declared, job, {"until": until.isoformat(), **more}, **options)
            assert done.succeeded, [attempt.error for attempt in done.attempts]

        champion(lakehouse)
        for week in (*WEEKS, CHANGED + WEEK):
            run("features", week + WEEK, location=in_time if week <= LATE else in_the_end)
            if week > UNDISTURBED:
                before, declared = week - WEEK, OTHER_BUILDER if week - WEEK == CHANGED else DECLARED
                days = {"evaluation_days": "7", "training_days": "0"}
                run("training", week + WEEK, declared, only=["assemble"], run_id=set_of(before), **days)
                run("monitoring", week + WEEK, declared, only=["skew"])
            if week <= CHANGED:
                run("scoring", week + WEEK, WRONG_KEY if week == CHANGED else DECLARED, since=week.isoformat())
            if week == LATE:
                run("features", week + WEEK, location=in_the_end, since=(week - WEEK).isoformat())
        run("monitoring", CHANGED + 2 * WEEK, OTHER_BUILDER, only=["decide", "skew"])
        yield lakehouse


def compared(lakehouse: Lakehouse, week: dt.datetime) -> dict[str, dict[str, Any]]:
    """What was compared for the training set of a week, by input."""
    found = rows_of(lakehouse, DECLARED, "skew")
    return {
        row["column_name"]: row
        for row in found
        if row["training_set_id"] == set_of(week) and row["window_start"] == week
    }


def findings(lakehouse: Lakehouse, week: dt.datetime) -> dict[str, dict[str, Any]]:
    """The findings of a week's skew, by input."""
    found = [row for row in rows_of(lakehouse, DECLARED, "findings") if row["kind"] == "skew"]
    return {row["column_name"]: row for row in found if row["window_start"] == week}


def test_an_undisturbed_week_has_no_difference(life: Lakehouse) -> None:
    """Every request that was scored and trained on was compared, in every input."""
    rows = compared(life, UNDISTURBED)
    assert set(rows) == {WHOLE_TABLE, *DECLARED.inputs}
    assert {row["differing"] for row in rows.values()} == {0}
    whole = rows[WHOLE_TABLE]
    assert whole["requests"] == whole["trained"] > 300
    assert findings(life, UNDISTURBED) == {}


def test_a_row_that_came_after_scoring_is_named_with_its_lookup(life: Lakehouse) -> None:
    """The late report changes the route's means; requests of other routes and the other inputs are the same."""
    rows, found = compared(life, LATE), findings(life, LATE)
    assert set(found) == ROUTE_INPUTS
    for name in ROUTE_INPUTS:
        row = rows[name]
        assert 0 < row["differing"] < row["requests"]
        assert row["late"] > 0
        assert row["late"] + row["replaced"] == row["differing"]
        said = found[name]["message"]
        assert "the lookup of air_time_features.route_history by origin, destination" in said
        assert f"{row['late']:,} joined a row that reached the table after they were scored" in said
        assert (
            f"For example {row['example_key']}: scored with {row['scored_value']}, trained with {row['trained_value']}"
            in said
        )
    assert {rows[name]["differing"] for name in set(DECLARED.inputs) - ROUTE_INPUTS} == {0}


def test_the_example_has_the_values_that_are_stored(life: Lakehouse) -> None:
    """As predicted, and as in the training set."""
    row = compared(life, LATE)["route_air_time_7d"]
    (made,) = (
        r for r in rows_of(life, DECLARED, "predictions") if r["request_key"] == row["example_key"]
    )  # fmt: skip
    (seen,) = (
        r
        for r in rows_of(life, DECLARED, "training_set")
        if (r["request_key"], r["training_set_id"]) == (row["example_key"], set_of(LATE))
    )
    assert float(row["scored_value"]) == made["route_air_time_7d"]
    assert float(row["trained_value"]) == seen["route_air_time_7d"]


def test_a_builder_that_was_changed_between_is_named(life: Lakehouse) -> None:
    """Every request differs in the one input that it makes."""
    row, found = compared(life, CHANGED)["scheduled_hour"], findings(life, CHANGED)
    assert set(found) == {"scheduled_hour", *ROUTE_INPUTS}
    assert row["differing"] == row["changed"] == row["requests"] > 300
    said = found["scheduled_hour"]["message"]
    assert "the request itself (air_time_bronze.schedule, with the inputs builder" in said
    assert "the lookup or a builder was changed between scoring and training" in said


def test_a_lookup_that_scored_by_a_wrong_key_is_named(life: Lakehouse) -> None:
    """It found nothing, and training did."""
    rows, found = compared(life, CHANGED), findings(life, CHANGED)
    for name in ROUTE_INPUTS:
        assert rows[name]["changed"] == rows[name]["differing"] > 300
        assert "scored with no value, trained with" in found[name]["message"]
        assert "the lookup of air_time_features.route_history by origin, destination" in found[name]["message"]


def test_findings_stay_when_their_week_is_judged_again(life: Lakehouse) -> None:
    """A later decision on the same window replaces its own findings only; each was told once, and is in the history."""
    history = [row for row in rows_of(life, DECLARED, "findings_history") if row["kind"] == "skew"]
    assert [row["withdrawn"] for row in history] == [False] * 5
    assert len([row for row in rows_of(life, DECLARED, "findings") if row["kind"] == "skew"]) == 5
