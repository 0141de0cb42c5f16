"""What deployed jobs do, compared with their declarations: tasks, what each waits for, conditions, parameters, schedules."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from infra.config.stack_names import is_branch
from infra.graph.estate import Estate, GraphResource
from infra.terraform_cli.synthesized import as_blocks
from pipelines.declarations.job import AnyTask, ConditionTask, Job, RunIf, RunJobTask
from pipelines.declarations.source_locations import location_text
from pipelines.declarations.standard_jobs.parameters import LOCATION
from pipelines.declarations.use_case import UseCase

Found = Iterator[tuple[str, str]]
DAILY = re.compile(r"^\S+ [\d,]+ [\d*,/-]+ (\*|\?) \* (\?|\*)$")
"""A Quartz expression that starts on every day, at stated seconds and minutes: at most some runs an hour."""
KINDS = ("python_wheel_task", "condition_task", "run_job_task")


def job_findings(estate: Estate, use_cases: Sequence[UseCase]) -> Found:
    """Yield resource and message of every job that does something other than its declaration, and of seldom alerts."""
    declared = {job.address: job for use_case in use_cases for job in use_case.jobs}
    for job in estate.of("databricks_job"):
        found = declared.get(str(job.get("name")))
        if found is None:
            yield job.where, f"deploys {job.get('name')!r}, which nobody declares."
            continue
        yield from ((job.where, message) for message in _job(estate, job, found))
    for alert in estate.of("databricks_alert_v2"):
        schedule = str(alert.get("schedule.quartz_cron_schedule"))
        if not DAILY.match(schedule):
            yield alert.where, f"runs at {schedule}; state seconds and minutes, and every day."


def _job(estate: Estate, job: GraphResource, declared: Job) -> Iterator[str]:
    branch = is_branch(job.stack)  # its jobs start by hand alone
    cron = declared.schedule.cron if declared.schedule and not branch else None
    if job.get("schedule.quartz_cron_expression") != cron:
        yield f"starts at {job.get('schedule.quartz_cron_expression')}, its declaration says {cron}."
    continuous = declared.continuous and not branch
    if bool(job.blocks("continuous")) != continuous:
        yield f"{'has no' if continuous else 'has a'} block continuous, its declaration says otherwise."
    yield from _parameters(estate, job, declared)
    stated = {task.key: task for task in declared.tasks}
    blocks = {str(block.get("task_key")): block for block in job.blocks("task")}
    for key in sorted({*stated} - {*blocks}):
        yield f"lacks the task {key!r} of its declaration."
    for key, block in blocks.items():
        yield from _task(job, block)
        task = stated.get(key)
        if task is None:
            yield f"has the task {key!r}, which its declaration has not."
        else:
            yield from _order(key, block, task)
            yield from _decides(estate, job, block, task)


def _parameters(estate: Estate, job: GraphResource, declared: Job) -> Iterator[str]:
    """Yield parameters whose default is not the declared one; only the environment says where its sources lie."""
    environment = estate.settings.environments.get(job.environment)
    locations = environment.source_locations.get(declared.use_case, {}) if environment else {}
    stated = {
        parameter.name: location_text(locations) if parameter == LOCATION else parameter.default
        for parameter in declared.parameters
    }
    for block in job.blocks("parameter"):
        name, default = str(block.get("name")), str(block.get("default"))
        if stated.get(name) != default:
            yield f"its parameter {name!r} is {default!r} where no run states it, its declaration says {stated.get(name)!r}."


def _order(key: str, block: Mapping[str, Any], task: AnyTask) -> Iterator[str]:
    waits = {(one.get("task_key"), one.get("outcome")) for one in as_blocks(block.get("depends_on"))}
    stated = {(one.task.key, None if one.outcome is None else str(one.outcome).lower()) for one in task.dependencies}
    if waits != stated:
        yield f"task {key!r} waits for {_waited(waits)}, its declaration says {_waited(stated)}."
    run_if = block.get("run_if", RunIf.ALL_SUCCESS.value)
    if run_if != task.run_if.value:
        yield f"task {key!r} runs if {run_if}, its declaration says {task.run_if.value}."


def _waited(those: set[Any]) -> str:
    return ", ".join(sorted(f"{key}:{outcome}" if outcome else str(key) for key, outcome in those)) or "nothing"


def _decides(estate: Estate, job: GraphResource, block: Mapping[str, Any], task: AnyTask) -> Iterator[str]:
    """Yield conditions and started jobs that are not those of the declaration."""
    condition = next(iter(as_blocks(block.get("condition_task"))), None)
    if isinstance(task, ConditionTask) or condition is not None:
        given = None if condition is None else tuple(condition.get(side) for side in ("left", "op", "right"))
        stated = (task.value.reference, task.operator.value, task.right) if isinstance(task, ConditionTask) else None
        if given != stated:
            yield f"task {task.key!r} decides by {_words(given)}, its declaration says {_words(stated)}."
    started = next(iter(as_blocks(block.get("run_job_task"))), None)
    if isinstance(task, RunJobTask) or started is not None:
        origin = estate.origin(job.stack, started.get("job_id")) if started else None
        name = str(origin.get("name")) if origin else "none of these jobs"
        stated_job = task.job.address if isinstance(task, RunJobTask) else "none"
        if name != stated_job:
            yield f"task {task.key!r} starts {name}, its declaration says {stated_job}."


def _words(condition: tuple[Any, ...] | None) -> str:
    return " ".join(map(str, condition)) if condition else "nothing"


def _task(job: GraphResource, task: Mapping[str, Any]) -> Iterator[str]:
    key = task.get("task_key")
    if sum(kind in task for kind in KINDS) != 1:
        yield f"task {key!r} is none of {', '.join(KINDS)}, of which it must be one."
    elif "python_wheel_task" in task:
        given = [str(word) for word in task["python_wheel_task"].get("parameters") or ()]
        expected = ["task", str(job.get("name")), str(key), "--env", job.environment, "--engine", "databricks"]
        rest = given[len(expected) + 2 :]
        pairs = [rest[number : number + 2] for number in range(0, len(rest), 2)]
        if given[: len(expected) + 2] != [*expected, "--run-id", "{{job.run_id}}"]:
            yield f"task {key!r} calls {given[:9]}, must call {expected}."
        elif not all(pair[0] == "--param" and re.fullmatch(r"\w+=\{\{[\w.]+\}\}", pair[-1]) for pair in pairs):
            yield f"task {key!r} is given {rest}; allowed are --param NAME={{{{REFERENCE}}}}."
        if "job_cluster_key" in task and len(task.get("library") or ()) != 2:
            yield f"task {key!r} must install the release's wheel and its requirements, and nothing else."
        for needed in ("timeout_seconds", *(() if job.blocks("continuous") else ("max_retries",))):
            if task.get(needed) is None:
                yield f"task {key!r} does not state {needed}."
