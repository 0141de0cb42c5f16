"""Runs, registered models and their aliases in MLflow, for one environment. Which model is better is decided elsewhere.

Everything goes through a client that is told its stores, never through MLflow's process-wide state, so that several
environments can be open in one process.
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import mlflow.artifacts
import mlflow.sklearn
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion as RegistryVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model as ModelFiles
from mlflow.models import infer_signature

from pipelines.declarations.asset import Model
from pipelines.declarations.environment import Environment
from pipelines.workspace.engines import ModelStores
from pipelines.workspace.local_stores import no_default_folder, prepare
from pipelines.workspace.quiet import quiet_mlflow
from pipelines.workspace.requirements import model_requirements
from pipelines.workspace.runs import Run, RunRecord

Answer = TypeVar("Answer")

CANDIDATE = "candidate"
"""The tag of a version that waits to be evaluated; its value is ``true``."""

SCORE = "score"
"""The one output of every model."""

NO_SUCH = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "REGISTERED_MODEL_ALIAS_NOT_FOUND")
"""How the local registry and Unity Catalog say that a model or an alias does not exist."""


class NoModelVersionError(LookupError):
    """An alias or a number behind which there is no model version; the message says what to run."""


@dataclass(frozen=True, kw_only=True)
class ModelVersion:
    """One registered version.

    Attributes
    ----------
    model
        Its declaration.
    number
        1 for the first version ever, then counting.
    run_id
        The run that trained it.
    """

    model: Model
    number: int
    run_id: str
    tags: Mapping[str, str]
    aliases: tuple[str, ...]


class Models:
    """The runs and registered models of one environment; names are ``<environment>.<schema>.<model>``."""

    def __init__(self, *, environment: Environment, stores: ModelStores) -> None:
        self._environment = environment
        self._stores = stores
        quiet_mlflow()
        for uri in (stores.tracking, stores.registry):
            prepare(uri)
        with no_default_folder():
            self._client = MlflowClient(tracking_uri=stores.tracking, registry_uri=stores.registry)

    def name(self, model: Model) -> str:
        """Return the name of a model in the registry that all environments share."""
        return f"{self._environment.catalog}.{model.address}"

    @contextmanager
    def start_run(self, experiment: str, *, name: str, tags: Mapping[str, str] | None = None) -> Iterator[Run]:
        """Begin a run; it ends as finished, or as failed if the block raises.

        Parameters
        ----------
        experiment
            The experiment's short name, for example the use case's.
        name
            The run's name.
        """
        experiment_id = self._experiment(experiment)
        tagged = {"environment": self._environment.name, **(tags or {})}
        run_id = self._client.create_run(experiment_id, run_name=name, tags=tagged).info.run_id
        try:
            yield Run(self._client, run_id=run_id, experiment_id=experiment_id)
        except BaseException:
            self._client.set_terminated(run_id, "FAILED")
            raise
        self._client.set_terminated(run_id)

    def register(
        self,
        model: Model,
        fitted: Any,
        *,
        run: Run,
        input_example: pd.DataFrame,
        output_example: Any,
        pip_requirements: Sequence[str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> ModelVersion:
        """Store a fitted scikit-learn pipeline and register it as a candidate.

        Parameters
        ----------
        fitted
            What `load` gives back.
        run
            The run that trained it.
        input_example, output_example
            A few rows of inputs and the score predicted for each; they give the signature.
        pip_requirements
            What loading it needs; by default the installed versions of `model_requirements`.

        Returns
        -------
        ModelVersion
            With the tag ``candidate=true``.
        """
        logged = self._client.create_logged_model(
            run.experiment_id, name=model.name, source_run_id=run.run_id, model_type="scikit-learn"
        )
        with tempfile.TemporaryDirectory() as folder:
            files = Path(folder, "model")
            mlflow.sklearn.save_model(
                fitted,
                files,
                serialization_format=mlflow.sklearn.SERIALIZATION_FORMAT_CLOUDPICKLE,
                signature=infer_signature(input_example, pd.DataFrame({SCORE: output_example})),
                input_example=input_example,
                pip_requirements=list(pip_requirements or model_requirements()),
                mlflow_model=ModelFiles(run_id=run.run_id, model_id=logged.model_id),
            )
            self._client.log_model_artifacts(logged.model_id, str(files))
        self._client.finalize_logged_model(logged.model_id, "READY")
        self._ensure_registered(model)
        created = self._client.create_model_version(
            self.name(model),
            # Not models:/<id>: the local registry would look that up in MLflow's process-wide tracking store.
            source=logged.artifact_location,
            run_id=run.run_id,
            tags={CANDIDATE: "true", **(tags or {})},
            model_id=logged.model_id,
        )
        return self.version(model, int(created.version))

    def version(self, model: Model, number: int) -> ModelVersion:
        """Return one version by its number.

        Raises
        ------
        NoModelVersionError
            If there is none.
        """
        found = _unless_missing(lambda: self._client.get_model_version(self.name(model), str(number)))
        if found is None:
            raise NoModelVersionError(
                f"model {self.name(model)} has no version {number}: the latest is {self.latest(model)}."
            )
        return _record(model, found)

    def versions(self, model: Model) -> tuple[ModelVersion, ...]:
        """Return every version, oldest first; none if the model was never registered."""
        found = self._client.search_model_versions(f"name = '{self.name(model)}'")
        # Unity Catalog's search leaves tags and aliases out, so each version is asked for by itself.
        numbers = sorted(int(version.version) for version in found)
        return tuple(self.version(model, number) for number in numbers)

    def latest(self, model: Model) -> int | None:
        """Return the highest version number; None if there is no version."""
        found = self._client.search_model_versions(f"name = '{self.name(model)}'")
        return max((int(version.version) for version in found), default=None)

    def candidates(self, model: Model) -> tuple[ModelVersion, ...]:
        """Return the versions that wait to be evaluated, oldest first."""
        return tuple(version for version in self.versions(model) if version.tags.get(CANDIDATE) == "true")

    def clear_candidates(self, model: Model) -> tuple[ModelVersion, ...]:
        """Take the tag ``candidate`` from every version that has it and return those versions."""
        cleared = self.candidates(model)
        for version in cleared:
            self._client.delete_model_version_tag(self.name(model), str(version.number), CANDIDATE)
        return cleared

    def find_alias(self, model: Model, alias: str) -> ModelVersion | None:
        """Return the version behind an alias; None if the alias is not set."""
        found = _unless_missing(lambda: self._client.get_model_version_by_alias(self.name(model), alias))
        return None if found is None else self.version(model, int(found.version))

    def by_alias(self, model: Model, alias: str) -> ModelVersion:
        """Return the version behind an alias.

        Raises
        ------
        NoModelVersionError
            If the alias is not set, with what to run.
        """
        found = self.find_alias(model, alias)
        if found is None:
            raise NoModelVersionError(
                f"model {self.name(model)} has no {alias!r}: run the training job of {model.use_case!r} in "
                f"{self._environment.name!r} first; its gate sets the alias."
            )
        return found

    def set_alias(self, version: ModelVersion, alias: str) -> None:
        """Point an alias to a version: one call, so there is no moment without the alias."""
        self._client.set_registered_model_alias(self.name(version.model), alias, str(version.number))

    def delete_alias(self, model: Model, alias: str) -> None:
        """Remove an alias; nothing happens if it is not set."""
        if self.find_alias(model, alias) is not None:
            self._client.delete_registered_model_alias(self.name(model), alias)

    def set_tags(self, version: ModelVersion, tags: Mapping[str, str]) -> None:
        """Set tags of a version."""
        for name, value in tags.items():
            self._client.set_model_version_tag(self.name(version.model), str(version.number), name, value)

    def load(self, version: ModelVersion) -> Any:
        """Return the fitted scikit-learn pipeline of a version."""
        with tempfile.TemporaryDirectory() as folder:
            files = mlflow.artifacts.download_artifacts(artifact_uri=self._location(version), dst_path=folder)
            return mlflow.sklearn.load_model(files)

    def run_of(self, version: ModelVersion) -> RunRecord:
        """Return what the run that trained a version logged."""
        run = self._client.get_run(version.run_id)
        return RunRecord(run_id=version.run_id, params=run.data.params, metrics=run.data.metrics, tags=run.data.tags)

    def read_dict(self, version: ModelVersion, path: str) -> Any:
        """Return what `Run.log_dict` stored at `path` of the run that trained a version.

        Raises
        ------
        NoModelVersionError
            If that run stored no such file.
        """
        with tempfile.TemporaryDirectory() as folder:
            try:
                file = self._client.download_artifacts(version.run_id, path, folder)
            except (MlflowException, OSError) as error:
                raise NoModelVersionError(
                    f"the run of model {self.name(version.model)} version {version.number} stored no {path!r}: "
                    f"train it again. ({error})"
                ) from error
            return json.loads(Path(file).read_text())

    def _location(self, version: ModelVersion) -> str:
        name = self.name(version.model)
        if self._stores.artifacts is None:
            # Unity Catalog gives out files only through its own scheme, which a cluster resolves by default.
            return f"models:/{name}/{version.number}"
        return str(self._client.get_model_version_download_uri(name, str(version.number)))

    def _experiment(self, short_name: str) -> str:
        name = f"{self._stores.experiments}{short_name}"
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        return str(self._client.create_experiment(name, artifact_location=self._stores.artifacts))

    def _ensure_registered(self, model: Model) -> None:
        # Terraform creates the models on Databricks, where a job may not; so it is asked for first.
        if _unless_missing(lambda: self._client.get_registered_model(self.name(model))) is None:
            self._client.create_registered_model(self.name(model), description=model.comment)


def _record(model: Model, found: RegistryVersion) -> ModelVersion:
    return ModelVersion(
        model=model,
        number=int(found.version),
        run_id=found.run_id or "",
        tags=dict(found.tags),
        aliases=tuple(found.aliases),
    )


def _unless_missing(ask: Callable[[], Answer]) -> Answer | None:
    try:
        return ask()
    except MlflowException as error:
        if error.error_code in NO_SUCH:
            return None
        raise
