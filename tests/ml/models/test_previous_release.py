"""Models that an earlier release registered still load, whatever modules of `ml` are called by now.

``previous_release`` holds two pipelines that the release before the modules moved into folders has fitted and pickled
as the registry does, with the scores it gave to `ROWS`. They are read with the installed scikit-learn: if an update of
it cannot read them, it cannot read the registered models either.
"""

import importlib
import json
import pickletools
import sys
from pathlib import Path

import cloudpickle
import numpy as np
import pandas as pd
import pytest

from ml.models.fitting import fit
from ml.models.prediction import predict
from ml.spec.estimator import Calibration, Encoding, EstimatorSpec, Problem

STORED = Path(__file__).with_name("previous_release")
SCORES: dict[str, list[float]] = json.loads((STORED / "scores.json").read_text())
ROWS = pd.DataFrame({"number": [0.5, None, -2.0, 1e3], "name": ["a", "b", None, "unseen"], "empty": [None] * 4})
LOGISTIC = EstimatorSpec(
    name="logistic", estimator="sklearn.linear_model.LogisticRegression", encoding=Encoding.ONE_HOT
)
SPECS = (
    LOGISTIC,
    EstimatorSpec(
        name="calibrated",
        estimator="sklearn.svm.LinearSVC",
        encoding=Encoding.ONE_HOT,
        calibration=Calibration.ISOTONIC,
    ),
    EstimatorSpec(
        name="boosting",
        estimator="sklearn.ensemble.HistGradientBoostingClassifier",
        encoding=Encoding.ORDINAL,
        parameters={"max_iter": 2},
    ),
    EstimatorSpec(
        name="forest",
        estimator="sklearn.ensemble.RandomForestClassifier",
        encoding=Encoding.ORDINAL,
        parameters={"n_estimators": 2},
    ),
)


def modules_named(pickled: bytes) -> set[str]:
    """The modules that a pickle refers to: every text in it that is the name of a module."""
    texts = {argument for _, argument, _ in pickletools.genops(pickled) if isinstance(argument, str)}
    words = {word for text in texts for word in text.split()}
    return {word for word in words if word in sys.modules}


@pytest.mark.parametrize("name", SCORES)
def test_a_model_of_the_previous_release_gives_the_scores_it_gave_then(name: str) -> None:
    """Missing values, unseen categories and empty columns included."""
    model = cloudpickle.loads((STORED / f"{name}.pickle").read_bytes())
    assert predict(model, ROWS, problem=Problem.BINARY) == pytest.approx(SCORES[name], rel=1e-12)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_a_fitted_model_refers_to_no_module_of_ours(spec: EstimatorSpec) -> None:
    """So modules of the product can be renamed without a migration of registered models."""
    random = np.random.default_rng(0)
    rows = pd.DataFrame({"number": random.normal(size=90), "name": np.array(list("abc"))[np.arange(90) % 3]})
    labels = (random.random(90) < 0.4).astype(float)
    model = fit(spec, rows, labels, problem=Problem.BINARY, numeric=["number"], categorical=["name"], seed=0)
    named = modules_named(cloudpickle.dumps(model))
    assert any(module.startswith("sklearn.") for module in named)
    assert {module.partition(".")[0] for module in named}.isdisjoint({"ml", "pipelines", "infra"})


def test_a_reference_to_a_module_of_ours_would_be_seen() -> None:
    """A pickled value of one of our classes names the module of that class."""
    importlib.import_module("ml.spec.estimator")
    assert "ml.spec.estimator" in modules_named(cloudpickle.dumps(LOGISTIC))
