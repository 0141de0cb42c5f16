"""List every declared job with its tasks and parameters.

Examples
--------
  python -m pipelines list
  python -m pipelines list --markdown
"""

from typing import Annotated

import typer

from pipelines.command_line.console import Console
from pipelines.declarations.job import AnyTask, Job, Task
from pipelines.declarations.registry import jobs


def run(
    markdown: Annotated[bool, typer.Option("--markdown", help="Print one Markdown table, as in docs/jobs.md.")] = False,
) -> int:
    """Print the jobs table."""
    console = Console()
    if markdown:
        console.line(as_markdown())
        return 0
    for job in jobs():
        schedule = f", scheduled {job.schedule.cron} {job.schedule.timezone}" if job.schedule else ""
        console.table(
            f"{job.address} ({job.size} compute{schedule}): {job.description}",
            ("task", "after", "what it does"),
            [(task.key, _dependencies(task) or None, task.description) for task in job.tasks],
        )
        console.table(
            "",
            ("parameter", "default", "meaning", "read by"),
            [(p.name, p.default or None, p.description, ", ".join(_readers(job, p.name))) for p in job.parameters],
        )
    return 0


def as_markdown() -> str:
    """Return the jobs table as Markdown: a row per task."""
    lines = ["| job | task | after | what it does | parameters |", "|---|---|---|---|---|"]
    for job in jobs():
        for task in job.tasks:
            read = ", ".join(task.keywords) if isinstance(task, Task) else ""
            lines.append(f"| `{job.address}` | `{task.key}` | {_dependencies(task)} | {task.description} | {read} |")
    return "\n".join(lines)


def _dependencies(task: AnyTask) -> str:
    return ", ".join(map(str, task.dependencies))


def _readers(job: Job, parameter: str) -> list[str]:
    return [task.key for task in job.tasks if isinstance(task, Task) and parameter in task.keywords]
