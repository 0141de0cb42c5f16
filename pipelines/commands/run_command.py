"""Run a job: its tasks in order, as declared.

Examples
--------
  python -m pipelines run flight_delay.features --env dev --param until=2013-02-01
  python -m pipelines run flight_delay.training --only evaluate,promote --run-id 20130401T000000.000000
"""

import argparse

from pipelines.commands.options import add_parameter_option, add_workspace_options, opened, parameters_of
from pipelines.console import Console
from pipelines.declarations.registry import job
from pipelines.parameters import resolve
from pipelines.runner import State, TaskRun

HELP = "run a job"
STYLES = {State.SUCCEEDED: "green", State.FAILED: "red", State.UPSTREAM_FAILED: "red"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which job, which of its tasks, with which parameters, where."""
    parser.add_argument("job", metavar="JOB", help="<use case>.<job>, see: python -m pipelines list")
    parser.add_argument("--only", default="", metavar="TASKS", help="run these tasks only, separated by commas")
    parser.add_argument("--skip", default="", metavar="TASKS", help="leave these tasks out, separated by commas")
    parser.add_argument("--run-id", default=None, metavar="ID", help="go on with an earlier run")
    add_parameter_option(parser)
    add_workspace_options(parser)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Run the job; exit code 1 if a task failed."""
    declared, parameters = job(arguments.job), parameters_of(arguments.parameters)
    only, skip = _keys(arguments.only), _keys(arguments.skip)
    resolve(declared, parameters)
    for key in (*only, *skip):
        declared.task(key)
    with opened(arguments) as workspace:
        from pipelines.jobs import run_in

        with console.working(f"{declared.address} in {arguments.env}"):
            done = run_in(
                workspace, declared, parameters, only=only, skip=skip, run_id=arguments.run_id,
                say=lambda text: console.line(f"    {text}"), finished=lambda ended: show(ended, console),
            )  # fmt: skip
    console.line(f"run {done.run_id} of {done.job} in {arguments.env}: {'succeeded' if done.succeeded else 'failed'}")
    return 0 if done.succeeded else 1


def show(ended: TaskRun, console: Console) -> None:
    """Write one line about a task that has ended, and what went wrong if it failed."""
    rows = f", {ended.rows:,} rows" if ended.rows is not None else ""
    attempt = f" (attempt {ended.attempt})" if ended.attempt > 1 else ""
    line = f"  {ended.task}: {ended.state.value}{attempt}, {ended.seconds:.1f} s{rows}"
    console.line(line, style=STYLES.get(ended.state))
    if ended.error:
        console.error(f"{ended.job}, task {ended.task}: {ended.error}")


def _keys(text: str) -> list[str]:
    return [key.strip() for key in text.split(",") if key.strip()]
