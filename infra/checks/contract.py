"""The contract between deployed jobs and the code: every task, entry point and parameter exists on both sides.

A parameter of a job must reach a task, and the task's function must take it by that name and use its value. Whether the
value is used at all is read here from the wheel's source; the tests of the tasks cover its effect.
"""

import itertools
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from infra.build.wheel_content import Function, WheelContent, find_function
from infra.checks.finding import PolicyCheck, PolicyFinding, Stacks
from infra.checks.reading import SynthesizedResource, resources
from infra.terraform_cli.references import texts
from infra.terraform_cli.synthesized import as_blocks
from pipelines.declarations.job import Job, Task

CONTRACT = "job-matches-code"
FIRST_PARAMETER = "context"
"""The first parameter of every task's function: the run's context."""

_JOB_PARAMETER = re.compile(r"\{\{job\.parameters\.(\w+)\}\}")


def contract_findings(stacks: Stacks, wheel: WheelContent, jobs: Sequence[Job]) -> tuple[PolicyFinding, ...]:
    """Return every place where deployed jobs, declarations and the wheel's code disagree.

    Parameters
    ----------
    stacks
        The synthesized stacks.
    wheel
        The wheel that they deploy.
    jobs
        The jobs table.
    """
    declared = {job.address: job for job in jobs}
    found = [*_code(wheel, jobs)]
    for resource in resources(stacks, "databricks_job"):
        job = declared.get(str(resource.arguments.get("name")))
        if job is None:
            found.append((resource.where, f"deploys {resource.arguments.get('name')!r}, which nobody declares."))
            continue
        found.extend((resource.where, message) for message in _tasks(resource, job))
        found.extend((resource.where, message) for message in _parameters(resource, job))
        found.extend((resource.where, message) for message in _entry_points(resource, wheel))
    found.extend(_missing(stacks, declared))
    return tuple(
        PolicyFinding(check=CONTRACT, resource=where, message=message) for where, message in sorted(set(found))
    )


def deployed_wheels(stacks: Stacks, out: Path = Path("cdktf.out")) -> Mapping[str, Path]:
    """Return the wheel that each workspace stack uploads; `out` is the folder of the synthesized stacks."""
    return {
        file.stack: Path(os.path.normpath(source.replace("${path.module}", str(out / "stacks" / file.stack))))
        for file in resources(stacks, "databricks_file")
        if (source := str(file.arguments.get("source", ""))).endswith(".whl")
    }


def _one_wheel(stacks: Stacks) -> Iterator[tuple[str, str]]:
    wheels = deployed_wheels(stacks)
    for stack in stacks:
        if stack.endswith("-workspace") and stack not in wheels:
            yield stack, "uploads no wheel; its jobs would have no code."
    first = min(wheels, default="")
    for stack, wheel in wheels.items():
        if wheel != wheels[first]:
            yield stack, f"uploads {wheel.name}, but {first} uploads {wheels[first].name}."


CHECKS = (
    PolicyCheck(
        id="one-wheel-everywhere",
        reason="what was tested in one environment must be what runs in the next",
        look=_one_wheel,
    ),
)


def _code(wheel: WheelContent, jobs: Iterable[Job]) -> Iterator[tuple[str, str]]:
    """Compare each declared task with the function it names."""
    for job in jobs:
        for task in job.tasks:
            if isinstance(task, Task):
                function = find_function(wheel, task.entry)
                problems = [function] if isinstance(function, str) else _calls(task, function)
                for problem in problems:
                    yield f"{job.address}.{task.key}", f"{task.entry}: {problem}."


def _calls(task: Task, function: Function) -> Iterator[str]:
    given = {*task.keywords, *task.arguments}
    if function.positional[:1] != (FIRST_PARAMETER,):
        yield f"must take {FIRST_PARAMETER!r} first"
    for name in sorted(given - function.keywords):
        yield f"does not take the parameter {name!r}"
    for name in sorted(function.required - given - {FIRST_PARAMETER}):
        yield f"needs {name!r}, which the task does not give"
    for name in sorted(given & function.keywords - function.read):
        yield f"never reads the parameter {name!r}"
    for name in sorted(given & function.overwritten):
        yield f"overwrites the parameter {name!r} before it has read it"


def _tasks(resource: SynthesizedResource, job: Job) -> Iterator[str]:
    deployed = [str(task.get("task_key")) for task in resource.blocks("task")]
    expected = [task.key for task in job.tasks]
    for key in sorted(set(deployed) - set(expected)):
        yield f"has the task {key!r}, which {job.address} does not declare."
    for key in sorted(set(expected) - set(deployed)):
        yield f"lacks the task {key!r} of {job.address}."
    for task in resource.blocks("task"):
        if call := _first(task.get("python_wheel_task")):
            words = call.get("parameters") or []
            if words[1:3] != [job.address, task.get("task_key")]:
                yield f"task {task.get('task_key')!r} calls {' '.join(map(str, words[1:3]))!r}, not itself."
            if words[3:5] != ["--env", resource.environment]:
                yield f"task {task.get('task_key')!r} runs in another environment than {resource.environment}."


def _parameters(resource: SynthesizedResource, job: Job) -> Iterator[str]:
    deployed = {str(block.get("name")) for block in resource.blocks("parameter")}
    used = {name for _, text in texts(resource.arguments.get("task")) for name in _JOB_PARAMETER.findall(text)}
    expected = {parameter.name for parameter in job.parameters}
    for name in sorted(expected - deployed):
        yield f"does not take the parameter {name!r} that {job.address} declares."
    for name in sorted(deployed - expected):
        yield f"takes the parameter {name!r}, which {job.address} does not declare."
    for name in sorted(deployed - used):
        yield f"parameter {name!r} reaches no task; a run that gives it would change nothing."
    for name in sorted(used - deployed):
        yield f"a task asks for the parameter {name!r}, which the job does not take."
    for key, name in _handed_on(resource):
        task = next((task for task in job.tasks if task.key == key), None)
        if isinstance(task, Task) and name not in task.keywords:
            yield f"task {key!r} is given {name!r}, which it does not declare."


def _handed_on(resource: SynthesizedResource) -> Iterator[tuple[str, str]]:
    for task in resource.blocks("task"):
        words = _first(task.get("python_wheel_task")).get("parameters") or []
        for option, value in itertools.pairwise(words):
            if option == "--param":
                yield str(task.get("task_key")), str(value).partition("=")[0]


def _entry_points(resource: SynthesizedResource, wheel: WheelContent) -> Iterator[str]:
    for task in resource.blocks("task"):
        call = _first(task.get("python_wheel_task"))
        if not call:
            continue
        if call.get("package_name") != wheel.package:
            yield f"task {task['task_key']!r} needs the package {call.get('package_name')!r}, the wheel is {wheel.package!r}."
        target = wheel.entry_points.get(str(call.get("entry_point")))
        if target is None:
            yield f"task {task['task_key']!r}: the wheel has no entry point {call.get('entry_point')!r}."
        elif isinstance(problem := find_function(wheel, target), str):
            yield f"entry point {call.get('entry_point')!r}: {problem}."


def _missing(stacks: Stacks, declared: Mapping[str, Job]) -> Iterator[tuple[str, str]]:
    deployed: dict[str, set[str]] = {stack: set() for stack in stacks if stack.endswith("-workspace")}
    for resource in resources(stacks, "databricks_job"):
        deployed.setdefault(resource.stack, set()).add(str(resource.arguments.get("name")))
    for stack, names in deployed.items():
        for address in sorted(set(declared) - names):
            yield stack, f"does not deploy the declared job {address}."


def _first(block: Any) -> Mapping[str, Any]:
    return next(iter(as_blocks(block)), {})
