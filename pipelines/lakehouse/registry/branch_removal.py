"""Removes what a branch of a use case has in the registry of a local environment: its model, its runs and their files."""

import shutil
from pathlib import Path

from mlflow import MlflowClient

from pipelines.lakehouse.engines.choice import ModelStores
from pipelines.lakehouse.guard import Guard
from pipelines.lakehouse.registry.guarded_client import guarded
from pipelines.lakehouse.registry.upkeep import Leftovers


def remove_from_registry(
    stores: ModelStores, guard: Guard, *, folder: Path, experiment: str, model: str
) -> tuple[int, int]:
    """Remove a registered model and an experiment with all that belongs to them.

    Parameters
    ----------
    folder
        The environment's.
    experiment
        The short name of the experiment.
    model
        The full name of the registered model.

    Returns
    -------
    tuple of int
        How many versions and how many runs are gone.
    """
    client = guarded(MlflowClient(tracking_uri=stores.tracking, registry_uri=stores.registry), guard)
    upkeep = Leftovers(stores, guard, folder=folder)
    versions = [one for one in upkeep.versions() if one.name == model]
    if versions or client.search_registered_models(f"name = '{model}'"):
        client.delete_registered_model(model)
    for stored in upkeep.stored_models([experiment]):
        upkeep.remove_model(stored.model_id)
    for version in versions:
        if version.location and Path(version.location).is_relative_to(folder):
            shutil.rmtree(version.location, ignore_errors=True)
    name = f"{stores.experiments}{experiment}"
    found = client.get_experiment_by_name(name)
    if found is None:
        return len(versions), 0
    runs = upkeep.run_ids([experiment])
    for run in runs:
        client.delete_run(run)
        shutil.rmtree(folder / "artifacts" / run, ignore_errors=True)
    # MLflow keeps deleted experiments under their names, and a branch of the same name may come again.
    client.rename_experiment(found.experiment_id, f"{name} removed {found.experiment_id}")
    client.delete_experiment(found.experiment_id)
    return len(versions), len(runs)
