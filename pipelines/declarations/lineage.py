"""Which tasks write and read each declared table or model, derived from the jobs."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.declarations.job import Job, Task


@dataclass(frozen=True, kw_only=True)
class Users:
    """The tasks that write a table or model and those that read it, as ``<job>.<task>``."""

    writers: tuple[str, ...]
    readers: tuple[str, ...]


def users_of(address: str, jobs: Sequence[Job]) -> Users:
    """Return the tasks that write or read the table or model with an address."""
    tasks = [(f"{job.name}.{task.key}", task) for job in jobs for task in job.tasks if isinstance(task, Task)]
    return Users(
        writers=tuple(name for name, task in tasks if address in [asset.address for asset in task.writes]),
        readers=tuple(name for name, task in tasks if address in [asset.address for asset in task.reads]),
    )
