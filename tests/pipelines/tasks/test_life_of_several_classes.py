"""One of several classes is predicted through the real jobs: how the departures of real flights lie to their schedule."""

import datetime as dt
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from ml.evaluation.record import Evaluation
from ml.metrics.metric_table import measure
from ml.metrics.score_grid import ROC_AUC_BOUND
from ml.models.fitting import fit
from ml.models.prediction import predict
from ml.monitoring.findings import ALL_ROWS
from ml.spec.estimator import Calibration, Encoding, EstimatorSpec
from ml.spec.gate_policy import policy
from ml.spec.metric_names import class_auc, metric_names
from ml.spec.target import PREDICTED_CLASS, MultiClass, score_columns
from pipelines import __main__ as command_line
from pipelines.canary import SHAPES, run_canary
from pipelines.dataframes.scoring import score_frame, scores_in
from pipelines.declarations.use_case import UseCase
from pipelines.demo import flights as packaged
from pipelines.execution import jobs
from pipelines.execution.context import Context
from pipelines.explanation import explain_requests
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.report.writing import write_report
from pipelines.reproduction import reproduce
from pipelines.tasks import row_limits
from pipelines.tasks.monitoring import estimation, measurement
from pipelines.tasks.monitoring.skew import skew
from tests.pipelines.tasks.both_ways import (
    assert_equal_evaluations,
    assert_equal_verdicts,
    assert_equal_within,
    evaluated_both_ways,
    measured,
)
from tests.pipelines.tasks.test_life_of_every_estimator import loads_lightgbm
from tests.pipelines.template_use_case import BANDS_OF_MINUTES, template_use_case
from tests.pipelines.use_case_runs import rows_of, run_job

NAME = "departure_bands"
BANDS = MultiClass(classes=("early", "on_time", "late"))
TRAINED, SCORED, NEXT = (dt.datetime(2013, month, day, tzinfo=dt.UTC) for month, day in ((2, 20), (3, 8), (3, 20)))
GATE = replace(policy("default", BANDS), minimum_rows=300, minimum_positives=50, maximum_skill=None, latency_ratio=None)
EVERY = 18
"""Of the packaged flights, which are real, one of so many."""
CALIBRATED = EstimatorSpec(
    name="calibrated",
    estimator="lightgbm.LGBMClassifier" if loads_lightgbm() else "sklearn.ensemble.HistGradientBoostingClassifier",
    encoding=Encoding.ORDINAL,
    parameters={"max_depth": 3, "n_estimators": 40, "verbosity": -1} if loads_lightgbm() else {"max_depth": 3},
    calibration=Calibration.SIGMOID,
    calibration_share=0.3,
)
STEPS: tuple[tuple[str, dt.datetime, dict[str, str]], ...] = (
    ("features", SCORED, {}),
    ("training", TRAINED, {"training_days": "28", "evaluation_days": "16"}),
    ("scoring", SCORED, {"since": (TRAINED - dt.timedelta(days=3)).isoformat()}),
    ("monitoring", SCORED, {}),
    ("features", NEXT, {}),
    ("training", NEXT, {"training_days": "28", "evaluation_days": "20"}),
)
"""The jobs, each with its end and its parameters; the second training has a champion to beat."""


def some_flights(folder: Path) -> Path:
    """Write a share of the packaged flights of the first weeks of the year."""
    source = packaged.data_folder("")
    for name in ("airports.csv", "planes.csv", "weather.csv"):
        shutil.copyfile(source / name, folder / name)
    rows = pd.read_csv(source / "flights.csv.zip", dtype=str, keep_default_na=False)
    chosen = rows[rows["month"].isin(["1", "2", "3"])].iloc[::EVERY]
    chosen.to_csv(folder / "flights.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def declared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UseCase]:
    """A use case from the templates whose labels are bands of minutes."""
    with template_use_case(NAME, tmp_path_factory.mktemp("team"), BANDS_OF_MINUTES) as found:
        yield replace(found, problem=BANDS, gate=GATE, estimators=(found.estimators[0], CALIBRATED))


@pytest.fixture(scope="module")
def lakehouse(declared: UseCase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lakehouse]:
    """Trained, scored, monitored, and trained again beside a champion."""
    files = str(some_flights(tmp_path_factory.mktemp("flights")))
    with (
        open_lakehouse("dev", root=tmp_path_factory.mktemp("classes")) as opened,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(jobs, "use_case", lambda name: {declared.name: declared}[name])
        for job, until, given in STEPS:
            read = {"location": files} if job == "features" else {}
            skip = ["retrain"] if job == "monitoring" else []
            run = run_job(opened, declared, job, {"until": until.isoformat(), **given, **read}, skip=skip)
            said = [row["sentence"] for row in rows_of(opened, declared, "verdicts")]
            assert run.succeeded, (job, said, [one.error for one in run.attempts if one.error])
        yield opened


def made_live(lakehouse: Lakehouse, declared: UseCase) -> list[dict[str, Any]]:
    """Predictions that were not made in hindsight."""
    return [row for row in rows_of(lakehouse, declared, "predictions") if not row["hindsight"]]


def scores_of(rows: list[dict[str, Any]]) -> NDArray[np.float64]:
    """The probability of every class, shape (rows, classes)."""
    return np.array([[row[name] for name in score_columns(BANDS)] for row in rows])


def evaluations(lakehouse: Lakehouse, declared: UseCase) -> list[Evaluation]:
    """Both, the first one first."""
    stored = sorted(rows_of(lakehouse, declared, "evaluations"), key=lambda row: row["evaluated_at"])
    return [Evaluation.from_json(row["evaluation"]) for row in stored]


def test_predictions_have_every_class_and_the_most_probable_one(declared: UseCase, lakehouse: Lakehouse) -> None:
    """The score is its probability; all of a request add up to 1."""
    made = rows_of(lakehouse, declared, "predictions")
    scores = scores_of(made)
    assert len(made) > 500
    assert scores.sum(axis=1) == pytest.approx(np.ones(len(made)))
    assert [row[PREDICTED_CLASS] for row in made] == [BANDS.classes[place] for place in scores.argmax(axis=1)]
    assert [row["score"] for row in made] == pytest.approx(scores.max(axis=1))
    assert len({row[PREDICTED_CLASS] for row in made}) > 1


def test_the_gate_judges_every_class_against_the_rest(declared: UseCase, lakehouse: Lakehouse) -> None:
    """First against a constant, then against the champion, also on slices; metrics and classes are logged with the version."""
    first, second = evaluations(lakehouse, declared)
    assert (first.champion, first.problem) == (None, BANDS)
    champion = lakehouse.models.by_alias(declared.model, CHAMPION)
    assert {one.metric for one in second.comparisons if one.against == second.champion} == {GATE.metric, "log_loss"}
    assert all(one.standard_error > 0 for one in second.comparisons if one.slice_key is None)
    assert {one.slice_value for one in second.comparisons} >= {"EWR", "JFK", "LGA"}
    for evaluation in (first, second):
        assert evaluation.positives is not None
        assert GATE.minimum_positives <= evaluation.positives < evaluation.rows / 3
        for contender in evaluation.contenders:
            assert set(contender.metrics) == set(metric_names(BANDS, None))
            assert {one.input for one in contender.importance} == set(declared.inputs)
            assert sum(one.rows for one in contender.reliability) == evaluation.rows
    promoted = first.contender(champion.number)
    assert promoted.metrics[GATE.metric] > 0.55
    logged = lakehouse.models.run_of(champion).metrics
    for name in (GATE.metric, class_auc("late")):
        assert logged[f"evaluation_{name}"] in {one.contender(champion.number).metrics[name] for one in (first, second)}


def test_monitors_measure_and_profile_every_class(declared: UseCase, lakehouse: Lakehouse) -> None:
    """Each realised metric is that of the labels that are due; probabilities and predicted class are compared with training."""
    labels = {row["request_key"]: row["label"] for row in rows_of(lakehouse, declared, "labels")}
    due = SCORED - dt.timedelta(days=declared.label_due_days)
    live = [
        row for row in made_live(lakehouse, declared)
        if row["prediction_at"].astimezone(dt.UTC) < due and row["prediction_at"].astimezone(dt.UTC).month == 2
        and labels.get(row["request_key"]) is not None
    ]  # fmt: skip
    expected = measure(np.array([labels[row["request_key"]] for row in live]), scores_of(live), BANDS)
    measured = {
        row["metric"]: row for row in rows_of(lakehouse, declared, "metrics")
        if (row["alias"], row["slice_key"]) == (CHAMPION, ALL_ROWS) and row["window_start"].astimezone(dt.UTC).month == 2
    }  # fmt: skip
    assert {name: row["value"] for name, row in measured.items()} == pytest.approx(expected)
    for name in (GATE.metric, "log_loss", class_auc("early")):
        assert measured[name]["standard_error"] > 0
    estimates = {
        row["metric"]: row for row in rows_of(lakehouse, declared, "estimates")
        if row["window_start"].astimezone(dt.UTC).month == 2
    }  # fmt: skip
    assert set(estimates) == {GATE.metric, "log_loss", "zero_one_loss", *map(class_auc, BANDS.classes)}
    assert {name: row["realised"] for name, row in estimates.items()} == pytest.approx(
        {name: expected[name] for name in estimates}
    )
    watched = {"score", PREDICTED_CLASS, *score_columns(BANDS)}
    assert watched <= {row["column_name"] for row in rows_of(lakehouse, declared, "profiles")}
    assert watched <= {
        row["column_name"] for row in rows_of(lakehouse, declared, "drift")
        if row["drift_type"] == "BASELINE" and row["js_distance"] is not None
    }  # fmt: skip


def test_a_calibrated_model_of_trees_is_trained_again_the_same(declared: UseCase, lakehouse: Lakehouse) -> None:
    """LightGBM's where it can be loaded; its probabilities are calibrated for every class."""
    version = next(v for v in lakehouse.models.versions(declared.model) if v.tags["estimator"] == "calibrated")
    estimator = lakehouse.models.load(version).named_steps["estimate"]
    assert type(estimator).__name__ == "CalibratedClassifierCV"
    assert estimator.classes_.tolist() == [0, 1, 2]
    context = Context(
        lakehouse=lakehouse,
        use_case=declared,
        run_id=version.tags["training_set_id"],
        now=SCORED,
        say=lambda _line: None,
    )
    assert reproduce(context, version).identical


def test_the_probability_of_the_predicted_class_is_explained(
    declared: UseCase, lakehouse: Lakehouse, capsys: pytest.CaptureFixture[str]
) -> None:
    """Requests of different classes at once; the command names the class."""
    version = lakehouse.models.by_alias(declared.model, CHAMPION)
    own = [row for row in rows_of(lakehouse, declared, "predictions") if row["model_version"] == version.number]
    asked = [
        next(row for row in own if row[PREDICTED_CLASS] == one) for one in sorted({r[PREDICTED_CLASS] for r in own})
    ]
    found = explain_requests(lakehouse, declared, version, [row["request_key"] for row in asked])
    assert [one.predicted_class for one in found] == [row[PREDICTED_CLASS] for row in asked]
    for one, row in zip(found, asked, strict=True):
        assert one.score == pytest.approx(row["score"])
        assert one.expected + sum(c.added for c in one.contributions) == pytest.approx(one.score)
    root = str(Path(str(lakehouse.folder)).parent)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.commands.explain.use_case_named", lambda _name: declared)
        words = ["explain", NAME, str(version.number), "--key", asked[0]["request_key"], "--root", root]
        assert command_line.main(words) == 0
    assert f"score of {asked[0][PREDICTED_CLASS]} {asked[0]['score']:.4f}" in " ".join(capsys.readouterr().out.split())


def test_the_gate_judges_several_classes_from_summaries_as_from_rows(
    declared: UseCase, lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside a champion and on slices: every metric of every class, every error, every reason of the verdict."""
    _, second = evaluations(lakehouse, declared)
    context = Context(
        lakehouse=lakehouse, use_case=declared, run_id=second.evaluation_id, now=NEXT, say=lambda _line: None
    )
    exact, found, rows, again = evaluated_both_ways(context, monkeypatch, second.champion)
    assert (found.problem, found.sample_share) == (BANDS, None)
    assert found.metric_bound is not None
    assert found.metric_bound <= ROC_AUC_BOUND
    # A batch of other rows may round a probability otherwise, which decides between two that are all but equal.
    assert_equal_evaluations(exact, found, 1e-3, whole=1e-5)
    assert_equal_verdicts(exact, found, GATE, 1e-3)
    assert {one["metric"] for one in again} == set(metric_names(BANDS, None))
    assert len(rows) == len(again)
    for one, other in zip(rows, again, strict=True):
        assert_equal_within(one, other, 1e-3, (one["model_version"], one["metric"], one["slice_value"]))


def test_monitoring_of_several_classes_from_summaries_records_what_the_rows_give(
    declared: UseCase, lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every metric of every class with its error, by window, version and slice."""
    exact, said = measured(lakehouse, declared, "metrics"), list[str]()
    context = Context(lakehouse=lakehouse, use_case=declared, run_id="again", now=SCORED, say=said.append)
    monkeypatch.setattr(row_limits, "EXACT_ROWS", 300)
    measurement.measure(context, since=None, until=SCORED)
    assert "measured from summaries" in said[0]
    found = measured(lakehouse, declared, "metrics")
    assert found.keys() == exact.keys()
    assert {class_auc(name) for name in BANDS.classes} <= {key[3] for key in exact if key[1] == CHAMPION}
    for key, row in exact.items():
        assert_equal_within(row, found[key], 1e-3, key)


def test_estimates_of_several_classes_from_summaries_are_those_of_the_rows(
    declared: UseCase, lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is expected of each class, without labels, and what was realised."""
    context = Context(lakehouse=lakehouse, use_case=declared, run_id="again", now=SCORED, say=lambda _line: None)
    exact, said = measured(lakehouse, declared, "estimates"), list[str]()
    learned = vars(estimation)["_learned"]

    def from_all_rows(context: Context, number: int) -> Any:
        """Learn about a version as before: from a share of its rows something else would be learned."""
        with monkeypatch.context() as patch:
            patch.setattr(row_limits, "EXACT_ROWS", 5_000_000)
            return learned(context, number)

    monkeypatch.setattr(estimation, "_learned", from_all_rows)
    monkeypatch.setattr(row_limits, "EXACT_ROWS", 300)
    estimation.estimate(replace(context, say=said.append), since=None, until=SCORED)
    assert "estimated from summaries" in said[0]
    found = measured(lakehouse, declared, "estimates")
    assert found.keys() == exact.keys()
    assert {class_auc(name) for name in BANDS.classes} <= {key[3] for key in exact}
    for key, row in exact.items():
        assert_equal_within(row, found[key], 1e-3, key)


def test_scored_inputs_are_compared_with_trained_ones(declared: UseCase, lakehouse: Lakehouse) -> None:
    """Skew is about inputs, whatever is predicted: the second training set has requests that were scored before."""
    context = Context(lakehouse=lakehouse, use_case=declared, run_id="skew", now=NEXT, say=lambda _line: None)
    skew(context, until=NEXT)
    compared = {row["column_name"]: row for row in rows_of(lakehouse, declared, "skew")}
    assert set(declared.inputs) <= set(compared)
    assert all(compared[name]["requests"] > 0 for name in declared.inputs)


def test_page_and_card_tell_of_every_class(declared: UseCase, lakehouse: Lakehouse) -> None:
    """Shares of labels and of predictions, ROC AUC against the rest, how outcomes of each become known."""
    page = write_report(Path(str(lakehouse.folder)).parent, declared, environments=["dev"], main="dev").read_text()
    assert "Each class against the rest" in page
    for name in ("Early", "On time", "Late"):
        assert f"<caption>{name}</caption>" in page
    assert "How often the most probable class was right, and its probability" in page
    card = min(rows_of(lakehouse, declared, "model_cards"), key=lambda row: row["decided_at"])["card"]
    assert "evaluated rows have the rarest class" in card
    for name in (GATE.metric, class_auc("on_time")):
        assert name in card


def test_noise_in_several_classes_makes_no_champion(declared: UseCase) -> None:
    """Also where a label's value decides when it is known, and where no outcome counts as the first class."""
    shapes = [next(iter(SHAPES)), list(SHAPES)[-1]]
    found = run_canary(replace(declared, estimators=declared.estimators[:1]), seed=1, shapes=shapes)
    assert found.held
    assert found.false_promotions == 0
    for one in found.verdicts:
        assert any(reason.rule == "better" for reason in one.verdict.reasons), one.verdict.sentence


@pytest.mark.proof_on_jvm
def test_either_engine_makes_the_same_columns(engine: str, tmp_path: Path) -> None:
    """The probability of each class, the most probable one and its probability."""
    random = np.random.default_rng(2)
    inputs = pd.DataFrame({"size": random.uniform(0, 3, 200), "name": random.choice(["x", "y"], 200)})
    labels = np.minimum(np.floor(inputs["size"].to_numpy()), 2.0)
    spec = EstimatorSpec(name="l", estimator="sklearn.linear_model.LogisticRegression", encoding=Encoding.ONE_HOT)
    model = fit(spec, inputs, labels, problem=BANDS, numeric=["size"], categorical=["name"], seed=0)
    with open_lakehouse("dev", engine=engine, root=tmp_path) as opened:
        frame = opened.spark.createDataFrame(pa.Table.from_pandas(inputs, preserve_index=False))
        made = score_frame(frame, model, inputs=["size", "name"], problem=BANDS).toArrow().to_pandas()
    expected = predict(model, made[["size", "name"]], problem=BANDS)
    assert scores_in(made, BANDS) == pytest.approx(expected)
    assert made["score"].to_numpy() == pytest.approx(expected.max(axis=1))
    assert made[PREDICTED_CLASS].tolist() == [BANDS.classes[place] for place in expected.argmax(axis=1)]
