"""A model that gives no usable score is an error; one finite number per row otherwise."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from ml.models.fitting import fit
from ml.models.prediction import PredictionError, known_inputs, predict
from ml.spec.estimator import Encoding, EstimatorSpec, Problem

ROWS = pd.DataFrame({"distance": [1.0, 2.0, 3.0, 4.0], "carrier": ["AA", "UA", None, "AA"]})


def model(encoding: Encoding = Encoding.ORDINAL) -> Pipeline:
    """A small classifier."""
    specification = EstimatorSpec(
        name="small", estimator="sklearn.linear_model.LogisticRegression", encoding=encoding, parameters={}
    )
    return fit(
        specification, ROWS, np.array([0.0, 0.0, 1.0, 1.0]), problem=Problem.BINARY,
        numeric=["distance"], categorical=["carrier"], seed=1,
    )  # fmt: skip


class Returning:
    """A model that was trained elsewhere and returns what it was given."""

    feature_names_in_ = np.array(["distance", "carrier"], dtype=object)
    classes_ = np.array([0, 1])

    def __init__(self, scores: Any) -> None:
        """Keep the scores of class 1."""
        self.scores = np.asarray(scores, dtype=float)

    def predict_proba(self, rows: pd.DataFrame) -> np.ndarray:
        """Return both classes."""
        assert list(rows.columns) == ["distance", "carrier"]
        return np.column_stack([1 - self.scores, self.scores])

    def predict(self, rows: pd.DataFrame) -> np.ndarray:
        """Return them as values."""
        return self.scores[: len(rows)]


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([0.1, np.nan, np.inf, 0.2], "2 scores of 4 that are NaN or infinite"),
        ([0.1, 1.2, 0.3, -0.1], "scores from -0.1 to 1.2, probabilities lie between 0 and 1"),
        ([0.1, 0.2], r"scores of shape \(2,\) for 4 rows"),
    ],
)
def test_unusable_scores_are_refused(scores: Any, message: str) -> None:
    """NaN, infinities, numbers outside 0 to 1, and fewer scores than rows."""
    with pytest.raises(PredictionError, match=message):
        predict(Returning(scores), ROWS, problem=Problem.BINARY)


def test_a_regression_may_leave_zero_to_one_but_not_be_nan() -> None:
    """Values are not probabilities."""
    assert predict(Returning([-5, 0, 5, 90]), ROWS, problem=Problem.REGRESSION).tolist() == [-5, 0, 5, 90]
    with pytest.raises(PredictionError, match="1 scores of 4"):
        predict(Returning([1, 2, 3, np.nan]), ROWS, problem=Problem.REGRESSION)


def test_an_input_that_was_declared_later_is_none_of_an_earlier_version() -> None:
    """Such a version scores rows that have it, by its own inputs; what it does not say is all of them."""
    declared = [*ROWS.columns, "new"]
    own = known_inputs(model(), declared)
    assert own == list(ROWS.columns)
    assert len(predict(model(), ROWS.assign(new=1.0)[own], problem=Problem.BINARY)) == len(ROWS)
    assert known_inputs(object(), declared) == declared


def test_an_input_that_is_declared_no_more_is_named_with_the_remedy() -> None:
    """Also several; the model cannot score without them."""
    with pytest.raises(PredictionError, match=r"trained on carrier, which .* deprecated_inputs=\('carrier',\) new"):
        known_inputs(model(), ["distance"])
    with pytest.raises(
        PredictionError, match=r"trained on distance, carrier, .* deprecated_inputs=\('distance', 'carrier'\)"
    ):
        known_inputs(model(), ["new"])


@pytest.mark.parametrize("scorer", [model(), Returning([0.1, 0.2, 0.3, 0.4])], ids=["ours", "trained elsewhere"])
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (ROWS.drop(columns="carrier"), "missing columns: carrier"),
        (ROWS.assign(origin="JFK"), "columns the model does not know: origin"),
        (ROWS.rename(columns={"carrier": "airline"}), "missing columns: carrier; columns the model does not know"),
    ],
)
def test_other_columns_than_at_training_are_a_signature_mismatch(scorer: Any, rows: pd.DataFrame, message: str) -> None:
    """All differences in one sentence."""
    with pytest.raises(PredictionError, match=f"do not match the model's signature: {message}"):
        predict(scorer, rows, problem=Problem.BINARY)


@pytest.mark.parametrize(
    ("column", "message"),
    [("far", "must hold numbers and holds string"), (np.inf, "holds 4 infinite values")],
)
@pytest.mark.parametrize("encoding", list(Encoding))
def test_text_and_infinities_in_a_number_are_refused(encoding: Encoding, column: str, message: str) -> None:
    """For either encoding, although boosting would take an infinity."""
    with pytest.raises(PredictionError, match=message):
        predict(model(encoding), ROWS.assign(distance=column), problem=Problem.BINARY)


@pytest.mark.parametrize("encoding", list(Encoding))
def test_the_order_of_columns_and_the_type_of_numbers_do_not_matter(encoding: Encoding) -> None:
    """A batch without gaps may come as integers, a category as another text type."""
    fitted = model(encoding)
    plain = predict(fitted, ROWS, problem=Problem.BINARY)
    other = ROWS[["carrier", "distance"]].astype({"distance": "Int32", "carrier": "string"})
    assert np.array_equal(predict(fitted, other, problem=Problem.BINARY), plain)


def test_a_category_that_is_a_number_is_the_same_with_and_without_gaps() -> None:
    """A gap turns integers into floats; 3 and 3.0 stay one category."""
    rows = pd.DataFrame({"distance": np.arange(40.0), "gate": np.tile([3, 7], 20)})
    fitted = fit(
        EstimatorSpec(name="small", estimator="sklearn.tree.DecisionTreeClassifier", encoding=Encoding.ORDINAL),
        rows, np.tile([0.0, 1.0], 20), problem=Problem.BINARY, numeric=["distance"], categorical=["gate"], seed=1,
    )  # fmt: skip
    gaps = rows.assign(gate=rows["gate"].astype(float)).mask(rows["distance"] == 0.0)
    assert predict(fitted, gaps, problem=Problem.BINARY)[1:].tolist() == np.tile([0.0, 1.0], 20)[1:].tolist()


def test_no_rows_give_no_scores() -> None:
    """An empty batch is not an error."""
    assert predict(model(), ROWS[:0], problem=Problem.BINARY).shape == (0,)


def test_one_row_gives_one_score() -> None:
    """As many scores as rows."""
    assert predict(model(), ROWS[:1], problem=Problem.BINARY).shape == (1,)


def test_a_model_without_the_positive_class_or_without_columns_is_refused() -> None:
    """A model must state its classes and its columns."""
    scorer = Returning([0.1, 0.2, 0.3, 0.4])
    scorer.classes_ = np.array([0, 2])
    with pytest.raises(PredictionError, match="no probability of class 1"):
        predict(scorer, ROWS, problem=Problem.BINARY)
    with pytest.raises(PredictionError, match="feature_names_in_"):
        predict(object(), ROWS, problem=Problem.BINARY)
