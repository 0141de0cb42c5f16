"""A check that each securable's grants have one owner; who may hold what is decided by `infra.graph`."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from infra.checks.finding import PolicyCheck, Stacks
from infra.checks.reading import SynthesizedResource, referenced, resources

_SECURABLES = (
    "catalog", "schema", "volume", "external_location", "storage_credential", "credential", "model", "metastore",
    "function", "table", "share", "foreign_connection",
)  # fmt: skip


def _owners_of_grants(stacks: Stacks) -> Iterator[tuple[str, str]]:
    owners: dict[tuple[Any, ...], list[SynthesizedResource]] = defaultdict(list)
    for resource in resources(stacks, "databricks_grants", "databricks_grant"):
        for kind in _SECURABLES:
            if value := resource.arguments.get(kind):
                names = referenced(stacks, resource.stack, value) or {f"{resource.environment}:{value}"}
                owners[kind, tuple(sorted(names)), _only_principal(resource)].append(resource)
    for (kind, _, _), found in owners.items():
        for resource in found[1:]:
            yield (
                resource.where,
                f"is a second owner of the grants on this {kind}, next to {found[0].where}; merge them.",
            )
    for resource in resources(stacks, "databricks_grant"):
        if "metastore" not in resource.arguments:
            yield (
                resource.where,
                "is additive and leaves foreign grants in place; use one authoritative databricks_grants.",
            )


def _only_principal(resource: SynthesizedResource) -> str:
    """Return the one principal whose grants a resource owns on the metastore, which all environments share."""
    alone = resource.type == "databricks_grant" and "metastore" in resource.arguments
    return str(resource.arguments.get("principal")) if alone else ""


CHECKS = (
    PolicyCheck(
        id="one-owner-of-grants",
        reason="two owners of one securable's grants overwrite one another at every deployment",
        look=_owners_of_grants,
    ),
)
