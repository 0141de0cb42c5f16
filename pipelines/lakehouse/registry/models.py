"""Runs, registered models and their aliases in MLflow, for one environment. Which model is better is decided elsewhere.

All access goes through a client with explicit stores, never through MLflow's process-wide state, so that several
environments can be open in one process.
"""

import io
import math
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr, suppress
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, Metric
from mlflow.models import Model as ModelFiles
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from ml.spec.errors import LakehouseError, sentence_of
from pipelines.declarations.asset import Model
from pipelines.declarations.environment import Environment
from pipelines.lakehouse.engines.choice import ModelStores
from pipelines.lakehouse.engines.quiet import quiet_mlflow
from pipelines.lakehouse.guard import Guard
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.lakehouse.registry.fresh_process import Probe, ServedProbe, require_loadable, require_servable
from pipelines.lakehouse.registry.guarded_client import guarded
from pipelines.lakehouse.registry.local_stores import no_default_folder, prepare
from pipelines.lakehouse.registry.model_files import load_fitted, verified_files
from pipelines.lakehouse.registry.model_version import DeletedVersionError, ModelVersion, NoModelVersionError
from pipelines.lakehouse.registry.runs import FAILURE, Run, RunRecord
from pipelines.lakehouse.registry.storing import MODEL_TYPE, SIDECAR, register, save, unless_missing
from pipelines.scoring.function import ScoringFunction
from pipelines.scoring.served import FUNCTION_FILE, load_function
from pipelines.telemetry.attributes import ALIAS, MLFLOW_RUN, MODEL, MODEL_VERSION, Attribute
from pipelines.telemetry.recording import span

if TYPE_CHECKING:  # drawn by ml, only passed on here
    from matplotlib.figure import Figure

CANDIDATE = "candidate"
"""The tag of a version that waits to be evaluated; its value is ``true``."""

CANDIDATE_RUN = "candidate_run"
"""The tag with the run that registered a candidate: its evaluation is about it, no other run touches it."""

COPY = "copy"
"""The tag of a run that trained nothing: it holds what is written about a copied version."""

LONGEST_TAG = 5_000
"""What MLflow takes as the value of a tag."""


class Models:
    """The runs and registered models of one environment; names are ``<environment>.<schema>.<model>``."""

    def __init__(self, *, environment: Environment, stores: ModelStores, guard: Guard = nullcontext) -> None:
        self._environment = environment
        self._stores = stores
        self._guard = guard
        self._open_runs: list[str] = []
        quiet_mlflow()
        for uri in (stores.tracking, stores.registry):
            prepare(uri)
        with no_default_folder():
            client = MlflowClient(tracking_uri=stores.tracking, registry_uri=stores.registry)
        self._client = guarded(client, guard)

    def name(self, model: Model) -> str:
        """Return the name of a model in the registry that all environments share."""
        return f"{self._environment.catalog}.{model.address}"

    @contextmanager
    def start_run(
        self, experiment: str, *, name: str, tags: Mapping[str, str] | None = None, parent: Run | None = None
    ) -> Iterator[Run]:
        """Begin a run; it ends as finished, as killed if the block is interrupted, or as failed with the reason if it raises.

        Parameters
        ----------
        experiment
            The experiment's short name, for example the use case's.
        name
            The run's name.
        parent
            The run within which MLflow shows it.
        """
        experiment_id = self._experiment(experiment)
        nested = {MLFLOW_PARENT_RUN_ID: parent.run_id} if parent else {}
        tagged = {"environment": self._environment.name, **nested, **(tags or {})}
        run_id = self._client.create_run(experiment_id, run_name=name, tags=tagged).info.run_id
        ended = "FAILED"
        self._open_runs.append(run_id)
        try:
            with span("mlflow run", {MLFLOW_RUN: run_id}):
                yield Run(self._client, run_id=run_id, experiment_id=experiment_id)
            ended = "FINISHED"
        except KeyboardInterrupt:
            ended = "KILLED"
            raise
        except Exception as error:
            with suppress(LakehouseError):  # of a writer that lost its lock: what it had to say is this error
                self._client.set_tag(run_id, FAILURE, sentence_of(error)[:LONGEST_TAG])
            raise
        finally:
            self._client.set_terminated(run_id, ended)
            self._open_runs.remove(run_id)

    def failed_runs(self, experiment: str, tag: str, value: str) -> tuple[RunRecord, ...]:
        """Return the runs of an experiment that have a tag and failed, oldest first."""
        known = self.experiment_id(experiment)
        if known is None:
            return ()
        found = self._client.search_runs(
            [known], f"attributes.status = 'FAILED' and tags.`{tag}` = '{value}'",
            order_by=["attributes.start_time ASC"],
        )  # fmt: skip
        return tuple(
            RunRecord(run_id=run.info.run_id, params=run.data.params, metrics=run.data.metrics, tags=run.data.tags)
            for run in found
        )

    def experiment_id(self, short_name: str) -> str | None:
        """Return how MLflow calls an experiment; None if it has none of that name. None is made."""
        known = self._client.get_experiment_by_name(f"{self._stores.experiments}{short_name}")
        return None if known is None else str(known.experiment_id)

    def end_open_runs(self) -> None:
        """End the runs that this process has begun and not ended as killed."""
        for run_id in tuple(self._open_runs):
            self._client.set_terminated(run_id, "KILLED")

    def finish_run(self, version: ModelVersion) -> None:
        """End the run that made a version as finished: what interrupted it came after all that it had to do."""
        if version.run_id and self._client.get_run(version.run_id).info.status != "FINISHED":
            self._client.set_terminated(version.run_id, "FINISHED")

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
        sidecar: Mapping[str, bytes] | None = None,
        probe: Probe | None = None,
        served: ServedProbe | None = None,
        description: str = "",
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
            What loading it needs, and all that it needs; by default the model gets what `needs_of` finds.
        sidecar
            Content by file name, stored with the model and copied with it; read by `read_sidecar`.
        probe
            Rows by which a process outside the repository proves that the stored model loads and predicts the same.
        served
            The scoring function that MLflow is to serve with the pipeline, and requests by which the same process proves
            that it answers there as here; None to serve the pipeline itself.
        description
            For people who look at the version in the registry.

        Raises
        ------
        ModelFilesError
            If it does not; nothing was registered.

        Returns
        -------
        ModelVersion
            With the tag ``candidate=true``.
        """
        logged = self._client.create_logged_model(
            run.experiment_id, name=model.name, source_run_id=run.run_id, model_type=MODEL_TYPE
        )
        with tempfile.TemporaryDirectory() as folder:
            files = Path(folder, "model")
            save(
                files,
                fitted,
                written_for=ModelFiles(run_id=run.run_id, model_id=logged.model_id),
                input_example=input_example,
                output_example=output_example,
                pip_requirements=pip_requirements,
                sidecar=sidecar or {},
                function=served.function if served else None,
            )
            if probe is not None:
                require_loadable(files, fitted, probe)
            if served is not None:
                require_servable(files, fitted, served)
            tagged = {CANDIDATE: "true", **(tags or {})}
            return self._registered(model, logged, files, run_id=run.run_id, tags=tagged, description=description)

    def version(self, model: Model, number: int) -> ModelVersion:
        """Return one version by its number.

        Raises
        ------
        NoModelVersionError
            If there is none.
        """
        found = unless_missing(lambda: self._client.get_model_version(self.name(model), str(number)))
        if found is None:
            latest = self.latest(model)
            known = "it has no version yet" if latest is None else f"the latest is {latest}"
            raise NoModelVersionError(f"model {self.name(model)} has no version {number}: {known}.")
        return ModelVersion.of(model, found)

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

    def candidates_of(self, model: Model, run_id: str) -> tuple[ModelVersion, ...]:
        """Return the candidates of one run, oldest first; a candidate that names no run becomes one of this run."""
        waiting = self.candidates(model)
        for version in waiting:
            if CANDIDATE_RUN not in version.tags:
                self.set_tags(version, {CANDIDATE_RUN: run_id})
        return tuple(version for version in waiting if version.tags.get(CANDIDATE_RUN, run_id) == run_id)

    def clear_candidates(self, model: Model, numbers: Collection[int] | None = None) -> tuple[ModelVersion, ...]:
        """Take the tag ``candidate`` from every version that has it, or from some, and return those versions."""
        cleared = tuple(v for v in self.candidates(model) if numbers is None or v.number in numbers)
        for version in cleared:
            self._client.delete_model_version_tag(self.name(model), str(version.number), CANDIDATE)
        return cleared

    def find_alias(self, model: Model, alias: str) -> ModelVersion | None:
        """Return the version behind an alias; None if the alias is not set.

        Raises
        ------
        DeletedVersionError
            If it is set, and somebody has deleted its version.
        """
        found = unless_missing(lambda: self._client.get_model_version_by_alias(self.name(model), alias))
        if found is not None:
            return self.version(model, int(found.version))
        if (deleted := self._aliased(model).get(alias)) is not None:
            raise DeletedVersionError(
                f"model {self.name(model)} has {alias!r} at version {deleted}, which was deleted.",
                remedy=f"{self._given_back(model, alias)}, restore the registry from a backup, or delete the alias by hand: the "
                "next candidate then has to beat only a constant.",
            )
        return None

    def by_alias(self, model: Model, alias: str) -> ModelVersion:
        """Return the version behind an alias.

        Raises
        ------
        NoModelVersionError
            If the alias is not set, with what to run.
        """
        found = self.find_alias(model, alias)
        if found is None:
            if alias == CHAMPION and (lost := self.lost_champion(model)):
                raise NoModelVersionError(lost)
            raise NoModelVersionError(
                f"model {self.name(model)} has no {alias!r}: no version of it has passed the gate of "
                f"{self._environment.name!r}. Run the training job of {model.use_case!r} there, or its delivery job where "
                "the model is not trained."
            )
        return found

    def lost_champion(self, model: Model) -> str:
        """Return what is said of a champion whose alias or version somebody has deleted, with the remedy; empty for none."""
        try:
            found = self.find_alias(model, CHAMPION)
        except DeletedVersionError as error:
            return str(error)
        if found is not None or not any(one.tags.get("verdict") == "promote" for one in self.versions(model)):
            return ""
        return (
            f"model {self.name(model)} has no {CHAMPION!r} any more: a version of it passed the gate of "
            f"{self._environment.name!r}, and the alias is gone: deleted, or its promotion was cut off. "
            f"{self._given_back(model, CHAMPION)}."
        )

    def _given_back(self, model: Model, alias: str) -> str:
        if alias != CHAMPION:
            return f"Set {alias!r} to a version that is there"
        deployed = " --remote" if self._stores.artifacts is None else ""
        command = f"mlops rollback {model.use_case} --env {self._environment.name}{deployed} --reason TEXT"
        return f"Give it back to the champion that the verdicts name, by `{command}`"

    def set_alias(self, version: ModelVersion, alias: str) -> None:
        """Point an alias to a version: one call, so there is no moment without the alias."""
        with span("set alias", {**self._facts(version.model, version.number), ALIAS: alias}):
            self._client.set_registered_model_alias(self.name(version.model), alias, str(version.number))

    def delete_alias(self, model: Model, alias: str) -> None:
        """Remove an alias; nothing happens if it is not set."""
        if alias in self._aliased(model):
            self._client.delete_registered_model_alias(self.name(model), alias)

    def _aliased(self, model: Model) -> Mapping[str, str]:
        """Return each alias of a model with the number of its version, deleted or not."""
        found = unless_missing(lambda: self._client.get_registered_model(self.name(model)))
        return {} if found is None else {alias: str(number) for alias, number in dict(found.aliases).items()}

    def set_tags(self, version: ModelVersion, tags: Mapping[str, str]) -> None:
        """Set tags of a version."""
        for name, value in tags.items():
            self._client.set_model_version_tag(self.name(version.model), str(version.number), name, value)

    def delete_tags(self, version: ModelVersion, names: Iterable[str]) -> None:
        """Remove tags that a version has."""
        for name in names:
            self._client.delete_model_version_tag(self.name(version.model), str(version.number), name)

    def load(self, version: ModelVersion) -> Any:
        """Return the fitted scikit-learn pipeline of a version.

        Raises
        ------
        ModelFilesError
            If its files are missing, are not those that were registered, or cannot be loaded here.
        """
        with span("load model", self._facts(version.model, version.number)), self.verified(version) as files:
            return load_fitted(files, name=self._said(version))

    def load_served(self, version: ModelVersion) -> tuple[ScoringFunction | None, Any]:
        """Return the scoring function of a version and its fitted pipeline; no function if an older release registered it.

        Raises
        ------
        ModelFilesError
            As of `load`.
        """
        with span("load model", self._facts(version.model, version.number)), self.verified(version) as files:
            fitted = load_fitted(files, name=self._said(version))
            return (load_function(files) if (files / FUNCTION_FILE).is_file() else None), fitted

    @contextmanager
    def verified(self, version: ModelVersion) -> Iterator[Path]:
        """Give a private copy of a version's files once they are those that were registered.

        Raises
        ------
        ModelFilesError
            If they are missing or others.
        """
        with verified_files(self._location(version), name=self._said(version), recorded=version.digest) as files:
            yield files

    def describe(self, version: ModelVersion, text: str) -> None:
        """Set the description of a version."""
        self._client.update_model_version(self.name(version.model), str(version.number), text)

    def log_metrics(self, version: ModelVersion, metrics: Mapping[str, float], *, at: datetime) -> None:
        """Log metrics of a version on the run that trained it, and on its stored model; a second time changes nothing.

        Parameters
        ----------
        at
            When they were measured; another measurement is a further point of the same metric.
        """
        finite = {name: float(value) for name, value in metrics.items() if math.isfinite(value)}

        def log() -> None:
            # A stored model has one value for each metric, instant and step: another one as of the same instant is a step more.
            instant = int(at.timestamp() * 1000)
            stored = self._client.get_logged_model(version.model_id).metrics or () if version.model_id else ()
            known = {(one.key, one.step): one.value for one in stored if one.timestamp == instant}
            points = []
            for name, value in finite.items():
                step = next(step for step in count() if known.get((name, step), value) == value)
                points.append(Metric(name, value, instant, step, model_id=version.model_id))
            self._client.log_batch(version.run_id, metrics=points)

        unless_missing(log)  # the run may have been deleted

    def log_figure(self, version: ModelVersion, figure: "Figure", path: str) -> None:
        """Store a plot among the artifacts of the run that trained a version; a second time it is replaced."""
        unless_missing(lambda: self._client.log_figure(version.run_id, figure, path))  # the run may have been deleted

    def log_text(self, version: ModelVersion, text: str, path: str) -> None:
        """Store a text file of a version among the artifacts of its run; a second time replaces it.

        The run of a copy is in the environment in which it was trained; a copy gets a run of its own here.
        """
        run_id = version.run_id if version.trained_in == self._environment.name else self._run_of_copy(version)
        unless_missing(lambda: self._client.log_text(run_id, text, path))  # the run may have been deleted

    def read_text(self, version: ModelVersion, path: str) -> str | None:
        """Return a text file among the artifacts of the run that trained a version; None without it, and of a copy."""
        if version.trained_in != self._environment.name:
            return None
        files = unless_missing(lambda: self._client.list_artifacts(version.run_id)) or ()
        if path not in [file.path for file in files]:
            return None
        with tempfile.TemporaryDirectory() as folder:
            return Path(self._client.download_artifacts(version.run_id, path, folder)).read_text(encoding="utf-8")

    def _run_of_copy(self, version: ModelVersion) -> str:
        """Return the run of this environment that holds the texts of a copy, made at the first call."""
        experiment, name = (
            self._experiment(version.model.use_case),
            f"{self.name(version.model)} version {version.number}",
        )
        found = self._client.search_runs([experiment], f"tags.`{COPY}` = '{name}'", max_results=1)
        if found:
            run_id = str(found[0].info.run_id)
            if found[0].info.status != "FINISHED":  # it was cut off after it had begun
                self._client.set_terminated(run_id, "FINISHED")
            return run_id
        with self.start_run(version.model.use_case, name=name, tags={COPY: name}) as run:
            return run.run_id

    def run_of(self, version: ModelVersion) -> RunRecord:
        """Return what the run that trained a version logged."""
        run = self._client.get_run(version.run_id)
        return RunRecord(run_id=version.run_id, params=run.data.params, metrics=run.data.metrics, tags=run.data.tags)

    def read_sidecar(self, version: ModelVersion, name: str) -> bytes:
        """Return a sidecar file of a version; a copied version has those of its source.

        Raises
        ------
        NoModelVersionError
            If the version has no such file.
        ModelFilesError
            If its files are missing, or are not those that were registered.
        """
        with self.verified(version) as files:
            file = files / SIDECAR / name
            if not file.is_file():
                raise NoModelVersionError(f"{self._said(version)} has no sidecar file {name!r}: train it again.")
            return file.read_bytes()

    def of(self, environment: Environment) -> "Models":
        """Return the models of another environment in the registry that all share; its runs are out of reach."""
        return Models(environment=environment, stores=self._stores, guard=self._guard)

    def copy(self, version: ModelVersion, source: "Models") -> ModelVersion:
        """Copy a version of another environment's model, files and tags, as the next version of this one's.

        The files are copied byte by byte to where this environment keeps its own. On Unity Catalog MLflow does so; it
        tries to create the registered model first and goes on where it exists: that takes the right to create models in
        the schema, which the jobs' identity has as its owner.

        Raises
        ------
        ModelFilesError
            If the files of the source, or of the copy, are not those that were registered.
        """
        model = version.model
        with source.verified(version) as files:
            if self._stores.artifacts is None:
                uri = f"models:/{source.name(model)}/{version.number}"
                with redirect_stderr(io.StringIO()):  # MLflow prints what it does
                    number = int(self._client.copy_model_version(uri, self.name(model)).version)
                copied = self.version(model, number)
            else:
                logged = self._client.create_logged_model(
                    self._experiment(model.use_case), name=model.name, model_type=MODEL_TYPE
                )
                copied = self._registered(model, logged, files, run_id=version.run_id, tags=version.tags)
        with self.verified(copied):
            return copied

    def _registered(
        self, model: Model, logged: LoggedModel, files: Path, *, run_id: str, tags: Mapping[str, str],
        description: str = "",
    ) -> ModelVersion:  # fmt: skip
        with span("register model", {MODEL: self.name(model), MLFLOW_RUN: run_id}) as noted:
            number = register(
                self._client, logged, files, model=model, name=self.name(model), run_id=run_id, tags=tags,
                description=description,
            )  # fmt: skip
            noted.set(MODEL_VERSION, number)
        return self.version(model, number)

    def _facts(self, model: Model, number: int) -> dict[Attribute, object]:
        return {MODEL: self.name(model), MODEL_VERSION: number}

    def _said(self, version: ModelVersion) -> str:
        return f"model {self.name(version.model)} version {version.number}"

    def _location(self, version: ModelVersion) -> str:
        name = self.name(version.model)
        if self._stores.artifacts is None:
            # Unity Catalog gives out files only through its own scheme, which a cluster resolves by default.
            return f"models:/{name}/{version.number}"
        return str(self._client.get_model_version_download_uri(name, str(version.number)))

    def _experiment(self, short_name: str) -> str:
        if (known := self.experiment_id(short_name)) is not None:
            return known
        name = f"{self._stores.experiments}{short_name}"
        return str(self._client.create_experiment(name, artifact_location=self._stores.artifacts))
