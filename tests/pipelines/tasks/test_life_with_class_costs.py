"""Costs of errors of several classes reach gate, predictions, monitors, estimates, page and explanation through the real jobs.

The same life on either engine: batch, a stream, and the served function decide alike.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from ml.evaluation.record import Evaluation
from ml.gate.decision import decide
from ml.metrics.metric_table import measure
from ml.monitoring.findings import ALL_ROWS
from ml.spec.costs import COST_PER_REQUEST, DECISION, DECISION_THRESHOLD, ClassCosts, loss_table
from ml.spec.gate_policy import policy
from ml.spec.target import PREDICTED_CLASS, MultiClass, score_columns
from pipelines import __main__ as command_line
from pipelines.api import StreamingPolicy
from pipelines.canary import SHAPES, run_canary
from pipelines.declarations.use_case import UseCase
from pipelines.execution import jobs
from pipelines.execution.context import Context
from pipelines.explanation import explain_requests
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.report.writing import write_report
from tests.pipelines.flight_files import write_all
from tests.pipelines.tasks.both_ways import (
    assert_equal_evaluations,
    assert_equal_verdicts,
    assert_equal_within,
    evaluated_both_ways,
)
from tests.pipelines.template_use_case import BANDS_OF_MINUTES, template_use_case
from tests.pipelines.use_case_runs import rows_of, run_job

NAME = "priced_bands"
BANDS = MultiClass(classes=("early", "on_time", "late"))
JANUARY, TRAINED, SCORED, NEXT = (
    dt.datetime(2013, month, day, tzinfo=dt.UTC) for month, day in ((1, 1), (2, 20), (3, 8), (3, 20))
)
CHANCES = {
    ("UA", "EWR"): (0.1, 0.2, 0.7), ("UA", "JFK"): (0.45, 0.25, 0.3), ("B6", "EWR"): (0.2, 0.65, 0.15), ("B6", "JFK"): (0.75, 0.2, 0.05),
}  # fmt: skip
"""How likely each band is, by carrier and airport."""
COSTS = ClassCosts(
    amounts={
        "early": {"on_time": 1.0, "late": 2.0},
        "on_time": {"early": 2.0, "late": 1.0},
        "late": {"early": 9.0, "on_time": 6.0, "late": 1.0},
    },
    unit="EUR",
)
GATE = replace(policy("least_cost", BANDS), minimum_rows=300, minimum_positives=50, calibration_limit=None)
STEPS: tuple[tuple[str, dt.datetime, dict[str, str]], ...] = (
    ("features", NEXT, {}),
    ("training", TRAINED, {"training_days": "28", "evaluation_days": "16"}),
    ("scoring", SCORED, {"since": (TRAINED - dt.timedelta(days=3)).isoformat()}),
    ("monitoring", SCORED, {}),
    ("stream", NEXT, {}),
    ("training", NEXT, {"training_days": "28", "evaluation_days": "20"}),
)
"""The jobs, each with its end and its parameters; what falls due after the first scoring comes to a stream."""


def flights() -> Iterator[dict[str, str]]:
    """Flights of eleven weeks; carrier and airport decide how likely they leave early, on time or late."""
    random = np.random.default_rng(12)
    minutes = ((-9, 0), (0, 10), (20, 90))
    for day in range((NEXT - JANUARY).days):
        date = JANUARY + dt.timedelta(days=day)
        for number in range(50):
            carrier, origin = list(CHANCES)[random.integers(len(CHANCES))]
            band = random.choice(3, p=CHANCES[carrier, origin])
            yield {
                "month": str(date.month), "day": str(date.day), "carrier": carrier, "flight": str(number),
                "origin": origin, "dep_delay": str(random.integers(*minutes[band])),
                "sched_arr_time": f"{random.integers(10, 22)}30", "time_hour": f"{date:%Y-%m-%d}T14:00:00Z",
                "minute": str(number % 60),
            }  # fmt: skip


@pytest.fixture(scope="module")
def declared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UseCase]:
    """A use case from the templates whose labels are bands of minutes."""
    with template_use_case(NAME, tmp_path_factory.mktemp("team"), BANDS_OF_MINUTES) as found:
        yield replace(
            found, problem=BANDS, costs=COSTS, gate=GATE, estimators=found.estimators[:1], streaming=StreamingPolicy(),
            # The process of a micro-batch does not find the folder of a test; a request is copied everywhere.
            inputs_builder="copy:copy", numeric_inputs=("hour", "scheduled_minutes", "route_minutes_7d"),
        )  # fmt: skip


@pytest.fixture(scope="module")
def lakehouse(declared: UseCase, life_engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lakehouse]:
    """Trained, scored by batch and by stream, monitored, and trained again beside a champion."""
    files = str(write_all(tmp_path_factory.mktemp("flights"), *flights()))
    with (
        open_lakehouse("dev", engine=life_engine, root=tmp_path_factory.mktemp("costs")) as opened,
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


def scores_of(rows: list[dict[str, Any]]) -> NDArray[np.float64]:
    """The probability of every class, shape (rows, classes)."""
    return np.array([[row[name] for name in score_columns(BANDS)] for row in rows])


def cheapest_for(row: dict[str, Any]) -> str:
    """The class whose decision costs least, by the declared amounts and the probabilities of a prediction."""
    expected = {
        decided: sum(row[f"score_of_{true}"] * COSTS.amounts[true][decided] for true in BANDS.classes)
        for decided in BANDS.classes
    }
    return min(expected, key=lambda name: expected[name])


def evaluations(lakehouse: Lakehouse, declared: UseCase) -> list[Evaluation]:
    """Both, the first one first."""
    stored = sorted(rows_of(lakehouse, declared, "evaluations"), key=lambda row: row["evaluated_at"])
    return [Evaluation.from_json(row["evaluation"]) for row in stored]


def test_every_prediction_has_the_decision_that_costs_least(declared: UseCase, lakehouse: Lakehouse) -> None:
    """Of batch and of the stream; a late flight is dear, so it is decided for where another class is more probable."""
    made = rows_of(lakehouse, declared, "predictions")
    assert {row["prediction_at"].astimezone(dt.UTC) > SCORED for row in made} == {True, False}
    assert [row[DECISION] for row in made] == [cheapest_for(row) for row in made]
    assert {row[DECISION] for row in made} == set(BANDS.classes)
    assert any(row[DECISION] == "late" != row[PREDICTED_CLASS] for row in made)
    assert DECISION_THRESHOLD not in made[0]


def test_the_served_function_decides_as_batch_does(declared: UseCase, lakehouse: Lakehouse) -> None:
    """What the files of the version hold, without the declaration; its answer has the decision as a text."""
    version = lakehouse.models.by_alias(declared.model, CHAMPION)
    function, model = lakehouse.models.load_served(version)
    assert function is not None
    own = [row for row in rows_of(lakehouse, declared, "predictions") if row["model_version"] == version.number]
    inputs = pa.table({name: [row[name] for row in own] for name in function.inputs})
    answered = function.scored(inputs, model)
    assert answered.column(DECISION).to_pylist() == [row[DECISION] for row in own]
    assert DECISION in function.answer_columns
    with lakehouse.models.verified(version) as files:
        written = (files / "MLmodel").read_text()
    assert '"string", "name": "decision"' in written


def test_the_gate_judges_money(declared: UseCase, lakehouse: Lakehouse) -> None:
    """First against the constant decision that costs least, then against the champion; with the costs that were declared."""
    first, second = evaluations(lakehouse, declared)
    assert (first.champion, second.champion, first.costs) == (None, 1, COSTS)
    (against_constant,) = [one for one in first.comparisons if one.slice_key is None]
    table = np.array(loss_table(COSTS, BANDS))
    labels = [
        row["label"] for row in rows_of(lakehouse, declared, "training_set")
        if row["part"] == "evaluation" and row["training_set_id"] == first.evaluation_id
    ]  # fmt: skip
    constant = min(table[np.array(labels, dtype=int), place].mean() for place in range(3))
    assert len(labels) == first.rows
    assert against_constant.against_value == pytest.approx(constant)
    assert against_constant.metric == COST_PER_REQUEST
    judged = {one.metric for one in second.comparisons if one.against == second.champion}
    assert judged == {COST_PER_REQUEST, "log_loss", "macro_roc_auc_score"}
    assert {one.slice_value for one in second.comparisons if one.metric == COST_PER_REQUEST} >= {"EWR", "JFK"}
    verdict = min(rows_of(lakehouse, declared, "verdicts"), key=lambda row: row["decided_at"])
    assert f"has {COST_PER_REQUEST} {against_constant.candidate_value:.4f}" in verdict["sentence"]
    assert COSTS.sentence in verdict["reasons"]
    (reason,) = decide(first, GATE, replace(COSTS, unit="USD")).failed
    assert "which is not what is declared now" in reason.sentence
    logged = lakehouse.models.run_of(lakehouse.models.version(declared.model, 1)).metrics
    assert logged[f"evaluation_{COST_PER_REQUEST}"] in [
        one.contender(1).metrics[COST_PER_REQUEST] for one in (first, second)
    ]


def test_importance_is_the_money_that_an_input_saves(declared: UseCase, lakehouse: Lakehouse) -> None:
    """The carrier above all, with its standard error."""
    (contender,) = evaluations(lakehouse, declared)[0].contenders
    first = contender.importance[0]
    assert {one.input for one in contender.importance} == set(declared.inputs)
    assert first.input == "carrier"
    assert first.standard_error is not None
    assert first.importance > 2 * first.standard_error > 0


def test_monitors_measure_and_estimate_the_cost_of_a_request(declared: UseCase, lakehouse: Lakehouse) -> None:
    """The realised one is that of the labels that are due; the estimate was made without them."""
    labels = {row["request_key"]: row["label"] for row in rows_of(lakehouse, declared, "labels")}
    due = SCORED - dt.timedelta(days=declared.label_due_days)
    live = [
        row for row in rows_of(lakehouse, declared, "predictions")
        if row["prediction_at"].astimezone(dt.UTC) < due and row["prediction_at"].astimezone(dt.UTC).month == 2
        and not row["hindsight"]
    ]  # fmt: skip
    expected = measure(np.array([labels[row["request_key"]] for row in live]), scores_of(live), BANDS, None, COSTS)
    (measured,) = [
        row for row in rows_of(lakehouse, declared, "metrics")
        if (row["metric"], row["alias"], row["slice_key"]) == (COST_PER_REQUEST, CHAMPION, ALL_ROWS)
        and row["window_start"].astimezone(dt.UTC).month == 2
    ]  # fmt: skip
    assert measured["value"] == pytest.approx(expected[COST_PER_REQUEST])
    assert measured["standard_error"] > 0
    (estimate,) = [
        row for row in rows_of(lakehouse, declared, "estimates")
        if row["metric"] == COST_PER_REQUEST and row["window_start"].astimezone(dt.UTC).month == 2
    ]  # fmt: skip
    assert estimate["realised"] == pytest.approx(measured["value"])
    assert estimate["estimated"] == pytest.approx(measured["value"], abs=4 * measured["standard_error"])


def test_a_decision_is_explained_by_what_each_one_is_expected_to_cost(
    declared: UseCase, lakehouse: Lakehouse, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the cheapest decision for what is true; the command says it in the unit."""
    version = lakehouse.models.by_alias(declared.model, CHAMPION)
    own = [row for row in rows_of(lakehouse, declared, "predictions") if row["model_version"] == version.number]
    asked = [next(row for row in own if row[DECISION] == name) for name in sorted({row[DECISION] for row in own})]
    found = explain_requests(lakehouse, declared, version, [row["request_key"] for row in asked])
    table = np.array(loss_table(COSTS, BANDS))
    for one, row, scores in zip(found, asked, scores_of(asked), strict=True):
        assert one.decision == row[DECISION]
        assert list(one.expected_costs.values()) == pytest.approx(list(scores @ table))
        assert min(one.expected_costs, key=lambda name: one.expected_costs[name]) == one.decision
    monkeypatch.setattr("pipelines.commands.explain.use_case_named", lambda _name: declared)
    words = ["explain", NAME, str(version.number), "--key", asked[0]["request_key"], "--root"]
    words += [str(Path(str(lakehouse.folder)).parent), "--engine", lakehouse.engine]
    assert command_line.main(words) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"decision: {asked[0][DECISION]}; expected cost of each, in EUR: early" in shown


def test_page_and_card_show_the_cost_of_a_request(declared: UseCase, lakehouse: Lakehouse) -> None:
    """By its name, and with the costs."""
    root = Path(str(lakehouse.folder)).parent
    page = write_report(root, declared, environments=["dev"], main="dev", engine=lakehouse.engine).read_text()
    assert "Cost per request of the live champion" in page
    assert "How much cost per request gets worse when the input is shuffled" in page
    card = min(rows_of(lakehouse, declared, "model_cards"), key=lambda row: row["decided_at"])["card"]
    assert COST_PER_REQUEST in card
    assert COSTS.sentence in card


def test_the_gate_judges_the_money_of_several_classes_from_summaries(
    declared: UseCase, lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cost is a mean over rows, so it and its errors are those of the rows, of the constant decision too."""
    _, second = evaluations(lakehouse, declared)
    context = Context(
        lakehouse=lakehouse, use_case=declared, run_id=second.evaluation_id, now=NEXT, say=lambda _line: None
    )
    exact, found, rows, again = evaluated_both_ways(context, monkeypatch, second.champion)
    assert (found.costs, found.sample_share, found.metric_bound) == (COSTS, None, 0.0)
    assert_equal_evaluations(exact, found, 1e-3, whole=1e-5)
    assert_equal_verdicts(exact, found, GATE, 1e-3, COSTS)
    money = [(one, other) for one, other in zip(rows, again, strict=True) if one["metric"] == COST_PER_REQUEST]
    assert money
    for one, other in money:
        assert_equal_within(one, other, 1e-9, (one["model_version"], one["slice_value"]))


def test_noise_makes_no_champion_that_seems_to_save_money(declared: UseCase) -> None:
    """The canary, with the costs and the gate of the use case."""
    shapes = [next(iter(SHAPES)), list(SHAPES)[-1]]
    found = run_canary(declared, seed=1, shapes=shapes)
    assert found.held
    assert found.false_promotions == 0
    for one in found.verdicts:
        assert any(reason.rule == "better" for reason in one.verdict.reasons), one.verdict.sentence
