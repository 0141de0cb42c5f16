"""What is loaded is what was registered, wherever it was copied; anything else is refused in one sentence, unexecuted."""

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient
from sklearn.linear_model import LinearRegression

from pipelines.declarations.asset import Model
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.lakehouse.registry import model_files
from pipelines.lakehouse.registry.model_files import ModelFilesError, digest_of
from pipelines.lakehouse.registry.model_version import DIGEST, ModelVersion
from pipelines.lakehouse.registry.storing import SIDECAR

MODEL = Model(use_case="tests", name="files", comment="the number itself")
INPUTS = pd.DataFrame({"number": np.arange(4.0)})
FITTED = LinearRegression().fit(INPUTS, INPUTS["number"])


class Command:
    """Runs a command when it is loaded."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        """Return what unpickling calls."""
        return os.system, (self.command,)


def register(lakehouse: Lakehouse, requirements: list[str] | None = None) -> ModelVersion:
    """Register the fitted model as a training does."""
    with lakehouse.models.start_run("tests", name="fit") as run:
        return lakehouse.models.register(
            MODEL, FITTED, run=run, input_example=INPUTS[:2], output_example=[0.0, 1.0], sidecar={"keys.bin": b"keys"},
            pip_requirements=requirements,
        )  # fmt: skip


def files_of(root: Path, environment: str) -> Path:
    """Return the folder of the one model whose files an environment holds."""
    (found,) = (root / environment / "artifacts").rglob("MLmodel")
    return found.parent


@pytest.fixture
def chain(tmp_path: Path) -> tuple[Lakehouse, Lakehouse, Path]:
    """Dev, staging and their folder."""
    with open_lakehouse("dev", root=tmp_path) as dev, open_lakehouse("staging", root=tmp_path) as staging:
        return dev, staging, tmp_path


def test_the_digest_is_recorded_with_the_version(chain: tuple[Lakehouse, Lakehouse, Path]) -> None:
    """It is that of all files, those carried beside the model among them."""
    dev, _, root = chain
    version = register(dev)
    assert version.digest == digest_of(files_of(root, "dev")) == dev.models.version(MODEL, 1).tags[DIGEST]
    assert (files_of(root, "dev") / SIDECAR / "keys.bin").read_bytes() == b"keys"


def test_a_file_that_runs_a_command_is_not_loaded(chain: tuple[Lakehouse, Lakehouse, Path]) -> None:
    """Nothing of it is executed, and the sentence says what to do."""
    dev, staging, root = chain
    version = register(dev)
    ran = root / "ran"
    (files_of(root, "dev") / "model.pkl").write_bytes(pickle.dumps(Command(f"touch {ran}")))
    for use in (
        lambda: dev.models.load(version),
        lambda: dev.models.read_sidecar(version, "keys.bin"),
        lambda: staging.models.copy(version, dev.models),
    ):
        with pytest.raises(ModelFilesError, match=r"version 1 has other files at \S+ than were registered") as refused:
            use()
        assert "\n" not in str(refused.value)
    assert not ran.exists()
    assert staging.models.versions(MODEL) == ()


def _changed_sidecar(files: Path) -> None:
    (files / SIDECAR / "keys.bin").write_bytes(b"yeks")


def _another_file(files: Path) -> None:
    (files / "sitecustomize.py").touch()


def _renamed(files: Path) -> None:
    (files / "conda.yaml").rename(files / "conda.yml")


def _one_missing(files: Path) -> None:
    (files / "model.pkl").unlink()


@pytest.mark.parametrize("change", [_changed_sidecar, _another_file, _renamed, _one_missing])
def test_any_change_of_the_files_is_refused(
    change: Callable[[Path], None], chain: tuple[Lakehouse, Lakehouse, Path]
) -> None:
    """Content, names and number of files count."""
    dev, _, root = chain
    version = register(dev)
    change(files_of(root, "dev"))
    with pytest.raises(ModelFilesError, match="than were registered"):
        dev.models.load(version)


def test_missing_files_are_named_with_the_remedy(chain: tuple[Lakehouse, Lakehouse, Path]) -> None:
    """Also if the folder is gone."""
    dev, _, root = chain
    version = register(dev)
    shutil.rmtree(files_of(root, "dev"))
    with pytest.raises(ModelFilesError, match=r"dev.tests_models.files version 1 has no readable files at .*rollback"):
        dev.models.load(version)


def test_a_delivered_model_is_a_copy_of_the_bytes(chain: tuple[Lakehouse, Lakehouse, Path]) -> None:
    """It has the digest, run and tags of the original, and goes on without the source's folder."""
    dev, staging, root = chain
    original = register(dev)
    copied = staging.models.copy(original, dev.models)
    assert (copied.digest, copied.run_id, copied.tags) == (original.digest, original.run_id, original.tags)
    assert files_of(root, "staging") != files_of(root, "dev")
    shutil.rmtree(root / "dev")
    assert staging.models.load(copied).predict(INPUTS).round(6).tolist() == [0, 1, 2, 3]
    assert staging.models.read_sidecar(copied, "keys.bin") == b"keys"


def test_a_version_of_a_release_without_digests_is_loaded_with_a_line(
    chain: tuple[Lakehouse, Lakehouse, Path], caplog: pytest.LogCaptureFixture
) -> None:
    """Its copy gets the digest of what was copied."""
    dev, staging, root = chain
    version = register(dev)
    client = MlflowClient(
        tracking_uri=f"sqlite:///{root / 'dev' / 'mlflow.db'}", registry_uri=f"sqlite:///{root / 'registry.db'}"
    )
    client.delete_model_version_tag(dev.models.name(MODEL), "1", DIGEST)
    old = dev.models.version(MODEL, 1)
    assert old.digest is None
    assert dev.models.load(old).predict(INPUTS).round(6).tolist() == [0, 1, 2, 3]
    assert "version 1 was registered without a digest" in caplog.text
    assert staging.models.copy(old, dev.models).digest == version.digest


def test_a_model_of_another_release_of_a_package_fails_with_both_versions(
    chain: tuple[Lakehouse, Lakehouse, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what differs is named."""
    dev, _, _ = chain
    version = register(dev, ["scikit-learn==1.5.2", f"numpy=={np.__version__}", "mlflow"])

    def cannot(_: str) -> None:
        raise AttributeError("Can't get attribute '_RemainderColsList'")

    monkeypatch.setattr(model_files.mlflow.sklearn, "load_model", cannot)
    with pytest.raises(
        ModelFilesError,
        match=r"_RemainderColsList'\): it was stored with scikit-learn 1\.5\.2 \(\S+ is installed\): install those versions, or",
    ):
        dev.models.load(version)
    same = register(dev)
    with pytest.raises(ModelFilesError, match=r"version 2 cannot be loaded \(Can't get .*\): train it again"):
        dev.models.load(same)


def test_a_model_of_another_minor_release_that_loads_is_a_line_of_the_log(
    chain: tuple[Lakehouse, Lakehouse, Path], caplog: pytest.LogCaptureFixture
) -> None:
    """One line for all packages; the same minor release is silent."""
    dev, _, _ = chain
    dev.models.load(register(dev, ["scikit-learn==1.0.0", "numpy==1.0.0"]))
    assert caplog.text.count("its scores may differ") == 1
    assert "was stored with scikit-learn 1.0.0 (" in caplog.text
    assert ", numpy 1.0.0 (" in caplog.text
    caplog.clear()
    dev.models.load(register(dev, [f"numpy=={'.'.join(np.__version__.split('.')[:2])}.99"]))
    assert caplog.text == ""


names = st.sampled_from(["a", "b", "a/b", "a/c", "c/a"]).map(lambda name: f"{name}.bin")
trees = st.dictionaries(names, st.binary(max_size=3), min_size=1)


@given(one=trees, other=trees)
def test_two_trees_have_one_digest_only_if_they_are_equal(one: dict[str, bytes], other: dict[str, bytes]) -> None:
    """Neither the order of writing nor the place counts; the mark of a download is left out."""
    found = []
    for tree in (one, other, dict(reversed(one.items()))):
        with TemporaryDirectory() as folder:
            for name, content in tree.items():
                path = Path(folder, name)
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(content)
            found.append(digest_of(Path(folder)))
            Path(folder, "registered_model_meta").touch()
            assert digest_of(Path(folder)) == found[-1]
    assert (found[0] == found[1]) == (one == other)
    assert found[0] == found[2]
