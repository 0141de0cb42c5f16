"""Estimators of several classes: probabilities in the declared order, calibrated, ranked and explained."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from ml.metrics.clusters import Units
from ml.metrics.metric_table import metric
from ml.models.estimators import TrainingError
from ml.models.explanation import explain
from ml.models.fitting import fit
from ml.models.importance import ImportanceRows, permutation_importance
from ml.models.prediction import PredictionError, checked_scores, predict
from ml.spec.estimator import Calibration, Encoding, EstimatorSpec
from ml.spec.target import MultiClass

CLASSES = MultiClass(classes=("low", "middle", "high"))
BOOSTING = EstimatorSpec(
    name="boosting", estimator="sklearn.ensemble.HistGradientBoostingClassifier", encoding=Encoding.ORDINAL,
    parameters={"max_iter": 15},
)  # fmt: skip
LINEAR = EstimatorSpec(
    name="linear", estimator="sklearn.linear_model.LogisticRegression", encoding=Encoding.ONE_HOT,
)  # fmt: skip
FOREST = EstimatorSpec(
    name="forest", estimator="sklearn.ensemble.RandomForestClassifier", encoding=Encoding.ORDINAL,
    parameters={"n_estimators": 10, "max_depth": 4},
)  # fmt: skip


class Backwards(ClassifierMixin, BaseEstimator):
    """A classifier whose classes stand in another order."""

    def fit(self, matrix: NDArray[Any], labels: NDArray[Any]) -> "Backwards":  # noqa: ARG002 -- of the interface
        """Count the classes."""
        self.classes_ = np.unique(labels)[::-1]
        self.shares_ = [np.mean(labels == one) for one in self.classes_]
        return self

    def predict_proba(self, matrix: NDArray[Any]) -> NDArray[np.float64]:
        """Return the shares for every row."""
        return np.tile(self.shares_, (matrix.shape[0], 1))


def rows(count: int = 600) -> tuple[pd.DataFrame, NDArray[np.float64]]:
    """Rows whose class follows from a number, with errors, and not from a name."""
    random = np.random.default_rng(5)
    size = random.uniform(0, 3, count)
    labels = np.clip(np.floor(size + random.normal(0, 0.4, count)), 0, 2)
    return pd.DataFrame({"size": size, "name": random.choice(["x", "y"], count)}), labels


def fitted(spec: EstimatorSpec, labels: NDArray[np.float64] | None = None) -> Any:
    """A model of these rows."""
    frame, known = rows()
    return fit(
        spec,
        frame,
        known if labels is None else labels,
        problem=CLASSES,
        numeric=["size"],
        categorical=["name"],
        seed=0,
    )


@pytest.mark.parametrize("spec", [BOOSTING, LINEAR], ids=lambda spec: spec.name)
@pytest.mark.parametrize("calibration", [Calibration.NONE, Calibration.SIGMOID, Calibration.ISOTONIC])
def test_every_class_has_a_probability_in_the_declared_order(spec: EstimatorSpec, calibration: Calibration) -> None:
    """They add up to 1, also of a calibrated model, and the highest is mostly right."""
    frame, labels = rows()
    changed = EstimatorSpec(**{**vars(spec), "calibration": calibration})
    scores = predict(fitted(changed), frame, problem=CLASSES)
    assert scores.shape == (600, 3)
    assert scores.sum(axis=1) == pytest.approx(np.ones(600))
    assert np.mean(scores.argmax(axis=1) == labels) > 0.6
    assert predict(fitted(changed), frame.head(0), problem=CLASSES).shape == (0, 3)


def test_an_estimator_with_another_order_of_classes_is_read_by_its_own() -> None:
    """Probabilities stand in the order of the declaration."""
    spec = EstimatorSpec(name="own", estimator=f"{__name__}.Backwards", encoding=Encoding.ORDINAL)
    frame, labels = rows()
    scores = predict(fitted(spec), frame, problem=CLASSES)
    assert scores[0] == pytest.approx([np.mean(labels == place) for place in range(3)])


def test_labels_that_are_not_every_class_are_refused() -> None:
    """So is a calibration on rows without one."""
    _, labels = rows()
    with pytest.raises(TrainingError, match=r"a multi-class problem needs labels of every class, 0 to 2, got 0, 1"):
        fitted(LINEAR, np.minimum(labels, 1))
    late = np.where(np.arange(600) < 480, labels, np.minimum(labels, 1))
    calibrated = EstimatorSpec(**{**vars(LINEAR), "calibration": Calibration.SIGMOID})
    with pytest.raises(TrainingError, match="the rows that fit the calibration have 0 of class high"):
        fitted(calibrated, late)


def test_scores_that_are_no_probabilities_of_every_class_are_refused() -> None:
    """Too few columns, a row that does not add up, a model of two classes."""
    with pytest.raises(PredictionError, match="one for each of 3 classes is needed"):
        checked_scores(np.full((2, 2), 0.5), rows=2, problem=CLASSES)
    with pytest.raises(PredictionError, match=r"whose sum misses 1 by up to 0\.1"):
        checked_scores(np.array([[0.3, 0.3, 0.5]]), rows=1, problem=CLASSES)
    frame, labels = rows()
    binary = fitted(LINEAR)
    binary.named_steps["estimate"].classes_ = np.array([0, 1])
    with pytest.raises(PredictionError, match="no probability of each of the classes 0 to 2"):
        predict(binary, frame, problem=CLASSES)
    assert labels.max() == 2


@pytest.mark.parametrize("name", ["macro_roc_auc_score", "log_loss", "roc_auc_of_high_score"])
def test_importance_is_that_of_the_number_that_decides(name: str) -> None:
    """With its standard error; the name adds nothing."""
    frame, labels = rows()
    measured_on = ImportanceRows(inputs=frame, labels=labels, units=Units(days=np.arange(600) // 30))
    found = permutation_importance(
        fitted(BOOSTING), measured_on, problem=CLASSES, measured=metric(name, CLASSES), seed=0
    )
    assert [one.input for one in found] == ["size", "name"]
    assert found[0].standard_error is not None
    assert found[0].importance > 10 * found[0].standard_error > 0
    assert abs(found[1].importance) < 0.1 * found[0].importance


@pytest.mark.parametrize("spec", [FOREST, LINEAR], ids=lambda spec: spec.name)
def test_the_probability_of_each_class_is_explained(spec: EstimatorSpec) -> None:
    """The mean and what each input added are its score; over the classes all that was added is nothing."""
    frame, _ = rows()
    model, asked = fitted(spec), frame.head(4)
    found = [explain(model, asked, frame.tail(40), problem=CLASSES, seed=0, of_class=place) for place in range(3)]
    for one in found:
        assert one.expected + sum(one.values.values()) == pytest.approx(one.scores, abs=1e-6)
    assert sum(one.values["size"] for one in found) == pytest.approx(np.zeros(4), abs=1e-6)
    assert np.column_stack([one.scores for one in found]) == pytest.approx(predict(model, asked, problem=CLASSES))
