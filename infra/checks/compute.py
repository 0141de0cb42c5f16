"""Checks on jobs and clusters: identity, limits, policies, automatic termination, and tags for dividing costs."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from infra.checks.finding import PolicyCheck, Stacks
from infra.checks.reading import SynthesizedResource, as_blocks, resources

TAGS = frozenset({"environment", "team", "cost_centre", "use_case"})
"""The tags of everything that costs money."""

JOB_TAGS = TAGS | {"git_commit"}
POLICY_TAGS = TAGS - {"use_case"}
"""A policy belongs to a team and serves all its use cases."""

LONGEST_IDLE_MINUTES = 120
ONCE = "disable_auto_optimization"
"""Without it serverless compute repeats a failed task: learn.microsoft.com/azure/databricks/jobs/run-serverless-jobs."""

_WITHOUT_COMPUTE = ("condition_task", "run_job_task")


def _jobs(stacks: Stacks) -> Iterator[SynthesizedResource]:
    return resources(stacks, "databricks_job")


def _run_as(stacks: Stacks) -> Iterator[tuple[str, str]]:
    for job in _jobs(stacks):
        if not any(block.get("service_principal_name") for block in job.blocks("run_as")):
            yield job.where, "has no run_as with a service principal; it would run as the identity that deployed it."


def _timeouts(stacks: Stacks) -> Iterator[tuple[str, str]]:
    for job in _jobs(stacks):
        if not job.arguments.get("timeout_seconds"):
            yield job.where, "has no timeout_seconds; it could run forever."
        for task in job.blocks("task"):
            computes = not any(task.get(kind) for kind in _WITHOUT_COMPUTE)
            if computes and not task.get("timeout_seconds"):
                yield job.where, f"task {task['task_key']!r} has no timeout_seconds."


def _one_run(stacks: Stacks) -> Iterator[tuple[str, str]]:
    for job in _jobs(stacks):
        if job.arguments.get("max_concurrent_runs") != 1:
            yield job.where, "must state max_concurrent_runs = 1: two runs would write the same tables."
        if not any(block.get("enabled") for block in job.blocks("queue")):
            yield job.where, "must queue a run that is started during another one, not skip it."


def _retries(stacks: Stacks) -> Iterator[tuple[str, str]]:
    for job in _jobs(stacks):
        for task in job.blocks("task"):
            computes = not any(task.get(kind) for kind in _WITHOUT_COMPUTE)
            if computes and task.get("max_retries") is None:
                yield job.where, f"task {task['task_key']!r} does not say how often it is retried."
            if task.get("environment_key") and task.get("max_retries") == 0 and not task.get(ONCE):
                yield (
                    job.where,
                    f"task {task['task_key']!r} must state {ONCE} = true: serverless compute would repeat it by itself.",
                )


def _notices(stacks: Stacks) -> Iterator[tuple[str, str]]:
    for job in _jobs(stacks):
        notices = [*job.blocks("email_notifications"), *job.blocks("webhook_notifications")]
        if not any(block.get("on_failure") for block in notices):
            yield job.where, "notifies nobody when it fails."
        metrics = {rule.get("metric") for rule in job.blocks("health.rules")}
        if not metrics & {"RUN_DURATION_SECONDS"}:
            yield job.where, "has no health rule on its duration."


def _schedules(stacks: Stacks) -> Iterator[tuple[str, str]]:
    for job in _jobs(stacks):
        for kind in ("schedule", "trigger", "continuous"):
            for block in job.blocks(kind):
                if block.get("pause_status") not in ("PAUSED", "UNPAUSED"):
                    yield job.where, f"its {kind} does not say whether it is paused; Databricks would start it."


def _policies(stacks: Stacks) -> Iterator[tuple[str, str]]:
    for job in _jobs(stacks):
        clusters = [*job.blocks("job_cluster.new_cluster"), *job.blocks("task.new_cluster")]
        if any(not cluster.get("policy_id") for cluster in clusters):
            yield job.where, "has a cluster without a policy."
        if any(task.get("existing_cluster_id") for task in job.blocks("task")):
            yield job.where, "runs on a cluster that people use; give it one of its own."
    for cluster in resources(stacks, "databricks_cluster"):
        if not cluster.arguments.get("policy_id"):
            yield cluster.where, "has no policy."


def _ends_by_itself(stacks: Stacks) -> Iterator[tuple[str, str]]:
    idle = {
        "databricks_cluster": "autotermination_minutes",
        "databricks_sql_endpoint": "auto_stop_mins",
        "databricks_instance_pool": "idle_instance_autotermination_minutes",
    }
    for resource in resources(stacks, *idle):
        minutes = resource.arguments.get(idle[resource.type])
        if not isinstance(minutes, int) or not 0 < minutes <= LONGEST_IDLE_MINUTES:
            yield (
                resource.where,
                f"{idle[resource.type]} is {minutes}, allowed are 1 to {LONGEST_IDLE_MINUTES} minutes.",
            )


def _isolated_clusters(stacks: Stacks) -> Iterator[tuple[str, str]]:
    for resource in resources(stacks, "databricks_job", "databricks_cluster"):
        clusters = [*resource.blocks("job_cluster.new_cluster"), *resource.blocks("task.new_cluster")]
        for cluster in [resource.arguments] if resource.type == "databricks_cluster" else clusters:
            mode = cluster.get("data_security_mode")
            if mode in (None, "NONE", "NO_ISOLATION") or str(mode).startswith("LEGACY_"):
                yield (
                    resource.where,
                    f"data_security_mode is {mode}; Unity Catalog enforces its rules only in an isolated mode.",
                )


def _limits(stacks: Stacks) -> Iterator[tuple[str, str]]:
    for policy in resources(stacks, "databricks_cluster_policy"):
        rules = _definition(policy.arguments.get("definition"))
        if rules is None:
            yield policy.where, "its definition is not a JSON document that a check can read."
            continue
        if not {"num_workers", "autoscale.max_workers"} & {n for n, rule in rules.items() if _bounds(rule)}:
            yield policy.where, "puts no upper bound on the number of workers."
        missing = sorted(
            POLICY_TAGS - {name.removeprefix("custom_tags.") for name, r in rules.items() if r.get("type") == "fixed"}
        )
        if missing:
            yield policy.where, f"does not fix the tags {', '.join(missing)}."


def _definition(text: Any) -> Mapping[str, Mapping[str, Any]] | None:
    try:
        rules = json.loads(text)
    except (TypeError, ValueError):
        return None
    return rules if isinstance(rules, dict) else None


def _bounds(rule: Mapping[str, Any]) -> bool:
    return rule.get("type") == "fixed" or "maxValue" in rule


_TAGGED = {
    "databricks_job": ("tags", JOB_TAGS),
    "databricks_cluster": ("custom_tags", TAGS),
    "databricks_instance_pool": ("custom_tags", TAGS),
}


def _tags(stacks: Stacks) -> Iterator[tuple[str, str]]:
    for resource in resources(stacks, *_TAGGED):
        argument, needed = _TAGGED[resource.type]
        missing = sorted(needed - set(resource.arguments.get(argument) or {}))
        if missing:
            yield resource.where, f"lacks the tags {', '.join(missing)}."
    for resource in resources(stacks, "databricks_sql_endpoint", "databricks_model_serving"):
        tags = [*resource.blocks("tags.custom_tags"), *as_blocks(resource.arguments.get("tags"))]
        missing = sorted(TAGS - {str(tag.get("key")) for tag in tags})
        if missing:
            yield resource.where, f"lacks the tags {', '.join(missing)}."


CHECKS = (
    PolicyCheck(id="job-runs-as-service-principal", reason="a job must not depend on a person's account", look=_run_as),
    PolicyCheck(id="job-ends", reason="a job that hangs costs money until somebody looks", look=_timeouts),
    PolicyCheck(id="job-runs-once-at-a-time", reason="two runs of one job would write the same tables", look=_one_run),
    PolicyCheck(
        id="task-retries-stated", reason="how often a task may be repeated is a decision, not a default", look=_retries
    ),
    PolicyCheck(id="job-reports", reason="a failure without a notification is found by the users", look=_notices),
    PolicyCheck(id="schedule-states-its-pause", reason="a schedule without a pause status runs", look=_schedules),
    PolicyCheck(id="compute-has-a-policy", reason="limits and tags come from the policy", look=_policies),
    PolicyCheck(id="compute-ends-by-itself", reason="idle compute is the largest avoidable cost", look=_ends_by_itself),
    PolicyCheck(
        id="compute-isolates-users", reason="without it the catalog's rules are not enforced", look=_isolated_clusters
    ),
    PolicyCheck(id="policy-sets-limits", reason="a policy without limits limits nothing", look=_limits),
    PolicyCheck(id="compute-is-tagged", reason="costs are divided by tags", look=_tags),
)
