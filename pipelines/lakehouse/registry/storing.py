"""Puts a fitted model into files and files into a registry; `models` decides when."""

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import cloudpickle
import mlflow.sklearn
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import LoggedModel
from mlflow.exceptions import MlflowException
from mlflow.models import Model as ModelFiles
from mlflow.models import infer_signature

from pipelines.declarations.asset import Model
from pipelines.lakehouse.registry.model_files import digest_of
from pipelines.lakehouse.registry.model_version import DIGEST
from pipelines.lakehouse.registry.requirements import Needs, needs_of

Answer = TypeVar("Answer")

SIDECAR = "carried"
"""The folder, among the files of a model, of the sidecar files that are copied with it. Registered models have this name."""
SCORE = "score"
"""The one output of every model."""
MODEL_TYPE = "scikit-learn"
NO_SUCH = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "REGISTERED_MODEL_ALIAS_NOT_FOUND")
"""How the local registry and Unity Catalog say that a model or an alias does not exist."""


def save(
    files: Path,
    fitted: Any,
    *,
    written_for: ModelFiles,
    input_example: pd.DataFrame,
    output_example: Any,
    pip_requirements: Sequence[str] | None,
    sidecar: Mapping[str, bytes],
) -> None:
    """Write a fitted pipeline, what it takes and needs, and its sidecar files into a folder."""
    if pip_requirements is None:
        needs = needs_of(fitted, cloudpickle.dumps)
    else:
        needs = Needs(requirements=tuple(pip_requirements), own={})
    with tempfile.TemporaryDirectory() as folder:
        mlflow.sklearn.save_model(
            fitted,
            files,
            serialization_format=mlflow.sklearn.SERIALIZATION_FORMAT_CLOUDPICKLE,
            signature=infer_signature(input_example, pd.DataFrame({SCORE: output_example})),
            input_example=input_example,
            pip_requirements=list(needs.requirements),
            code_paths=_carried(needs.own, Path(folder)) or None,
            mlflow_model=written_for,
        )
    for name, content in sidecar.items():
        (files / SIDECAR).mkdir(exist_ok=True)
        (files / SIDECAR / name).write_bytes(content)


def _carried(own: Mapping[str, Path], folder: Path) -> list[str]:
    """Copy modules into a folder as their packages have them; return the paths of the top-level ones."""
    for name, source in own.items():
        target = folder.joinpath(*name.split("."))
        target = target / source.name if source.name == "__init__.py" else target.with_suffix(".py")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    return sorted(str(path) for path in folder.iterdir())


def register(
    client: MlflowClient,
    logged: LoggedModel,
    files: Path,
    *,
    model: Model,
    name: str,
    run_id: str,
    tags: Mapping[str, str],
    description: str,
) -> int:
    """Upload files as those of a logged model and register them with their digest; return the version's number."""
    digest = digest_of(files)
    client.log_model_artifacts(logged.model_id, str(files))
    client.finalize_logged_model(logged.model_id, "READY")
    # Terraform creates the models on Databricks; so it is asked for first.
    if unless_missing(lambda: client.get_registered_model(name)) is None:
        client.create_registered_model(name, description=model.comment)
    created = client.create_model_version(
        name,
        # Not models:/<id>: the local registry would look that up in MLflow's process-wide tracking store.
        source=logged.artifact_location,
        run_id=run_id,
        tags={**tags, DIGEST: digest},
        model_id=logged.model_id,
        description=description or None,
    )
    return int(created.version)


def unless_missing(ask: Callable[[], Answer]) -> Answer | None:
    """Return the registry's answer; None if what was asked for does not exist."""
    try:
        return ask()
    except MlflowException as error:
        if error.error_code in NO_SUCH:
            return None
        raise
