"""What scoring costs on the embedded engine: ``python -m benchmarks.scoring``.

Scores 1 M rows of 27 columns with a fitted histogram gradient boosting by `pipelines.dataframes.scoring.score_frame`.
The alternatives are ``mlflow.pyfunc.spark_udf`` of the same model as scikit-learn models are logged, which gives a list
of probabilities for each row, and wrapped into a function that gives one number. All read the same Delta table. Count
and sum are compared to prove that all give the same scores. Ours scores by compiled trees, as the scoring job does from
`WORTH_COMPILING` rows on (`pipelines.tasks.predictions.batch_model`); what compiling takes, once for each version, is printed beside it, and the
estimator itself as well, where no compiler is installed.
"""

import argparse
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import mlflow.sklearn
import numpy as np
import pandas as pd
import pyarrow as pa
from deltalake import write_deltalake
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - its usual name

from benchmarks.limits import Figure, Limit, judge
from ml.models.fitting import fit
from ml.spec.estimator import Encoding, EstimatorSpec, Problem
from pipelines.dataframes.scoring import score_frame
from pipelines.lakehouse.engines.embedded import session
from pipelines.lakehouse.engines.quiet import quiet_mlflow
from pipelines.lakehouse.registry.local_stores import no_default_folder
from pipelines.lakehouse.registry.requirements import model_requirements
from pipelines.scoring.compiled import compiled
from pipelines.scoring.function import SCORE
from pipelines.scoring.tree_library import NotCompiledError

NUMBERS = tuple(f"number_{place}" for place in range(24))
NAMES = ("name_0", "name_1", "name_2")
INPUTS = (*NUMBERS, *NAMES)
LISTED = Limit(what="score_frame", alternative="spark_udf, a list for each row", at_most=0.3)
SINGLE = Limit(what="score_frame", alternative="spark_udf, a number for each row", at_most=0.4)
LIMITS = (LISTED, SINGLE)
"""For the default number of rows, where a compiler is installed."""
ROUNDS = 2
Way = Callable[[DataFrame], DataFrame]
SPEC = EstimatorSpec(
    name="gradient_boosting",
    estimator="sklearn.ensemble.HistGradientBoostingClassifier",
    encoding=Encoding.ORDINAL,
    parameters={"max_iter": 100},
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Time the three ways on the same rows; return 1 if ours is above a limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows to score (default %(default)s)")
    rows = parser.parse_args(arguments).rows
    quiet_mlflow()
    # Without this, MLflow warns that the model's environment should be rebuilt; the model's environment is this one.
    logging.getLogger("mlflow.pyfunc").setLevel(logging.ERROR)
    sample = made_up(20_000)
    late = (sample["number_0"] + sample["number_1"] ** 2 > 1).to_numpy(np.float64)
    model = fit(SPEC, sample, late, problem=Problem.BINARY, numeric=NUMBERS, categorical=NAMES, seed=0)
    with tempfile.TemporaryDirectory() as folder, no_default_folder():
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        write_deltalake(f"{folder}/rows", pa.Table.from_pandas(made_up(rows), preserve_index=False))
        # One partition: two of them unpack the model of a user-defined function into one folder at the same time.
        frame = session().read.format("delta").load(f"{folder}/rows").coalesce(1)
        columns = [F.col(name) for name in INPUTS]
        fast = compiled_or_not(model, sample)
        listed, single = user_defined(model, Path(folder), sample)
        print(f"Scoring {rows:,} rows with histogram gradient boosting")
        ways: list[Way] = [
            lambda rows: score_frame(rows, fast, inputs=INPUTS, problem=Problem.BINARY),
            lambda rows: score_frame(rows, model, inputs=INPUTS, problem=Problem.BINARY),
            lambda rows: rows.withColumn(SCORE, listed(*columns)[1]),
            lambda rows: rows.withColumn(SCORE, single(*columns)),
        ]
        own, estimator, *others = timed(ways, frame)
    print(f"the estimator itself: {estimator:.2f} s, {estimator / own:.1f} times as long")
    return judge(
        [
            Figure(limit=limit, seconds=own, alternative_seconds=seconds)
            for limit, seconds in zip(LIMITS, others, strict=True)
        ]
    )


def compiled_or_not(model: Any, sample: pd.DataFrame) -> Any:
    """Return the compiled trees of the model, or the model where they cannot be; print what that took, or why."""
    started = time.perf_counter()
    try:
        found = compiled(model, sample, threads=os.cpu_count() or 1)
    except NotCompiledError as reason:
        print(f"not compiled: {reason}")
        return model
    print(f"compiled in {time.perf_counter() - started:.1f} s")
    return found


def made_up(rows: int) -> pd.DataFrame:
    """Return random inputs, some of them names."""
    random = np.random.default_rng(rows)
    columns: dict[str, Any] = {name: random.normal(size=rows) for name in NUMBERS}
    letters = np.array(list("abcdefgh"))
    return pd.DataFrame({**columns, **{name: letters[random.integers(0, 8, rows)] for name in NAMES}})


def user_defined(model: Any, folder: Path, sample: pd.DataFrame) -> tuple[Any, Any]:
    """Return the model as the two functions that MLflow makes of it for Spark."""

    class Probability(mlflow.pyfunc.PythonModel):
        def predict(self, model_input: pd.DataFrame) -> Any:
            return model.predict_proba(model_input)[:, 1]

    few, needs = sample.head(3), list(model_requirements())
    probabilities = model.predict_proba(few)
    mlflow.sklearn.save_model(
        model,
        folder / "listed",
        serialization_format=mlflow.sklearn.SERIALIZATION_FORMAT_CLOUDPICKLE,
        pyfunc_predict_fn="predict_proba",
        signature=mlflow.models.infer_signature(few, probabilities),
        input_example=few,
        pip_requirements=needs,
    )
    mlflow.pyfunc.save_model(
        folder / "single",
        python_model=Probability(),
        signature=mlflow.models.infer_signature(few, probabilities[:, 1]),
        input_example=few,
        pip_requirements=needs,
    )
    return tuple(
        mlflow.pyfunc.spark_udf(session(), str(folder / name), result_type=kind, env_manager="local")
        for name, kind in (("listed", "array<double>"), ("single", "double"))
    )


def timed(ways: Sequence[Way], frame: DataFrame) -> list[float]:
    """Return the best time of each way in seconds; models are loaded before.

    The ways take turns, so that a change of the machine's load concerns all of them.

    Raises
    ------
    AssertionError
        If two ways give different scores.
    """
    for score in ways:
        score(frame.limit(1)).collect()
    rounds: list[list[float]] = []
    expected: list[float] = []
    for _ in range(ROUNDS):
        rounds.append([])
        for score in ways:
            started = time.perf_counter()
            totals = [float(total) for total in score(frame).agg(F.count(SCORE), F.sum(SCORE)).collect()[0]]
            rounds[-1].append(time.perf_counter() - started)
            expected = expected or totals
            if not np.allclose(totals, expected):
                raise AssertionError(f"two ways give different scores: {totals} and {expected}")
    return [min(seconds) for seconds in zip(*rounds, strict=True)]


if __name__ == "__main__":
    sys.exit(main())
