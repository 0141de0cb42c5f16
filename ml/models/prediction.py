"""Scores rows with a fitted model: one finite number per row, or an error with the reason."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.metrics.targets import SUM_TOLERANCE, scores_shape
from ml.models.encoding import ColumnError, column_mistakes, trained_columns, typed
from ml.spec.errors import LakehouseError
from ml.spec.target import MultiClass, Target

Floats = NDArray[np.float64]


class ColumnTable(Protocol):
    """A table of named columns that is no data frame, as Arrow's is."""

    @property
    def column_names(self) -> list[str]:
        """The names of the columns, in their order."""

    def select(self, columns: list[str]) -> "ColumnTable":
        """Return some of the columns."""

    def __len__(self) -> int: ...


class PredictionError(LakehouseError, ValueError):
    """Scores that must not be used: the columns differ from training, or scores are missing or not probabilities."""


def predict(model: Any, inputs: "pd.DataFrame | ColumnTable", *, problem: Target) -> Floats:
    """Score rows with a fitted model.

    Parameters
    ----------
    model
        What `ml.models.fitting.fit` returned, or any estimator with scikit-learn's interface fitted on a data frame.
    inputs
        Exactly the columns of training, in any order; a table only for a model that takes one.

    Returns
    -------
    numpy.ndarray
        Shape ``(rows,)``, float64: the probability of the positive class, or the predicted value. Of several classes shape
        ``(rows, classes)``: the probability of each, in the declared order.

    Raises
    ------
    PredictionError
        If columns are missing or extra or of another type, or a score is NaN, infinite or not a probability.
    """
    frame = _as_trained(model, inputs) if isinstance(inputs, pd.DataFrame) else _of_training(model, inputs)
    if len(frame) == 0:
        return np.empty(scores_shape(0, problem), dtype=np.float64)
    if problem.classes:
        scores = _probabilities(model, frame, problem)
    else:
        scores = np.asarray(model.predict(frame), dtype=np.float64)
    return checked_scores(scores, rows=len(frame), problem=problem)


def known_inputs(model: Any, declared: Sequence[str]) -> list[str]:
    """Return the declared inputs that a model was trained on: those that were declared later are none of an earlier version.

    Raises
    ------
    PredictionError
        If it was trained on one that is not declared, or not any more.
    """
    wanted = getattr(model, "feature_names_in_", None)
    if wanted is None:
        return list(declared)
    if gone := [str(name) for name in wanted if name not in declared]:
        raise PredictionError(
            f"the model was trained on {', '.join(gone)}, which is not declared as an input. Declare it while a version in use "
            f"needs it; with deprecated_inputs={tuple(gone)!r} new versions are fitted without it."
        )
    return [name for name in declared if name in set(wanted)]


def probe_of(model: Any, inputs: pd.DataFrame, *, problem: Target) -> tuple[pd.DataFrame, str]:
    """Return rows as the fitted model itself takes them, and the method of the model that `predict` calls.

    With both, a process that knows nothing of this module can predict the same.

    Raises
    ------
    PredictionError
        If columns are missing or extra or of another type.
    """
    return _as_trained(model, inputs), "predict_proba" if problem.classes else "predict"


def checked_scores(scores: Floats, *, rows: int, problem: Target) -> Floats:
    """Return the scores after checking them.

    Raises
    ------
    PredictionError
        If there is not one finite score per row, or per row and class, or a probability lies outside 0 to 1, or those of
        several classes do not add up to 1.
    """
    if scores.shape != (wanted := scores_shape(rows, problem)):
        needed = "one number per row" if len(wanted) == 1 else f"one for each of {wanted[1]} classes"
        raise PredictionError(f"the model returned scores of shape {scores.shape} for {rows} rows: {needed} is needed.")
    broken = int(np.sum(~np.isfinite(scores)))
    if broken:
        raise PredictionError(
            f"the model returned {broken} scores of {rows} that are NaN or infinite: train another one."
        )
    if problem.classes and rows and (scores.min() < 0 or scores.max() > 1):
        raise PredictionError(
            f"the model returned scores from {scores.min():.6g} to {scores.max():.6g}, probabilities lie between 0 and 1: "
            "train a classifier that gives them."
        )
    if len(wanted) == 2 and rows and (missed := float(np.abs(scores.sum(axis=1) - 1).max())) > SUM_TOLERANCE:
        raise PredictionError(
            f"the model returned probabilities whose sum misses 1 by up to {missed:.3g}: train a classifier whose "
            "predict_proba adds up over its classes."
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


def _of_training(model: Any, inputs: ColumnTable) -> ColumnTable:
    wanted = list(model.feature_names_in_)
    if mistakes := column_mistakes(inputs.column_names, wanted):
        raise PredictionError(f"the rows do not match the model's signature: {'; '.join(mistakes)}.")
    return inputs.select(wanted)


def _plain(inputs: pd.DataFrame, wanted: list[str]) -> pd.DataFrame:
    mistakes = column_mistakes(list(inputs.columns), wanted)
    if mistakes:
        raise ColumnError("; ".join(mistakes))
    return inputs[wanted]


def _probabilities(model: Any, frame: "pd.DataFrame | ColumnTable", problem: Target) -> Floats:
    """Return the probability of class 1 of two; of several those of all in the order of their labels, whatever the model's."""
    several = isinstance(problem, MultiClass)
    wanted = [float(place) for place in range(len(problem.classes))] if several else [1.0]
    classes = [float(value) for value in getattr(model, "classes_", ())]
    if (
        not hasattr(model, "predict_proba")
        or not set(wanted) <= set(classes)
        or (several and len(classes) > len(wanted))
    ):
        asked = f"of each of the classes 0 to {len(wanted) - 1}" if several else "of class 1"
        labels = f"0 to {len(wanted) - 1}" if several else "0 and 1"
        raise PredictionError(
            f"the model gives no probability {asked} (its classes: {classes}): train a classifier on labels {labels}."
        )
    found = np.asarray(model.predict_proba(frame), dtype=np.float64)[:, [classes.index(value) for value in wanted]]
    return found if several else found[:, 0]
