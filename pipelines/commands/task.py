"""Run one task of a job: what a deployed job calls on its cluster, and the same on a laptop.

Example
-------
  python -m pipelines task flight_delay.features ingest --env dev --param until=2013-02-01
"""

import argparse

from pipelines.commands.console import Console
from pipelines.commands.options import add_lakehouse_options, add_parameter_option, opened, parameters_of
from pipelines.commands.run import show
from pipelines.declarations.job import Task
from pipelines.declarations.mistakes import DeclarationError
from pipelines.declarations.registry import job
from pipelines.execution.parameters import resolve
from pipelines.execution.runner import TaskRun

HELP = "run one task of a job"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which task of which job, with which parameters, where."""
    parser.add_argument("job", metavar="JOB", help="<use case>.<job>")
    parser.add_argument("task", metavar="TASK", help="key of the task")
    parser.add_argument("--run-id", default=None, metavar="ID", help="the run that the task belongs to")
    add_parameter_option(parser)
    add_lakehouse_options(parser)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Run the task and hand its values to the platform; exit code 1 if it failed."""
    declared, parameters = job(arguments.job), parameters_of(arguments.parameters)
    task = declared.task(arguments.task)
    if not isinstance(task, Task):
        raise DeclarationError(
            f"task {task.key!r} of {declared.address} runs no code: the platform decides it by itself."
        )
    resolve(declared, parameters)
    with opened(arguments) as lakehouse:
        from pipelines.execution.jobs import Watcher, run_and_record
        from pipelines.execution.task_values import hand_on

        watcher = Watcher(
            say=lambda text: console.line(f"    {text}"), finished=lambda ended: _show_own(ended, task.key, console)
        )
        done = run_and_record(
            lakehouse, declared, parameters, only=[task.key], run_id=arguments.run_id, watcher=watcher
        )
        if done.succeeded:
            hand_on(lakehouse, done.last[task.key].values)
    return 0 if done.succeeded else 1


def _show_own(ended: TaskRun, key: str, console: Console) -> None:
    if ended.task == key:
        show(ended, console)
