"""Run one task of a job: what a deployed job calls on its cluster, and the same on a laptop.

Example
-------
  python -m pipelines task flight_delay.features ingest --env dev --param until=2013-02-01
"""

from typing import Annotated

import typer

from ml.spec.errors import RequestError
from pipelines.command_line.console import Console
from pipelines.commands.options import (
    EngineName,
    EnvironmentName,
    JobAddress,
    Parameters,
    Root,
    RunId,
    opened,
    parameters_of,
)
from pipelines.commands.run import show
from pipelines.declarations.job import Task
from pipelines.declarations.registry import job as job_named
from pipelines.execution.parameters import resolve
from pipelines.execution.runner import TaskRun


def run(
    job: JobAddress,
    task: Annotated[str, typer.Argument(metavar="TASK", help="Key of the task.")],
    run_id: RunId = None,
    parameters: Parameters = None,
    env: EnvironmentName = "dev",
    engine: EngineName = None,
    root: Root = None,
) -> int:
    """Run the task and hand its values to the platform; exit code 1 if it failed."""
    console = Console()
    declared, given = job_named(job), parameters_of(parameters, allow_empty=True)
    chosen = declared.task(task)
    if not isinstance(chosen, Task):
        raise RequestError(
            f"task {chosen.key!r} of {declared.address} runs no code: the platform decides it by itself."
        )
    resolve(declared, given)
    with opened(env, engine, root) as lakehouse:
        from pipelines.execution.jobs import Watcher, run_and_record
        from pipelines.execution.task_values import hand_on

        watcher = Watcher(
            say=lambda text: console.line(f"    {text}"), finished=lambda ended: _show_own(ended, chosen.key, console)
        )
        done = run_and_record(lakehouse, declared, given, only=[chosen.key], run_id=run_id, watcher=watcher)
        if done.succeeded:
            hand_on(lakehouse, done.last[chosen.key].values)
    return 0 if done.succeeded else 1


def _show_own(ended: TaskRun, key: str, console: Console) -> None:
    if ended.task == key:
        show(ended, console)
