"""Run a job: its tasks in order, as declared; on this machine, or with --remote as it is deployed.

Examples
--------
  python -m pipelines run flight_delay.features --env dev --param until=2013-02-01
  python -m pipelines run flight_delay.training --only evaluate,promote --run-id 20130401T000000.000000
  python -m pipelines run flight_delay.training --env staging --remote --cancel-on-interrupt
"""

import argparse
from typing import TYPE_CHECKING

from pipelines.commands.console import Console
from pipelines.commands.options import add_lakehouse_options, add_parameter_option, opened, parameters_of
from pipelines.commands.remote_options import add_remote_options, at_workspace, refuse_without_remote, show_task
from pipelines.declarations.job import Job
from pipelines.declarations.mistakes import DeclarationError
from pipelines.declarations.registry import job
from pipelines.execution.parameters import resolve
from pipelines.execution.runner import State, TaskRun

if TYPE_CHECKING:
    from pipelines.execution.jobs import Watcher
    from pipelines.remote.connection import Remote
    from pipelines.remote.progress import TaskProgress

HELP = "run a job"
STYLES = {State.SUCCEEDED: "green", State.FAILED: "red", State.UPSTREAM_FAILED: "red"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which job, which of its tasks, with which parameters, where."""
    parser.add_argument("job", metavar="JOB", help="<use case>.<job>, see: python -m pipelines list")
    parser.add_argument("--only", default="", metavar="TASKS", help="run these tasks only, separated by commas")
    parser.add_argument("--skip", default="", metavar="TASKS", help="leave these tasks out, separated by commas")
    parser.add_argument("--run-id", default=None, metavar="ID", help="go on with an earlier run")
    add_parameter_option(parser)
    add_lakehouse_options(parser)
    add_remote_options(parser)
    parser.add_argument(
        "--cancel-on-interrupt", action="store_true", help="let Ctrl-C cancel the deployed run, which else goes on"
    )


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Run the job; exit code 1 if a task failed."""
    declared, parameters = job(arguments.job), parameters_of(arguments.parameters)
    only, skip = _keys(arguments.only), _keys(arguments.skip)
    resolve(declared, parameters)
    for key in (*only, *skip):
        declared.task(key)
    refuse_without_remote(arguments, "cancel_on_interrupt")
    if arguments.remote:
        earlier = _number(arguments.run_id) if arguments.run_id else None
        return at_workspace(
            arguments, console, lambda remote: _run_there(remote, declared, earlier, arguments, console)
        )
    with opened(arguments) as lakehouse:
        from pipelines.execution.jobs import run_and_record

        with console.working(f"{declared.address} in {arguments.env}"):
            done = run_and_record(
                lakehouse, declared, parameters, only=only, skip=skip, run_id=arguments.run_id, watcher=watcher(console)
            )
    console.line(f"run {done.run_id} of {done.job} in {arguments.env}: {'succeeded' if done.succeeded else 'failed'}")
    return 0 if done.succeeded else 1


def watcher(console: Console) -> "Watcher":
    """Return what writes the lines of tasks, and one line about each task that has ended."""
    from pipelines.execution.jobs import Watcher

    return Watcher(say=lambda text: console.line(f"    {text}"), finished=lambda ended: show(ended, console))


def show(ended: TaskRun, console: Console) -> None:
    """Write one line about a task that has ended, and what went wrong if it failed."""
    rows = f", {ended.rows:,} rows" if ended.rows is not None else ""
    attempt = f" (attempt {ended.attempt})" if ended.attempt > 1 else ""
    line = f"  {ended.task}: {ended.state.value}{attempt}, {ended.seconds:.1f} s{rows}"
    console.line(line, style=STYLES.get(ended.state))
    if ended.error:
        console.error(f"{ended.job}, task {ended.task}: {ended.error}")


def _run_there(
    remote: "Remote", declared: Job, earlier: int | None, arguments: argparse.Namespace, console: Console
) -> int:
    """Start the deployed job, or go on with an earlier run of it, and follow it to its end."""
    from pipelines.remote.repairs import go_on
    from pipelines.remote.runs import follow_started, start

    chosen = {"only": _keys(arguments.only), "skip": _keys(arguments.skip)}
    parameters = parameters_of(arguments.parameters)
    if earlier is None:
        started = start(remote, declared, parameters, **chosen)
    else:
        started = go_on(remote, declared, earlier, parameters, **chosen)
    ended: set[str] = set()

    def seen(task: "TaskProgress") -> None:
        show_task(task, console)
        if task.job == declared.address and task.phase.ended:
            ended.add(task.task)
        update(f"{declared.address} in {arguments.env}: {len(ended)} of {len(declared.tasks)} tasks have ended")

    with console.working(f"{declared.address} in {arguments.env}") as update:
        result = follow_started(remote, started, show=seen, cancel_on_interrupt=arguments.cancel_on_interrupt)
    console.line(result.sentence, style="green" if result.succeeded else "red")
    return result.exit_code


def _number(text: str) -> int:
    if not text.isdecimal():
        raise DeclarationError(
            f"--run-id {text!r} is not the id of a deployed run: give the number at the end of its link."
        )
    return int(text)


def _keys(text: str) -> list[str]:
    return [key.strip() for key in text.split(",") if key.strip()]
