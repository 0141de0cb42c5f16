"""The compute of an emulated cloud: its jobs, warehouses, models and endpoints, on this machine."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.emulated_cloud.cloud import Cloud
from infra.emulated_cloud.world import Json
from infra.emulated_compute.job_runner import JobRunner
from infra.emulated_compute.warehouse import EngineProcess


class LocalCompute:
    """What `infra.emulated_cloud.world.CloudCompute` asks for.

    Parameters
    ----------
    cloud
        Whose jobs run.
    folder
        Where tables, models, environments and logs go, by metastore.
    addresses
        The address on this machine of a workspace, by its number.
    """

    def __init__(self, cloud: Cloud, folder: Path, addresses: Mapping[str, str]) -> None:
        self._folder = folder
        self._runner = JobRunner(cloud.world, folder, folder / "metastores", addresses)
        self._warehouses: dict[str, EngineProcess] = {}

    def start(self, place: str, run: Json) -> None:
        """Begin a run."""
        self._runner.start(place, run)

    def ask(self, metastore: str, do: str, **given: Any) -> Any:
        """Return what the engine of a metastore answers."""
        if metastore not in self._warehouses:
            root = self._folder / "metastores" / metastore
            self._warehouses[metastore] = EngineProcess(root, self._folder / "engine.log")
        return self._warehouses[metastore].ask(do, **given)

    def close(self) -> None:
        """End everything that runs."""
        self._runner.close()
        for warehouse in self._warehouses.values():
            warehouse.close()


@contextmanager
def computing(cloud: Cloud, folder: Path, hosts: Mapping[str, str]) -> Iterator[None]:
    """Let jobs and statements of a cloud run while the context lasts.

    Parameters
    ----------
    hosts
        Short name of a served workspace to its address.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    addresses = {number: hosts[name] for name, number in cloud.world.site.workspaces}
    compute = LocalCompute(cloud, folder, addresses)
    cloud.world.compute = compute
    try:
        yield
    finally:
        cloud.world.compute = None
        compute.close()
