"""Scoring a data frame returns, row for row, the predictions of the model outside Spark, on every engine."""

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession
from sklearn.pipeline import Pipeline

from ml.models.fitting import fit
from ml.models.prediction import PredictionError, predict
from ml.spec.estimator import Encoding, EstimatorSpec, Problem
from pipelines.dataframes.scoring import score_frame

NUMBERS, NAMES = ("distance", "hour"), ("carrier",)
INPUTS = (*NUMBERS, *NAMES)


@pytest.fixture(scope="module")
def model() -> Pipeline:
    """A gradient boosting model fitted on a few rows."""
    rows = pd.DataFrame(
        {"distance": np.linspace(0, 9, 200), "hour": [1.0, np.nan] * 100, "carrier": ["AA", "B6"] * 100}
    )
    spec = EstimatorSpec(
        name="gradient_boosting",
        estimator="sklearn.ensemble.HistGradientBoostingClassifier",
        encoding=Encoding.ORDINAL,
        parameters={"max_iter": 5},
    )
    late = (rows["distance"] > 4).to_numpy(np.float64)
    return fit(spec, rows, late, problem=Problem.BINARY, numeric=NUMBERS, categorical=NAMES, seed=1)


ASKED = pd.DataFrame(
    {
        "request_key": ["a", "b", "c", "d"],
        "carrier": ["AA", "unseen", None, "B6"],
        "hour": [1.0, None, 3.0, 4.0],
        "distance": [0.5, 8.5, 3.5, None],
    }
)
SCHEMA = "request_key string, carrier string, hour double, distance double"


@pytest.mark.proof_on_jvm
@pytest.mark.parametrize("engine", ["embedded_spark", pytest.param("jvm_spark", marks=pytest.mark.jvm)])
def test_scores_are_those_of_the_model(engine: str, request: pytest.FixtureRequest, model: Pipeline) -> None:
    """Unseen categories and missing values are scored; columns in another order and additional columns are kept."""
    spark: SparkSession = request.getfixturevalue(engine)
    asked = spark.createDataFrame(ASKED.astype(object).where(ASKED.notna(), None).to_numpy().tolist(), SCHEMA)
    scored = score_frame(asked, model, inputs=INPUTS, problem=Problem.BINARY)
    assert scored.columns == ["request_key", "carrier", "hour", "distance", "score"]
    found = scored.toPandas().sort_values("request_key", ignore_index=True)
    expected = predict(model, ASKED[list(INPUTS)], problem=Problem.BINARY)
    assert found["score"].tolist() == expected.tolist()
    pd.testing.assert_frame_equal(found[ASKED.columns], ASKED)


def test_no_rows_have_no_scores(embedded_spark: SparkSession, model: Pipeline) -> None:
    """The result is empty and has the column `score`."""
    asked = embedded_spark.createDataFrame([], SCHEMA)
    scored = score_frame(asked, model, inputs=INPUTS, problem=Problem.BINARY)
    assert scored.collect() == []
    assert dict(scored.dtypes)["score"] == "double"


def test_inputs_that_the_model_does_not_have_are_refused(embedded_spark: SparkSession, model: Pipeline) -> None:
    """Before any worker starts, by name."""
    asked = embedded_spark.createDataFrame([("a", "AA", 1.0, 2.0)], SCHEMA)
    with pytest.raises(PredictionError, match="trained on carrier, which is not declared"):
        score_frame(asked, model, inputs=NUMBERS, problem=Problem.BINARY)
