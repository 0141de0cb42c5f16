"""The declared jobs as tables. What prints them is called without the parser of a command line, which takes as long to import."""

from pipelines.command_line.console import Console
from pipelines.declarations.job import AnyTask, Job, Task
from pipelines.declarations.registry import jobs


def print_jobs() -> int:
    """Print every declared job with its tasks and parameters."""
    console = Console()
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
