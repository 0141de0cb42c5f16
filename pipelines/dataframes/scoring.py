"""Scores the rows of a Spark data frame with a fitted model: Arrow batches in, the columns that a model makes more out.

One double column, ``score``; of several classes the probability of each as well, and the name of the most probable one.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql.types import DoubleType, StringType, StructField, StructType

from ml.spec.target import PREDICTED_CLASS, MultiClass, Target, made_columns, score_columns

SCORE = "score"
Floats = NDArray[np.float64]


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
    pickled = cloudpickle.dumps(model)

    def score(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from ml.models.prediction import predict

        loaded = None
        # One batch at a time, as the engine sends them: a few thousand rows stay in the processor's cache from the
        # first tree to the last, a hundred thousand do not.
        for batch in batches:
            loaded = loaded or cloudpickle.loads(pickled)
            scores = predict(loaded, batch.select(list(inputs)).to_pandas(), problem=problem)
            for name, values in made(scores, problem).items():
                batch = batch.append_column(
                    name, pa.array(values, pa.float64() if name != PREDICTED_CLASS else pa.string())
                )
            yield batch

    columns = [
        StructField(name, StringType() if name == PREDICTED_CLASS else DoubleType()) for name in made_columns(problem)
    ]
    return frame.mapInArrow(score, StructType([*frame.schema, *columns]))


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


def scores_in(rows: pd.DataFrame, problem: Target, *, before: str = "") -> Floats:
    """Return the scores that predictions have, in the shape in which `ml.models.prediction.predict` returned them.

    Parameters
    ----------
    before
        What the names of the columns begin with, where two models' are joined.
    """
    found = rows[[f"{before}{name}" for name in score_columns(problem)]].to_numpy(np.float64)
    return found if isinstance(problem, MultiClass) else found[:, 0]
