"""Bad candidates go through train, evaluate and promote: each is refused for its own reason, and the alias stays."""

import datetime as dt
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from ml.evaluation.evaluate_contenders import EvaluationError
from ml.evaluation.record import Evaluation, RecordError
from ml.models.prediction import PredictionError
from pipelines.execution.context import Context, TaskError
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.lakehouse.registry.aliases import CHALLENGER, CHAMPION
from pipelines.lakehouse.registry.model_version import ModelVersion
from pipelines.lakehouse.registry.models import CANDIDATE, Models
from pipelines.lakehouse.tables.arrow import records
from pipelines.lakehouse.tables.tables import Tables
from pipelines.tasks.versions import evaluation
from pipelines.tasks.versions.evaluation import evaluate
from pipelines.tasks.versions.promotion import promote
from pipelines.tasks.versions.rollback import roll_back
from tests.pipelines.tasks import mutants
from tests.pipelines.tasks.mutants import (
    FLIGHT_DELAY,
    SEED,
    SPLIT,
    context_of,
    flights,
    registered,
    store_training_set,
    trained,
    training_flights,
)

MODEL = FLIGHT_DELAY.model
Life = tuple[Lakehouse, ModelVersion, pd.DataFrame, Pipeline]
"""The environment, its champion, the rows of training, and the sound model."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """An environment with training sets, a champion, and the sound model from which mutants are made."""
    seen, later = training_flights(), flights("evaluation", 6_000)
    with open_lakehouse("dev", root=tmp_path_factory.mktemp("mutants")) as lakehouse:
        store_training_set(lakehouse, "run", seen, later)
        champion = registered(lakehouse, trained(seen, "logistic_regression"), seen, estimator="logistic_regression")
        lakehouse.models.set_alias(champion, CHAMPION)
        lakehouse.models.clear_candidates(MODEL)
        yield lakehouse, champion, seen, trained(seen)


@pytest.fixture
def life(environment: Life) -> Iterator[Life]:
    """The environment with its champion, and without candidates."""
    lakehouse, champion, *_ = environment
    yield environment
    lakehouse.models.set_alias(champion, CHAMPION)
    lakehouse.models.clear_candidates(MODEL)


def number_of(lakehouse: Lakehouse, alias: str) -> int | None:
    """The number of the version that an alias points to."""
    version = lakehouse.models.find_alias(MODEL, alias)
    return version.number if version else None


def judge(lakehouse: Lakehouse, run_id: str = "run") -> tuple[dict[str, Any], set[str]]:
    """Evaluate and promote, as the training job does; return the stored verdict and the names of the failed rules."""
    context = context_of(lakehouse, run_id)
    evaluate(context, seed=SEED)
    promote(context)
    verdicts = lakehouse.tables.read(FLIGHT_DELAY.table("verdicts")).toArrow().to_pylist()
    (verdict,) = [row for row in verdicts if row["evaluation_id"] == run_id]
    return verdict, {reason["rule"] for reason in json.loads(verdict["reasons"]) if not reason["passed"]}


def test_a_sound_better_model_is_promoted(life: Life) -> None:
    """The model from which every mutant is made passes every rule."""
    lakehouse, champion, seen, sound = life
    better = registered(lakehouse, sound, seen)
    verdict, failed = judge(lakehouse)
    assert (verdict["outcome"], verdict["champion"], verdict["promoted"]) == ("promote", champion.number, better.number)
    assert failed == set()
    assert number_of(lakehouse, CHAMPION) == number_of(lakehouse, CHALLENGER) == better.number


def test_an_importance_that_cannot_be_measured_refuses_nobody(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither candidate nor champion: it decides nothing, and is missing in the record."""
    lakehouse, _, seen, sound = life
    better = registered(lakehouse, sound, seen)

    def refused(*_: Any, **__: Any) -> None:
        raise RuntimeError("no flight leaves from there at that hour")

    monkeypatch.setattr(evaluation, "permutation_importance", refused)
    verdict, failed = judge(lakehouse)
    assert (verdict["outcome"], verdict["promoted"], failed) == ("promote", better.number, set())
    stored = lakehouse.tables.read(FLIGHT_DELAY.table("evaluations")).toArrow().to_pylist()[-1]
    assert all(not one.importance for one in Evaluation.from_json(stored["evaluation"]).contenders)


@pytest.mark.parametrize("moved", [False, True], ids=["before the alias moved", "after it"])
def test_a_promotion_that_was_cut_off_is_carried_out_when_its_run_goes_on(life: Life, moved: bool) -> None:
    """Its candidates are candidates no more, and its evaluation and verdict stay what they were."""
    lakehouse, champion, seen, sound = life
    better = registered(lakehouse, sound, seen)
    decided, _ = judge(lakehouse)
    if not moved:
        lakehouse.models.set_alias(champion, CHAMPION)
    repeated, _ = judge(lakehouse)
    assert repeated == decided
    assert repeated["promoted"] == better.number == number_of(lakehouse, CHAMPION)


@pytest.mark.parametrize(
    ("mutant", "rule", "said"),
    [
        (mutants.Constant, "counts", "every score is 0.4"),
        (mutants.NotANumber, "counts", "NaN or infinite"),
        (mutants.OutOfRange, "counts", "probabilities lie between 0 and 1"),
        (mutants.HardLabels, "counts", "hard labels instead of probabilities"),
        (mutants.Unloadable, "counts", "a library that is not installed here"),
        (mutants.WrongOnOneCarrier, "slices", "carrier = DL"),
        (mutants.Overconfident, "calibration", "is miscalibrated"),
        pytest.param(mutants.Slow, "latency", "s for 1,000 rows", marks=pytest.mark.proof),
    ],
)
def test_a_mutant_is_refused_by_the_rule_for_its_fault(
    life: Life, mutant: type[mutants.Mutant], rule: str, said: str
) -> None:
    """The verdict and the version have the sentence of that rule."""
    lakehouse, champion, seen, sound = life
    version = registered(lakehouse, mutant(sound), seen)
    verdict, failed = judge(lakehouse)
    assert (verdict["outcome"], verdict["promoted"]) == ("refuse", None)
    assert rule in failed
    assert said in verdict["sentence"]
    assert said in lakehouse.models.version(MODEL, version.number).tags["verdict_reasons"]
    assert number_of(lakehouse, CHAMPION) == champion.number


def test_a_model_that_predicts_nan_for_its_training_rows_is_not_registered(life: Life) -> None:
    """The training fails, so there is no candidate."""
    lakehouse, _, seen, sound = life
    with pytest.raises(PredictionError, match="NaN or infinite"):
        registered(lakehouse, mutants.NotANumber(sound, everywhere=True), seen)
    assert lakehouse.models.candidates(MODEL) == ()


def test_a_model_of_shuffled_labels_does_not_replace_the_champion(life: Life) -> None:
    """It is not better than the champion, nor than a constant."""
    lakehouse, champion, seen, _ = life
    labels = np.random.default_rng(SEED).permutation(seen["label"].to_numpy())
    registered(lakehouse, trained(seen, labels=labels), seen.assign(label=labels))
    verdict, failed = judge(lakehouse)
    assert (verdict["outcome"], verdict["promoted"]) == ("keep", None)
    assert {"better", "better_than_constant"} <= failed
    assert number_of(lakehouse, CHAMPION) == champion.number


def test_a_leaked_label_is_refused_as_implausible(life: Life) -> None:
    """A column has the label at training and at evaluation; the verdict says that it looks like a leak."""
    lakehouse, champion, *_ = life

    def leaking(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(tail_last_delay=60 * rows["label"] + rows["tail_last_delay"])

    seen = leaking(training_flights(prefix="leak-"))
    store_training_set(lakehouse, "leak", seen, leaking(flights("evaluation", 6_000, prefix="leak-")))
    registered(lakehouse, trained(seen), seen, run_id="leak", judged_by="leak")
    verdict, failed = judge(lakehouse, "leak")
    assert verdict["outcome"] == "refuse"
    assert "plausible" in failed
    assert "looks like a leaked label" in verdict["sentence"]
    assert number_of(lakehouse, CHAMPION) == champion.number


def test_a_candidate_trained_on_rows_of_the_evaluation_does_not_count(life: Life) -> None:
    """The rows are counted by key, whatever the tags of the candidate say."""
    lakehouse, champion, *_ = life
    greedy = flights("evaluation", 6_000).assign(part="training")
    store_training_set(lakehouse, "greedy", greedy)
    registered(lakehouse, trained(greedy), greedy, run_id="greedy", judged_by="run")
    verdict, failed = judge(lakehouse)
    assert verdict["outcome"] == "refuse"
    assert failed == {"counts"}
    assert "6000 rows of the evaluation were in its training set" in verdict["sentence"]
    assert number_of(lakehouse, CHAMPION) == champion.number


def test_a_candidate_trained_on_later_rows_does_not_count(life: Life) -> None:
    """Its training rows are of the days of the evaluation, none of them evaluated."""
    lakehouse, champion, *_ = life
    late = training_flights(prefix="late-", first=SPLIT)
    store_training_set(lakehouse, "late", late)
    registered(lakehouse, trained(late), late, run_id="late", judged_by="run")
    verdict, failed = judge(lakehouse)
    assert (verdict["outcome"], failed) == ("refuse", {"counts"})
    assert "rows of the evaluation are not later than" in verdict["sentence"]
    assert number_of(lakehouse, CHAMPION) == champion.number


@pytest.mark.parametrize(
    ("numeric", "said"),
    [
        ((*FLIGHT_DELAY.numeric_inputs, "departure_delay"), "departure_delay"),
        (tuple(name.replace("pressure", "air_pressure") for name in FLIGHT_DELAY.numeric_inputs), "air_pressure"),
    ],
    ids=["a feature that is missing at scoring", "a feature of another name"],
)
def test_a_candidate_of_another_signature_does_not_count(life: Life, numeric: tuple[str, ...], said: str) -> None:
    """Other code trained it on columns that the use case does not have."""
    lakehouse, champion, seen, _ = life
    other = replace(FLIGHT_DELAY, numeric_inputs=numeric)
    rows = seen.assign(departure_delay=seen["pressure"], air_pressure=seen["pressure"])
    registered(lakehouse, trained(rows, declared=other), rows, declared=other)
    verdict, failed = judge(lakehouse)
    assert (verdict["outcome"], failed) == ("refuse", {"counts"})
    assert "which is not declared as an input" in verdict["sentence"]
    assert said in verdict["sentence"]
    assert number_of(lakehouse, CHAMPION) == champion.number


def test_a_version_from_before_an_input_was_declared_is_scored_on_its_own_inputs(life: Life) -> None:
    """Otherwise nothing could be compared with the champion of yesterday, and it could score no more."""
    lakehouse, champion, seen, _ = life
    before = replace(FLIGHT_DELAY, numeric_inputs=FLIGHT_DELAY.numeric_inputs[:-1])
    registered(lakehouse, trained(seen, declared=before), seen, declared=before)
    _, failed = judge(lakehouse)
    assert "counts" not in failed
    assert number_of(lakehouse, CHAMPION) >= champion.number


def test_an_evaluation_on_too_few_rows_is_refused(life: Life) -> None:
    """However good the candidate is."""
    lakehouse, champion, _, sound = life
    seen = training_flights(prefix="few-")
    store_training_set(lakehouse, "few", seen, flights("evaluation", 900, prefix="few-"))
    registered(lakehouse, sound, seen, run_id="few")
    verdict, failed = judge(lakehouse, "few")
    assert (verdict["outcome"], failed) == ("refuse", {"rows"})
    assert "900 rows, at least 1000 are needed" in verdict["sentence"]
    assert number_of(lakehouse, CHAMPION) == champion.number


def test_a_champion_that_cannot_be_loaded_is_not_replaced(life: Life) -> None:
    """The candidate cannot be compared with it."""
    lakehouse, champion, seen, sound = life
    lost = registered(lakehouse, sound, seen)
    lakehouse.models.set_alias(lost, CHAMPION)
    lakehouse.models.clear_candidates(MODEL)
    folder = lakehouse.models._client.get_model_version_download_uri(lakehouse.models.name(MODEL), str(lost.number))
    shutil.rmtree(Path(folder.removeprefix("file://")))
    registered(lakehouse, sound, seen)
    verdict, failed = judge(lakehouse)
    assert verdict["outcome"] == "refuse"
    assert "complete" in failed
    assert f"champion version {lost.number} does not count: it could not be scored" in verdict["sentence"]
    assert number_of(lakehouse, CHAMPION) == lost.number != champion.number


def test_an_evaluation_without_the_champions_scores_is_incomplete(life: Life) -> None:
    """A champion that predicts NaN for some rows cannot be compared with."""
    lakehouse, _, seen, sound = life
    broken = registered(lakehouse, mutants.NotANumber(sound), seen)
    lakehouse.models.set_alias(broken, CHAMPION)
    lakehouse.models.clear_candidates(MODEL)
    registered(lakehouse, sound, seen)
    verdict, failed = judge(lakehouse)
    assert (verdict["outcome"], failed) == ("refuse", {"complete"})
    (stored,) = _evaluations(lakehouse, "run")
    assert stored["complete"] is False
    assert number_of(lakehouse, CHAMPION) == broken.number


@pytest.mark.proof
def test_an_evaluator_that_raises_leaves_nothing_to_promote(life: Life) -> None:
    """Labels other than 0 and 1 stop the evaluation; the task promote finds none."""
    lakehouse, champion, _, sound = life
    seen, later = training_flights(prefix="odd-"), flights("evaluation", 2_000, prefix="odd-")
    later.loc[7, "label"] = 2.0
    store_training_set(lakehouse, "odd", seen, later)
    registered(lakehouse, sound, seen, run_id="odd")
    with pytest.raises(EvaluationError, match="labels 0 and 1 only"):
        evaluate(context_of(lakehouse, "odd"), seed=SEED)
    with pytest.raises(TaskError, match="run the task evaluate"):
        promote(context_of(lakehouse, "odd"))
    assert number_of(lakehouse, CHAMPION) == champion.number


def test_a_changed_evaluation_record_is_refused(life: Life) -> None:
    """The p-values were changed after the record was written."""
    lakehouse, champion, seen, _ = life
    registered(lakehouse, trained(seen, "logistic_regression"), seen)
    evaluate(context_of(lakehouse), seed=SEED)
    (stored,) = _evaluations(lakehouse, "run")
    record = json.loads(stored["evaluation"])
    for comparison in record["evaluation"]["comparisons"]:
        comparison["p_value"] = 0.0
    table = FLIGHT_DELAY.table("evaluations")
    lakehouse.tables.merge(table, records(table, [{**stored, "evaluation": json.dumps(record)}]))
    with pytest.raises(RecordError, match="changed after it was written"):
        promote(context_of(lakehouse))
    assert number_of(lakehouse, CHAMPION) == champion.number


def test_of_two_promotions_at_once_only_the_first_moves_the_alias(life: Life) -> None:
    """Two runs compared their candidates with the same champion; both candidates are better."""
    lakehouse, champion, _, sound = life
    chosen = {}
    for run_id in ("one", "two"):
        rows = training_flights(prefix=f"{run_id}-")
        store_training_set(lakehouse, run_id, rows, flights("evaluation", 6_000, prefix=f"{run_id}-"))
        chosen[run_id] = registered(lakehouse, sound, rows, run_id=run_id)
        evaluate(context_of(lakehouse, run_id), seed=SEED)
        lakehouse.models.clear_candidates(MODEL)
    promote(context_of(lakehouse, "one"))
    assert number_of(lakehouse, CHAMPION) == chosen["one"].number
    with pytest.raises(TaskError, match="another promotion came first"):
        promote(context_of(lakehouse, "two"))
    assert number_of(lakehouse, CHAMPION) == chosen["one"].number != champion.number
    verdicts = lakehouse.tables.read(FLIGHT_DELAY.table("verdicts")).toArrow().to_pylist()
    assert "two" not in {row["evaluation_id"] for row in verdicts}, "a rollback would take its version for a champion"


class InjectedError(RuntimeError):
    """The error that the tests below inject."""


class Steps:
    """Tables and models of a lakehouse that count their calls; one call fails."""

    def __init__(self, lakehouse: Lakehouse, failing: int | None = None) -> None:
        self.environment = lakehouse.environment
        self.made: list[tuple[Any, ...]] = []
        self._failing = failing
        self.tables, self.models = _Counted(lakehouse.tables, self), _Counted(lakehouse.models, self)

    def count(self, name: str, words: tuple[Any, ...]) -> None:
        """Record one call, or fail if it is the one that must fail."""
        if len(self.made) == self._failing:
            raise InjectedError(name)
        self.made.append((name, *(word for word in words if word in (CHAMPION, CHALLENGER))))


def counted_context(steps: Steps, run_id: str = "run") -> Context:
    """Return a context whose lakehouse counts its calls."""
    return context_of(cast("Lakehouse", steps), run_id)


class _Counted:
    def __init__(self, counted: Tables | Models, steps: Steps) -> None:
        self._counted, self._steps = counted, steps

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._counted, name)
        if not callable(found):
            return found

        def call(*words: Any, **options: Any) -> Any:
            self._steps.count(name, words)
            return found(*words, **options)

        return call


@pytest.mark.proof
def test_an_error_at_any_step_of_evaluate_promotes_nothing(life: Life) -> None:
    """Each call of tables and registry fails once; the champion and the candidate stay each time."""
    lakehouse, champion, _, sound = life
    # A run of its own: what a gate has decided about is not evaluated again.
    seen, run_id = training_flights(prefix="steps-"), "steps"
    store_training_set(lakehouse, run_id, seen, flights("evaluation", 6_000, prefix="steps-"))
    candidate = registered(lakehouse, sound, seen, run_id=run_id)
    counted = Steps(lakehouse)
    evaluate(counted_context(counted, run_id), seed=SEED)
    loads = [place for place, (name, *_) in enumerate(counted.made) if name == "load"]
    assert len(loads) == 2
    for failing in set(range(len(counted.made))) - set(loads):  # a model that cannot be loaded is tested above
        with pytest.raises(InjectedError):
            evaluate(counted_context(Steps(lakehouse, failing), run_id), seed=SEED)
        assert number_of(lakehouse, CHAMPION) == champion.number
        assert [version.number for version in lakehouse.models.candidates(MODEL)] == [candidate.number]


@pytest.mark.proof
def test_an_error_at_any_step_of_promote_leaves_the_champion(life: Life) -> None:
    """The last call moves the alias; promoting again succeeds."""
    lakehouse, champion, seen, sound = life
    candidate = registered(lakehouse, sound, seen)
    evaluate(context_of(lakehouse), seed=SEED)
    counted = Steps(lakehouse)
    promote(counted_context(counted))
    assert number_of(lakehouse, CHAMPION) == candidate.number
    move = counted.made.index(("set_alias", CHAMPION))
    assert move == len(counted.made) - 1
    for failing in range(len(counted.made)):
        lakehouse.models.set_alias(champion, CHAMPION)
        lakehouse.models.set_tags(candidate, {CANDIDATE: "true"})
        with pytest.raises(InjectedError):
            promote(counted_context(Steps(lakehouse, failing)))
        assert number_of(lakehouse, CHAMPION) == champion.number
        promote(context_of(lakehouse))
        assert number_of(lakehouse, CHAMPION) == number_of(lakehouse, CHALLENGER) == candidate.number


def test_a_run_handles_the_candidates_of_its_own_evaluation_only(life: Life) -> None:
    """A candidate that another run registered meanwhile keeps its tag and gets no verdict."""
    lakehouse, _, seen, sound = life
    own = registered(lakehouse, sound, seen)
    evaluate(context_of(lakehouse), seed=SEED)
    other = registered(lakehouse, sound, seen, judged_by="another run")
    promote(context_of(lakehouse))
    tags = {number: lakehouse.models.version(MODEL, number).tags for number in (own.number, other.number)}
    assert (tags[own.number].get(CANDIDATE), tags[own.number]["evaluation_id"]) == (None, "run")
    assert (tags[other.number][CANDIDATE], "verdict" in tags[other.number]) == ("true", False)
    lakehouse.models.clear_candidates(MODEL, [other.number])


def test_a_promotion_that_was_taken_back_is_not_carried_out_again(life: Life) -> None:
    """Its verdict was kept, and a rollback came after it."""
    lakehouse, champion, seen, sound = life
    registered(lakehouse, sound, seen)
    evaluate(context_of(lakehouse), seed=SEED)
    promote(context_of(lakehouse))
    later = context_of(lakehouse).now + dt.timedelta(hours=1)
    roll_back(lakehouse, FLIGHT_DELAY, reason="its scores are stuck", now=later)
    assert number_of(lakehouse, CHAMPION) == champion.number
    with pytest.raises(TaskError, match="has been taken back since"):
        promote(context_of(lakehouse))
    assert number_of(lakehouse, CHAMPION) == champion.number


def _evaluations(lakehouse: Lakehouse, run_id: str) -> list[dict[str, Any]]:
    stored = lakehouse.tables.read(FLIGHT_DELAY.table("evaluations")).toArrow().to_pylist()
    return [row for row in stored if row["evaluation_id"] == run_id]
