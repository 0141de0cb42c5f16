"""Synthetic flights, and models that are wrong in ways a gate must detect; shared by the tests of the tasks of a model.

The rows have the columns of the use case flight_delay. The effects on late flights are known: a linear one, which
every estimator learns, and a non-linear one, which only gradient boosting learns.
"""

import datetime as dt
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import Pipeline

from ml.models.fitting import fit
from ml.models.prediction import predict
from pipelines.declarations.registry import use_case
from pipelines.declarations.use_case import UseCase
from pipelines.execution.context import Context
from pipelines.lakehouse.lakehouse import Lakehouse
from pipelines.lakehouse.registry.model_version import ModelVersion
from pipelines.lakehouse.registry.models import CANDIDATE_RUN
from pipelines.lakehouse.registry.requirements import model_requirements
from pipelines.tasks.versions.candidates import Training, provenance, sidecar
from pipelines.tasks.versions.training import EVALUATION, TRAINING

FLIGHT_DELAY = use_case("flight_delay")
SPECS = {spec.name: spec for spec in FLIGHT_DELAY.estimators}
# A third of the trees tell bent effects from straight ones, and take a third of the time.
BOOSTING = SPECS["gradient_boosting"]
SPECS["gradient_boosting"] = replace(BOOSTING, parameters={**BOOSTING.parameters, "max_iter": 33, "learning_rate": 0.2})
SPLIT = dt.datetime(2013, 3, 1, tzinfo=dt.UTC)
TRAINING_DAYS, EVALUATION_DAYS = 28, 21
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
CARRIERS, CARRIER_SHARES = ("AA", "B6", "DL", "UA"), (0.35, 0.3, 0.06, 0.29)
SEED = 5
VERSIONS = '{"flight_delay_features.labels": 0}'


def flights(
    part: str,
    count: int,
    *,
    first: dt.datetime = SPLIT,
    days: int = EVALUATION_DAYS,
    seed: int = SEED,
    prefix: str = "",
) -> pd.DataFrame:
    """Labelled flights over some days. Those for evaluation have half seats, by which mutants know them."""
    random = np.random.default_rng(seed)
    rows = pd.DataFrame({name: random.normal(size=count) for name in FLIGHT_DELAY.numeric_inputs})
    rows["aircraft_seats"] = np.round(150 + 20 * rows["aircraft_seats"]) + (0.5 if part == EVALUATION else 0.0)
    rows["carrier"] = random.choice(CARRIERS, count, p=CARRIER_SHARES)
    rows["origin"] = random.choice(("EWR", "JFK", "LGA"), count)
    rows["destination"] = random.choice(("BOS", "LAX", "SFO"), count)
    straight, bent = rows["carrier_late_rate_1d"], np.abs(rows["wind_speed"]) > 1
    chance = 1 / (1 + np.exp(1.2 - 0.8 * straight - 1.2 * bent))
    seconds = np.sort(random.integers(1, days * 86_400 - 1, count))
    rows["prediction_at"] = pd.to_datetime(first) + pd.to_timedelta(seconds, unit="s")
    rows["label_known_at"] = rows["prediction_at"] + pd.Timedelta(hours=6)
    rows["request_key"] = [f"{prefix}{part}-{number}" for number in range(count)]
    return rows.assign(
        part=part, label=(random.random(count) < chance).astype(float), table_versions=VERSIONS, label_counts=None
    )


def training_flights(count: int = 4000, **options: Any) -> pd.DataFrame:
    """Flights of the weeks before the split."""
    first = SPLIT - dt.timedelta(days=TRAINING_DAYS)
    return flights(TRAINING, count, **{"first": first, "days": TRAINING_DAYS - 1, "seed": SEED + 1, **options})


def store_training_set(lakehouse: Lakehouse, name: str, *parts: pd.DataFrame) -> None:
    """Store flights as the training set of a run."""
    table = FLIGHT_DELAY.table("training_set")
    rows = pd.concat(parts, ignore_index=True).assign(training_set_id=name)
    lakehouse.tables.append_once(table, rows[[column.name for column in table.columns]], batch_id=name)


def context_of(
    lakehouse: Lakehouse, run_id: str = "run", *, now: dt.datetime | None = None, declared: UseCase = FLIGHT_DELAY
) -> Context:
    """A context for the tasks of one run."""
    at = now or SPLIT + dt.timedelta(days=EVALUATION_DAYS)
    return Context(lakehouse=lakehouse, use_case=declared, run_id=run_id, now=at, say=lambda _: None)


def trained(
    rows: pd.DataFrame,
    estimator: str = "gradient_boosting",
    *,
    labels: Floats | None = None,
    declared: UseCase = FLIGHT_DELAY,
) -> Pipeline:
    """An estimator of the use case, fitted as the task `train` fits it."""
    return fit(
        SPECS[estimator], rows[list(declared.inputs)], rows["label"].to_numpy() if labels is None else labels,
        problem=declared.problem, numeric=declared.numeric_inputs, categorical=declared.categorical_inputs, seed=SEED,
    )  # fmt: skip


def registered(
    lakehouse: Lakehouse,
    model: Any,
    rows: pd.DataFrame,
    *,
    estimator: str = "gradient_boosting",
    run_id: str = "run",
    judged_by: str | None = None,
    declared: UseCase = FLIGHT_DELAY,
) -> ModelVersion:
    """The version as which the task of a run registers a fitted model; another run may be the one to evaluate it."""
    context = context_of(lakehouse, run_id, declared=declared)
    lakehouse.tables.read(
        declared.table("training_set")
    )  # its version is recorded, as after the task train has read it
    inputs = rows[list(declared.inputs)]
    scores = predict(model, inputs, problem=declared.problem)
    tags = provenance(context, Training(spec=SPECS[estimator], rows=rows, seed=SEED, cause="requested"))
    with lakehouse.models.start_run(declared.name, name=f"{estimator} {run_id}", tags=tags) as run:
        return lakehouse.models.register(
            declared.model, model, run=run, input_example=inputs.head(5), output_example=scores[:5],
            # What a mutant is made of is here, not in a use case's folder: it carries nothing.
            pip_requirements=model_requirements(), tags={**tags, CANDIDATE_RUN: judged_by or run_id},
            sidecar=sidecar(rows, inputs.assign(score=scores)),
        )  # fmt: skip


class Mutant(ABC, ClassifierMixin, BaseEstimator):
    """A sound model whose probabilities are changed, by default only for rows of the evaluation."""

    def __init__(self, sound: Pipeline | None = None, everywhere: bool = False) -> None:
        self.sound = sound
        self.everywhere = everywhere
        self.classes_ = np.array([0, 1])
        self.feature_names_in_ = None if sound is None else sound.named_steps["encode"].feature_names_in_

    @abstractmethod
    def changed(self, probability: Floats) -> Floats:
        """Return the mutant's probabilities for those of the sound model."""

    def mistaken(self, rows: pd.DataFrame) -> Mask:
        """Return for which rows the mutant's probabilities differ."""
        return (rows["aircraft_seats"] % 1 == 0.5).to_numpy() | self.everywhere

    def predict_proba(self, rows: pd.DataFrame) -> Floats:
        """Return the probabilities of both classes."""
        probability = self.sound.predict_proba(rows)[:, 1]
        mistaken = self.mistaken(rows)
        if mistaken.any():
            probability = np.where(mistaken, self.changed(probability), probability)
        return np.column_stack([1 - probability, probability])

    def predict(self, rows: pd.DataFrame) -> Floats:
        """Return the more probable class."""
        return self.predict_proba(rows)[:, 1].round()


class Constant(Mutant):
    """Predicts the same for every flight."""

    def changed(self, probability: Floats) -> Floats:
        """0.4 for every flight."""
        return np.full(len(probability), 0.4)


class NotANumber(Mutant):
    """Predicts NaN for some flights."""

    def changed(self, probability: Floats) -> Floats:
        """NaN if the flight is probably late."""
        return np.where(probability > 0.6, np.nan, probability)


class FailsInStorms(Mutant):
    """Fails on what was in no stored row: wind of more than 100."""

    def changed(self, probability: Floats) -> Floats:
        """No number."""
        return np.full(len(probability), np.nan)

    def mistaken(self, rows: pd.DataFrame) -> Mask:
        """Return the flights in a storm."""
        return (rows["wind_speed"] > 100).to_numpy()


class OutOfRange(Mutant):
    """Predicts odds instead of probabilities."""

    def changed(self, probability: Floats) -> Floats:
        """The odds, which exceed 1."""
        return probability / (1 - probability)


class HardLabels(Mutant):
    """Predicts labels instead of probabilities."""

    def changed(self, probability: Floats) -> Floats:
        """0 or 1."""
        return (probability > 0.5).astype(float)


class WrongOnOneCarrier(Mutant):
    """Is inverted for one carrier."""

    def changed(self, probability: Floats) -> Floats:
        """The probability of the other class."""
        return 1 - probability

    def mistaken(self, rows: pd.DataFrame) -> Mask:
        """Return the flights of Delta."""
        return super().mistaken(rows) & (rows["carrier"] == "DL").to_numpy()


class Overconfident(Mutant):
    """Ranks flights as the sound model does, with exaggerated probabilities."""

    def changed(self, probability: Floats) -> Floats:
        """The odds to the power of six, as a probability."""
        odds = (probability / (1 - probability)) ** 6
        return odds / (1 + odds)


class Slow(Mutant):
    """Predicts as the sound model does, after a wait."""

    def changed(self, probability: Floats) -> Floats:
        """The same, 3 s later: much longer than a sound model takes on a busy machine."""
        time.sleep(3)
        return probability


class Unloadable(Mutant):
    """Can be stored and not be loaded."""

    def __reduce__(self) -> tuple[Callable[[str], NoReturn], tuple[str]]:
        return (_raise, ("a library that is not installed here",))

    def changed(self, probability: Floats) -> Floats:
        """The same."""
        return probability


def _raise(why: str) -> NoReturn:
    raise ImportError(why)
