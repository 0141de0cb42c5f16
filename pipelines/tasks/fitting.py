"""Fits an estimator on training rows as a use case declares it: inputs, labels and weights are columns of the rows."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from ml.models.fitting import fit
from ml.spec.estimator import EstimatorSpec
from ml.spec.weights import SAMPLE_WEIGHT
from pipelines.declarations.use_case import UseCase

Floats = NDArray[np.float64]


def fit_rows(use_case: UseCase, spec: EstimatorSpec, rows: pd.DataFrame, *, seed: int) -> Pipeline:
    """Return an estimator fitted on rows of a training set.

    Parameters
    ----------
    rows
        In the order of prediction: the inputs, ``label``, and ``sample_weight`` where the use case declares a weight.

    Raises
    ------
    TrainingError
        If the rows or the specification do not allow it.
    """
    return fit(
        spec, rows[list(use_case.inputs)], rows["label"].to_numpy(np.float64), problem=use_case.problem,
        numeric=use_case.numeric_inputs, categorical=use_case.categorical_inputs, seed=seed,
        weights=fitting_weights(use_case, rows),
    )  # fmt: skip


def fitting_weights(use_case: UseCase, rows: pd.DataFrame) -> Floats | None:
    """Return the weight of each row when a model is fitted; None where all count alike."""
    return rows[SAMPLE_WEIGHT].to_numpy(np.float64) if use_case.weight is not None else None


def metric_weights(use_case: UseCase, rows: pd.DataFrame) -> Floats | None:
    """Return the weight of each row in metrics; None where all count alike."""
    return rows[SAMPLE_WEIGHT].to_numpy(np.float64) if use_case.weight_in_metrics else None
