"""Scores the rows of a Spark data frame with a fitted model: Arrow batches in, the columns that a model makes more out.

One double column, ``score``; of several classes the probability of each as well, and the name of the most probable one. What is
done to each batch is a part of the scoring function (`pipelines.scoring.function`), which an endpoint calls as well.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql.types import BooleanType, DataType, DoubleType, StringType, StructField, StructType

from ml.models.prediction import known_inputs
from ml.spec.target import MultiClass, Target, made_columns, score_columns
from pipelines.scoring.function import ScoringFunction

Floats = NDArray[np.float64]

SPARK_TYPES: Mapping[str, DataType] = {"double": DoubleType(), "string": StringType(), "boolean": BooleanType()}
"""The Spark type of every declared type that a column made by a model has."""


def score_frame(frame: DataFrame, model: Any, *, inputs: Sequence[str], problem: Target) -> DataFrame:
    """Return the rows with the columns that `ml.spec.target.made_columns` names, from the inputs of each.

    Parameters
    ----------
    frame
        Rows with at least the inputs; their other columns are kept.
    model
        What `ml.models.fitting.fit` returned. It travels with the plan, and each partition unpacks it once.
    inputs
        The columns that reach the model.

    Returns
    -------
    DataFrame
        As many rows; a score is the probability of the positive class or of the predicted one, or the predicted value.
    """
    names = tuple(inputs)
    known_inputs(model, names)  # here, and not in each worker

    def score(rows: pa.Table, loaded: Any) -> pa.Table:
        from pipelines.scoring.function import with_scores

        return with_scores(rows, loaded, inputs=names, problem=problem)

    return _mapped(frame, model, score, made_columns(problem))


def score_requests(frame: DataFrame, model: Any, function: ScoringFunction) -> DataFrame:
    """Return the rows with all that the scoring function makes of the inputs of each: scores, and the decision with costs.

    Parameters
    ----------
    frame, model
        As of `score_frame`.
    """
    known_inputs(model, function.inputs)
    return _mapped(frame, model, function.scored, function.made)


def _mapped(
    frame: DataFrame, model: Any, score: Callable[[pa.Table, Any], pa.Table], added: Mapping[str, str]
) -> DataFrame:
    pickled = cloudpickle.dumps(model)

    def scored(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        loaded = None
        # One batch at a time, as the engine sends them: a few thousand rows stay in the processor's cache from the
        # first tree to the last, a hundred thousand do not.
        for batch in batches:
            loaded = loaded or cloudpickle.loads(pickled)
            yield from score(pa.Table.from_batches([batch]), loaded).combine_chunks().to_batches()

    columns = [StructField(name, SPARK_TYPES[kind]) for name, kind in added.items()]
    return frame.mapInArrow(scored, StructType([*frame.schema, *columns]))


def scores_in(rows: pd.DataFrame, problem: Target, *, before: str = "") -> Floats:
    """Return the scores that predictions have, in the shape in which `ml.models.prediction.predict` returned them.

    Parameters
    ----------
    before
        What the names of the columns begin with, where two models' are joined.
    """
    found = rows[[f"{before}{name}" for name in score_columns(problem)]].to_numpy(np.float64)
    return found if isinstance(problem, MultiClass) else found[:, 0]
