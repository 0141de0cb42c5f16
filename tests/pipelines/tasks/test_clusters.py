"""Declared clusters reach evaluation, verdict, monitoring and estimates through the real jobs."""

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ml.evaluation.record import Evaluation
from ml.monitoring.findings import ALL_ROWS
from ml.spec.clusters import Clusters, Entity, EntityKind
from ml.spec.estimator import Problem
from ml.spec.gate_policy import policy
from pipelines.declarations.registry import use_case
from pipelines.execution import jobs
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from tests.pipelines.flight_files import write_all
from tests.pipelines.use_case_runs import rows_of, run_job

GATE = replace(policy("default", Problem.REGRESSION), minimum_days=5, minimum_rows=300, calibration_limit=None)
DECLARED = replace(
    use_case("air_time"),
    gate=GATE,
    clusters=Clusters(
        entities=(
            Entity(column="destination", kind=EntityKind.SAMPLED),
            Entity(column="carrier", kind=EntityKind.FIXED),
        ),
        day_memory=0,
    ),
)
JANUARY, FEBRUARY, MARCH = (dt.datetime(2013, month, 1, tzinfo=dt.UTC) for month in (1, 2, 3))
DESTINATIONS = [f"D{number:02}" for number in range(24)]


def flights() -> Iterator[dict[str, str]]:
    """Flights of two months to 24 destinations; each has minutes of its own that no input tells."""
    random = np.random.default_rng(3)
    own = dict(zip(DESTINATIONS, 8 * random.normal(size=24), strict=True))
    for day in range((MARCH - JANUARY).days):
        date = JANUARY + dt.timedelta(days=day)
        for number in range(72):
            destination, carrier = DESTINATIONS[number % 24], str(random.choice(["UA", "B6"]))
            minutes = 120 + own[destination] + 25 * (carrier == "B6") + random.normal(0, 6)
            yield {
                "month": str(date.month), "day": str(date.day), "carrier": carrier, "flight": str(number),
                "origin": "EWR", "dest": destination, "air_time": f"{minutes:.0f}",
                "time_hour": f"{date:%Y-%m-%d}T14:00:00Z", "minute": str(number % 60),
            }  # fmt: skip


@pytest.fixture(scope="module")
def lakehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lakehouse]:
    """Trained on January, scored and monitored in February."""
    folder = str(write_all(tmp_path_factory.mktemp("flights"), *flights()))
    with (
        open_lakehouse("dev", root=tmp_path_factory.mktemp("clusters")) as opened,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(jobs, "use_case", lambda name: {DECLARED.name: DECLARED}[name])
        for job, until, parameters in (
            ("features", FEBRUARY, {"location": folder}),
            ("training", FEBRUARY, {"training_days": "20", "evaluation_days": "10"}),
            ("features", MARCH, {"location": folder}),
            ("scoring", MARCH, {"since": FEBRUARY.isoformat()}),
            ("monitoring", MARCH, {}),
        ):
            skip = ["retrain"] if job == "monitoring" else []
            run = run_job(opened, DECLARED, job, {"until": until.isoformat(), **parameters}, skip=skip)
            assert run.succeeded, (job, [row["sentence"] for row in rows(opened, "verdicts")])
        yield opened


def rows(lakehouse: Lakehouse, name: str) -> list[dict[str, Any]]:
    """The rows of a table."""
    return rows_of(lakehouse, DECLARED, name)


def test_the_entities_are_kept_with_training_rows_and_predictions(lakehouse: Lakehouse) -> None:
    """The destination is a column of the spine and no input."""
    for name in ("training_set", "predictions"):
        assert {row["destination"] for row in rows(lakehouse, name)} == set(DESTINATIONS)


def test_the_evaluation_counts_them_and_the_verdict_names_them(lakehouse: Lakehouse) -> None:
    """Destinations as a sample, carriers as what the decision is about."""
    evaluation = Evaluation.from_json(rows(lakehouse, "evaluations")[0]["evaluation"])
    counted = {one.column: (one.kind, one.entities) for one in evaluation.entities}
    assert counted == {"destination": (EntityKind.SAMPLED, 24), "carrier": (EntityKind.FIXED, 2)}
    compared = evaluation.comparisons[0]
    assert compared.clusters == {"day": evaluation.days, "destination": 24}
    assert compared.degrees_of_freedom is not None
    assert compared.degrees_of_freedom < evaluation.days
    reasons = json.loads(rows(lakehouse, "verdicts")[0]["reasons"])
    said = [reason["sentence"] for reason in reasons if reason["rule"] == "entities"]
    assert said[0].startswith("24 sampled values of destination")
    assert said[1] == "the verdict is about the 2 values of carrier that were seen, no others"


def test_monitoring_measures_with_their_spread(lakehouse: Lakehouse) -> None:
    """Student's t of 24 destinations, not of the days; estimates have the same error."""
    measured = [
        row for row in rows(lakehouse, "metrics")
        if (row["metric"], row["slice_key"], row["alias"]) == ("mean_absolute_error", ALL_ROWS, "champion")
    ]  # fmt: skip
    assert measured
    for row in measured:
        assert row["degrees_of_freedom"] < 24
        assert row["days"] > 20
    estimated = [row for row in rows(lakehouse, "estimates") if row["metric"] == "mean_absolute_error"]
    assert {row["standard_error"] for row in estimated} == {row["standard_error"] for row in measured}
