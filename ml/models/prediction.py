"""Scores rows with a fitted model: one finite number per row, or an error with the reason."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.models.encoding import ColumnError, column_mistakes, trained_columns, typed
from ml.spec.errors import LakehouseError
from ml.spec.estimator import Problem

Floats = NDArray[np.float64]


class PredictionError(LakehouseError, ValueError):
    """Scores that must not be used: the columns differ from training, or scores are missing or not probabilities."""


def predict(model: Any, inputs: pd.DataFrame, *, problem: Problem) -> Floats:
    """Score rows with a fitted model.

    Parameters
    ----------
    model
        What `ml.models.fitting.fit` returned, or any estimator with scikit-learn's interface fitted on a data frame.
    inputs
        Exactly the columns of training, in any order.

    Returns
    -------
    numpy.ndarray
        Shape ``(rows,)``, float64: the probability of the positive class, or the predicted value.

    Raises
    ------
    PredictionError
        If columns are missing or extra or of another type, or a score is NaN, infinite or not a probability.
    """
    frame = _as_trained(model, inputs)
    if len(frame) == 0:
        return np.empty(0, dtype=np.float64)
    if problem is Problem.BINARY:
        scores = _positive_probability(model, frame)
    else:
        scores = np.asarray(model.predict(frame), dtype=np.float64)
    return checked_scores(scores, rows=len(frame), problem=problem)


def probe_of(model: Any, inputs: pd.DataFrame, *, problem: Problem) -> tuple[pd.DataFrame, str]:
    """Return rows as the fitted model itself takes them, and the method of the model that `predict` calls.

    With both, a process that knows nothing of this module can predict the same.

    Raises
    ------
    PredictionError
        If columns are missing or extra or of another type.
    """
    return _as_trained(model, inputs), "predict_proba" if problem is Problem.BINARY else "predict"


def checked_scores(scores: Floats, *, rows: int, problem: Problem) -> Floats:
    """Return the scores after checking them.

    Raises
    ------
    PredictionError
        If there is not one finite score per row, or a binary problem's score lies outside 0 to 1.
    """
    if scores.shape != (rows,):
        raise PredictionError(
            f"the model returned scores of shape {scores.shape} for {rows} rows: one number per row is needed."
        )
    broken = int(np.sum(~np.isfinite(scores)))
    if broken:
        raise PredictionError(
            f"the model returned {broken} scores of {rows} that are NaN or infinite: train another one."
        )
    if problem is Problem.BINARY and rows and (scores.min() < 0 or scores.max() > 1):
        raise PredictionError(
            f"the model returned scores from {scores.min():.6g} to {scores.max():.6g}, probabilities lie between 0 and 1: "
            "train a classifier that gives them."
        )
    return scores


def _as_trained(model: Any, inputs: pd.DataFrame) -> pd.DataFrame:
    wanted = getattr(model, "feature_names_in_", None)
    if wanted is None:
        raise PredictionError(
            "the model does not say which columns it was trained on (feature_names_in_): fit it on a data frame."
        )
    encode = getattr(model, "named_steps", {}).get("encode")
    try:
        if encode is None:
            return _plain(inputs, list(wanted))
        return typed(inputs, *trained_columns(encode))
    except ColumnError as error:
        raise PredictionError(f"the rows do not match the model's signature: {error}.") from error


def _plain(inputs: pd.DataFrame, wanted: list[str]) -> pd.DataFrame:
    mistakes = column_mistakes(list(inputs.columns), wanted)
    if mistakes:
        raise ColumnError("; ".join(mistakes))
    return inputs[wanted]


def _positive_probability(model: Any, frame: pd.DataFrame) -> Floats:
    classes = [float(value) for value in getattr(model, "classes_", ())]
    if not hasattr(model, "predict_proba") or 1.0 not in classes:
        raise PredictionError(
            f"the model gives no probability of class 1 (its classes: {classes}): train a classifier on labels 0 and 1."
        )
    return np.asarray(model.predict_proba(frame), dtype=np.float64)[:, classes.index(1.0)]
