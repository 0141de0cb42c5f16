"""The branches that a local environment has, and their removal with all that is theirs."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.declarations.branch import branched, original_of
from pipelines.declarations.use_case import UseCase
from pipelines.execution.context import TaskError
from pipelines.execution.locks import hold
from pipelines.lakehouse.lakehouse import Lakehouse
from pipelines.lakehouse.registry.branch_removal import remove_from_registry


@dataclass(frozen=True, kw_only=True)
class Removed:
    """What was removed of one branch of a use case."""

    use_case: str
    tables: int
    versions: int
    runs: int

    @property
    def sentence(self) -> str:
        """In words."""
        return f"{self.use_case}: {self.tables} tables, {self.versions} model versions and {self.runs} runs of MLflow are removed"


def branches_in(lakehouse: Lakehouse, use_cases: Sequence[UseCase], branch: str | None = None) -> tuple[UseCase, ...]:
    """Return the branches of use cases that have a table in a local environment, by name.

    Parameters
    ----------
    branch
        The only one to look for; None for all.

    Raises
    ------
    TaskError
        If the environment is not on this machine.
    """
    if lakehouse.folder is None:
        raise TaskError(
            "the branches of a deployed environment are stacks: `python -m infra branch` shows and removes them."
        )
    by_name, found = {one.name: one for one in use_cases}, dict[str, UseCase]()
    for schema in sorted((lakehouse.folder / "tables").glob("*")):
        name, rest = original_of(schema.name)
        for part in [rest[:end] for end, letter in enumerate(rest) if letter == "_"]:
            if name in by_name and branch in (None, part):
                one = branched(by_name[name], part)
                if schema.name in one.schemas:
                    found[one.name] = one
    return tuple(found.values())


def remove(lakehouse: Lakehouse, use_case: UseCase, *, run_id: str) -> Removed:
    """Remove all tables, model versions, runs and files of a branch from a local environment.

    Raises
    ------
    TaskError
        If it is no branch, or not on this machine; nothing is removed.
    LockHeldError
        If one of its jobs is running; nothing is removed.
    """
    folder = lakehouse.folder
    if folder is None or not original_of(use_case.name)[1]:
        raise TaskError(
            f"{use_case.name} is no branch in an environment of this machine, and only branches are removed."
        )
    for job in use_case.jobs:
        with hold(folder, job.address, environment=lakehouse.environment.name, run_id=run_id):
            pass
    versions, runs = remove_from_registry(
        lakehouse.model_stores, lakehouse.guard, folder=folder, experiment=use_case.name,
        model=lakehouse.models.name(use_case.model),
    )  # fmt: skip
    tables = 0
    for schema in use_case.schemas:
        place = folder / "tables" / schema
        tables += sum(one.is_dir() for one in place.glob("*"))
        shutil.rmtree(place, ignore_errors=True)
    for name in ("serving", "checkpoints"):
        shutil.rmtree(folder / name / use_case.name, ignore_errors=True)
    shutil.rmtree(folder / f"online-{use_case.name}", ignore_errors=True)
    return Removed(use_case=use_case.name, tables=tables, versions=versions, runs=runs)
