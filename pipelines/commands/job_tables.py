"""The declared jobs as tables. What prints them is called without the parser of a command line, which takes as long to import."""

from collections.abc import Iterable, Sequence

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
            none="no parameters",
        )
    return 0


def as_markdown() -> str:
    """Return three Markdown tables: of jobs, of their parameters, of their tasks; rows of several use cases are one."""
    declared = jobs()
    every = sorted({job.use_case for job in declared})
    of_jobs = [(job.use_case, (f"`{job.name}`", job.description, str(job.size), _schedule(job))) for job in declared]
    of_parameters = [
        (job.use_case, (f"`{one.name}`", one.description, f"`{one.default}`" if one.default else "", f"`{job.name}`"))
        for job in declared
        for one in job.parameters
    ]
    of_tasks = [
        (job.use_case, (f"`{job.name}`", f"`{task.key}`", _dependencies(task), task.description, _reads(task)))
        for job in declared
        for task in job.tasks
    ]
    return "\n".join(
        [
            "## Choose a job\n",
            *_table(("job", "what it does", "compute", "schedule, UTC", "use cases"), _by_use_case(of_jobs, every)),
            "\n## Give it parameters\n",
            *_table(("parameter", "meaning", "default", "jobs"), _by_job(of_parameters)),
            "\n## See what each task does\n",
            *_table(("job", "task", "after", "what it does", "parameters", "use cases"), _by_use_case(of_tasks, every)),
        ]
    )


def _by_use_case(rows: Iterable[tuple[str, tuple[str, ...]]], every: Sequence[str]) -> list[tuple[str, ...]]:
    """Return each row once, in the order of the jobs, with the use cases that have it."""
    having: dict[tuple[str, ...], list[str]] = {}
    for use_case, row in rows:
        having.setdefault(row, []).append(use_case)
    place = {name: number for number, name in enumerate(dict.fromkeys(row[0] for row in having))}
    return [
        (*row, "all" if sorted(names) == every else ", ".join(names))
        for row, names in sorted(having.items(), key=lambda one: place[one[0][0]])
    ]


def _by_job(rows: Iterable[tuple[str, tuple[str, ...]]]) -> list[tuple[str, ...]]:
    """Return each parameter once for each meaning, with the jobs that take it."""
    having: dict[tuple[str, ...], dict[str, None]] = {}
    for _, (*row, job) in rows:
        having.setdefault(tuple(row), {})[job] = None
    place = {name: number for number, name in enumerate(dict.fromkeys(row[0] for row in having))}
    return [(*row, ", ".join(names)) for row, names in sorted(having.items(), key=lambda one: place[one[0][0]])]


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    line, *lines = [f"| {' | '.join(row)} |" for row in (header, *rows)]
    return [line, "|---" * len(header) + "|", *lines]


def _schedule(job: Job) -> str:
    return f"`{job.schedule.cron}`" if job.schedule else ""


def _reads(task: AnyTask) -> str:
    return ", ".join(task.keywords) if isinstance(task, Task) else ""


def _dependencies(task: AnyTask) -> str:
    return ", ".join(map(str, task.dependencies))


def _readers(job: Job, parameter: str) -> list[str]:
    return [task.key for task in job.tasks if isinstance(task, Task) and parameter in task.keywords]
