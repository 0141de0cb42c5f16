"""A version's files serve its scoring function to MLflow, anywhere, and give batch its estimator."""

import dataclasses
import os
import random
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
import yaml

from pipelines.declarations.asset import Model
from pipelines.declarations.online_store import STORE
from pipelines.lakehouse.lakehouse import Lakehouse
from pipelines.lakehouse.registry.fresh_process import ServedProbe
from pipelines.lakehouse.registry.model_files import ModelFilesError
from pipelines.lakehouse.registry.model_version import ModelVersion
from pipelines.lakehouse.registry.requirements import ONLINE_CLIENT
from pipelines.scoring import lakebase
from pipelines.scoring.served import NoStoreError, Served
from tests.pipelines.scoring.declared_trips import FUNCTION, fitted, requests

MODEL = Model(use_case="trips", name="trips", comment="of tests")
ROOT = Path(__file__).parents[4]


@pytest.fixture(scope="module")
def model() -> Any:
    """A fitted pipeline."""
    return fitted()


def asked(given: bool = True) -> pd.DataFrame:
    """Requests as data frames hold them, with or without what would be looked up."""
    rows = requests(6, random.Random(1)).to_pandas()
    rows["asked_at"] = [instant.isoformat() for instant in rows["asked_at"]]
    return rows.assign(**{name: None if "kind" in name else 1.0 for name in FUNCTION.looked_up}) if given else rows


def registered(lakehouse: Lakehouse, model: Any, probe: ServedProbe) -> ModelVersion:
    """A version that serves a function."""
    inputs = pd.DataFrame({name: [1.0] for name in FUNCTION.numeric} | {name: ["a"] for name in FUNCTION.categorical})
    with lakehouse.models.start_run("trips", name="fit") as run:
        return lakehouse.models.register(
            MODEL, model, run=run, input_example=inputs, output_example=np.array([0.5]), served=probe
        )


def test_mlflow_serves_requests_and_batch_loads_the_estimator(
    embedded_lakehouse: Lakehouse, model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answers are the function's; the signature says what a request may hold, and what an answer does."""
    monkeypatch.chdir(tmp_path)  # MLflow by itself makes a database where it is
    version = registered(embedded_lakehouse, model, ServedProbe(function=FUNCTION, requests=asked()))
    with embedded_lakehouse.models.verified(version) as files:
        served = mlflow.pyfunc.load_model(str(files))
        answers = served.predict(asked())
        signature = served.metadata.signature
        requirements = (files / "requirements.txt").read_text().split()
    expected = Served(FUNCTION, model).predict(asked())
    pd.testing.assert_frame_equal(answers, expected)
    assert signature.inputs.input_names() == [*(c.name for c in FUNCTION.request), *FUNCTION.looked_up]
    assert tuple(signature.outputs.input_names()) == FUNCTION.answer_columns
    assert set(ONLINE_CLIENT) <= set(requirements)
    function, estimator = embedded_lakehouse.models.load_served(version)
    assert function is not None
    assert function.answer_columns == FUNCTION.answer_columns
    assert type(estimator) is type(model)


def test_a_version_names_the_store_that_it_looks_features_up_in_only_where_they_are_published(
    embedded_lakehouse: Lakehouse, model: Any
) -> None:
    """Databricks lets an endpoint reach what its version names; the SDK that asks for the password comes along, or does not."""
    for connect in (None, lakebase.connect):
        function = dataclasses.replace(FUNCTION, connect=connect)
        version = registered(embedded_lakehouse, model, ServedProbe(function=function, requests=asked()))
        with embedded_lakehouse.models.verified(version) as files:
            named = yaml.safe_load((files / "MLmodel").read_text()).get("resources")
            needed = [line.partition("==")[0] for line in (files / "requirements.txt").read_text().split()]
        function, _ = embedded_lakehouse.models.load_served(version)
        assert (function.connect if function else None) is connect
        assert ("databricks-sdk" in needed) is (connect is not None)
        assert named == ({"api_version": "1", "databricks": {"lakebase": [{"name": STORE}]}} if connect else None)


def test_what_is_served_elsewhere_is_pinned_as_here() -> None:
    """The client of the online store is the one of the lock."""
    lock = (ROOT / "requirements" / "run.txt").read_text()
    assert all(f"{line} " in lock for line in ONLINE_CLIENT)


def test_a_request_without_features_and_without_a_store_is_refused_by_name(model: Any) -> None:
    """It is not scored with all of them missing."""
    with pytest.raises(NoStoreError, match=r"MLOPS_ONLINE_STORE.*do not give place_mean, place_kind"):
        Served(FUNCTION, model).predict(asked(given=False))


def test_a_function_that_answers_otherwise_once_it_is_stored_is_no_candidate(
    embedded_lakehouse: Lakehouse, model: Any
) -> None:
    """Its builder keeps something in the process that trained it; nothing is registered."""
    here = os.getpid()

    def remembering(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(hour=0.0, alone=1.0, place_mean=3.0 if os.getpid() == here else -3.0)

    function = dataclasses.replace(FUNCTION, build=remembering)
    with pytest.raises(ModelFilesError, match="answers something else"):
        registered(embedded_lakehouse, model, ServedProbe(function=function, requests=asked()))
    assert embedded_lakehouse.models.versions(MODEL) == ()
