"""Fits an estimator that is named by configuration.

Inputs are encoded by `ml.models.encoding`, in the same way for training and for scoring (`ml.models.prediction`). The
caller chooses the rows and stores the model.
"""

from collections.abc import Sequence
from typing import Any
from warnings import catch_warnings, filterwarnings

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from ml.metrics.targets import class_counts, label_values
from ml.models.encoding import ColumnError, encoder, typed
from ml.models.estimators import TrainingError, build, require_weights
from ml.spec.estimator import Calibration, Encoding, EstimatorSpec
from ml.spec.target import MultiClass, Target

Floats = NDArray[np.float64]

CALIBRATION_PARTS = 2
"""scikit-learn scores the rows of a calibration in so many parts, which all a fitted estimator scores alike; it asks for so many
rows of each class."""


def fit(
    spec: EstimatorSpec,
    inputs: pd.DataFrame,
    labels: Floats,
    *,
    problem: Target,
    numeric: Sequence[str],
    categorical: Sequence[str],
    seed: int,
    weights: Floats | None = None,
) -> Pipeline:
    """Fit one estimator with the encoding of its specification.

    Parameters
    ----------
    inputs
        One row per label, in the order of prediction, exactly the columns of `numeric` and `categorical` in any order. Missing values are
        allowed in both, infinities are not.
    labels
        Shape ``(rows,)``: 0 and 1 for a binary problem, the places of several classes, finite numbers for a regression.
    seed
        Becomes the estimator's ``random_state`` if it has one and the specification does not set it.
    weights
        Shape ``(rows,)``: how much each row counts, 0 or more; None for all alike.

    Returns
    -------
    sklearn.pipeline.Pipeline
        Steps ``encode`` and ``estimate``; score with `predict`.

    Raises
    ------
    TrainingError
        If the class or one of its parameters does not exist, or rows and labels cannot be trained on.
    The latest rows fit the calibration, if the specification states one, and are not among those that fit the estimator.
    """
    where = f"estimator {spec.name!r}"
    values = np.asarray(labels, dtype=np.float64)
    estimator = build(spec, problem=problem, seed=seed)
    mistakes = _check_labels(values, len(inputs), problem)
    if not mistakes and isinstance(problem, MultiClass) and spec.calibration is not Calibration.NONE:
        mistakes = _missing_from_parts(spec, values, problem)
    if weights is not None:
        mistakes += _check_weights(weights, len(inputs))
        require_weights(spec, estimator)
    size = _fitted_rows(spec, len(inputs))
    try:
        frame = typed(inputs, numeric, categorical)
        early = frame.iloc[:size]
        empty = {str(name) for name in frame.columns if early[name].isna().all()}
        if len(empty) == frame.shape[1] and len(frame):
            mistakes.append("no column holds a single value")
    except ColumnError as error:
        mistakes.append(str(error))
    if mistakes:
        raise TrainingError(f"{where}: {'; '.join(mistakes)}.")
    encode = encoder(spec.encoding, estimator, early, numeric, categorical, empty)
    kinds = [[name for name in columns if name not in empty] for columns in (numeric, categorical)]
    pipeline = Pipeline([("encode", encode), ("estimate", _with_categories(spec, estimator, *map(len, kinds)))])
    counted = {} if weights is None else {"estimate__sample_weight": weights[:size]}
    truth = values.astype(np.int64) if problem.classes else values
    try:
        pipeline.fit(early, truth[:size], **counted)
        if spec.calibration is not Calibration.NONE:
            late = weights if weights is None else weights[size:]
            pipeline = _calibrated(pipeline, spec.calibration, frame.iloc[size:], truth[size:], late)
    except (TypeError, ValueError) as error:
        raise TrainingError(f"{where}: {spec.estimator} could not be fitted on {len(frame)} rows: {error}") from error
    return pipeline


def _calibrated(
    fitted: Pipeline, calibration: Calibration, rows: pd.DataFrame, labels: NDArray[Any], weights: Floats | None
) -> Pipeline:
    """Return a fitted pipeline whose probabilities are calibrated on rows that it was not fitted on."""
    frozen = FrozenEstimator(fitted.named_steps["estimate"])
    calibrator = CalibratedClassifierCV(frozen, method=calibration.value, ensemble=False, cv=CALIBRATION_PARTS)
    with catch_warnings():
        # It warns that the estimator was fitted without weights; it was fitted with its own.
        filterwarnings("ignore", message="Since FrozenEstimator does not appear to accept sample_weight")
        calibrator.fit(fitted.named_steps["encode"].transform(rows), labels, sample_weight=weights)
    return Pipeline([("encode", fitted.named_steps["encode"]), ("estimate", calibrator)])


def _check_labels(labels: Floats, rows: int, problem: Target) -> list[str]:
    if labels.shape != (rows,):
        return [f"{rows} rows and labels of shape {labels.shape}: one label per row is needed"]
    if rows == 0:
        return ["there is no row to train on: widen the training window"]
    broken = int(np.sum(~np.isfinite(labels)))
    if broken:
        return [f"{broken} labels are NaN or infinite: leave such rows out and count them"]
    values = label_values(problem)
    if values is not None and not np.array_equal(np.unique(labels), values):
        found = ", ".join(f"{value:g}" for value in np.unique(labels)[:5])
        needed = "both classes, 0 and 1" if values.size == 2 else f"every class, 0 to {values.size - 1}"
        return [f"a {problem} problem needs labels of {needed}, got {found}: widen the training window"]
    return []


def _missing_from_parts(spec: EstimatorSpec, labels: Floats, problem: MultiClass) -> list[str]:
    """Return which classes are missing where the estimator is fitted or where its calibration is."""
    size = _fitted_rows(spec, labels.size)
    parts = {"the estimator": labels[:size], "the calibration": labels[size:]}
    return [
        f"the rows that fit {what} have {count} of class {name}, at least {CALIBRATION_PARTS} are needed: widen the training window"
        for what, part in parts.items()
        for name, count in zip(problem.classes, class_counts(part, problem), strict=True)
        if count < CALIBRATION_PARTS
    ]


def _fitted_rows(spec: EstimatorSpec, rows: int) -> int:
    """Return how many of the rows, the earliest ones, fit the estimator itself."""
    return rows - (round(spec.calibration_share * rows) if spec.calibration is not Calibration.NONE else 0)


def _check_weights(weights: Floats, rows: int) -> list[str]:
    if weights.shape != (rows,):
        return [f"{rows} rows and weights of shape {weights.shape}: one weight per row is needed"]
    broken = int(np.sum(~(np.isfinite(weights) & (weights >= 0))))
    if broken:
        return [f"{broken} weights are missing, infinite or negative: look at the column that gives them"]
    return [] if rows == 0 or weights.sum() > 0 else ["every weight is 0: look at the column that gives them"]


def _with_categories(spec: EstimatorSpec, estimator: Any, numeric: int, categorical: int) -> Any:
    """Declare the encoded categories to histogram gradient boosting, unless the specification does so."""
    takes = "categorical_features" in estimator.get_params(deep=False)
    if takes and spec.encoding is Encoding.ORDINAL and "categorical_features" not in spec.parameters and categorical:
        estimator.set_params(categorical_features=[*[False] * numeric, *[True] * categorical])
    return estimator
