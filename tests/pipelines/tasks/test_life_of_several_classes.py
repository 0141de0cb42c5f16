"""One of several classes is predicted through the real jobs: how the departures of real flights lie to their schedule."""

import datetime as dt
import importlib
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from ml.spec.estimator import Calibration, Encoding, EstimatorSpec
from ml.spec.gate_policy import policy
from ml.spec.target import MultiClass
from pipelines import use_cases
from pipelines.declarations import registry
from pipelines.declarations.use_case import UseCase
from pipelines.demo import flights as packaged
from pipelines.execution import jobs
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.scaffold.new_use_case import create
from tests.pipelines.tasks.test_life_of_every_estimator import loads_lightgbm
from tests.pipelines.use_case_runs import rows_of, run_job

NAME = "departure_bands"
BANDS = MultiClass(classes=("early", "on_time", "late"))
TRAINED, SCORED, NEXT = (dt.datetime(2013, month, day, tzinfo=dt.UTC) for month, day in ((2, 20), (3, 8), (3, 20)))
GATE = replace(policy("default", BANDS), minimum_rows=300, minimum_positives=50, maximum_skill=None, latency_ratio=None)
EVERY = 18
"""Of the packaged flights, which are real, one of so many."""
CALIBRATED = EstimatorSpec(
    name="calibrated",
    estimator="lightgbm.LGBMClassifier" if loads_lightgbm() else "sklearn.ensemble.HistGradientBoostingClassifier",
    encoding=Encoding.ORDINAL,
    parameters={"max_depth": 3, "n_estimators": 40, "verbosity": -1} if loads_lightgbm() else {"max_depth": 3},
    calibration=Calibration.SIGMOID,
    calibration_share=0.3,
)
STEPS: tuple[tuple[str, dt.datetime, dict[str, str]], ...] = (
    ("features", SCORED, {}),
    ("training", TRAINED, {"training_days": "28", "evaluation_days": "16"}),
    ("scoring", SCORED, {"since": (TRAINED - dt.timedelta(days=3)).isoformat()}),
    ("monitoring", SCORED, {}),
    ("features", NEXT, {}),
    ("training", NEXT, {"training_days": "28", "evaluation_days": "20"}),
)
"""The jobs, each with its end and its parameters; the second training has a champion to beat."""


def some_flights(folder: Path) -> Path:
    """Write a share of the packaged flights of the first weeks of the year."""
    source = packaged.data_folder("")
    for name in ("airports.csv", "planes.csv", "weather.csv"):
        shutil.copyfile(source / name, folder / name)
    rows = pd.read_csv(source / "flights.csv.zip", dtype=str, keep_default_na=False)
    chosen = rows[rows["month"].isin(["1", "2", "3"])].iloc[::EVERY]
    chosen.to_csv(folder / "flights.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def declared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UseCase]:
    """A use case from the templates whose labels are bands of minutes."""
    root = tmp_path_factory.mktemp("team")
    (root / "pipelines" / "use_cases").mkdir(parents=True)
    (root / "pyproject.toml").write_text("")
    folder: Path = create(NAME, repository=root, taken=()).folder
    features = folder / "features.py"
    features.write_text(
        features.read_text().replace(
            '(F.col("minutes") > LATE_MINUTES).cast("double")',
            'F.when(F.col("minutes") < 0, 0.0).when(F.col("minutes") <= LATE_MINUTES, 1.0).otherwise(2.0)',
        )
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(use_cases, "__path__", [*use_cases.__path__, str(folder.parent)])
        patch.setattr(sys, "dont_write_bytecode", True)
        registry.use_cases.cache_clear()
        importlib.invalidate_caches()
        found = registry.use_case(NAME)
        yield replace(found, problem=BANDS, gate=GATE, estimators=(found.estimators[0], CALIBRATED))
    registry.use_cases.cache_clear()


@pytest.fixture(scope="module")
def lakehouse(declared: UseCase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lakehouse]:
    """Trained, scored, monitored, and trained again beside a champion."""
    files = str(some_flights(tmp_path_factory.mktemp("flights")))
    with (
        open_lakehouse("dev", root=tmp_path_factory.mktemp("classes")) as opened,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(jobs, "use_case", lambda name: {declared.name: declared}[name])
        for job, until, given in STEPS:
            read = {"location": files} if job == "features" else {}
            skip = ["retrain"] if job == "monitoring" else []
            run = run_job(opened, declared, job, {"until": until.isoformat(), **given, **read}, skip=skip)
            said = [row["sentence"] for row in rows_of(opened, declared, "verdicts")]
            assert run.succeeded, (job, said, [one.error for one in run.attempts if one.error])
        yield opened


def test_x(declared: UseCase, lakehouse: Lakehouse) -> None:
    for row in rows_of(lakehouse, declared, "verdicts"):
        print(row["sentence"], row["reasons"])
