"""Checks on jobs and clusters: retries, and tags for dividing costs; what else each states is in `infra/graph/types`."""

from collections.abc import Iterator

from infra.checks.finding import PolicyCheck, Stacks
from infra.checks.reading import SynthesizedResource, resources
from infra.terraform_cli.synthesized import as_blocks

TAGS = frozenset({"environment", "team", "cost_centre", "use_case"})
"""The tags of everything that costs money."""

JOB_TAGS = TAGS | {"git_commit"}
ONCE = "disable_auto_optimization"
"""Without it serverless compute repeats a failed task: learn.microsoft.com/azure/databricks/jobs/run-serverless-jobs."""

_WITHOUT_COMPUTE = ("condition_task", "run_job_task")


def _jobs(stacks: Stacks) -> Iterator[SynthesizedResource]:
    return resources(stacks, "databricks_job")


def _retries(stacks: Stacks) -> Iterator[tuple[str, str]]:
    """Yield tasks that do not say how often they are repeated, or are repeated more often; continuous jobs have no such policy."""
    for job in _jobs(stacks):
        for task in job.blocks("task"):
            computes = not any(task.get(kind) for kind in _WITHOUT_COMPUTE)
            if computes and task.get("max_retries") is None and not job.blocks("continuous"):
                yield job.where, f"task {task['task_key']!r} does not say how often it is retried."
            if task.get("environment_key") and not task.get("max_retries") and not task.get(ONCE):
                yield (
                    job.where,
                    f"task {task['task_key']!r} must state {ONCE} = true: serverless compute would repeat it by itself.",
                )


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
    PolicyCheck(
        id="task-retries-stated", reason="how often a task may be repeated is a decision, not a default", look=_retries
    ),
    PolicyCheck(id="compute-is-tagged", reason="costs are divided by tags", look=_tags),
)
