"""A model's life on real flights: training, evaluation, promotion, scoring, monitoring; errors promote nothing."""

import datetime as dt
import json
import math
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from ml.card.html_page import card_page
from ml.card.model_card import IMPORTANCE, LABELS, METRICS, VERDICT
from ml.card.record import ModelCard
from ml.evaluation.record import Evaluation
from ml.gate.verdict import Outcome
from pipelines.declarations.registry import use_case
from pipelines.execution.context import Context
from pipelines.execution.runner import JobRun, State
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.lakehouse.registry.aliases import CHALLENGER, CHAMPION
from pipelines.lakehouse.registry.model_version import NoModelVersionError
from pipelines.tasks import row_limits
from pipelines.tasks.versions import evaluation as evaluation_task
from pipelines.tasks.versions import promotion, training
from pipelines.tasks.versions.candidates import Training, provenance
from pipelines.tasks.versions.model_card import CARD_FILE, write_model_cards
from tests.pipelines.use_case_runs import rows_of, run_job

FLIGHT_DELAY = use_case("flight_delay")
MODEL = FLIGHT_DELAY.model
TRAINED = dt.datetime(2013, 2, 19, tzinfo=dt.UTC)
SCORED = dt.datetime(2013, 2, 26, tzinfo=dt.UTC)
MEASURED = dt.datetime(2013, 3, 1, tzinfo=dt.UTC)
"""When the outcomes of the first days that were scored are due."""
DUE = dt.timedelta(days=FLIGHT_DELAY.label_due_days)
TRAINING = {"until": TRAINED.isoformat(), "evaluation_days": "21", "sample": "0.4"}
Life = tuple[Lakehouse, dict[str, JobRun]]
"""The environment, and the run of each job by its name."""


def run(lakehouse: Lakehouse, job: str, parameters: Mapping[str, str], **options: Any) -> JobRun:
    """Run a job of the use case; its present is the end of its window."""
    return run_job(lakehouse, FLIGHT_DELAY, job, parameters, **options)


def rows(lakehouse: Lakehouse, name: str) -> list[dict[str, Any]]:
    """The rows of a table."""
    return rows_of(lakehouse, FLIGHT_DELAY, name)


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """An environment in which each job has run once, and the runs."""
    with open_lakehouse("staging", root=tmp_path_factory.mktemp("life")) as lakehouse:
        runs = {"features": run(lakehouse, "features", {"until": SCORED.isoformat()})}
        runs["training"] = run(lakehouse, "training", TRAINING, run_id="first")
        runs["scoring"] = run(lakehouse, "scoring", {"since": TRAINED.isoformat(), "until": SCORED.isoformat()})
        assert run(lakehouse, "features", {"until": MEASURED.isoformat()}).succeeded
        runs["monitoring"] = run(lakehouse, "monitoring", {"until": MEASURED.isoformat()}, skip=["retrain"])
        yield lakehouse, runs


def test_every_job_succeeds(life: Life) -> None:
    """Features, training, scoring and monitoring."""
    _, runs = life
    assert {name: one.succeeded for name, one in runs.items()} == dict.fromkeys(runs, True)


def test_every_estimator_of_the_use_case_becomes_a_version_that_can_be_traced(life: Life) -> None:
    """Its tags have commit, table versions, seed, environment and cause."""
    lakehouse, _ = life
    versions = lakehouse.models.versions(MODEL)
    assert [v.tags["estimator"] for v in versions] == [spec.name for spec in FLIGHT_DELAY.estimators]
    for version in versions:
        assert version.tags["environment"] == "staging"
        assert version.tags["seed"] == "20130101"
        assert version.tags["cause"] == "requested"
        assert len(version.tags["git_commit"].removesuffix("-modified")) in (40, len("unknown"))
        read = json.loads(version.tags["table_versions"])
        assert {"flight_delay_bronze.schedule", "flight_delay_features.labels"} <= set(read)
        assert all(isinstance(number, int) for number in read.values())


def test_a_run_holds_parameters_metrics_and_plots(life: Life) -> None:
    """ROC curve, calibration and importance."""
    lakehouse, _ = life
    for version in lakehouse.models.versions(MODEL):
        record = lakehouse.models.run_of(version)
        assert record.params["seed"] == "20130101"
        assert 0.5 < record.metrics["training_roc_auc_score"] < 1
        assert record.metrics["training_rows"] > 1_000
        assert 0.5 < record.metrics["evaluation_roc_auc_score"] < 1
        client = lakehouse.models._client
        plots = {file.path for file in client.list_artifacts(version.run_id, "plots")}
        assert plots == {"plots/roc.png", "plots/calibration.png", "plots/importance.png"}


def test_the_split_is_by_time_and_no_label_came_from_the_future(life: Life) -> None:
    """Training rows were predicted and labelled before the first evaluated prediction."""
    lakehouse, _ = life
    split = TRAINED - DUE - dt.timedelta(days=21)
    stored = rows(lakehouse, "training_set")
    assert {row["part"] for row in stored} == {"training", "evaluation"}
    for row in stored:
        assert row["label_known_at"] <= row["prediction_at"] + DUE
        if row["part"] == "training":
            assert row["prediction_at"] + DUE < split
        else:
            assert split <= row["prediction_at"] < TRAINED - DUE


def test_every_request_of_the_windows_decides_or_is_counted_as_left_out(life: Life) -> None:
    """In the evaluation, in the gate's reasons, and for what was trained on; cancelled flights have no label."""
    lakehouse, _ = life
    record = Evaluation.from_json(rows(lakehouse, "evaluations")[0]["evaluation"])
    counts = record.label_counts
    assert counts is not None
    assert (counts.deciding, counts.assumed, counts.late) == (record.rows, 0, 0)
    since = TRAINED - DUE - dt.timedelta(days=21)
    schedule = rows(lakehouse, "flight_delay_bronze.schedule")
    asked = [row for row in schedule if since <= row["prediction_at"] < TRAINED]
    assert 0.35 < counts.requests / len(asked) < 0.45
    waiting = [row for row in asked if row["prediction_at"] >= TRAINED - DUE]
    assert 0.35 < counts.not_due / len(waiting) < 0.45
    assert counts.without_label > 100
    (verdict,) = rows(lakehouse, "verdicts")
    assert counts.sentence in {reason["sentence"] for reason in json.loads(verdict["reasons"])}


def test_the_first_model_ever_becomes_champion_by_beating_a_constant(life: Life) -> None:
    """The table and the version have the verdict with its reasons."""
    lakehouse, runs = life
    (verdict,) = rows(lakehouse, "verdicts")
    assert (verdict["outcome"], verdict["champion"]) == ("promote", None)
    champion = lakehouse.models.by_alias(MODEL, CHAMPION)
    assert champion.number == verdict["promoted"] == int(runs["training"].last["promote"].values["promoted"])
    assert champion.tags["verdict"] == "promote"
    assert champion.tags["verdict_reasons"] == verdict["sentence"]
    reasons = json.loads(verdict["reasons"])
    assert {"rule", "passed", "sentence", "value", "threshold"} <= set(reasons[0])


def test_all_contenders_are_measured_on_the_same_later_rows_with_every_slice(life: Life) -> None:
    """No contender was trained on one of these rows."""
    lakehouse, _ = life
    record = Evaluation.from_json(rows(lakehouse, "evaluations")[0]["evaluation"])
    assert record.complete
    assert {c.overlap_rows for c in record.contenders} == {0}
    carriers = {s.slice_value for s in record.contenders[0].slices if s.slice_key == "carrier"}
    evaluated = [row for row in rows(lakehouse, "training_set") if row["part"] == "evaluation"]
    assert carriers == {row["carrier"] for row in evaluated}
    assert record.rows == len(evaluated)


def test_candidates_are_cleared_and_the_best_is_challenger(life: Life) -> None:
    """After the promotion no candidate is left."""
    lakehouse, _ = life
    assert lakehouse.models.candidates(MODEL) == ()
    assert lakehouse.models.find_alias(MODEL, CHALLENGER) is not None


def test_every_prediction_has_its_model_version_and_feature_versions(life: Life) -> None:
    """Every flight due in the window is scored once, by the champion."""
    lakehouse, _ = life
    found = rows(lakehouse, "predictions")
    champion = lakehouse.models.by_alias(MODEL, CHAMPION)
    due = [r for r in rows(lakehouse, "flight_delay_bronze.schedule") if TRAINED <= r["prediction_at"] < SCORED]
    assert len(found) == len(due) == len({row["request_key"] for row in found})
    assert {row["model_version"] for row in found} == {champion.number}
    assert all(0 <= row["score"] <= 1 for row in found)
    assert set(json.loads(found[0]["features_version"])) == {
        FLIGHT_DELAY.spine.table.address,
        *(lookup.table.address for lookup in FLIGHT_DELAY.lookups),
    }


def test_scores_are_those_of_the_registered_model(life: Life) -> None:
    """The stored inputs give the stored scores."""
    lakehouse, _ = life
    frame = lakehouse.tables.read(FLIGHT_DELAY.table("predictions")).limit(200).toArrow().to_pandas()
    model = lakehouse.models.load(lakehouse.models.by_alias(MODEL, CHAMPION))
    expected = model.predict_proba(frame[list(FLIGHT_DELAY.inputs)])[:, 1]
    np.testing.assert_allclose(frame["score"], expected, rtol=1e-12)


@pytest.mark.parametrize("since", [TRAINED, TRAINED + dt.timedelta(days=3)])
def test_scoring_a_day_again_adds_nothing(life: Life, since: dt.datetime) -> None:
    """Also with another window."""
    lakehouse, _ = life
    before = len(rows(lakehouse, "predictions"))
    again = run(lakehouse, "scoring", {"since": since.isoformat(), "until": SCORED.isoformat()})
    assert again.last["score"].rows == 0
    assert len(rows(lakehouse, "predictions")) == before


def test_scoring_without_a_start_continues_after_the_last_prediction(life: Life) -> None:
    """A second run finds no request left."""
    lakehouse, _ = life
    assert run(lakehouse, "scoring", {"until": SCORED.isoformat()}).last["score"].rows == 0


def test_scoring_without_a_champion_fails_and_names_the_job_to_run(tmp_path: Path) -> None:
    """No prediction is written."""
    with open_lakehouse("dev", root=tmp_path) as empty:
        failed = run(empty, "scoring", {"until": SCORED.isoformat()})
        assert "Run the training job" in failed.last["score"].error
        assert empty.tables.version(FLIGHT_DELAY.table("predictions")) is None


def test_metrics_count_every_prediction_once(life: Life) -> None:
    """With a label, without one for ever, or still waiting; the slices add up to the whole."""
    lakehouse, _ = life
    found = [row for row in rows(lakehouse, "metrics") if row["alias"] == CHAMPION and row["metric"] == "roc_auc_score"]
    whole = [row for row in found if row["slice_key"] == ":all"]
    assert sum(row["predictions"] for row in whole) == len(rows(lakehouse, "predictions"))
    for row in whole:
        carriers = [
            other for other in found if other["slice_key"] == "carrier" and other["window_start"] == row["window_start"]
        ]
        assert sum(other["labelled"] for other in carriers) == row["labelled"]
        assert row["labelled"] + row["without_label"] <= row["predictions"]


def test_the_realised_metric_is_that_of_predictions_and_labels(life: Life) -> None:
    """Computed again here from the tables."""
    from sklearn.metrics import roc_auc_score

    lakehouse, _ = life
    labels = {row["request_key"]: row["label"] for row in rows(lakehouse, "labels")}
    pairs = [
        (labels[r["request_key"]], r["score"])
        for r in rows(lakehouse, "predictions")
        if labels.get(r["request_key"]) is not None and r["prediction_at"] + DUE < MEASURED
    ]
    (row,) = [
        row for row in rows(lakehouse, "metrics")
        if row["alias"] == CHAMPION and row["metric"] == "roc_auc_score" and row["slice_key"] == ":all" and row["value"] is not None
    ]  # fmt: skip
    assert row["labelled"] == len(pairs)
    assert row["value"] == pytest.approx(roc_auc_score(*zip(*pairs, strict=True)), abs=1e-12)
    assert 0 < row["standard_error"] < 0.1


def test_drift_is_measured_for_every_input_against_the_training_rows(life: Life) -> None:
    """Each input and the score have a row."""
    lakehouse, _ = life
    drifted = {row["column_name"] for row in rows(lakehouse, "drift") if row["drift_type"] == "BASELINE"}
    assert drifted == {*FLIGHT_DELAY.inputs, "score"}


def test_every_task_that_ran_left_its_record(life: Life) -> None:
    """With job, task, state, seconds and rows."""
    lakehouse, runs = life
    kept = {(row["run_id"], row["task"], row["attempt"]): row for row in rows(lakehouse, "runs")}
    for one in runs.values():
        for attempt in one.attempts:
            row = kept[one.run_id, attempt.task, attempt.attempt]
            assert (row["state"], row["rows"]) == (attempt.state.value, attempt.rows)
            assert math.isfinite(row["seconds"])


def context_of(lakehouse: Lakehouse, run_id: str) -> Context:
    """A context that continues a run."""
    return Context(lakehouse=lakehouse, use_case=FLIGHT_DELAY, run_id=run_id, now=TRAINED, say=lambda _: None)


def aliases(lakehouse: Lakehouse) -> dict[str, int | None]:
    """The number of the version that each alias points to."""
    found = {alias: lakehouse.models.find_alias(MODEL, alias) for alias in (CHAMPION, CHALLENGER)}
    return {alias: version.number if version else None for alias, version in found.items()}


def card_of(lakehouse: Lakehouse, run_id: str, version: int) -> str:
    """The page among the artifacts of a run."""
    client = lakehouse.models._client
    with tempfile.TemporaryDirectory() as folder:
        path = client.download_artifacts(run_id, CARD_FILE, folder)
        text = Path(path).read_text(encoding="utf-8")
    assert f"version {version}" in text
    return text


def test_every_candidate_has_a_model_card_with_what_the_records_say(life: Life) -> None:
    """In its table and on its run, promoted or not; metric, verdict, labels left out and importance are the recorded ones."""
    lakehouse, _ = life
    cards = {row["model_version"]: ModelCard.from_json(row["card"]) for row in rows(lakehouse, "model_cards")}
    (stored,) = (row for row in rows(lakehouse, "evaluations") if row["evaluation_id"] == "first")
    evaluation = Evaluation.from_json(stored["evaluation"])
    assert evaluation.label_counts is not None
    judged = {contender.version: contender for contender in evaluation.candidates}
    assert set(judged) <= set(cards)
    for number, contender in judged.items():
        card, version = cards[number], lakehouse.models.version(MODEL, number)
        metrics = {row[0]: row[1:] for row in card.section(METRICS).tables[0].rows}
        assert metrics["roc_auc_score"][0] == f"{contender.metrics['roc_auc_score']:.4f}"
        assert re.fullmatch(r"0\.\d+ to [01]\.\d+", metrics["roc_auc_score"][1])
        assert f"This version: {version.tags['verdict']}." in card.section(VERDICT).sentences
        assert f"Of the evaluation window: {evaluation.label_counts.sentence}." in card.section(LABELS).sentences
        assert {row[0] for row in card.section(IMPORTANCE).tables[0].rows} == set(FLIGHT_DELAY.inputs)
        assert card_of(lakehouse, version.run_id, number) == card_page(card)


def test_a_repeated_card_is_the_same(life: Life) -> None:
    """An interrupted task writes it again."""
    lakehouse, _ = life
    before = {row["model_version"]: row for row in rows(lakehouse, "model_cards") if row["evaluation_id"] == "first"}
    pages = {n: card_of(lakehouse, lakehouse.models.version(MODEL, n).run_id, n) for n in before}
    write_model_cards(context_of(lakehouse, "first"))
    after = {row["model_version"]: row for row in rows(lakehouse, "model_cards") if row["evaluation_id"] == "first"}
    assert after == before
    assert {n: card_of(lakehouse, lakehouse.models.version(MODEL, n).run_id, n) for n in before} == pages


def test_without_candidates_the_champion_stays(life: Life) -> None:
    """An evaluation of the champion alone has the outcome keep."""
    lakehouse, _ = life
    before = aliases(lakehouse)
    again = run(
        lakehouse,
        "training",
        TRAINING,
        run_id="no-candidates",
        skip=[f"train_{s.name}" for s in FLIGHT_DELAY.estimators],
    )
    assert again.succeeded
    assert again.last["promote"].values["outcome"] == Outcome.KEEP
    assert aliases(lakehouse)[CHAMPION] == before[CHAMPION]


def test_promoting_again_ends_in_the_same_state(life: Life) -> None:
    """So a run after a crash can repeat the promotion."""
    lakehouse, _ = life
    before = aliases(lakehouse)
    promotion.promote(context_of(lakehouse, "first"))
    assert aliases(lakehouse) == before


def test_an_evaluator_that_raises_promotes_nothing(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """The candidates wait for the next evaluation."""
    lakehouse, _ = life
    before = aliases(lakehouse)

    def broken(**_: Any) -> NoReturn:
        raise ArithmeticError("no metric")

    monkeypatch.setattr(evaluation_task, "evaluate_contenders", broken)
    failed = run(lakehouse, "training", TRAINING, run_id="broken", skip=["train_gradient_boosting"])
    assert failed.last["evaluate"].state is State.FAILED
    assert failed.last["promote"].state is State.UPSTREAM_FAILED
    assert aliases(lakehouse) == before
    assert [v.tags["estimator"] for v in lakehouse.models.candidates(MODEL)] == ["logistic_regression"]
    lakehouse.models.clear_candidates(MODEL)


def test_a_changed_evaluation_is_refused(life: Life) -> None:
    """Its digest differs, and the aliases stay."""
    lakehouse, _ = life
    before = aliases(lakehouse)
    table = FLIGHT_DELAY.table("evaluations")
    stored = next(row for row in rows(lakehouse, "evaluations") if row["evaluation_id"] == "first")
    forged = {**stored, "evaluation_id": "forged", "evaluation": stored["evaluation"].replace('"rows": ', '"rows": 1')}
    from pipelines.lakehouse.tables.arrow import records

    lakehouse.tables.merge(table, records(table, [forged]))
    with pytest.raises(Exception, match="digest"):
        promotion.promote(context_of(lakehouse, "forged"))
    assert aliases(lakehouse) == before


def test_of_two_promotions_at_once_the_second_is_refused(life: Life) -> None:
    """The champion of the evaluation is no longer the champion."""
    lakehouse, _ = life
    champion = lakehouse.models.by_alias(MODEL, CHAMPION)
    other = next(v for v in lakehouse.models.versions(MODEL) if v.number != champion.number)
    lakehouse.models.set_alias(other, CHAMPION)
    try:
        with pytest.raises(Exception, match="another promotion came first"):
            promotion.promote(context_of(lakehouse, "first"))
        assert aliases(lakehouse)[CHAMPION] == other.number
    finally:
        lakehouse.models.set_alias(champion, CHAMPION)


def test_promotion_without_an_evaluation_says_which_task_to_run(life: Life) -> None:
    """The evaluation of another run is not used."""
    lakehouse, _ = life
    with pytest.raises(Exception, match="run the task evaluate"):
        promotion.promote(context_of(lakehouse, "no-such-run"))


def test_a_training_run_without_rows_fails_and_names_the_range_of_the_labels(life: Life) -> None:
    """Its window ends before the first flight; nothing counts as assembled."""
    lakehouse, _ = life
    early = {**TRAINING, "until": "2012-06-01T00:00:00+00:00"}
    failed = run(lakehouse, "training", early, run_id="early")
    error = failed.last["assemble"].error
    assert "no request from 2011-12-29 to 2012-06-01" in error
    assert "has a label that was due (7 days after its prediction)" in error
    assert "requests from 2013-01-01 to 2013-02-" in error
    assert "--param until=2013-" in error
    assert failed.last["promote"].state is State.UPSTREAM_FAILED


@pytest.mark.proof
def test_a_sample_is_the_same_in_every_run_and_follows_the_seed(life: Life) -> None:
    """Another seed gives another sample."""
    lakehouse, _ = life
    counts = {}
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        run(
            lakehouse,
            "training",
            {**TRAINING, "sample": "0.05", "seed": seed},
            run_id=f"sample-{name}",
            only=["assemble"],
        )
        keys = {r["request_key"] for r in rows(lakehouse, "training_set") if r["training_set_id"] == f"sample-{name}"}
        counts[name] = keys
    assert counts["a"] == counts["b"] != counts["c"]
    assert (
        0.03
        < len(counts["a"])
        / len(
            counts["a"] | {r["request_key"] for r in rows(lakehouse, "training_set") if r["training_set_id"] == "first"}
        )
        < 0.2
    )


@pytest.mark.proof
def test_more_training_rows_than_fit_are_drawn_by_key_and_the_share_is_recorded(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the training record and on the version; evaluation rows are all kept, and the drawn rows are of those before."""
    lakehouse, _ = life
    parts: dict[str, dict[str, set[str]]] = {}
    for name, limit in (("whole", 10_000_000), ("drawn", 500)):
        monkeypatch.setattr(row_limits, "MOST_TRAINING_ROWS", limit)
        done = run(lakehouse, "training", TRAINING, run_id=name, only=["assemble"])
        assert done.succeeded
        stored = [row for row in rows(lakehouse, "training_set") if row["training_set_id"] == name]
        parts[name] = {
            part: {row["request_key"] for row in stored if row["part"] == part} for part in ("training", "evaluation")
        }
    assert parts["drawn"]["evaluation"] == parts["whole"]["evaluation"]
    assert parts["drawn"]["training"] < parts["whole"]["training"]
    assert 300 < len(parts["drawn"]["training"]) < 700
    counts = json.loads(stored[0]["label_counts"])
    assert counts["training"]["labelled"] == len(parts["whole"]["training"])
    assert counts["training_share"] == training.training_share(len(parts["whole"]["training"]))
    context = context_of(lakehouse, "drawn")
    read = training.read_part(context, "training")
    spec = FLIGHT_DELAY.estimators[0]
    tags = provenance(context, Training(spec=spec, rows=read, seed=1, cause="requested"))
    assert tags["training_share"] == str(counts["training_share"])


def test_a_model_that_was_never_registered_has_no_latest_version(tmp_path: Path) -> None:
    """It is none, not 1."""
    with open_lakehouse("dev", root=tmp_path) as empty:
        assert empty.models.latest(MODEL) is None
        with pytest.raises(NoModelVersionError, match="training job"):
            empty.models.by_alias(MODEL, CHAMPION)


def test_a_context_can_be_copied_for_another_run(life: Life) -> None:
    """A context is a value."""
    lakehouse, _ = life
    assert replace(context_of(lakehouse, "a"), run_id="b").run_id == "b"


@pytest.mark.proof
def test_the_parameters_of_assemble_change_the_training_and_evaluation_rows(life: Life) -> None:
    """Days of training, days of evaluation, and the end of the window."""
    lakehouse, _ = life

    def parts(name: str, **changes: str) -> dict[str, set[str]]:
        run(lakehouse, "training", {**TRAINING, "sample": "0.05", **changes}, run_id=name, only=["assemble"])
        found = [row for row in rows(lakehouse, "training_set") if row["training_set_id"] == name]
        return {part: {r["request_key"] for r in found if r["part"] == part} for part in ("training", "evaluation")}

    base = parts("base")
    shorter = parts("shorter", training_days="5")
    fewer = parts("fewer", evaluation_days="14")
    earlier = parts("earlier", until="2013-02-12T00:00:00+00:00")
    assert shorter["evaluation"] == base["evaluation"]
    assert shorter["training"] < base["training"]
    assert fewer["evaluation"] < base["evaluation"]
    assert fewer["training"] > base["training"]
    assert not earlier["evaluation"] >= base["evaluation"]
