"""Expected metrics of a regression on rows whose labels have not arrived, learned from labelled rows.

A second, small model learns the loss of each row from its inputs and its prediction, on rows that the first model was
not trained on. The mean of the losses it predicts for new rows is the metric; NannyML calls this direct loss
estimation. Like the estimate from probabilities (`ml.estimation.classification`) it sees that inputs change, for
example that more rows are hard to predict; it does not see that the relation between inputs and label changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from ml.estimation.classification import Performance
from ml.metrics.metric_table import metric
from ml.models.fitting import fit
from ml.models.prediction import predict
from ml.spec.estimator import Encoding, EstimatorSpec, Problem
from ml.spec.target import Target

Floats = NDArray[np.float64]

ESTIMATED = ("mean_absolute_error", "root_mean_squared_error")
"""The metrics that follow from the losses of single rows."""
SCORE = "score"
"""The prediction, as an input of the model of its loss."""
LOSS = EstimatorSpec(
    name="loss",
    estimator="sklearn.ensemble.HistGradientBoostingRegressor",
    encoding=Encoding.ORDINAL,
    # Squared error for every loss, because the mean is estimated. Few leaves of many rows, because losses are noisy.
    parameters={
        "loss": "squared_error",
        "max_iter": 40,
        "learning_rate": 0.1,
        "max_leaf_nodes": 8,
        "min_samples_leaf": 100,
        "early_stopping": False,
    },
)


@dataclass(frozen=True, kw_only=True)
class LossEstimation:
    """What was learned about the losses of one model: for each metric a model of the loss of a row."""

    models: tuple[Pipeline, ...]
    metrics: tuple[str, ...] = ESTIMATED
    problem: Target = Problem.REGRESSION
    costs: None = None

    @classmethod
    def learn(
        cls, inputs: pd.DataFrame, scores: Floats, labels: Floats, *, numeric: Sequence[str], categorical: Sequence[str]
    ) -> "LossEstimation":
        """Learn from rows with labels that the scoring model was not trained on.

        Parameters
        ----------
        inputs
            The columns of `numeric` and `categorical`, one row per label.
        scores, labels
            Shape (rows,).

        Raises
        ------
        TrainingError
            If there are no rows, or scores or labels are not finite.
        """
        with_score = inputs.assign(**{SCORE: scores})
        losses = [_row_losses(name, labels, scores) for name in ESTIMATED]
        return cls(
            models=tuple(
                fit(LOSS, with_score, loss, problem=Problem.REGRESSION, numeric=(*numeric, SCORE),
                    categorical=categorical, seed=0)
                for loss in losses
            )
        )  # fmt: skip

    def beliefs(self, inputs: pd.DataFrame, scores: Floats) -> Floats:
        """Return the expected loss of each row, shape (rows, metrics).

        Single rows may have a negative expected loss. It is not clipped, because that would bias the mean upwards.
        """
        with_score = inputs.assign(**{SCORE: scores})
        return np.column_stack([predict(model, with_score, problem=Problem.REGRESSION) for model in self.models])

    def expected(self, name: str, scores: Floats, beliefs: Floats, weights: Floats | None = None) -> Performance:
        """Return the expected metric of rows, and its standard error from the spread of their expected losses."""
        losses = beliefs[:, self.metrics.index(name)]
        if scores.size == 0 or (weights is not None and weights.sum() <= 0):
            return Performance(metric=name, value=np.nan, standard_error=np.nan)
        shares = np.full(losses.size, 1 / losses.size) if weights is None else weights / weights.sum()
        mean = float(shares @ losses)
        value, error = max(mean, 0.0), float(np.sqrt(shares**2 @ (losses - mean) ** 2))
        if not metric(name).root:
            return Performance(metric=name, value=value, standard_error=error)
        root = float(np.sqrt(value))
        return Performance(metric=name, value=root, standard_error=error / (2 * root) if root > 0 else 0.0)


def _row_losses(name: str, labels: Floats, scores: Floats) -> Floats:
    row_loss = metric(name, Problem.REGRESSION).row_loss
    assert row_loss is not None  # noqa: S101 - ESTIMATED are those that have one
    return row_loss(labels, scores)
