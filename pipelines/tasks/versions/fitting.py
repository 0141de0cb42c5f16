"""Fits an estimator on training rows as a use case declares it: inputs, labels and weights are columns of the rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.metrics.metric_table import metric
from ml.models.fitting import fit
from ml.models.search import Searched, SearchRows, search
from ml.spec.estimator import EstimatorSpec
from ml.spec.weights import SAMPLE_WEIGHT
from pipelines.declarations.use_case import UseCase

Floats = NDArray[np.float64]


def fit_rows(use_case: UseCase, spec: EstimatorSpec, rows: pd.DataFrame, *, seed: int) -> Any:
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
        spec, rows[list(use_case.fitted_inputs)], rows["label"].to_numpy(np.float64), problem=use_case.problem,
        numeric=_fitted(use_case, use_case.numeric_inputs), categorical=_fitted(use_case, use_case.categorical_inputs), seed=seed,
        weights=fitting_weights(use_case, rows),
    )  # fmt: skip


def searched(use_case: UseCase, spec: EstimatorSpec, rows: pd.DataFrame, *, seed: int) -> Searched | None:
    """Return what the search of an estimator found on rows of a training set; None where it declares none.

    Parameters
    ----------
    rows
        As of `fit_rows`, with ``prediction_at``. They are all that a search sees.

    Raises
    ------
    TrainingError
        If the rows are too few, or every trial failed.
    """
    if spec.search is None:
        return None
    return search(
        spec,
        SearchRows(
            inputs=rows[list(use_case.fitted_inputs)], labels=rows["label"].to_numpy(np.float64), times=rows["prediction_at"],
            weights=fitting_weights(use_case, rows), metric_weights=metric_weights(use_case, rows),
        ),
        declared=spec.search, problem=use_case.problem, numeric=_fitted(use_case, use_case.numeric_inputs),
        categorical=_fitted(use_case, use_case.categorical_inputs), due_days=use_case.label_due_days, seed=seed,
        measured=metric(use_case.gate.metric, use_case.problem, use_case.costs),
    )  # fmt: skip


def _fitted(use_case: UseCase, inputs: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in inputs if name in use_case.fitted_inputs)


def fitting_weights(use_case: UseCase, rows: pd.DataFrame) -> Floats | None:
    """Return the weight of each row when a model is fitted; None where all count alike."""
    return rows[SAMPLE_WEIGHT].to_numpy(np.float64) if use_case.weight is not None else None


def metric_weights(use_case: UseCase, rows: pd.DataFrame) -> Floats | None:
    """Return the weight of each row in metrics; None where all count alike."""
    return rows[SAMPLE_WEIGHT].to_numpy(np.float64) if use_case.weight_in_metrics else None


def weight_column(use_case: UseCase) -> str:
    """Return the column with the weight of each row in metrics; empty where all count alike."""
    return SAMPLE_WEIGHT if use_case.weight_in_metrics else ""
