"""Estimates without labels equal the realised metrics as long as only inputs change, for both kinds of problem."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from ml.estimation.metric_estimates import Estimate, Estimation, estimates, learn
from ml.metrics.clusters import Units
from ml.metrics.metric_table import METRICS, measure
from ml.spec.estimator import Problem

Sample = tuple[pd.DataFrame, np.ndarray, np.ndarray]
"""Inputs, scores and labels."""
COLUMNS = {"numeric": ("distance", "wind"), "categorical": ("carrier",)}
ROWS = 6_000


def flights(seed: int, *, stormy: float = 0.2, rows: int = ROWS) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Return inputs, predictions and minutes; in a storm a prediction is wrong by four times as much."""
    random = np.random.default_rng(seed)
    storm = random.random(rows) < stormy
    inputs = pd.DataFrame(
        {
            "distance": random.uniform(200, 2_500, rows),
            "wind": np.where(storm, random.uniform(30, 60, rows), random.uniform(0, 30, rows)),
            "carrier": random.choice(["UA", "DL"], rows),
        }
    )
    scores = 30 + inputs["distance"].to_numpy() / 8
    noise = random.normal(size=rows) * np.where(storm, 20.0, 5.0)
    return inputs, scores, scores + noise


def coins(seed: int, *, shift: float = 0.0, rows: int = ROWS) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Return inputs, probabilities and labels drawn with them."""
    inputs, *_ = flights(seed, rows=rows)
    random = np.random.default_rng(seed + 1)
    scores = 1 / (1 + np.exp(-random.normal(-1 + shift, 1.2, rows)))
    return inputs, scores, (random.random(rows) < scores).astype(float)


KINDS = [(Problem.REGRESSION, flights, {"stormy": 0.6}), (Problem.BINARY, coins, {"shift": 1.0})]


def over_a_month(
    estimation: Estimation, inputs: pd.DataFrame, scores: np.ndarray, labels: np.ndarray
) -> tuple[Estimate, ...]:
    """The estimates for rows that were predicted on thirty days."""
    return estimates(estimation, inputs, scores, labels, Units(days=np.arange(labels.size) % 30))


def learned(problem: Problem, make: Callable[..., Sample]) -> Estimation:
    """The estimation learned from rows of ordinary days."""
    return learn(problem, *make(1), **COLUMNS)


@pytest.mark.parametrize(("problem", "make", "other_days"), KINDS)
def test_the_estimate_follows_changed_inputs_to_the_realised_metric(
    problem: Problem, make: Callable[..., Sample], other_days: dict[str, float]
) -> None:
    """More storms, or more likely events: every metric within four standard errors, unlike that of the days before."""
    estimation = learned(problem, make)
    before = measure(*reversed(make(1)[1:]), problem)
    inputs, scores, labels = make(2, **other_days)
    truth = measure(labels, scores, problem)
    unknown = np.full(labels.size, np.nan)
    for blind, seeing in zip(over_a_month(estimation, inputs, scores, unknown),
                             over_a_month(estimation, inputs, scores, labels), strict=True):  # fmt: skip
        assert abs(blind.estimated - truth[blind.metric]) < 4 * seeing.standard_error
        assert seeing.realised == pytest.approx(truth[seeing.metric], rel=1e-9)
        assert seeing.error == pytest.approx(seeing.estimated - seeing.realised)
        if blind.metric != "roc_auc_score":
            assert abs(before[blind.metric] - truth[blind.metric]) > 6 * seeing.standard_error


@pytest.mark.parametrize(("problem", "make", "other_days"), KINDS)
def test_without_labels_only_the_estimate_is_defined(
    problem: Problem, make: Callable[..., Sample], other_days: dict[str, float]
) -> None:
    """With a part of the labels, the error is measured on this part and the estimate on all rows."""
    estimation = learned(problem, make)
    inputs, scores, labels = make(3, **other_days)
    for found in over_a_month(estimation, inputs, scores, np.full(labels.size, np.nan)):
        assert np.isfinite(found.estimated)
        assert np.isnan([found.realised, found.error, found.standard_error]).all()
    half = np.where(np.arange(labels.size) < labels.size // 2, labels, np.nan)
    for found in over_a_month(estimation, inputs, scores, half):
        assert found.realised == pytest.approx(
            measure(labels[: labels.size // 2], scores[: labels.size // 2], problem)[found.metric]
        )
        assert found.error != found.estimated - found.realised


@pytest.mark.parametrize(("problem", "make", "other_days"), KINDS)
def test_a_change_that_inputs_do_not_show_is_an_error_of_many_standard_errors(
    problem: Problem, make: Callable[..., Sample], other_days: dict[str, float]
) -> None:
    """Labels that no longer follow the inputs leave the estimate unchanged."""
    estimation = learned(problem, make)
    inputs, scores, labels = make(4, **other_days)
    turned = labels + 40 if problem is Problem.REGRESSION else 1 - labels
    for found in over_a_month(estimation, inputs, scores, turned):
        sign = METRICS[found.metric].sign
        assert sign * found.error > 10 * found.standard_error


def test_few_rows_with_rare_errors_give_neither_a_bias_nor_a_negative_error() -> None:
    """Trees overshoot near a rare large error; the mean is still right, and never negative."""
    random = np.random.default_rng(5)
    inputs = pd.DataFrame({"distance": random.random(300), "wind": random.random(300), "carrier": ["UA", "DL"] * 150})
    rare = (inputs["distance"] > 0.5) & (inputs["wind"] > 0.5) & (inputs["carrier"] == "UA")
    scores, labels = np.zeros(300), np.where(rare, 100.0, 0.0)
    estimation = learn(Problem.REGRESSION, inputs, scores, labels, **COLUMNS)
    beliefs = estimation.beliefs(inputs, scores)
    assert beliefs.min() < -10
    for found in over_a_month(estimation, inputs, scores, labels):
        assert abs(found.error) < 0.01 * found.realised
    lowest = inputs[beliefs[:, 0] < -10]
    assert [
        found.estimated for found in over_a_month(estimation, lowest, scores[: len(lowest)], scores[: len(lowest)])
    ] == [0, 0]


def test_of_a_perfect_model_no_error_is_expected() -> None:
    """A model without errors raises no exception."""
    inputs, scores, _ = flights(5, rows=300)
    perfect = learn(Problem.REGRESSION, inputs, scores, scores, **COLUMNS)
    assert [found.estimated for found in over_a_month(perfect, inputs, scores, scores)] == [0.0, 0.0]


@pytest.mark.parametrize("rows", [0, 1])
def test_no_predictions_and_one_prediction_raise_no_exception(rows: int) -> None:
    """None is not defined; one has a value and no standard error."""
    estimation = learned(Problem.REGRESSION, flights)
    inputs, scores, labels = flights(6, rows=rows)
    if rows == 0:
        assert all(np.isnan(found.estimated) for found in over_a_month(estimation, inputs, scores, labels))
    else:
        for found in over_a_month(estimation, inputs, scores, labels):
            assert found.estimated > 0
            assert np.isnan(found.standard_error)


@pytest.mark.parametrize("problem", list(Problem))
def test_nothing_is_learned_from_no_rows(problem: Problem) -> None:
    """An error, not a guess."""
    make = {Problem.BINARY: coins, Problem.REGRESSION: flights}[problem]
    with pytest.raises(ValueError, match=r"row|sample"):
        learn(problem, *make(1, rows=0), **COLUMNS)
