"""Explains single predictions of a version: by how much each input moved the score of a request."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.metrics.decision_costs import decided, expected_costs
from ml.models.explanation import Explained, explain
from ml.models.prediction import known_inputs, predict
from ml.spec.costs import ErrorCosts, decisions
from ml.spec.errors import NotPossibleError
from ml.spec.target import MultiClass, Target
from pipelines.declarations.use_case import UseCase
from pipelines.lakehouse.lakehouse import Lakehouse
from pipelines.lakehouse.registry.model_version import ModelVersion
from pipelines.lakehouse.tables.arrow import to_pandas

Floats = NDArray[np.float64]

BACKGROUND_ROWS = 100
"""Rows with which a prediction is compared, drawn from the version's training rows."""


@dataclass(frozen=True, kw_only=True)
class Contribution:
    """What one input added to a score."""

    input: str
    value: str
    added: float


@dataclass(frozen=True, kw_only=True)
class ExplainedRequest:
    """The score of a request and where it comes from, the input that moved it most first.

    Attributes
    ----------
    expected
        The mean score of the background: it and all that inputs added are the score.
    predicted_class
        Of several classes the most probable one, whose probability the score is; empty otherwise.
    method
        ``trees`` or ``coalitions``, see `ml.models.explanation`.
    decision, expected_costs
        Where costs of errors are declared, what is decided, and what each decision is expected to cost beyond the cheapest one
        for what is true; empty otherwise.
    """

    request_key: str
    score: float
    expected: float
    method: str
    contributions: tuple[Contribution, ...]
    predicted_class: str = ""
    decision: str = ""
    expected_costs: Mapping[str, float] = field(default_factory=dict)


def explain_requests(
    lakehouse: Lakehouse, use_case: UseCase, version: ModelVersion, keys: Sequence[str], *, seed: int = 0
) -> tuple[ExplainedRequest, ...]:
    """Explain the predictions of some requests, in the order asked.

    Parameters
    ----------
    keys
        Of requests that were scored here by any version: their inputs as they were then are explained with `version`.

    Raises
    ------
    NotPossibleError
        If a request was not scored here, or no row is stored that the version was trained or evaluated on.
    """
    rows = _scored(lakehouse, use_case, version, keys)
    model = lakehouse.models.load(version)
    inputs = known_inputs(model, use_case.inputs)
    background = _background(lakehouse, use_case, version, seed)[inputs]
    scores = predict(model, rows[inputs], problem=use_case.problem)
    explained: dict[str, ExplainedRequest] = {}
    for of_class, places in _by_class(scores, use_case.problem):
        own = rows.iloc[places].reset_index(drop=True)
        found = explain(model, own[inputs], background, problem=use_case.problem, seed=seed, of_class=of_class)
        name = "" if of_class is None else use_case.problem.classes[of_class]
        explained |= {key: _request(key, place, own, found, name) for place, key in enumerate(own["request_key"])}
    if use_case.costs is None:
        return tuple(explained[key] for key in keys)
    made = zip(keys, _decisions(scores, use_case.costs, use_case.problem), strict=True)
    return tuple(replace(explained[key], decision=chosen, expected_costs=costs) for key, (chosen, costs) in made)


def _decisions(scores: Floats, costs: ErrorCosts, problem: Target) -> Iterator[tuple[str, Mapping[str, float]]]:
    """Yield for each row what is decided, and what each decision is expected to cost."""
    names = decisions(problem)
    for chosen, expected in zip(decided(scores, costs, problem), expected_costs(scores, costs, problem), strict=True):
        yield names[chosen], dict(zip(names, map(float, expected), strict=True))


def _by_class(scores: Floats, problem: Target) -> Iterator[tuple[int | None, NDArray[np.intp]]]:
    """Yield which rows have which class as the most probable one; all of them, and None, where there is one score."""
    if not isinstance(problem, MultiClass):
        yield None, np.arange(len(scores))
        return
    chosen = scores.argmax(axis=1)
    for of_class in np.unique(chosen):
        yield int(of_class), np.flatnonzero(chosen == of_class)


def _request(key: str, place: int, rows: pd.DataFrame, found: Explained, predicted_class: str) -> ExplainedRequest:
    added = {name: float(values[place]) for name, values in found.values.items()}
    return ExplainedRequest(
        request_key=key,
        score=float(found.scores[place]),
        expected=found.expected,
        method=found.method,
        contributions=tuple(
            Contribution(input=name, value=_shown(rows[name].iloc[place]), added=added[name])
            for name in sorted(added, key=lambda name: -abs(added[name]))
        ),
        predicted_class=predicted_class,
    )


def _scored(lakehouse: Lakehouse, use_case: UseCase, version: ModelVersion, keys: Sequence[str]) -> pd.DataFrame:
    """Return the inputs of each request as scored: by the version if it has scored it, else by the newest that has."""
    predictions = lakehouse.tables.read(use_case.table("predictions")).where(F.col("request_key").isin(*keys))
    rows = to_pandas(predictions.select("request_key", "model_version", *use_case.inputs))
    rows["own"] = rows["model_version"] == version.number
    newest = rows.sort_values(["own", "model_version"], kind="stable").drop_duplicates("request_key", keep="last")
    if missing := [key for key in keys if key not in set(newest["request_key"])]:
        raise NotPossibleError(
            f"no prediction of {', '.join(map(repr, missing))} is stored in {lakehouse.environment.name!r}.",
            where=f"use case {use_case.name}",
            remedy="Score these requests first, or name others: the table predictions has their keys.",
        )
    found: pd.DataFrame = newest.set_index("request_key").loc[list(keys)].reset_index()
    return found


def _background(lakehouse: Lakehouse, use_case: UseCase, version: ModelVersion, seed: int) -> pd.DataFrame:
    """Return rows that the version was trained on; of a version from elsewhere, rows on which it was evaluated here."""
    sets = [version.tags[name] for name in ("training_set_id", "evaluation_id") if name in version.tags]
    stored = lakehouse.tables.read(use_case.table("training_set")).where(F.col("training_set_id").isin(*sets))
    rows = to_pandas(stored.select("request_key", "part", *use_case.inputs))
    if rows.empty:
        raise NotPossibleError(
            f"no row is stored here on which version {version.number} was trained or evaluated.",
            where=f"use case {use_case.name}",
            remedy="Explain it where it was trained.",
        )
    chosen = rows[rows["part"] == rows["part"].max()].sort_values("request_key")  # training, if there are any
    drawn: pd.DataFrame = chosen.sample(min(BACKGROUND_ROWS, len(chosen)), random_state=seed)
    return drawn


def _shown(value: object) -> str:
    if value is None or value != value:
        return "missing"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
