"""A search validates in the order of time within the rows that it is given, is seeded, and goes on where a trial fails."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml.metrics.metric_table import metric
from ml.models.estimators import TrainingError
from ml.models.fitting import fit
from ml.models.prediction import predict
from ml.models.search import Searched, SearchRows, folds_of, search
from ml.spec.estimator import Encoding, EstimatorSpec, Problem
from ml.spec.search import OneOf, Real, Search
from tests.ml.gate.test_decision import CHAMPION, EQUAL, judged

SPEC = EstimatorSpec(name="linear", estimator="sklearn.linear_model.LogisticRegression", encoding=Encoding.ONE_HOT)
SPACE = Search(space={"C": Real(low=1e-4, high=10, log=True), "fit_intercept": OneOf(values=(True, False))}, trials=6)
ASKED: dict[str, Any] = {
    "problem": Problem.BINARY, "numeric": ["x", "noise"], "categorical": [], "due_days": 5, "seed": 3,
    "measured": metric("log_loss", Problem.BINARY),
}  # fmt: skip


def drawn(days: int = 60, per_day: int = 20) -> SearchRows:
    """Rows whose label follows an input and a base rate of 0.8, the other input being noise."""
    random = np.random.default_rng(1)
    count = days * per_day
    x = random.normal(size=count)
    times = pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(count) / per_day, unit="D"))
    labels = (random.random(count) < 1 / (1 + np.exp(-1.4 - x))).astype(float)
    return SearchRows(inputs=pd.DataFrame({"x": x, "noise": random.normal(size=count)}), labels=labels, times=times)


def found(
    spec: EstimatorSpec = SPEC, declared: Search = SPACE, rows: SearchRows | None = None, **more: Any
) -> Searched:
    """Search on the drawn rows."""
    return search(spec, rows or drawn(), declared=declared, **{**ASKED, **more})


def test_each_block_is_validated_by_rows_that_were_due_before_it() -> None:
    """Blocks are whole days, follow each other, and hold none of the rows that train for them."""
    times = drawn().times
    folds = folds_of(times, folds=4, due_days=5)
    assert len(folds) == 4
    for (trained, validated), (_, after) in zip(folds, [*folds[1:], (None, None)], strict=True):
        begins = times.iloc[validated[0]]
        assert begins == begins.floor("D")
        assert times.iloc[trained].max() + pd.Timedelta(days=5) < begins
        assert times.iloc[trained[-1] + 1] + pd.Timedelta(days=5) >= begins
        assert after is None or validated[-1] + 1 == after[0]
    assert folds[-1][1][-1] == len(times) - 1


def test_the_best_parameters_are_those_with_the_best_mean_over_folds() -> None:
    """By models that are fitted again here, fold by fold."""
    rows, result = drawn(), found()
    assert len(result.trials) == 6
    assert result.validated_until == rows.times.max()
    for trial in result.trials:
        values = []
        for trained, validated in folds_of(rows.times, folds=3, due_days=5):
            tried = replace(SPEC, parameters=trial.parameters)
            past, block = rows.take(trained), rows.take(validated)
            model = fit(
                tried, past.inputs, past.labels, problem=Problem.BINARY, numeric=["x", "noise"], categorical=[], seed=3
            )
            values.append(
                ASKED["measured"].function(block.labels, predict(model, block.inputs, problem=Problem.BINARY))
            )
        assert trial.values == pytest.approx(values)
    assert result.best.value == min(trial.value for trial in result.trials)
    assert result.spec.parameters == result.best.parameters
    assert result.spec.search is None


def test_the_same_seed_makes_the_same_trials_and_another_makes_others() -> None:
    """Also beyond the first trials, which are random."""
    declared = replace(SPACE, trials=14)
    first, again, other = (found(declared=declared, seed=seed) for seed in (3, 3, 4))
    assert [t.parameters for t in first.trials] == [t.parameters for t in again.trials]
    assert [t.parameters for t in first.trials] != [t.parameters for t in other.trials]


def test_stated_parameters_are_the_first_trial_and_others_stay() -> None:
    """So a search is never worse, in validation, than what was declared without it."""
    spec = replace(SPEC, parameters={"C": 0.5, "max_iter": 321})
    result = found(spec)
    assert result.trials[0].parameters["C"] == 0.5
    assert result.best.value <= result.trials[0].value
    assert result.spec.parameters["max_iter"] == 321


def test_a_direction_is_respected() -> None:
    """A score is best where it is greatest."""
    result = found(measured=metric("roc_auc_score", Problem.BINARY))
    assert result.best.value == max(trial.value for trial in result.trials)


def test_a_trial_that_fails_is_recorded_and_the_others_go_on() -> None:
    """If every trial fails, the search says why."""
    declared = Search(space={"solver": OneOf(values=("lbfgs", "no such solver"))}, trials=8)
    result = found(declared=declared)
    failed = [trial for trial in result.trials if trial.failure is not None]
    assert failed
    assert all("no such solver" in str(trial.failure) and trial.values == () for trial in failed)
    assert result.spec.parameters["solver"] == "lbfgs"
    with pytest.raises(TrainingError, match="every one of 3 trials failed"):
        found(declared=Search(space={"solver": OneOf(values=("no such solver",))}, trials=3))


def test_a_budget_in_seconds_ends_the_search() -> None:
    """After the trial that is running."""
    assert len(found(declared=replace(SPACE, trials=10_000, seconds=0.5)).trials) < 2_000


def test_rows_that_give_no_fold_are_refused() -> None:
    """Where no outcome is due before the last block."""
    with pytest.raises(TrainingError, match="give none of 3 folds"):
        found(rows=drawn(days=4))


def test_weights_reach_fitting_and_validation() -> None:
    """Rows of weight 0 are as if they were not there."""
    rows = drawn()
    kept = np.arange(rows.labels.size) % 2 == 0
    weighted = replace(rows, weights=kept.astype(float), metric_weights=kept.astype(float))
    declared = Search(space={"C": OneOf(values=(1.0,))}, trials=1)
    halved = found(declared=declared, rows=rows.take(np.flatnonzero(kept)))
    assert found(declared=declared, rows=weighted).best.value == pytest.approx(halved.best.value, abs=0.01)


def test_trials_on_the_gates_rows_count_in_its_correction_and_others_do_not() -> None:
    """A search within training rows changes no verdict; one that saw the rows counts as as many candidates."""
    plain = judged(CHAMPION, EQUAL)
    p_of = {trials: _p(trials) for trials in (0, 29)}
    assert p_of[0] == next(r.value for r in plain.reasons if r.rule == "better")
    assert p_of[29] == pytest.approx(min(1.0, 30 * (p_of[0] or 0.0)))
    said = next(r.sentence for r in judged(CHAMPION, replace(EQUAL, trials_on_rows=29)).reasons if r.rule == "counts")
    assert said == "version 3 counts, with 29 trials of its search that were validated on these rows"


def _p(trials: int) -> float | None:
    verdict = judged(CHAMPION, replace(EQUAL, trials_on_rows=trials))
    return next(r.value for r in verdict.reasons if r.rule == "better")
