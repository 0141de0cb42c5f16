"""Declared weights and costs reach fitting, gate, predictions, monitors, estimates and the page through the real jobs."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it
from sklearn.linear_model import LogisticRegression

from ml.evaluation.record import Evaluation
from ml.gate.decision import decide
from ml.metrics.metric_table import measure
from ml.monitoring.findings import ALL_ROWS
from ml.spec.costs import COST_PER_REQUEST, DECISION, DECISION_THRESHOLD, Costs
from ml.spec.errors import NotPossibleError
from ml.spec.estimator import Calibration, Encoding, EstimatorSpec, Problem
from ml.spec.gate_policy import policy
from ml.spec.search import Real, Search, Whole
from ml.spec.weights import SAMPLE_WEIGHT, Weight
from pipelines import __main__ as command_line
from pipelines.dataframes.label_maturity import with_standing
from pipelines.dataframes.training_rows import weight_of
from pipelines.declarations.asset import column
from pipelines.declarations.use_case import UseCase
from pipelines.execution import jobs
from pipelines.execution.context import Context
from pipelines.explanation import explain_requests
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.lakehouse.registry.model_version import ModelVersion
from pipelines.report.reading import read_environment
from pipelines.report.writing import write_report
from pipelines.reproduction import reproduce
from pipelines.scoring.function import decided
from pipelines.tasks.monitoring import estimation, measurement
from pipelines.tasks.versions.training import TRAINING, read_part
from tests.pipelines.flight_files import write_all
from tests.pipelines.tasks.test_life_of_every_estimator import loads_lightgbm
from tests.pipelines.tasks.test_summaries import (
    assert_equal_evaluations,
    assert_equal_verdicts,
    assert_equal_within,
    evaluated_both_ways,
    measured,
)
from tests.pipelines.template_use_case import template_use_case
from tests.pipelines.use_case_runs import rows_of, run_job

NAME = "priced_flights"
HERE = f"pipelines.use_cases.{NAME}"
JANUARY, TRAINED, SCORED = (dt.datetime(2013, month, day, tzinfo=dt.UTC) for month, day in ((1, 1), (2, 20), (3, 8)))
LATE = {("UA", "EWR"): 0.85, ("UA", "JFK"): 0.6, ("B6", "EWR"): 0.4, ("B6", "JFK"): 0.1}
COSTS = Costs(false_positive=2.0, false_negative=3.0, benefit=1.0, unit="EUR")
GATE = replace(policy("least_cost", Problem.BINARY), minimum_rows=300, minimum_positives=50, calibration_limit=None)

SEARCHED = EstimatorSpec(
    name="searched",
    estimator="lightgbm.LGBMClassifier" if loads_lightgbm() else "sklearn.ensemble.HistGradientBoostingClassifier",
    encoding=Encoding.ORDINAL,
    parameters={"learning_rate": 0.1},
    calibration=Calibration.SIGMOID,
    calibration_share=0.3,
    search=Search(
        space={"learning_rate": Real(low=0.01, high=0.3, log=True), "max_depth": Whole(low=1, high=3)},
        trials=3,
        folds=3,
    ),
)

TIME = pa.timestamp("us", "UTC")
STEPS: tuple[tuple[str, dt.datetime, dict[str, str]], ...] = (
    ("features", SCORED, {}),
    ("training", TRAINED, {"training_days": "28", "evaluation_days": "16"}),
    ("scoring", SCORED, {"since": (TRAINED - dt.timedelta(days=3)).isoformat()}),
    ("monitoring", SCORED, {}),
)
"""The jobs, each with its end and its parameters."""


def location(job: str, files: str) -> dict[str, str]:
    """Where a job reads, if it does."""
    return {"location": files} if job == "features" else {}


def flights() -> Iterator[dict[str, str]]:
    """Flights of ten weeks; who leaves late depends on carrier and airport, by how many minutes on chance."""
    random = np.random.default_rng(11)
    for day in range((SCORED - JANUARY).days):
        date = JANUARY + dt.timedelta(days=day)
        for number in range(50):
            carrier, origin = list(LATE)[random.integers(len(LATE))]
            late = random.random() < LATE[carrier, origin]
            yield {
                "month": str(date.month), "day": str(date.day), "carrier": carrier, "flight": str(number),
                "origin": origin, "dep_delay": str(random.integers(20, 90) if late else random.integers(-5, 10)),
                "sched_arr_time": f"{random.integers(10, 22)}30", "time_hour": f"{date:%Y-%m-%d}T14:00:00Z",
                "minute": str(number % 60),
            }  # fmt: skip


@pytest.fixture(scope="module")
def declared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UseCase]:
    """A use case from the templates, whose labels also carry the pieces of luggage."""
    label = 'label.alias("label"),'
    changes = {label: f'{label}\n        (F.abs(F.col("minutes")) % 7 + 1).alias("pieces"),'}
    with template_use_case(NAME, tmp_path_factory.mktemp("team"), changes) as found:
        labels = replace(found.labels.table, columns=(*found.labels.table.columns, column("pieces", "double")))
        yield replace(
            found, gate=GATE, estimators=(found.estimators[0], SEARCHED), labels=replace(found.labels, table=labels),
            weight=Weight(column="pieces", in_metrics=True, missing=0.0), costs=COSTS,
        )  # fmt: skip


@pytest.fixture(scope="module")
def lakehouse(declared: UseCase, life_engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lakehouse]:
    """Trained, scored and monitored."""
    files = str(write_all(tmp_path_factory.mktemp("flights"), *flights()))
    with (
        open_lakehouse("dev", engine=life_engine, root=tmp_path_factory.mktemp("weights")) as opened,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(jobs, "use_case", lambda name: {declared.name: declared}[name])
        for job, until, given in STEPS:
            skip = ["retrain"] if job == "monitoring" else []
            run = run_job(
                opened, declared, job, {"until": until.isoformat(), **given, **location(job, files)}, skip=skip
            )
            said = [row["sentence"] for row in rows_of(opened, declared, "verdicts")]
            assert run.succeeded, (job, said, [one.error for one in run.attempts if one.error])
        yield opened


def version_of(declared: UseCase, lakehouse: Lakehouse, estimator: str) -> ModelVersion:
    """The version of an estimator."""
    (found,) = [v for v in lakehouse.models.versions(declared.model) if v.tags["estimator"] == estimator]
    return found


def test_the_model_is_fitted_with_the_weights_of_its_rows(declared: UseCase, lakehouse: Lakehouse) -> None:
    """Its coefficients are those of the same estimator with these weights, and not those without; the model says so."""
    version = version_of(declared, lakehouse, "linear")
    run_id = version.tags["training_set_id"]
    context = Context(lakehouse=lakehouse, use_case=declared, run_id=run_id, now=SCORED, say=lambda _line: None)
    rows = read_part(context, TRAINING)
    assert len(set(rows[SAMPLE_WEIGHT])) == 7
    fitted = lakehouse.models.load(version)
    encoded = fitted.named_steps["encode"].transform(rows[list(declared.inputs)])
    again, without = (
        LogisticRegression(random_state=int(version.tags["seed"])).fit(encoded, rows["label"], weights)
        for weights in (rows[SAMPLE_WEIGHT], None)
    )
    assert fitted.named_steps["estimate"].coef_ == pytest.approx(again.coef_)
    assert np.abs(fitted.named_steps["estimate"].coef_ - without.coef_).max() > 0.01
    assert version.tags["weight"] == "pieces"
    assert lakehouse.models.run_of(version).params["weight.column"] == "pieces"
    assert reproduce(context, version).identical


def test_evaluation_and_verdict_count_by_weight(declared: UseCase, lakehouse: Lakehouse) -> None:
    """The metrics of the record are weighted, and the verdict says what the rows are worth."""
    (stored,) = rows_of(lakehouse, declared, "evaluations")
    evaluation = Evaluation.from_json(stored["evaluation"])
    assert evaluation.weights is not None
    assert evaluation.weights.column == "pieces"
    assert evaluation.weights.rows < 0.9 * evaluation.rows
    (verdict,) = rows_of(lakehouse, declared, "verdicts")
    assert "weighted by pieces, these are worth" in verdict["reasons"]


def test_monitors_and_estimates_count_by_weight(declared: UseCase, lakehouse: Lakehouse) -> None:
    """Each realised metric is that of the labels that are due, with their weights."""
    weights = {row["request_key"]: row["pieces"] for row in rows_of(lakehouse, declared, "labels")}
    labels = {row["request_key"]: row["label"] for row in rows_of(lakehouse, declared, "labels")}
    due = SCORED - dt.timedelta(days=declared.label_due_days)
    live = [
        row for row in rows_of(lakehouse, declared, "predictions")
        if row["prediction_at"].astimezone(dt.UTC) < due and row["prediction_at"].astimezone(dt.UTC).month == 2
        and not row["hindsight"]
    ]  # fmt: skip
    columns = [[values[row["request_key"]] for row in live] for values in (labels, weights)]
    expected = measure(
        np.array(columns[0]), np.array([row["score"] for row in live]), Problem.BINARY, np.array(columns[1]), COSTS
    )
    measured = {
        row["metric"]: row for row in rows_of(lakehouse, declared, "metrics")
        if (row["alias"], row["slice_key"]) == (CHAMPION, ALL_ROWS) and row["window_start"].astimezone(dt.UTC).month == 2
    }  # fmt: skip
    assert {name: row["value"] for name, row in measured.items()} == pytest.approx(expected)
    assert measured["log_loss"]["standard_error"] > 0
    estimates = {
        row["metric"]: row["realised"] for row in rows_of(lakehouse, declared, "estimates")
        if row["window_start"].astimezone(dt.UTC).month == 2
    }  # fmt: skip
    assert set(estimates) == {"roc_auc_score", "log_loss", COST_PER_REQUEST}
    assert estimates == pytest.approx({name: expected[name] for name in estimates})


def test_above_the_row_limit_summaries_count_by_weight_and_by_money_too(
    declared: UseCase, lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Evaluation and verdict, monitors and estimates, learned from the same rows, are those of the rows."""
    champion, said = lakehouse.models.by_alias(declared.model, CHAMPION), list[str]()
    tables = {name: measured(lakehouse, declared, name) for name in ("metrics", "estimates")}
    context = Context(
        lakehouse=lakehouse, use_case=declared, run_id=champion.tags["training_set_id"], now=SCORED, say=said.append
    )
    learned = {v.number: estimation._learned(context, v.number) for v in lakehouse.models.versions(declared.model)}
    monkeypatch.setattr(estimation, "_learned", lambda _, number: learned[number])
    exact, found, rows, again = evaluated_both_ways(context, monkeypatch, champion.number)
    assert found.sample_share is None
    assert_equal_evaluations(exact, found, 1e-3)
    assert_equal_verdicts(exact, found, GATE, 1e-3, COSTS)
    assert exact.weights is not None
    assert found.weights is not None
    assert_equal_within(vars(exact.weights), vars(found.weights), 1e-9, "weights")
    for one, other in zip(rows, again, strict=True):
        assert_equal_within(one, other, 1e-3, (one["metric"], one["slice_value"]))
    measurement.measure(context, since=None, until=SCORED)
    estimation.estimate(context, since=None, until=SCORED)
    assert [line for line in said if "sample" in line] == []
    assert sum("from summaries" in line for line in said) == 3
    for name, stored in tables.items():
        recorded = measured(lakehouse, declared, name)
        assert recorded.keys() == stored.keys()
        for key, row in stored.items():
            assert_equal_within(row, recorded[key], 1e-3 if key[4] != ALL_ROWS else 1e-6, key)


def test_predictions_carry_the_decision_that_costs_least(declared: UseCase, lakehouse: Lakehouse) -> None:
    """From a probability of a third on, by the costs; the threshold stands beside it."""
    made = rows_of(lakehouse, declared, "predictions")
    assert {row["decision_threshold"] for row in made} == {COSTS.threshold}
    assert pytest.approx(1 / 3) == COSTS.threshold
    assert {row["decision"] for row in made} == {True, False}
    assert all(row["decision"] == (row["score"] >= 1 / 3) for row in made)


def test_the_gate_judges_money(declared: UseCase, lakehouse: Lakehouse) -> None:
    """The verdict is about the cost of a request, with the costs that were declared; with others it would be refused."""
    (stored,) = rows_of(lakehouse, declared, "evaluations")
    evaluation = Evaluation.from_json(stored["evaluation"])
    version = lakehouse.models.by_alias(declared.model, CHAMPION)
    (compared,) = [
        c for c in evaluation.comparisons
        if (c.candidate, c.metric, c.slice_key) == (version.number, COST_PER_REQUEST, None)
    ]  # fmt: skip
    assert compared.standard_error > 0
    assert compared.candidate_value == evaluation.contender(version.number).metrics[COST_PER_REQUEST]
    (verdict,) = rows_of(lakehouse, declared, "verdicts")
    assert (
        f"has {COST_PER_REQUEST} {compared.candidate_value:.4f}, a constant prediction {compared.against_value:.4f}"
        in (verdict["sentence"])
    )
    assert "acting in vain costs 2 EUR, not acting 3 EUR, a benefit of 1 EUR is missed with it" in verdict["reasons"]
    (reason,) = decide(evaluation, GATE, replace(COSTS, false_positive=4.0)).failed
    assert "which is not what is declared now" in reason.sentence
    logged = lakehouse.models.run_of(version).metrics
    assert logged[f"evaluation_{COST_PER_REQUEST}"] == compared.candidate_value


def test_a_search_is_recorded_trial_by_trial_within_the_run_of_its_model(
    declared: UseCase, lakehouse: Lakehouse
) -> None:
    """The model has the best trial's parameters; no trial saw a row of the evaluation, so the gate corrects for none."""
    version = version_of(declared, lakehouse, "searched")
    client = lakehouse.models._client
    (experiment,) = client.get_run(version.run_id).info.experiment_id.split()
    nested = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{version.run_id}'")
    assert len(nested) == 3
    name = f"validation_{COST_PER_REQUEST}"
    best = min(nested, key=lambda run: run.data.metrics[name])
    run = lakehouse.models.run_of(version)
    assert run.metrics[name] == best.data.metrics[name]
    assert {f"{name}_fold_1", f"{name}_fold_2", "trial_seconds"} <= set(best.data.metrics)
    assert all(run.params[parameter] == value for parameter, value in best.data.params.items())
    assert {"learning_rate": "0.1"}.items() <= nested[-1].data.params.items()
    (stored,) = rows_of(lakehouse, declared, "evaluations")
    evaluation = Evaluation.from_json(stored["evaluation"])
    assert version.tags["search_trials"] == "3"
    assert version.tags["search_validated_until"] == version.tags["trained_until"]
    assert evaluation.window_start is not None
    assert version.tags["search_validated_until"] < evaluation.window_start
    assert evaluation.trials_on_rows == 0


def test_a_calibrated_model_says_how_and_is_trained_again_the_same(declared: UseCase, lakehouse: Lakehouse) -> None:
    """The stored model has its calibration, and was loaded in a process outside the repository before it counted."""
    version = version_of(declared, lakehouse, "searched")
    fitted = lakehouse.models.load(version)
    assert type(fitted.named_steps["estimate"]).__name__ == "CalibratedClassifierCV"
    params = lakehouse.models.run_of(version).params
    assert (params["calibration.method"], params["calibration.share"]) == ("sigmoid", "0.3")
    run_id = version.tags["training_set_id"]
    context = Context(lakehouse=lakehouse, use_case=declared, run_id=run_id, now=SCORED, say=lambda _line: None)
    assert reproduce(context, version).identical


def test_importance_and_reliability_are_recorded_with_the_evaluation(declared: UseCase, lakehouse: Lakehouse) -> None:
    """Of every contender, on rows that it was not trained on, with standard errors; the page shows them."""
    (stored,) = rows_of(lakehouse, declared, "evaluations")
    evaluation = Evaluation.from_json(stored["evaluation"])
    for contender in evaluation.contenders:
        assert {one.input for one in contender.importance} == set(declared.inputs)
        assert {one.input for one in contender.importance[:3]} >= {"carrier", "origin"}
        assert all(one.standard_error is not None for one in contender.importance)
        assert sum(one.rows for one in contender.reliability) == evaluation.rows
    plots = lakehouse.models._client.list_artifacts(version_of(declared, lakehouse, "linear").run_id, "plots")
    assert "plots/importance.png" in [plot.path for plot in plots]


@pytest.mark.parametrize("estimator", ["linear", "searched"])
def test_a_score_is_explained_by_its_inputs(declared: UseCase, lakehouse: Lakehouse, estimator: str) -> None:
    """The mean and what each input added are the score, also of a calibrated model; carrier and airport moved it most."""
    version = version_of(declared, lakehouse, estimator)
    made = {row["request_key"]: row for row in rows_of(lakehouse, declared, "predictions")}
    keys = sorted(made)[::400][:3]
    found = explain_requests(lakehouse, declared, version, keys)
    assert [one.request_key for one in found] == keys
    for one in found:
        assert one.expected + sum(c.added for c in one.contributions) == pytest.approx(one.score)
        assert {c.input for c in one.contributions[:2]} == {"carrier", "origin"}
        assert {c.input: c.value for c in one.contributions}["carrier"] == made[one.request_key]["carrier"]
        if made[one.request_key]["model_version"] == version.number:
            assert one.score == pytest.approx(made[one.request_key]["score"])
    with pytest.raises(NotPossibleError, match="no prediction of 'nothing' is stored in 'dev'"):
        explain_requests(lakehouse, declared, version, [keys[0], "nothing"])


def test_the_command_shows_what_each_input_added(
    declared: UseCase, lakehouse: Lakehouse, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table for each request."""
    version, (row, *_) = version_of(declared, lakehouse, "linear"), rows_of(lakehouse, declared, "predictions")
    root = str(Path(str(lakehouse.folder)).parent)
    words = ["explain", NAME, str(version.number), "--key", row["request_key"], "--root", root]
    assert command_line.main(words) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"{row['request_key']}: score" in shown
    assert "by coalitions; the mean and all that inputs added are the score" in shown
    assert command_line.main([*words[:4], "nothing", "--root", root]) == 2
    assert "no prediction of 'nothing' is stored" in " ".join(capsys.readouterr().err.split())


def test_the_page_compares_by_weight(declared: UseCase, lakehouse: Lakehouse) -> None:
    """What the report reads has the weight of every label."""
    scored = read_environment("dev", declared, Path(str(lakehouse.folder)).parent, lakehouse.engine, whole=True).scored
    assert scored is not None
    assert scored.weights is not None
    assert np.unique(scored.weights[~np.isnan(scored.labels)]).size == 7


def test_the_page_shows_the_cost_of_a_request(declared: UseCase, lakehouse: Lakehouse) -> None:
    """By its name, month by month."""
    root = Path(str(lakehouse.folder)).parent
    page = write_report(root, declared, environments=["dev"], main="dev", engine=lakehouse.engine).read_text()
    assert "Cost per request of the live champion" in page
    assert "How much cost per request gets worse when the input is shuffled" in page
    assert page.count("<caption>Reliability: ") == 2


def test_either_engine_joins_the_weight_of_a_label_and_decides_alike(
    declared: UseCase, engine: str, tmp_path: Path
) -> None:
    """A label brings its weight; an assumed one, and one without, has the stated weight; a score at the threshold acts."""
    asked = dt.datetime(2013, 1, 1, tzinfo=dt.UTC)
    keys, scores = ["known", "empty", "assumed"], [COSTS.threshold, 0.33, 0.9]
    requests = pa.table({"request_key": keys, "prediction_at": pa.array([asked] * 3, TIME), "score": scores})
    known_at = pa.array([asked + dt.timedelta(days=1)] * 2, TIME)
    labels = pa.table({"request_key": keys[:2], "known_at": known_at, "label": [1.0, 0.0], "pieces": [4.0, None]})
    assert declared.weight is not None
    with open_lakehouse("dev", engine=engine, root=tmp_path) as opened:
        judged = with_standing(
            opened.spark.createDataFrame(requests), opened.spark.createDataFrame(labels), key="request_key",
            time="prediction_at", due_days=7, at=asked + dt.timedelta(days=30), without_outcome=0.0, further=("pieces",),
        )  # fmt: skip
        weight = weight_of(F.col("pieces"), declared.weight).alias(SAMPLE_WEIGHT)
        rows = decided(
            judged.select("request_key", "label", "score", weight).toArrow(), COSTS, Problem.BINARY
        ).to_pylist()
    found = {row["request_key"]: (row["label"], row[SAMPLE_WEIGHT], row[DECISION]) for row in rows}
    assert found == {"known": (1.0, 4.0, True), "empty": (0.0, 0.0, False), "assumed": (0.0, 0.0, True)}
    assert {row[DECISION_THRESHOLD] for row in rows} == {COSTS.threshold}
