"""List every declared job with its tasks and parameters."""

import argparse

from pipelines.console import Console
from pipelines.declarations.job import Job, Task
from pipelines.declarations.registry import jobs

HELP = "list the declared jobs, their tasks and parameters"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing: the list is the same everywhere."""


def run(_arguments: argparse.Namespace, console: Console) -> int:
    """Print the jobs table."""
    for job in jobs():
        schedule = f", scheduled {job.schedule.cron} {job.schedule.timezone}" if job.schedule else ""
        console.table(
            f"{job.address} ({job.size} compute{schedule}): {job.description}",
            ("task", "after", "what it does"),
            [(task.key, ", ".join(task.after) or None, task.description) for task in job.tasks],
        )
        console.table(
            "",
            ("parameter", "default", "meaning", "read by"),
            [(p.name, p.default or None, p.description, ", ".join(_readers(job, p.name))) for p in job.parameters],
        )
    return 0


def _readers(job: Job, parameter: str) -> list[str]:
    return [task.key for task in job.tasks if isinstance(task, Task) and parameter in task.parameters]
