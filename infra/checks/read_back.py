"""Checks on arguments that the providers do not read back as they are written: each would be a change in every plan.

A plan that is never empty hides the changes that matter. The rules are those of the providers in use, seen in plans that
followed an apply and read in github.com/databricks/terraform-provider-databricks at v1.99.0.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from infra.checks.finding import PolicyCheck, Stacks
from infra.checks.reading import SynthesizedResource, resources
from infra.terraform_cli.synthesized import as_blocks

ORDERED: Mapping[str, tuple[tuple[str, str], ...]] = {
    "databricks_job": (
        ("task", "task_key"),
        ("task.depends_on", "task_key"),
        *((f"webhook_notifications.{event}", "id") for event in ("on_start", "on_success", "on_failure")),
        *((f"task.webhook_notifications.{event}", "id") for event in ("on_start", "on_success", "on_failure")),
    ),
}
"""Lists that the provider sorts when it reads them (jobs/jobs_api_go_sdk.go, and the notes of docs/resources/job.md)."""

NEVER_READ: Mapping[str, tuple[str, ...]] = {
    "databricks_job": (
        "job_cluster.new_cluster.apply_policy_default_values",
        "task.new_cluster.apply_policy_default_values",
    ),
    "databricks_mlflow_experiment": ("description",),
}
"""Arguments that the service takes and does not give back."""

ADDED_TO: Mapping[str, str] = {"databricks_mlflow_experiment": "tags", "databricks_model_serving": "config"}
"""Arguments whose value others change after the first apply: Databricks, or a job; plans must not compare them."""

GROUP_CLUSTER = "CLASSIC_PREVIEW"
"""The kind of a cluster that may be dedicated to a group (docs/resources/cluster.md, ``single_user_name``)."""


def _orders(stacks: Stacks) -> Iterator[tuple[str, str]]:
    for resource in resources(stacks, *ORDERED):
        for path, key in ORDERED[resource.type]:
            for where, words in _lists(resource.arguments, path.split("."), key):
                if words != sorted(words):
                    yield resource.where, f"{where} is in the order {', '.join(words)}; the provider reads it by {key}."


def _lists(arguments: Mapping[str, Any], path: list[str], key: str, where: str = "") -> Iterator[tuple[str, list[str]]]:
    """Yield every list at a path with the words that order it."""
    name, *rest = path
    blocks = as_blocks(arguments.get(name))
    if not rest:
        yield f"{where}{name}", [str(block.get(key, "")) for block in blocks]
        return
    for block in blocks:
        of = f" {block['task_key']}" if "task_key" in block else ""
        yield from _lists(block, rest, key, f"{where}{name}{of}: ")


def _never_read(stacks: Stacks) -> Iterator[tuple[str, str]]:
    for resource in resources(stacks, *NEVER_READ):
        for path in NEVER_READ[resource.type]:
            *blocks, name = path.split(".")
            parents = resource.blocks(".".join(blocks)) if blocks else [resource.arguments]
            if any(parent.get(name) is not None for parent in parents):
                yield resource.where, f"states {path}, which the provider never reads back."


def _added_to(stacks: Stacks) -> Iterator[tuple[str, str]]:
    for resource in resources(stacks, *ADDED_TO):
        name = ADDED_TO[resource.type]
        ignored = [text for block in resource.blocks("lifecycle") for text in block.get("ignore_changes") or ()]
        if name not in ignored:
            yield resource.where, f"must ignore changes of {name}: it is changed by others after the first apply."


def _group_clusters(stacks: Stacks) -> Iterator[tuple[str, str]]:
    for cluster in resources(stacks, "databricks_cluster"):
        if _is_dedicated(cluster) and cluster.arguments.get("kind") != GROUP_CLUSTER:
            yield cluster.where, f"must state kind = {GROUP_CLUSTER}: without it a cluster is dedicated to a user only."


def _is_dedicated(cluster: SynthesizedResource) -> bool:
    return str(cluster.arguments.get("data_security_mode")).startswith("DATA_SECURITY_MODE_")


CHECKS = (
    PolicyCheck(id="lists-are-sorted", reason="another order is a change in every plan", look=_orders),
    PolicyCheck(id="arguments-are-read-back", reason="what is not read back changes in every plan", look=_never_read),
    PolicyCheck(
        id="foreign-changes-are-ignored", reason="a plan would undo what others rightly change", look=_added_to
    ),
    PolicyCheck(
        id="group-cluster-states-its-kind", reason="the service refuses a group as a user", look=_group_clusters
    ),
)
