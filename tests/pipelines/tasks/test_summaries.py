"""With the limit of rows lowered, the real tasks work from summaries: what they record equals the exact path's."""

import datetime as dt
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.evaluation.evaluate_contenders import EvaluationError
from ml.evaluation.record import Evaluation
from ml.metrics.score_grid import ROC_AUC_BOUND
from ml.spec.clusters import Clusters, Entity, EntityKind
from ml.spec.costs import COST_PER_REQUEST, Costs
from ml.spec.estimator import Problem
from ml.spec.gate_policy import policy
from ml.spec.weights import SAMPLE_WEIGHT, Weight
from pipelines.declarations.registry import use_case
from pipelines.declarations.use_case import UseCase
from pipelines.execution import jobs
from pipelines.execution.context import Context
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.tasks import row_limits
from pipelines.tasks.monitoring import estimation, measurement
from pipelines.tasks.versions.evaluation import evaluation_of
from pipelines.tasks.versions.summarised_evaluation import evaluate_summarised
from pipelines.tasks.versions.training import EVALUATION, part_of
from tests.pipelines.flight_files import write_all
from tests.pipelines.tasks import mutants
from tests.pipelines.tasks.both_ways import (
    assert_equal_evaluations,
    assert_equal_verdicts,
    assert_equal_within,
    evaluated_both_ways,
    measured,
)
from tests.pipelines.tasks.mutants import (
    Constant,
    HardLabels,
    Unloadable,
    registered,
    store_training_set,
    trained,
    training_flights,
)
from tests.pipelines.tasks.mutants import flights as flights_of
from tests.pipelines.use_case_runs import run_job

JANUARY, FEBRUARY, MARCH = (dt.datetime(2013, month, 1, tzinfo=dt.UTC) for month in (1, 2, 3))
DESTINATIONS = [f"D{number:02}" for number in range(24)]
CLUSTERS = Clusters(
    entities=(
        Entity(column="destination", kind=EntityKind.SAMPLED),
        Entity(column="carrier", kind=EntityKind.FIXED),
    )
)
RARE = "HA"
"""A carrier with few flights, too few for a slice to be judged."""
FEW = replace(
    policy("default", Problem.REGRESSION), minimum_days=5, minimum_rows=300, calibration_limit=None,
    minimum_slice_rows=60, minimum_dependent_days=5, minimum_entities=10,
)  # fmt: skip
DECLARED = use_case("air_time")
AIR_TIME = replace(DECLARED, gate=FEW, clusters=CLUSTERS, estimators=DECLARED.estimators[:1])


def flights() -> Iterator[dict[str, str]]:
    """Flights of two months to 24 destinations, each with minutes of its own."""
    random = np.random.default_rng(3)
    own = dict(zip(DESTINATIONS, 8 * random.normal(size=24), strict=True))
    for day in range((MARCH - JANUARY).days):
        date = JANUARY + dt.timedelta(days=day)
        for number in range(72):
            carrier = RARE if number in (5, 6) else str(random.choice(["UA", "B6"]))
            minutes = 120 + own[DESTINATIONS[number % 24]] + 25 * (carrier == "B6") + random.normal(0, 6)
            yield {
                "month": str(date.month), "day": str(date.day), "carrier": carrier, "flight": str(number),
                "origin": "EWR", "dest": DESTINATIONS[number % 24], "air_time": f"{minutes:.0f}",
                "time_hour": f"{date:%Y-%m-%d}T14:00:00Z", "minute": str(number % 60),
            }  # fmt: skip


@pytest.fixture(scope="module")
def air_time(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lakehouse]:
    """Trained twice on January, so that the second run has a champion to beat; scored and monitored in February."""
    folder = str(write_all(tmp_path_factory.mktemp("flights"), *flights()))
    with (
        open_lakehouse("dev", root=tmp_path_factory.mktemp("summaries")) as opened,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(jobs, "use_case", lambda name: {AIR_TIME.name: AIR_TIME}[name])
        training = {"training_days": "12", "evaluation_days": "10"}
        for job, until, parameters, run_id in (
            ("features", MARCH, {"location": folder}, "features"),
            ("training", FEBRUARY, training, "first"),
            ("training", FEBRUARY + dt.timedelta(days=1), training, "second"),
            ("scoring", MARCH, {"since": FEBRUARY.isoformat()}, "scoring"),
            ("monitoring", MARCH, {}, "monitoring"),
        ):
            skip = ["retrain"] if job == "monitoring" else []
            parameters = {"until": until.isoformat(), **parameters}
            assert run_job(opened, AIR_TIME, job, parameters, run_id=run_id, skip=skip).succeeded, job
        yield opened


def context_of(lakehouse: Lakehouse, declared: UseCase, run_id: str, now: dt.datetime = MARCH) -> Context:
    """A context for the tasks of one run."""
    return Context(lakehouse=lakehouse, use_case=declared, run_id=run_id, now=now, say=lambda _: None)


def test_monitoring_from_summaries_records_what_the_rows_give(
    air_time: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every metric, error, degree of freedom and count, by window, version and slice."""
    exact = measured(air_time, AIR_TIME, "metrics")
    said: list[str] = []
    monkeypatch.setattr(row_limits, "EXACT_ROWS", 1_000)
    measurement.measure(replace(context_of(air_time, AIR_TIME, "again"), say=said.append), since=None, until=MARCH)
    assert "measured from summaries" in said[0]
    found = measured(air_time, AIR_TIME, "metrics")
    assert found.keys() == exact.keys()
    assert {key[5] for key in exact if key[1] == "champion"} == {":all", "B6", "UA", RARE, "EWR"}
    for key, row in exact.items():
        assert_equal_within(row, found[key], 1e-9, key)


def test_estimates_from_summaries_are_those_of_the_rows(air_time: Lakehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """The expected losses of each row are added up where the row is."""
    exact = measured(air_time, AIR_TIME, "estimates")
    monkeypatch.setattr(row_limits, "EXACT_ROWS", 1_000)
    estimation.estimate(context_of(air_time, AIR_TIME, "again"), since=None, until=MARCH)
    found = measured(air_time, AIR_TIME, "estimates")
    assert found.keys() == exact.keys()
    assert any(row["realised"] is not None for row in exact.values())
    for key, row in exact.items():
        assert_equal_within(row, found[key], 1e-9, key)


def test_an_evaluation_from_summaries_is_that_of_the_rows_and_so_is_its_verdict(
    air_time: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A regression with sampled destinations, days that depend, a champion, and slices that are judged, pooled and small."""
    champion = air_time.models.find_alias(AIR_TIME.model, "champion")
    assert champion is not None
    context = context_of(air_time, AIR_TIME, "second")
    exact, found, rows, again = evaluated_both_ways(context, monkeypatch, champion.number)
    assert exact.small_slices
    assert_equal_evaluations(exact, found, 1e-9)
    assert_equal_verdicts(exact, found, FEW, 1e-9)
    assert len(rows) == len(again)
    for one, other in zip(rows, again, strict=True):
        assert_equal_within(one, other, 1e-9, (one["model_version"], one["metric"], one["slice_value"]))


@pytest.fixture(scope="module")
def flight_delay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lakehouse, int]]:
    """A champion and candidates of a binary use case, sound and broken ones, and the number of the champion."""
    seen, later = training_flights(), flights_of("evaluation", 6_000)
    with open_lakehouse("dev", root=tmp_path_factory.mktemp("binary")) as opened:
        store_training_set(opened, "run", seen, later)
        champion = registered(opened, trained(seen, "logistic_regression"), seen, estimator="logistic_regression")
        sound = trained(seen)
        for model in (sound, Constant(sound), HardLabels(sound), Unloadable(sound)):
            registered(opened, model, seen)
        yield opened, champion.number


def test_a_ranking_from_summaries_is_within_its_bound_and_what_does_not_count_is_named_alike(
    flight_delay: tuple[Lakehouse, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On all rows every score has a cell of its own; slices have coarser cells than scores, and a larger bound."""
    lakehouse, champion = flight_delay
    exact, found, *_ = evaluated_both_ways(mutants.context_of(lakehouse), monkeypatch, champion)
    assert {c.failure_kind for c in exact.contenders} >= {"constant", "hard_labels", "raised", None}
    assert_equal_evaluations(exact, found, 1e-3)
    assert_equal_verdicts(exact, found, mutants.FLIGHT_DELAY.gate, 1e-3)
    assert found.metric_bound is not None
    assert found.metric_bound <= ROC_AUC_BOUND


def test_the_gate_judges_money_from_summaries(
    flight_delay: tuple[Lakehouse, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cost of a request is a mean over rows, so it and its errors are those of the rows, of a constant too."""
    lakehouse, champion = flight_delay
    costs, gate = Costs(false_positive=1.0, false_negative=3.0), policy("least_cost", Problem.BINARY)
    declared = replace(mutants.FLIGHT_DELAY, costs=costs, gate=gate)
    context = mutants.context_of(lakehouse, declared=declared)
    exact, found, rows, again = evaluated_both_ways(context, monkeypatch, champion)
    assert COST_PER_REQUEST in {one.metric for one in found.comparisons}
    assert found.costs == costs
    assert found.sample_share is None
    assert found.metric_bound == 0.0
    assert_equal_evaluations(exact, found, 1e-3)
    assert_equal_verdicts(exact, found, gate, 1e-3, costs)
    measured = [(one, other) for one, other in zip(rows, again, strict=True) if one["metric"] == COST_PER_REQUEST]
    assert measured
    for one, other in measured:
        assert_equal_within(one, other, 1e-9, (one["model_version"], one["slice_value"]))


@pytest.mark.parametrize("wrong", [-1.0, math.inf, math.nan, None])
def test_an_evaluation_with_a_weight_that_is_none_is_refused(
    flight_delay: tuple[Lakehouse, int], wrong: float | None
) -> None:
    """In the words of the exact evaluation; the engine counts these rows."""
    declared = replace(mutants.FLIGHT_DELAY, weight=Weight(column="distance", in_metrics=True))
    context = mutants.context_of(flight_delay[0], declared=declared)
    heavy = F.when(F.col("request_key") < "evaluation-1", F.lit(wrong).cast("double")).otherwise(F.lit(2.0))
    rows = part_of(context, EVALUATION).withColumn(SAMPLE_WEIGHT, heavy)
    with pytest.raises(EvaluationError, match="weights must be finite, 0 or more, and not all 0"):
        evaluate_summarised(context, rows, {}, None, overlaps={}, label_counts=None, seed=0)


def test_a_policy_that_resamples_is_judged_on_a_sample_that_the_record_states(
    flight_delay: tuple[Lakehouse, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Resampling needs rows; the sample is drawn by key, so it is the same in every run."""
    lakehouse, champion = flight_delay
    declared = replace(mutants.FLIGHT_DELAY, gate=policy("article", Problem.BINARY))
    context = mutants.context_of(lakehouse, declared=declared)
    versions = {champion: lakehouse.models.version(declared.model, champion)}
    monkeypatch.setattr(row_limits, "EXACT_ROWS", 1_500)
    one, other = (evaluation_of(context, versions, champion, seed=1).evaluation for _ in range(2))
    assert one.sample_share == 0.25
    assert 1_300 < one.rows < 1_700
    assert one.keys_digest == other.keys_digest
    assert Evaluation.from_json(one.to_json()) == one
