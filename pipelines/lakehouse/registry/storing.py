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
from mlflow.models import ModelSignature, infer_signature
from mlflow.models.resources import DatabricksLakebase
from mlflow.types.schema import ColSpec, Schema

from pipelines.declarations.asset import Model
from pipelines.declarations.online_store import STORE
from pipelines.lakehouse.registry.fresh_process import SERVED_CODE
from pipelines.lakehouse.registry.model_files import digest_of
from pipelines.lakehouse.registry.model_version import DIGEST
from pipelines.lakehouse.registry.requirements import ONLINE_CLIENT, Needs, needs_of
from pipelines.scoring import served
from pipelines.scoring.function import MODEL_VERSION, PREDICTION_AT, REQUEST_KEY, SCORE, ScoringFunction

Answer = TypeVar("Answer")

SIDECAR = "carried"
"""The folder, among the files of a model, of the sidecar files that are copied with it. Registered models have this name."""
PYTHON_FUNCTION = "python_function"
"""The flavor by which MLflow serves a model."""
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
    function: ScoringFunction | None = None,
) -> None:
    """Write a fitted pipeline, what it takes and needs, and its sidecar files into a folder.

    With the scoring function that it belongs to, what MLflow serves is that function; `load` gives the pipeline either way.
    """
    if pip_requirements is None:
        needs = needs_of(fitted, cloudpickle.dumps)
    else:
        needs = Needs(requirements=tuple(pip_requirements), own={})
    if function is not None:
        of_function = needs_of((function, served._load_pyfunc), cloudpickle.dumps)  # noqa: SLF001 - MLflow's name for it
        requirements = dict.fromkeys((*needs.requirements, *of_function.requirements, *ONLINE_CLIENT))
        needs = Needs(requirements=tuple(requirements), own=needs.own)
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
    if function is not None:
        _serve_function(files, function, {**needs.own, **of_function.own})
    for name, content in sidecar.items():
        (files / SIDECAR).mkdir(exist_ok=True)
        (files / SIDECAR / name).write_bytes(content)


def _serve_function(files: Path, function: ScoringFunction, own: Mapping[str, Path]) -> None:
    """Let what MLflow serves from the files be the scoring function, with the modules that it needs in a folder of its own.

    Apart from those of the estimator: batch has the function's modules already, and of this very release.
    """
    (files / served.FUNCTION_FILE).write_bytes(cloudpickle.dumps(function))
    (files / SERVED_CODE).mkdir()
    _carried(own, files / SERVED_CODE)
    stored = ModelFiles.load(files)
    flavor = {**stored.flavors[PYTHON_FUNCTION], "loader_module": served.__name__, "code": SERVED_CODE}
    for name in ("model_path", "predict_fn"):
        flavor.pop(name, None)
    stored.flavors[PYTHON_FUNCTION] = flavor
    stored.signature = served_signature(function)
    if function.connect is not None:
        stored.resources = [DatabricksLakebase(database_instance_name=STORE)]
    stored.save(str(files / "MLmodel"))


def served_signature(function: ScoringFunction) -> ModelSignature:
    """Return what a served model takes and gives, in MLflow's types; looked-up columns may be given and need not."""
    asked = [ColSpec(_kind(c.kind, gaps=c.nullable), c.name, required=not c.nullable) for c in function.request]
    given = [
        ColSpec(_kind(lookup.kinds.get(column, "double"), gaps=True), name, required=False)
        for lookup in function.lookups
        for column, name in (*lookup.columns.items(), *([("", lookup.age_as)] if lookup.age_as else []))
    ]
    return ModelSignature(
        inputs=Schema([*asked, *given]), outputs=Schema([_answered(name, function) for name in function.answer_columns])
    )


def _answered(name: str, function: ScoringFunction) -> ColSpec:
    known = {REQUEST_KEY: "string", PREDICTION_AT: "datetime", MODEL_VERSION: "long", **function.made}
    kind = known.get(name, "double")
    return ColSpec(kind, name, required=name in (REQUEST_KEY, PREDICTION_AT, SCORE))


def _kind(declared: str, *, gaps: bool) -> str:
    """Return MLflow's name of a declared type; whole numbers with gaps are doubles in a data frame, instants are text in JSON."""
    if gaps and declared in ("int", "bigint"):
        return "double"
    return {"int": "integer", "bigint": "long", "date": "string", "timestamp": "string"}.get(declared, declared)


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
