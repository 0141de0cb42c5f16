"""The files of a model version: a digest that is recorded with the version, and what is checked before they are loaded.

Loading a model executes its files. So what is loaded is a private copy whose digest has just been compared.
"""

import hashlib
import logging
import sys
import tempfile
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import mlflow.artifacts
import mlflow.sklearn
from mlflow.exceptions import MlflowException

from ml.spec.errors import LakehouseError
from pipelines.lakehouse.registry.requirements import ONLINE_CLIENT, REQUIREMENTS_FILE

WRITTEN_BY_DOWNLOADS = "registered_model_meta"
"""What MLflow adds to the files of a version when it gives them out by its name."""
LENGTH_BYTES = 8
CODE_FOLDER = "code"
"""Where MLflow keeps the modules that a model carries, among its files."""


class ModelFilesError(LakehouseError):
    """A version whose files are missing, are not those that were registered, or cannot be loaded here."""


def digest_of(folder: Path) -> str:
    """Return the SHA-256 over all files of a folder: each relative path and content, with their lengths, by path.

    Parameters
    ----------
    folder
        The files of a model with those carried beside it.

    Returns
    -------
    str
        64 hexadecimal digits; the same wherever the folder is.
    """
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    found = hashlib.sha256()
    for name in sorted(files.keys() - {WRITTEN_BY_DOWNLOADS}):
        for part in (name.encode(), files[name].read_bytes()):
            found.update(len(part).to_bytes(LENGTH_BYTES))
            found.update(part)
    return found.hexdigest()


@contextmanager
def verified_files(uri: str, *, name: str, recorded: str | None) -> Iterator[Path]:
    """Give a private copy of a version's files, once they are those that were registered.

    Parameters
    ----------
    uri
        Where they are.
    name
        The version, as a sentence calls it.
    recorded
        Its digest; None for a version of a release that recorded none: it is used, and a line of the log says so.

    Raises
    ------
    ModelFilesError
        If there are no files, or others.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            files = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=folder))
        except (MlflowException, OSError) as error:
            raise ModelFilesError(
                f"{name} has no readable files at {uri} ({_short(error)}): restore them from a backup, go back "
                "to another version (rollback), or train again."
            ) from error
        if recorded is None:
            logging.getLogger(__name__).warning(
                "%s was registered without a digest, so nobody can tell whether its files were changed: train again.",
                name,
            )
        elif (found := digest_of(files)) != recorded:
            raise ModelFilesError(
                f"{name} has other files at {uri} than were registered (sha256 {found[:12]}..., recorded {recorded[:12]}...), "
                "so they were not loaded: find out who changed them, restore them from a backup, go back to another version "
                "(rollback), or train again."
            )
        yield files


def load_fitted(files: Path, *, name: str) -> Any:
    """Return the fitted pipeline in a folder of files.

    Raises
    ------
    ModelFilesError
        If it cannot be loaded, with the packages whose versions differ from those that stored it.
    """
    differing = _differing(files / REQUIREMENTS_FILE)
    path = list(sys.path)
    try:
        with warnings.catch_warnings():
            # scikit-learn's own warning has a line for each step of a pipeline; one line is logged below.
            warnings.filterwarnings("ignore", message="Trying to unpickle estimator")
            fitted = mlflow.sklearn.load_model(str(files))
    except Exception as error:
        if not differing:
            raise ModelFilesError(f"{name} cannot be loaded ({_short(error)}): train it again.") from error
        raise ModelFilesError(
            f"{name} cannot be loaded here ({_short(error)}): it was stored with "
            f"{', '.join(_said(*line) for line in differing)}: install those versions, or train it again."
        ) from error
    finally:
        sys.path[:] = path  # MLflow leaves the folder of carried modules on it
    others = [_said(*line) for line in differing if line[1].split(".")[:2] != line[2].split(".")[:2]]
    others += [f"another {module} than this code has" for module in _other_modules(files / CODE_FOLDER)]
    if others:
        logging.getLogger(__name__).warning(
            "%s was stored with %s: its scores may differ; train it again.", name, ", ".join(others)
        )
    return fitted


def _other_modules(carried: Path) -> list[str]:
    """Return the modules that a model carries and that this process has otherwise: its own are used."""
    found = []
    for file in sorted(carried.rglob("*.py")):
        name = ".".join(file.relative_to(carried).with_suffix("").parts).removesuffix(".__init__")
        own = getattr(sys.modules.get(name), "__file__", None)
        if own and Path(own).is_file() and Path(own).read_bytes() != file.read_bytes():
            found.append(name)
    return found


def _short(error: Exception) -> str:
    return textwrap.shorten(str(error), 300)


def _differing(file: Path) -> tuple[tuple[str, str, str], ...]:
    """Return each package of exact requirements whose installed version is another: its name, theirs, ours."""
    if not file.exists():
        return ()
    lines = (line.partition("==") for line in file.read_text(encoding="utf-8").split())
    found = (
        (package, stored, _installed(package))
        for package, exactly, stored in lines
        if exactly and f"{package}=={stored}" not in ONLINE_CLIENT  # which only an endpoint needs
    )
    return tuple((package, stored, here) for package, stored, here in found if here != stored)


def _installed(package: str) -> str:
    try:
        return installed_version(package)
    except PackageNotFoundError:
        return "none"


def _said(package: str, stored: str, here: str) -> str:
    return f"{package} {stored} ({here} is installed)"
