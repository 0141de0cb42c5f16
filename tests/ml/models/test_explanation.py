"""What inputs add makes up the score: exactly for trees, by coalitions of inputs for any other model."""

from itertools import combinations
from math import comb

import numpy as np
import pandas as pd
import pytest

from ml.models.explanation import COALITIONS, TREES, explain
from ml.models.fitting import fit
from ml.models.prediction import predict
from ml.spec.estimator import Calibration, Encoding, EstimatorSpec, Problem
from tests.ml.models.test_fitting import BOOSTING, CATEGORICAL, FOREST, LOGISTIC, NUMERIC, flights, spec
from tests.pipelines.tasks.test_life_of_every_estimator import loads_lightgbm

LIGHTGBM = spec("lightgbm.LGBMClassifier", n_estimators=10, verbosity=-1, n_jobs=1)
SPECS = {
    "forest": (spec(FOREST, n_estimators=10, max_depth=4), TREES),
    "logistic": (spec(LOGISTIC, Encoding.ONE_HOT), COALITIONS),
    "boosting with categories": (spec(BOOSTING, max_iter=10), COALITIONS),
    "calibrated forest": (spec(FOREST, Encoding.ORDINAL, Calibration.SIGMOID, n_estimators=10), COALITIONS),
    **({"lightgbm": (LIGHTGBM, TREES)} if loads_lightgbm() else {}),
}


def exact(model: object, row: pd.DataFrame, background: pd.DataFrame) -> dict[str, float]:
    """Shapley's definition, coalition by coalition, inputs outside of it being those of the background."""

    def worth(known: tuple[str, ...]) -> float:
        mixed = background.assign(**{name: row[name].iloc[0] for name in known})
        return float(predict(model, mixed, problem=Problem.BINARY).mean())

    names = list(row.columns)
    values = dict.fromkeys(names, 0.0)
    for name in names:
        others = [other for other in names if other != name]
        for size in range(len(names)):
            for known in combinations(others, size):
                share = 1 / (len(names) * comb(len(others), size))
                values[name] += share * (worth((*known, name)) - worth(known))
    return values


@pytest.mark.parametrize(("specification", "method"), SPECS.values(), ids=SPECS.keys())
def test_values_are_those_of_the_definition(specification: EstimatorSpec, method: str) -> None:
    """For three inputs, one of them a category with gaps; they add up to the score."""
    inputs, labels = flights(600)
    model = fit(specification, inputs, labels, problem=Problem.BINARY, numeric=NUMERIC, categorical=CATEGORICAL, seed=1)
    rows, background = inputs.iloc[8:12].reset_index(drop=True), inputs.iloc[100:130].reset_index(drop=True)
    found = explain(model, rows, background, problem=Problem.BINARY, seed=0)
    assert found.method == method
    assert found.scores == pytest.approx(predict(model, rows, problem=Problem.BINARY))
    assert found.expected == pytest.approx(predict(model, background, problem=Problem.BINARY).mean())
    assert found.expected + np.sum(list(found.values.values()), axis=0) == pytest.approx(found.scores, abs=1e-4)
    for place in (0, 1):
        wanted = exact(model, rows.iloc[[place]], background)
        near = 3e-3 if specification is LIGHTGBM else 1e-4  # rescaled from log odds
        assert {name: values[place] for name, values in found.values.items()} == pytest.approx(wanted, abs=near)


def test_of_many_inputs_orders_are_drawn_and_values_still_add_up() -> None:
    """An input that does nothing gets nothing, and the one that decides gets most."""
    random = np.random.default_rng(5)
    inputs = pd.DataFrame(random.normal(size=(500, 9)), columns=[f"x{number}" for number in range(9)])
    labels = (random.random(500) < 1 / (1 + np.exp(-3 * inputs["x0"]))).to_numpy(dtype=float)
    model = fit(
        spec(LOGISTIC, Encoding.ONE_HOT), inputs, labels, problem=Problem.BINARY, numeric=list(inputs), categorical=[],
        seed=1,
    )  # fmt: skip
    rows, background = inputs.iloc[:2], inputs.iloc[100:140]
    found = explain(model, rows, background, problem=Problem.BINARY, seed=0)
    assert found.expected + np.sum(list(found.values.values()), axis=0) == pytest.approx(found.scores)
    assert {max(found.values, key=lambda name: abs(found.values[name][place])) for place in (0, 1)} == {"x0"}
    again, other = (explain(model, rows, background, problem=Problem.BINARY, seed=seed) for seed in (0, 1))
    assert np.array_equal(again.values["x1"], found.values["x1"])
    assert not np.array_equal(other.values["x1"], found.values["x1"])
