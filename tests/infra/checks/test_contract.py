"""Deployed jobs, declarations and code agree, and each way in which they could not."""

import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.build.wheel_content import WheelContent, WheelReadError, find_function, read_wheel
from infra.checks.contract import contract_findings
from infra.terraform_cli.synthesized import SynthesizedStack
from pipelines import __main__ as entry_point
from pipelines.command_line.program import parsed
from pipelines.declarations.registry import jobs

JOB = "flight_delay.training"


def test_deployed_jobs_match_the_code(shipped: dict[str, SynthesizedStack], code: WheelContent) -> None:
    """Every task, package, entry point and parameter of every job in every environment exists and is used."""
    assert contract_findings(shipped, code, jobs()) == ()


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_the_entry_point_accepts_every_deployed_command_line(
    environment: str, shipped: dict[str, SynthesizedStack]
) -> None:
    """What Databricks will call is parsed by the program that will be called."""
    calls = [
        [str(word) for word in task["python_wheel_task"]["parameters"]]
        for job in shipped[f"{environment}-workspace"].content["resource"]["databricks_job"].values()
        for task in job["task"]
        if "python_wheel_task" in task
    ]
    assert len(calls) >= sum(1 for job in jobs() for task in job.tasks if hasattr(task, "entry"))
    for words in calls:
        arguments = parsed(entry_point.PROGRAM, words)
        assert ("task", arguments["job"], arguments["task"]) == tuple(words[:3])


def deployed(edited: Any) -> dict[str, Any]:
    """Return prod's deployed training job."""
    return next(job for job in edited.all("prod-workspace", "databricks_job") if job["name"] == JOB)


def call(edited: Any, key: str = "assemble") -> dict[str, Any]:
    """Return the call of one of its tasks."""
    (task,) = [task for task in deployed(edited)["task"] if task["task_key"] == key]
    found = task["python_wheel_task"]
    return dict(found[0]) if isinstance(found, list) else found


DEPLOYMENTS: dict[str, tuple[Callable[[Any], object], str]] = {
    "a job that nobody declares": (lambda e: deployed(e).update(name="flight_delay.trainning"), "which nobody declares"),
    "a declared job that is not deployed": (
        lambda e: e.stacks["prod-workspace"].content["resource"].pop("databricks_job"),
        f"does not deploy the declared job {JOB}",
    ),
    "a task that nobody declares": (
        lambda e: deployed(e)["task"].append({"task_key": "extra"}), "has the task 'extra', which",
    ),
    "a declared task that is missing": (lambda e: deployed(e)["task"].pop(), "lacks the task"),
    "a task that calls another": (
        lambda e: call(e)["parameters"].__setitem__(2, "evaluate"), "task 'assemble' calls 'flight_delay.training evaluate'",
    ),
    "a task of another environment": (
        lambda e: call(e)["parameters"].__setitem__(4, "staging"), "task 'assemble' runs in another environment than prod",
    ),
    "a parameter that reaches no task": (
        lambda e: call(e).update(parameters=[w for w in call(e)["parameters"] if "training_days" not in w]),
        "parameter 'training_days' reaches no task",
    ),
    "a parameter that the job does not take": (
        lambda e: call(e)["parameters"].extend(["--param", "depth={{job.parameters.depth}}"]),
        "asks for the parameter 'depth', which the job does not take",
    ),
    "a parameter that the task does not declare": (
        lambda e: call(e, "evaluate")["parameters"].extend(["--param", "sample={{job.parameters.sample}}"]),
        "task 'evaluate' is given 'sample', which it does not declare",
    ),
    "a parameter that is not deployed": (
        lambda e: deployed(e).update(parameter=[p for p in deployed(e)["parameter"] if p["name"] != "seed"]),
        "does not take the parameter 'seed'",
    ),
    "another package": (lambda e: call(e).update(package_name="lakehouse"), "needs the package 'lakehouse'"),
    "another entry point": (lambda e: call(e).update(entry_point="run"), "has no entry point 'run'"),
}  # fmt: skip


@pytest.mark.parametrize("what", DEPLOYMENTS)
def test_a_deployment_that_differs_is_found(what: str, edited: Any, code: WheelContent) -> None:
    """One thing is changed in prod's deployed job, and the sentence names it."""
    alter, expected = DEPLOYMENTS[what]
    alter(edited)
    found = contract_findings(edited.stacks, code, jobs())
    assert any(expected in finding.message for finding in found), found
    assert all(finding.resource.startswith("prod-workspace") for finding in found)


MODULE = "pipelines.tasks.versions.promotion"
CODE: dict[str, tuple[str, str]] = {
    "no such function": ("def promotes(context): ...", "has no function 'promote'"),
    "a parameter that is needed and not given": (
        "def promote(context, *, margin): return margin", "needs 'margin', which the task does not give",
    ),
    "no context": ("def promote(margin=0): return margin", "must take 'context' first"),
}  # fmt: skip


@pytest.mark.parametrize("what", CODE)
def test_code_that_differs_from_its_declaration_is_found(
    what: str, shipped: dict[str, SynthesizedStack], code: WheelContent
) -> None:
    """The task `promote` is declared without parameters; its function is given another shape."""
    source, expected = CODE[what]
    found = contract_findings(shipped, replace(code, modules={**code.modules, MODULE: source}), jobs())
    assert any(expected in finding.message for finding in found), found
    assert {finding.resource for finding in found} == {
        f"{job.address}.promote" for job in jobs() if any(task.key == "promote" for task in job.tasks)
    }


PARAMETERS: dict[str, tuple[str, str]] = {
    "is not taken": ("def evaluate(context): return context", "does not take the parameter 'seed'"),
    "is never read": ("def evaluate(context, *, seed): return context", "never reads the parameter 'seed'"),
    "is overwritten": (
        "def evaluate(context, *, seed):\n    seed = 42\n    return seed", "overwrites the parameter 'seed' before",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", PARAMETERS)
def test_a_parameter_that_does_nothing_is_found(
    what: str, shipped: dict[str, SynthesizedStack], code: WheelContent
) -> None:
    """The task `evaluate` declares the parameter `seed`; its function makes nothing of it."""
    source, expected = PARAMETERS[what]
    changed = replace(code, modules={**code.modules, "pipelines.tasks.versions.evaluation": source})
    found = contract_findings(shipped, changed, jobs())
    assert any(expected in finding.message for finding in found), found


def test_a_parameter_that_gets_its_own_value_changed_is_read() -> None:
    """``seed = seed + 1`` reads before it writes."""
    wheel = WheelContent(
        package="x", entry_points={}, modules={"m": "def f(context, *, seed):\n    seed = seed + 1\n    return seed"}
    )
    function = find_function(wheel, "m:f")
    assert not isinstance(function, str)
    assert (function.read, function.overwritten) == ({"seed"}, frozenset())


def test_a_wheel_is_read_from_its_archive(tmp_path: Path) -> None:
    """Name, entry points and sources come from where an installer finds them."""
    path = tmp_path / "thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("thing/__init__.py", "")
        archive.writestr("thing/tasks.py", "def go(context, *, size=1): return size")
        archive.writestr("thing-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n")
        archive.writestr("thing-1.0.dist-info/entry_points.txt", "[console_scripts]\nGo = thing.tasks:go\n")
    wheel = read_wheel(path)
    assert (wheel.package, dict(wheel.entry_points)) == ("thing", {"Go": "thing.tasks:go"})
    assert set(wheel.modules) == {"thing", "thing.tasks"}
    assert find_function(wheel, "thing.task:go") == "the wheel has no module 'thing.task'"


@pytest.mark.parametrize("content", [None, b"no archive"])
def test_a_missing_or_broken_wheel_is_one_sentence(content: bytes | None, tmp_path: Path) -> None:
    """It says where it was looked for and how it is built."""
    path = tmp_path / "x.whl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WheelReadError, match=r"x\.whl: build it with `python -m infra wheel`"):
        read_wheel(path)
