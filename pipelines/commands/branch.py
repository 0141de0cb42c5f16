"""List the branches of use cases in a local environment, or remove one with all that is its own.

A branch is the declaration of this working tree under a name of its own, USE_CASE_branch_NAME: call its jobs by that name.

Examples
--------
  python -m pipelines run flight_delay_branch_new_gate.features --env dev
  python -m pipelines branch
  python -m pipelines branch new_gate --remove
"""

from typing import Annotated

import typer

from ml.spec.errors import RequestError
from pipelines.command_line.console import Console
from pipelines.commands.options import EnvironmentName, Root, opened
from pipelines.declarations.registry import use_cases


def run(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="The branch. Default: all.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove it: tables, models, runs and files.")] = False,
    env: EnvironmentName = "dev",
    root: Root = None,
) -> int:
    """Print the branches, or what was removed."""
    console = Console()
    if remove and name is None:
        raise RequestError("--remove removes one branch: name it.")
    with opened(env, None, root, must_exist=True) as lakehouse:
        from pipelines.execution.branches import branches_in
        from pipelines.execution.branches import remove as remove_one
        from pipelines.execution.run_history import new_run_id

        found = branches_in(lakehouse, use_cases(), name)
        if name is not None and not found:
            raise RequestError(f"there is no branch {name!r} in {env}: `branch` without a name lists all.")
        if remove:
            import datetime as dt

            for one in found:
                console.line(remove_one(lakehouse, one, run_id=new_run_id(dt.datetime.now(dt.UTC))).sentence)
            return 0
        rows = [(one.name, len([t for t in one.tables if lakehouse.tables.exists(t)]),
                 lakehouse.models.latest(one.model)) for one in found]  # fmt: skip
    console.table(
        f"branches in {env}", ("branch", "tables", "model versions"), rows,
        none=f"no branch in {env}: the first run of a job USE_CASE_branch_NAME.JOB makes one, for example "
        f"{use_cases()[0].name}_branch_new_gate.features.",
    )  # fmt: skip
    return 0
