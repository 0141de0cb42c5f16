"""The parts of an expanded pipeline: jobs and steps, their names and dependencies, and the keys that are known."""

from collections.abc import Iterator, Mapping
from typing import Any

from ml.spec.errors import LakehouseError

STEP_KINDS = ("checkout", "download", "bash", "task")
STEP_WORDS = {
    *STEP_KINDS,
    "name",
    "displayName",
    "condition",
    "continueOnError",
    "env",
    "inputs",
    "fetchDepth",
    "fetchTags",
    "clean",
    "target",
}
RESTRICTED = frozenset({"setvariable", "logissue", "complete", "setprogress", "debug", "logdetail", "setsecret"})
"""Commands that a step with ``commands: restricted`` can still print."""
JOB_WORDS = {
    "job", "deployment", "displayName", "dependsOn", "condition", "pool", "variables", "steps", "environment", "strategy",
    "timeoutInMinutes", "cancelTimeoutInMinutes",
}  # fmt: skip
STAGE_WORDS = {"stage", "displayName", "dependsOn", "condition", "jobs", "lockBehavior"}


class RunError(LakehouseError, ValueError):
    """The pipeline says something that is not known here, or reads what is not there."""


def steps_of(job: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the steps of a job, also of a deployment that runs once."""
    if "deployment" not in job:
        return list(job["steps"])
    strategy = job["strategy"]
    if set(strategy) != {"runOnce"} or set(strategy["runOnce"]) != {"deploy"}:
        raise RunError(f"only runOnce with deploy is known here: {strategy}")
    return list(strategy["runOnce"]["deploy"]["steps"])


def job_name(job: Mapping[str, Any]) -> str:
    """Return the name of a job or of a deployment."""
    return str(job["job"] if "job" in job else job["deployment"])


def step_title(step: Mapping[str, Any]) -> str:
    """Return what a step is called in the log."""
    kind = next(kind for kind in STEP_KINDS if kind in step)
    return str(step.get("displayName", f"{kind} {step[kind]}"))


def needs_of(raw: Mapping[str, Any], default: tuple[str, ...]) -> tuple[str, ...]:
    """Return what a stage or job depends on; `default` where it states nothing."""
    stated = raw.get("dependsOn", default)
    return (stated,) if isinstance(stated, str) else tuple(stated)


def only(raw: Mapping[str, Any], words: set[str], kind: str) -> None:
    """Raise if a stage, job, step or variable says something that is not known here."""
    unknown = set(raw) - words
    if unknown:
        raise RunError(f"a {kind} says {', '.join(sorted(unknown))}, which is not known here: {raw}")


def every_job(pipeline: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """Yield where it stands, its stage and every job."""
    for stage in pipeline["stages"]:
        for job in stage["jobs"]:
            yield f"{stage['stage']}.{job_name(job)}", stage, job


def every_step(pipeline: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield where it stands and every step."""
    for where, _, job in every_job(pipeline):
        for step in steps_of(job):
            yield where, step


def command_of(step: Mapping[str, Any]) -> str:
    """Return what a step runs, empty if it is a task of the service."""
    return str(step.get("bash") or step.get("inputs", {}).get("inlineScript", ""))


def allows(step: Mapping[str, Any], command: str, variable: str = "") -> bool:
    """Whether an agent obeys a command in what a step prints.

    Parameters
    ----------
    step
        As a pipeline states it. Its ``target`` may restrict commands to those that touch the step alone, and the variables
        that it sets to a list, https://learn.microsoft.com/azure/devops/pipelines/yaml-schema/target.
    """
    target = step.get("target") or {}
    if target.get("commands") == "restricted" and command not in RESTRICTED:
        return False
    settable = target.get("settableVariables")
    return command != "setvariable" or settable is None or variable in (() if settable == "none" else settable)
