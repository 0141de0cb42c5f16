"""Runs, versions and aliases in real MLflow stores on SQLite: what is found, what is missing, and where."""

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mlflow.models
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.store.db import utils
from sklearn.ensemble import HistGradientBoostingClassifier

from pipelines.declarations.asset import Model
from pipelines.declarations.environment import ENVIRONMENTS
from pipelines.lakehouse.engines.choice import ModelStores
from pipelines.lakehouse.registry import local_stores
from pipelines.lakehouse.registry.model_version import DIGEST, DeletedVersionError, ModelVersion, NoModelVersionError
from pipelines.lakehouse.registry.models import Models
from pipelines.lakehouse.registry.rollout_state import RolloutState, current_rollout, set_state
from pipelines.lakehouse.registry.storing import SIDECAR
from pipelines.tasks.versions.reference import KEYS_FILE, PROFILE_FILE

MODEL = Model(use_case="tests", name="lateness", comment="probability of being late")
INPUTS = pd.DataFrame({"distance": np.linspace(0, 1, 64), "hour": np.tile([0.0, np.nan], 32)})
FITTED = HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=2, random_state=0).fit(
    INPUTS, INPUTS["distance"] > 0.5
)


def models_of(environment: str, root: Path) -> Models:
    """Return an environment's models in files of their own under one root."""
    folder = root / environment
    folder.mkdir(exist_ok=True)
    stores = ModelStores(
        tracking=f"sqlite:///{folder / 'mlflow.db'}",
        registry=f"sqlite:///{root / 'registry.db'}",
        artifacts=(folder / "artifacts").as_uri(),
        experiments="",
    )
    return Models(environment=ENVIRONMENTS[environment], stores=stores)


@pytest.fixture
def models(tmp_path: Path) -> Models:
    """Return the models of a fresh dev environment."""
    return models_of("dev", tmp_path)


@pytest.fixture
def printed(capfd: pytest.CaptureFixture[str]) -> pytest.CaptureFixture[str]:
    """Capture everything that is printed to the terminal."""
    capfd.readouterr()
    return capfd


def register(models: Models, **tags: str) -> ModelVersion:
    """Log and register the fitted model as a training does."""
    with models.start_run("tests", name="fit", tags={"cause": "requested"}) as run:
        run.log(params={"depth": 3, "estimator": "trees"}, metrics={"roc_auc_score": 0.75}, tags={"seed": 1})
        run.log_figure(Figure(), "plots/roc.png")
        predicted = FITTED.predict_proba(INPUTS.head(3))[:, 1]
        return models.register(
            MODEL, FITTED, run=run, input_example=INPUTS.head(3), output_example=predicted, tags=tags,
            sidecar={"keys.bin": b"\x01\x02"},
        )  # fmt: skip


def test_a_model_without_versions_has_no_latest_version_and_no_champion(models: Models) -> None:
    """The latest version is none, not 1; the error for the missing champion says which job to run."""
    assert models.latest(MODEL) is None
    assert models.versions(MODEL) == models.candidates(MODEL) == models.clear_candidates(MODEL) == ()
    assert models.find_alias(MODEL, "champion") is None
    models.delete_alias(MODEL, "champion")
    with pytest.raises(NoModelVersionError) as missing:
        models.by_alias(MODEL, "champion")
    assert str(missing.value) == (
        "model dev.tests_models.lateness has no 'champion': no version of it has passed the gate of 'dev'. Run the "
        "training job of 'tests' there, or its delivery job where the model is not trained."
    )
    with pytest.raises(NoModelVersionError, match="has no version 7: it has no version yet"):
        models.version(MODEL, 7)


def test_a_registered_model_is_a_candidate_that_predicts_the_same(
    models: Models, printed: pytest.CaptureFixture[str]
) -> None:
    """Version 1 has its run, tags and signature; the loaded model predicts as fitted; nothing is printed."""
    version = register(models, tables='{"a": 1}')
    tags = {"candidate": "true", "tables": '{"a": 1}', DIGEST: version.digest}
    assert (version.number, version.tags, version.aliases) == (1, tags, ())
    loaded = models.load(version)
    assert np.array_equal(loaded.predict_proba(INPUTS), FITTED.predict_proba(INPUTS))
    run = models.run_of(version)
    assert run.params == {"depth": "3", "estimator": "trees"}
    assert run.metrics == {"roc_auc_score": 0.75}
    assert run.tags.items() >= {"environment": "dev", "cause": "requested", "seed": "1"}.items()
    assert models.read_sidecar(version, "keys.bin") == b"\x01\x02"
    with pytest.raises(NoModelVersionError, match=r"has no sidecar file 'nothing.json': train it again"):
        models.read_sidecar(version, "nothing.json")
    assert printed.readouterr() == ("", "")


def test_metrics_of_an_evaluation_are_on_the_run_and_on_the_stored_model_once(models: Models) -> None:
    """Logging them again after an interruption adds no point, and what is no number is left out."""
    version = register(models)
    measured = datetime(2013, 3, 1, tzinfo=UTC)
    for _ in range(2):
        models.log_metrics(version, {"evaluation_log_loss": 0.25, "evaluation_r2_score": math.nan}, at=measured)
    assert models.run_of(version).metrics == {"roc_auc_score": 0.75, "evaluation_log_loss": 0.25}
    assert len(models._client.get_metric_history(version.run_id, "evaluation_log_loss")) == 1
    logged = models._client.get_logged_model(version.model_id)
    assert {metric.key: metric.value for metric in logged.metrics} == {"evaluation_log_loss": 0.25}


def test_a_failed_run_says_why_and_is_found_by_a_tag(models: Models) -> None:
    """By the tag and value that are asked for, and no finished run."""
    for value in ("first", "second"):
        with pytest.raises(ValueError, match="diverged"), models.start_run("tests", name="fit", tags={"of": value}):
            raise ValueError("diverged")
    with models.start_run("tests", name="fit", tags={"of": "first"}):
        pass
    (failed,) = models.failed_runs("tests", "of", "first")
    assert failed.tags["failure"].endswith(": diverged")
    assert models.failed_runs("never begun", "of", "first") == ()


def test_sidecar_files_keep_the_names_that_registered_models_have() -> None:
    """Versions of earlier releases are read by the same folder and file names."""
    assert (SIDECAR, PROFILE_FILE, KEYS_FILE) == ("carried", "reference_profile.json", "training_keys.bin")


def test_a_registered_model_states_what_it_takes_and_needs(models: Models, tmp_path: Path) -> None:
    """Signature, input example and exact requirements are stored with the files of the model."""
    register(models)
    (file,) = (tmp_path / "dev" / "artifacts").rglob("MLmodel")
    stored = mlflow.models.Model.load(file)
    assert stored.signature.inputs.input_names() == ["distance", "hour"]
    assert stored.signature.outputs.to_dict() == [{"name": "score", "type": "double", "required": True}]
    assert stored.saved_input_example_info is not None
    requirements = (file.parent / "requirements.txt").read_text()
    assert "scikit-learn==" in requirements
    assert "cloudpickle==" in requirements


def test_an_alias_moves_to_another_version_and_back(models: Models) -> None:
    """It points to one version at a time, and each version lists its aliases."""
    first, second = register(models), register(models)
    assert models.latest(MODEL) == 2
    for version in (first, second, first):
        models.set_alias(version, "champion")
        assert models.by_alias(MODEL, "champion").number == version.number
    assert [version.aliases for version in models.versions(MODEL)] == [("champion",), ()]
    models.delete_alias(MODEL, "champion")
    assert models.find_alias(MODEL, "champion") is None


def test_a_champion_that_somebody_deleted_is_not_a_model_without_a_champion(models: Models) -> None:
    """The registry keeps the alias of a deleted version: whoever asks for it fails, until it is set again or deleted."""
    first, second = register(models), register(models)
    models.set_alias(first, "champion")
    models._client.delete_model_version(models.name(MODEL), "1")
    for ask in (models.find_alias, models.by_alias):
        with pytest.raises(DeletedVersionError, match="has 'champion' at version 1, which was deleted") as told:
            ask(MODEL, "champion")
        assert "delete the alias by hand" in (told.value.remedy or "")
        assert f"`mlops rollback {MODEL.use_case} --env dev --reason TEXT`" in models.lost_champion(MODEL)
    assert models.find_alias(MODEL, "challenger") is None
    models.set_alias(second, "champion")
    assert models.by_alias(MODEL, "champion").number == 2
    models._client.delete_model_version(models.name(MODEL), "2")
    models.delete_alias(MODEL, "champion")
    assert models.find_alias(MODEL, "champion") is None


def test_an_alias_that_somebody_deleted_is_not_a_model_that_never_had_a_champion(models: Models) -> None:
    """Only a version that the gate has promoted tells the one from the other."""
    version = register(models)
    with pytest.raises(NoModelVersionError, match="no version of it has passed the gate"):
        models.by_alias(MODEL, "champion")
    assert models.lost_champion(MODEL) == ""
    models.set_tags(version, {"verdict": "promote"})
    with pytest.raises(NoModelVersionError, match=r"has no 'champion' any more.*`mlops rollback"):
        models.by_alias(MODEL, "champion")
    models.set_alias(version, "champion")
    assert models.lost_champion(MODEL) == ""


def test_a_challenger_that_somebody_deleted_has_no_rollout(models: Models) -> None:
    """It keeps nobody from the next training, whose challenger takes the alias."""
    first, second = register(models), register(models)
    state = RolloutState(rollout_id="r", version=2, champion=1, percentage=10, since=datetime(2013, 3, 1, tzinfo=UTC))
    set_state(models, MODEL, state)
    models.set_alias(first, "champion")
    models.set_alias(second, "challenger")
    assert current_rollout(models, MODEL) == state
    models._client.delete_model_version(models.name(MODEL), "2")
    assert current_rollout(models, MODEL) is None


def test_candidates_are_cleared_and_keep_their_other_tags(models: Models) -> None:
    """The tags of the verdict stay."""
    first, second = register(models), register(models)
    models.set_tags(second, {"verdict": "promoted"})
    assert [version.number for version in models.candidates(MODEL)] == [1, 2]
    assert [version.number for version in models.clear_candidates(MODEL)] == [first.number, second.number]
    assert models.candidates(MODEL) == ()
    kept = [
        {name: value for name, value in version.tags.items() if name != DIGEST} for version in models.versions(MODEL)
    ]
    assert kept == [{}, {"verdict": "promoted"}]


def test_environments_share_the_registry_but_not_their_runs(tmp_path: Path) -> None:
    """Each environment finds its own models by the same address, and no run of another."""
    dev, prod = models_of("dev", tmp_path), models_of("prod", tmp_path)
    version = register(dev)
    assert prod.versions(MODEL) == ()
    with pytest.raises(MlflowException, match="not found"):
        prod.run_of(version)
    register(prod)
    registry = MlflowClient(
        tracking_uri=f"sqlite:///{tmp_path / 'dev' / 'mlflow.db'}", registry_uri=f"sqlite:///{tmp_path / 'registry.db'}"
    )
    names = sorted(model.name for model in registry.search_registered_models())
    assert names == ["dev.tests_models.lateness", "prod.tests_models.lateness"]


def test_a_run_that_raises_is_recorded_as_failed(models: Models, tmp_path: Path) -> None:
    """The error is raised on; what was logged before stays."""
    with pytest.raises(ZeroDivisionError), models.start_run("tests", name="fails") as run:
        run.log(metrics={"loss": 1 / 0})
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'dev' / 'mlflow.db'}")
    assert client.get_run(run.run_id).info.status == "FAILED"
    with models.start_run("tests", name="ends") as run:
        pass
    assert client.get_run(run.run_id).info.status == "FINISHED"


def test_a_registry_out_of_reach_is_not_a_missing_champion(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only "not found" is no champion; any other error is raised."""

    def out_of_reach(*_: Any) -> None:
        raise MlflowException("registry out of reach")

    monkeypatch.setattr(models._client, "get_model_version_by_alias", out_of_reach)
    with pytest.raises(MlflowException, match="out of reach"):
        models.by_alias(MODEL, "champion")


def test_a_store_that_another_process_made_meanwhile_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second process uses the file of the first and leaves no unfinished file."""
    file, theirs = tmp_path / "mlflow.db", local_stores._empty_database()

    def another_was_faster() -> bytes:
        file.write_bytes(theirs)
        return b"ours"

    monkeypatch.setattr(local_stores, "_empty_database", another_was_faster)
    for _ in range(2):
        local_stores.prepare(f"sqlite:///{file}")
        assert file.read_bytes() == theirs
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]


def test_mlflow_may_be_installed_below_a_folder_with_a_percent_sign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its migrations are found all the same when a database is made and opened."""
    installed = tmp_path / "50%, mine"
    installed.symlink_to(Path(mlflow.__file__).parent)
    monkeypatch.setattr(utils, "_get_package_dir", lambda: str(installed))
    local_stores._empty_database.cache_clear()
    assert register(models_of("dev", tmp_path)).number == 1


def test_nothing_is_left_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow alone creates an empty ``mlruns`` where it is started, and fails where that has a quote in its path."""
    local_stores._empty_database.cache_clear()
    working = tmp_path / "it's"
    working.mkdir()
    monkeypatch.chdir(working)
    register(models_of("dev", tmp_path))
    assert list(working.iterdir()) == []
