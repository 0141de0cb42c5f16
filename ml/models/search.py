"""Searches the parameters of an estimator by validation in the order of time, within training rows only.

Optuna proposes the parameters (Akiba et al. 2019, KDD 25; tree-structured Parzen estimator of Bergstra et al. 2011). Each block
of time is predicted by a model of the rows whose outcomes were due before the block begins, as in training and evaluation.
No row that a gate judges is seen, so trials make no promotion by chance more likely.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.metrics.quality_metrics import Metric, MetricError
from ml.models.estimators import TrainingError
from ml.models.fitting import fit
from ml.models.prediction import predict
from ml.spec.errors import sentence_of
from ml.spec.estimator import EstimatorSpec
from ml.spec.search import OneOf, Search, Whole
from ml.spec.target import Target

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class SearchRows:
    """The training rows of a search, in the order of prediction.

    Attributes
    ----------
    inputs, labels, times
        One per row.
    weights, metric_weights
        Shape ``(rows,)``: how much each row counts when a model is fitted, and in the metric; None for all alike.
    """

    inputs: pd.DataFrame
    labels: Floats
    times: "pd.Series[pd.Timestamp]"
    weights: Floats | None = None
    metric_weights: Floats | None = None

    def take(self, chosen: NDArray[np.intp]) -> "SearchRows":
        """Return some of the rows."""
        return SearchRows(
            inputs=self.inputs.iloc[chosen].reset_index(drop=True),
            labels=self.labels[chosen],
            times=self.times.iloc[chosen],
            weights=None if self.weights is None else self.weights[chosen],
            metric_weights=None if self.metric_weights is None else self.metric_weights[chosen],
        )


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One combination of parameters.

    Attributes
    ----------
    values
        The metric on each fold; empty if it failed.
    failure
        Why it has no value; None on success.
    """

    number: int
    parameters: Mapping[str, Any]
    values: tuple[float, ...]
    seconds: float
    failure: str | None

    @property
    def value(self) -> float:
        """The mean over folds; NaN if it failed."""
        return float(np.mean(self.values)) if self.values else float("nan")


@dataclass(frozen=True, kw_only=True)
class Searched:
    """What a search found.

    Attributes
    ----------
    spec
        The specification with the best parameters.
    validated_until
        The latest prediction among the rows of any fold.
    """

    spec: EstimatorSpec
    trials: tuple[Trial, ...]
    best: Trial
    validated_until: pd.Timestamp


def search(
    spec: EstimatorSpec, rows: SearchRows, *, declared: Search, problem: Target, numeric: Sequence[str],
    categorical: Sequence[str], measured: Metric, due_days: int, seed: int,
) -> Searched:  # fmt: skip
    """Try parameters of an estimator and return the best.

    Parameters
    ----------
    declared
        What is tried. Parameters that `spec` states for names of the space are the first trial.
    measured
        The metric that is validated.
    due_days
        A row trains for a block only if its outcome was due before the block begins.
    seed
        Of the proposals and of every model.

    Raises
    ------
    TrainingError
        If the rows are too few for a fold, or every trial failed.
    """
    import optuna  # slow to load, for estimators with a search alone

    folds = folds_of(rows.times, folds=declared.folds, due_days=due_days)
    if not folds:
        raise TrainingError(
            f"estimator {spec.name!r}: the training rows give none of {declared.folds} folds, because outcomes are due after "
            f"{due_days} days: widen the training window or declare fewer folds."
        )
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    failures: dict[int, str] = {}

    def objective(trial: "optuna.Trial") -> float:
        proposed = {name: _proposed(trial, name, one) for name, one in declared.space.items()}
        tried = replace(spec, parameters={**spec.parameters, **proposed}, search=None)
        values = []
        try:
            for trained, validated in folds:
                values.append(
                    _validated(tried, rows, trained, validated, problem, numeric, categorical, measured, seed)
                )
        except Exception as error:  # whatever an estimator raises is recorded, and the others go on
            failures[trial.number] = sentence_of(error)
            raise
        trial.set_user_attr("values", values)
        return measured.sign * float(np.mean(values))

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    if first := declared.tried(spec.parameters):
        study.enqueue_trial(first)
    study.optimize(objective, n_trials=declared.trials, timeout=declared.seconds, catch=(Exception,))
    trials = tuple(
        Trial(
            number=one.number,
            parameters=one.params,
            values=tuple(one.user_attrs.get("values", ())),
            seconds=one.duration.total_seconds() if one.duration else 0.0,
            failure=failures.get(one.number),
        )
        for one in study.trials
    )
    counted = [trial for trial in trials if trial.failure is None]
    if not counted:
        why = next(iter(failures.values()), "none was made")
        raise TrainingError(f"estimator {spec.name!r}: every one of {len(trials)} trials failed, the first with: {why}")
    best = max(counted, key=lambda trial: measured.sign * trial.value)
    chosen = replace(spec, parameters={**spec.parameters, **best.parameters}, search=None)
    last = max(int(validated[-1]) for _, validated in folds)
    return Searched(spec=chosen, trials=trials, best=best, validated_until=pd.Timestamp(rows.times.iloc[last]))


def folds_of(
    times: "pd.Series[pd.Timestamp]", *, folds: int, due_days: int
) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Return the rows that train and those that validate, for each block of whole days that has any to train on.

    Rows are cut into one block more than there are folds, of about equal size; the first one only trains.

    Parameters
    ----------
    times
        In ascending order.
    due_days
        Days from a prediction until its outcome is due.
    """
    days = times.to_numpy("datetime64[D]")
    found = []
    starts = [int(np.searchsorted(days, days[days.size * block // (folds + 1)])) for block in range(1, folds + 1)]
    for start, end in zip(starts, [*starts[1:], days.size], strict=True):
        due = np.searchsorted(days, days[start] - np.timedelta64(due_days, "D"))
        if due > 0 and end > start:
            found.append((np.arange(int(due)), np.arange(start, end)))
    return found


def _validated(
    spec: EstimatorSpec, rows: SearchRows, trained: NDArray[np.intp], validated: NDArray[np.intp], problem: Target,
    numeric: Sequence[str], categorical: Sequence[str], measured: Metric, seed: int,
) -> float:  # fmt: skip
    """Return the metric on the rows of a block, by a model of earlier rows.

    Raises
    ------
    MetricError
        If these rows do not define the metric.
    """
    past, block = rows.take(trained), rows.take(validated)
    model = fit(
        spec, past.inputs, past.labels, problem=problem, numeric=numeric, categorical=categorical, seed=seed,
        weights=past.weights,
    )  # fmt: skip
    value = measured.function(block.labels, predict(model, block.inputs, problem=problem), block.metric_weights)
    if not np.isfinite(value):
        raise MetricError(f"{measured.name} is not a number on rows from {block.times.iloc[0]:%Y-%m-%d} on.")
    return value


def _proposed(trial: Any, name: str, dimension: Any) -> Any:
    if isinstance(dimension, OneOf):
        return trial.suggest_categorical(name, dimension.values)
    suggest = trial.suggest_int if isinstance(dimension, Whole) else trial.suggest_float
    return suggest(name, dimension.low, dimension.high, log=dimension.log)
