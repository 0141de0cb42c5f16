"""Scores the rows of a Spark data frame with a fitted model: Arrow batches in, one double column more out."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import cloudpickle
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.types import DoubleType, StructField, StructType

from ml.spec.estimator import Problem

SCORE = "score"


def score_frame(frame: DataFrame, model: Any, *, inputs: Sequence[str], problem: Problem) -> DataFrame:
    """Return the rows with a column ``score``, the model's prediction from the inputs of each.

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
        As many rows; a score is the probability of the positive class, or the predicted value.
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
            yield batch.append_column(SCORE, pa.array(scores, pa.float64()))

    return frame.mapInArrow(score, StructType([*frame.schema, StructField(SCORE, DoubleType())]))
