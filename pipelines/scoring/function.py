"""The one scoring function of a use case: a request, what is known of its entities, inputs, prediction, what is made of it.

Batch calls its parts on a cluster, where Spark brings the feature rows to the requests; the endpoint calls all of it with the
rows of the online store. Which feature row counts is decided by `pipelines.scoring.as_of` in both. A served model is this
function with its estimator: what is here is stored with it, so it imports neither Spark nor MLflow nor a declaration.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from ml.metrics import decision_costs
from ml.models.prediction import known_inputs, predict
from ml.spec.costs import DECISION, DECISION_THRESHOLD, Costs, ErrorCosts
from ml.spec.errors import LakehouseError, sentence_of
from ml.spec.target import PREDICTED_CLASS, MultiClass, Target, made_columns, score_columns
from pipelines.scoring.as_of import matched
from pipelines.scoring.columns import ARROW_TYPES, held, numbers, texts, to_frame
from pipelines.scoring.stored import StoredRows, stored_columns

SCORE = "score"
REQUEST_KEY, PREDICTION_AT, MODEL_VERSION = "request_key", "prediction_at", "model_version"
Floats = NDArray[np.float64]


class InputsError(LakehouseError, ValueError):
    """Inputs that a builder does not make as declared."""


@dataclass(frozen=True, kw_only=True)
class RequestColumn:
    """One column of a request: its declared type, and whether it may be missing."""

    name: str
    kind: str
    nullable: bool


@dataclass(frozen=True, kw_only=True)
class FeatureLookup:
    """One look-up in a feature table, as plain values; `pipelines.declarations.feature_table.Lookup` explains them.

    Attributes
    ----------
    table
        The address of the feature table.
    time
        The column with the instant from which a row was known.
    kinds
        The declared type of every column that is read: keys, time and values.
    age_column
        The name, in an answer, of the hours between the feature row and the prediction.
    """

    table: str
    keys: Mapping[str, str]
    time: str
    columns: Mapping[str, str]
    kinds: Mapping[str, str]
    lookback_hours: int
    available_after_minutes: int
    age_column: str
    age_as: str | None = None

    @property
    def made(self) -> tuple[str, ...]:
        """The columns that it adds to a request."""
        return (*self.columns.values(), *((self.age_as,) if self.age_as else ()))


@dataclass(frozen=True, kw_only=True)
class ScoringFunction:
    """What a use case declares of scoring, without its estimator.

    Attributes
    ----------
    request
        The columns of a request: its key, the instant of prediction, and what the request itself knows.
    key, time
        Which of them are the key and the instant.
    build
        The use case's function that adds inputs computed from the row alone.
    kept
        Columns beside the inputs that are kept with every prediction.
    connect
        Makes a connection to the online store of a platform from its address; None where features are not published to one.
    """

    name: str
    request: tuple[RequestColumn, ...]
    key: str
    time: str
    lookups: tuple[FeatureLookup, ...]
    build: Callable[[pd.DataFrame], pd.DataFrame]
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    problem: Target
    costs: ErrorCosts | None = None
    kept: tuple[str, ...] = field(default=())
    connect: Callable[[str], Any] | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns that reach the estimator, numbers first."""
        return (*self.numeric, *self.categorical)

    @property
    def looked_up(self) -> tuple[str, ...]:
        """The columns that look-ups add to a request."""
        return tuple(name for lookup in self.lookups for name in lookup.made)

    @property
    def made(self) -> Mapping[str, str]:
        """The columns that the model makes, and the decision where costs are declared, each with its type."""
        decided = self.costs.columns if self.costs else {}
        return {**made_columns(self.problem), **{name: kind for name, (kind, _) in decided.items()}}

    @property
    def answer_columns(self) -> tuple[str, ...]:
        """The columns of an answer, in their order."""
        ages = tuple(lookup.age_column for lookup in self.lookups)
        return (REQUEST_KEY, PREDICTION_AT, *self.made, MODEL_VERSION, *ages)

    def answer(
        self, requests: pa.Table, features: "Sequence[pa.Table] | StoredRows", model: Any, *, version: int | None
    ) -> pa.Table:
        """Return the answer to each request, in their order.

        Parameters
        ----------
        requests
            With the columns of `request`, and of `looked_up` those that the requests give themselves.
        features
            For each look-up the rows of its feature table that may count, or what the store holds for each request; rows that
            do not count are left out here.
        model
            What `ml.models.fitting.fit` returned, or what predicts the same.
        version
            The version of the model; None where nobody says.

        Returns
        -------
        pa.Table
            The columns of `answer_columns`, then the inputs, then `kept`.
        """
        joined = self.look_up(requests, features)
        rows = self.with_inputs(joined)
        scored = self.scored(rows, model)
        count = requests.num_rows
        columns: dict[str, Any] = {
            REQUEST_KEY: requests.column(self.key),
            PREDICTION_AT: requests.column(self.time),
            MODEL_VERSION: pa.nulls(count, pa.int64()) if version is None else pa.repeat(pa.scalar(version), count),
            **{lookup.age_column: joined.column(lookup.age_column) for lookup in self.lookups},
            **dict(zip(scored.column_names, scored.columns, strict=True)),
        }
        names = [*self.answer_columns, *self.inputs, *self._beside]
        return pa.Table.from_arrays([columns[name] for name in names], names=names)

    def look_up(self, requests: pa.Table, features: "Sequence[pa.Table] | StoredRows") -> pa.Table:
        """Return the requests with what each look-up knew before its instant, and how old that was.

        What a request gives itself is taken instead of what is looked up.
        """
        asked = dict(zip(requests.column_names, requests.columns, strict=True))
        given = {name: asked.pop(name) for name in self.looked_up if name in asked}
        joined = (
            stored_columns(requests, features, self.lookups, time=self.time) if isinstance(features, StoredRows)
            else self._searched(requests, features)
        )  # fmt: skip
        joined |= {name: values.cast(joined[name].type) for name, values in given.items()}
        columns = {**asked, **joined}
        return pa.Table.from_arrays(list(columns.values()), names=list(columns))

    def _searched(self, requests: pa.Table, features: Sequence[pa.Table]) -> "dict[str, pa.Array | pa.ChunkedArray]":
        joined: dict[str, pa.Array | pa.ChunkedArray] = {}
        for lookup, rows in zip(self.lookups, features, strict=True):
            joined |= matched(
                requests, rows, keys=lookup.keys, spine_time=self.time, feature_time=lookup.time, columns=lookup.columns,
                lookback_hours=lookup.lookback_hours, age_as=lookup.age_column,
                available_after_minutes=lookup.available_after_minutes,
            )  # fmt: skip
            if lookup.age_as:
                joined[lookup.age_as] = joined[lookup.age_column]
        return joined

    def with_inputs(self, joined: pa.Table, *, others: Sequence[str] = (), numbers_too: Sequence[str] = ()) -> pa.Table:
        """Return the inputs and what is kept beside them, from requests with what was looked up.

        Parameters
        ----------
        others
            Columns of the rows that stay as they are, before the inputs.
        numbers_too
            Further columns, of the rows or made by the builder, that are returned as numbers, after the inputs.

        Raises
        ------
        InputsError
            If the builder fails, returns another number of rows, or not every input.
        """
        built = held(self._built(joined, numbers_too), (*self.inputs, *self._beside, *numbers_too))
        columns = {name: joined.column(name) for name in others}
        try:
            columns |= {name: numbers(built[name]) for name in self.numeric}
            columns |= {name: texts(built[name]) for name in (*self.categorical, *self._beside)}
            columns |= {name: numbers(built[name]) for name in numbers_too}
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            raise InputsError(f"inputs_builder of {self.name}: {sentence_of(error)}") from error
        return pa.Table.from_arrays(list(columns.values()), names=list(columns))

    def scored(self, rows: pa.Table, model: Any) -> pa.Table:
        """Return the rows with the columns that the model makes of their inputs, and the decision where costs are declared."""
        rows = with_scores(rows, model, inputs=self.inputs, problem=self.problem)
        return rows if self.costs is None else decided(rows, self.costs, self.problem)

    def schema(self) -> pa.Schema:
        """Return the Arrow schema of a request."""
        return pa.schema([pa.field(c.name, ARROW_TYPES[c.kind], nullable=c.nullable) for c in self.request])

    @property
    def _beside(self) -> tuple[str, ...]:
        inputs = set(self.inputs)
        return tuple(name for name in self.kept if name not in inputs)

    def _built(self, joined: pa.Table, further: Sequence[str]) -> pd.DataFrame:
        try:
            built: Any = self.build(to_frame(joined))
        except Exception as error:
            raise InputsError(f"inputs_builder of {self.name} fails: {sentence_of(error)}") from error
        if not isinstance(built, pd.DataFrame) or len(built) != joined.num_rows:
            returned = f"{len(built)} rows" if isinstance(built, pd.DataFrame) else repr(built)
            raise InputsError(
                f"inputs_builder of {self.name} returned {returned} for {joined.num_rows}: return the data frame with "
                "columns added, one row for each."
            )
        asked = (*self.inputs, *self._beside, *further)
        twice = () if built.columns.is_unique else {*built.columns[built.columns.duplicated()]} & {*asked}
        if twice:
            raise InputsError(
                f"inputs_builder of {self.name} made {', '.join(sorted(twice))} more than once: make each column once."
            )
        absent = [name for name in asked if name not in built.columns]
        if absent:
            raise InputsError(
                f"inputs_builder of {self.name} and the look-ups make no {', '.join(absent)}: they make "
                f"{', '.join(map(str, built.columns))}."
            )
        return built


def with_scores(rows: pa.Table, model: Any, *, inputs: Sequence[str], problem: Target) -> pa.Table:
    """Return rows with the columns that a model makes of their inputs."""
    asked = rows.select(known_inputs(model, inputs))
    scores = predict(model, asked if getattr(model, "takes_tables", False) else asked.to_pandas(), problem=problem)
    found, kinds = made(scores, problem), made_columns(problem)
    values = [pa.array(values, ARROW_TYPES[kinds[name]]) for name, values in found.items()]
    return pa.Table.from_arrays([*rows.columns, *values], names=[*rows.column_names, *found])


def decided(rows: pa.Table, costs: ErrorCosts, problem: Target) -> pa.Table:
    """Return scored rows with the decision that follows from the declared costs, of two with its threshold."""
    columns = [rows.column(name).to_numpy() for name in score_columns(problem)]
    scores = np.column_stack(columns) if isinstance(problem, MultiClass) else columns[0]
    chosen = decision_costs.decided(scores, costs, problem)
    if isinstance(costs, Costs):
        rows = rows.append_column(DECISION, pa.array(chosen == 1))
        return rows.append_column(DECISION_THRESHOLD, pa.repeat(pa.scalar(float(costs.threshold)), rows.num_rows))
    names = np.array(problem.classes, dtype=object)
    return rows.append_column(DECISION, pa.array(names[chosen], pa.string()))


def made(scores: Floats, problem: Target) -> dict[str, NDArray[Any]]:
    """Return the columns that a model makes from its scores, shape ``(rows,)`` each.

    Parameters
    ----------
    scores
        As `ml.models.prediction.predict` returns them.
    """
    if not isinstance(problem, MultiClass):
        return {SCORE: scores}
    names = np.array(problem.classes, dtype=object)
    chosen = (
        {SCORE: scores.max(axis=1), PREDICTED_CLASS: names[scores.argmax(axis=1)]}
        if len(scores)
        else {SCORE: np.empty(0), PREDICTED_CLASS: np.empty(0, dtype=object)}
    )
    return {**chosen, **{name: scores[:, place] for place, name in enumerate(score_columns(problem))}}
