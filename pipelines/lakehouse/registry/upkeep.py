"""What an environment's registry and its artifact folder hold, as plain facts, and how what nothing uses is removed.

For local environments only: on Databricks the platform keeps the files.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from mlflow import MlflowClient

from pipelines.lakehouse.engines.choice import ModelStores
from pipelines.lakehouse.guard import Guard
from pipelines.lakehouse.registry.guarded_client import guarded

READY = "READY"


@dataclass(frozen=True, kw_only=True)
class OpenRun:
    """An MLflow run that has not ended."""

    run_id: str
    name: str


@dataclass(frozen=True, kw_only=True)
class StoredModel:
    """Files of a model, as the tracking server knows them; a registered version may use them."""

    model_id: str
    run_name: str
    ready: bool


@dataclass(frozen=True, kw_only=True)
class VersionState:
    """A registered version and the state that the registry gives it."""

    name: str
    number: int
    state: str
    model_id: str
    location: str


class Leftovers:
    """The leftovers of one environment's runs and models.

    Parameters
    ----------
    folder
        The environment's.
    """

    def __init__(self, stores: ModelStores, guard: Guard, *, folder: Path) -> None:
        client = MlflowClient(tracking_uri=stores.tracking, registry_uri=stores.registry)
        self._client, self._stores = guarded(client, guard), stores
        self._artifacts = folder / "artifacts"

    def open_runs(self, experiments: Sequence[str]) -> tuple[OpenRun, ...]:
        """Return the runs of experiments that have not ended."""
        ids = self._experiments(experiments)
        if not ids:
            return ()
        found = self._pages(
            lambda token: self._client.search_runs(ids, "attributes.status = 'RUNNING'", page_token=token)
        )
        return tuple(OpenRun(run_id=run.info.run_id, name=run.info.run_name or "") for run in found)

    def end_run(self, run_id: str) -> None:
        """End a run as killed."""
        self._client.set_terminated(run_id, "KILLED")

    def stored_models(self, experiments: Sequence[str]) -> tuple[StoredModel, ...]:
        """Return the models that runs of experiments have stored, finished or not."""
        ids = self._experiments(experiments)
        if not ids:
            return ()
        found = self._pages(lambda token: self._client.search_logged_models(ids, page_token=token))
        return tuple(
            StoredModel(model_id=model.model_id, run_name=self._name_of(model.source_run_id),
                        ready=str(model.status) == READY)
            for model in found
        )  # fmt: skip

    def versions(self) -> tuple[VersionState, ...]:
        """Return every version of every environment in the registry that all share."""
        found = self._pages(lambda token: self._client.search_model_versions(page_token=token))
        return tuple(
            VersionState(
                name=version.name, number=int(version.version), state=str(version.status),
                model_id=version.model_id or "",
                location=self._client.get_model_version_download_uri(version.name, version.version) or "",
            )
            for version in found
        )  # fmt: skip

    def unknown_folders(self, experiments: Sequence[str]) -> tuple[Path, ...]:
        """Return the artifact folders that belong to no run, no stored model and no version."""
        known = {model.model_id for model in self.stored_models(experiments)} | self.run_ids(experiments)
        used = [_path(version.location) for version in self.versions()]
        folders = [*_folders(self._artifacts), *_folders(self._artifacts / "models")]
        return tuple(
            folder
            for folder in folders
            if folder.name not in known | {"models"} and not any(folder in (path, *path.parents) for path in used)
        )

    def remove_model(self, model_id: str) -> None:
        """Remove a stored model and its files."""
        self._client.delete_logged_model(model_id)
        shutil.rmtree(self._artifacts / "models" / model_id, ignore_errors=True)

    def remove_version(self, name: str, number: int) -> None:
        """Remove a registered version."""
        self._client.delete_model_version(name, str(number))

    def _experiments(self, names: Sequence[str]) -> list[str]:
        found = [self._client.get_experiment_by_name(f"{self._stores.experiments}{name}") for name in names]
        return [str(experiment.experiment_id) for experiment in found if experiment is not None]

    def run_ids(self, experiments: Sequence[str]) -> set[str]:
        """Return the ids of all runs of experiments."""
        ids = self._experiments(experiments)
        if not ids:
            return set()
        found = self._pages(lambda token: self._client.search_runs(ids, page_token=token))
        return {run.info.run_id for run in found}

    def _name_of(self, run_id: str | None) -> str:
        return str(self._client.get_run(run_id).info.run_name or "") if run_id else ""

    @staticmethod
    def _pages(ask: Callable[[str | None], Any]) -> Iterator[Any]:
        token: str | None = None
        while True:
            page = ask(token)
            yield from page
            token = page.token
            if not token:
                return


def _folders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.iterdir() if path.is_dir()) if parent.is_dir() else []


def _path(location: str) -> Path:
    parts = urlsplit(location)
    return Path(unquote(parts.path)) if parts.scheme == "file" else Path(location)
