"""Checks on grants and permissions: none to everybody, none to single persons, one owner of each securable's grants."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from infra.checks.finding import PolicyCheck, Stacks
from infra.checks.reading import SynthesizedResource, referenced, resources

EVERYBODY = frozenset({"users", "account users", "all workspace users", "all account users"})
"""The groups of Databricks that contain everybody."""

OPEN_TO_EXPERIMENTS = frozenset({"dev"})
"""Environments in which a broad right is allowed; everywhere else it is a finding."""

_PRINCIPALS = ("principal", "group_name", "user_name", "service_principal_name", "principals")


def _holders(resource: SynthesizedResource) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every principal that a resource gives a right to, with the block that gives it."""
    for block in [resource.arguments, *resource.blocks("grant"), *resource.blocks("access_control")]:
        for name in _PRINCIPALS:
            value = block.get(name)
            for principal in value if isinstance(value, list) else [value]:
                if isinstance(principal, str):
                    yield principal, block


_GRANTING = (
    "databricks_grants", "databricks_grant", "databricks_permissions", "databricks_secret_acl",
    "databricks_sql_permissions", "databricks_permission_assignment", "databricks_access_control_rule_set",
)  # fmt: skip


def _grants_to_everybody(stacks: Stacks) -> Iterator[tuple[str, str]]:
    for resource in resources(stacks, *_GRANTING):
        if resource.environment not in OPEN_TO_EXPERIMENTS:
            for principal, _ in _holders(resource):
                if principal.lower() in EVERYBODY:
                    yield resource.where, f"gives rights to {principal!r}; name a group of the role that needs them."


def _all_privileges(stacks: Stacks) -> Iterator[tuple[str, str]]:
    for resource in resources(stacks, "databricks_grants", "databricks_grant"):
        blocks = [resource.arguments, *resource.blocks("grant")]
        given = {privilege for block in blocks for privilege in block.get("privileges") or []}
        if resource.environment not in OPEN_TO_EXPERIMENTS and {g.replace(" ", "_") for g in given} & {
            "ALL_PRIVILEGES"
        }:
            yield resource.where, "grants ALL_PRIVILEGES; list the privileges that are needed."


def _persons(stacks: Stacks) -> Iterator[tuple[str, str]]:
    for resource in resources(stacks, *_GRANTING, "databricks_group_member", "databricks_user"):
        for principal, _ in _holders(resource):
            if "@" in principal and not principal.startswith("${"):
                yield resource.where, f"names the person {principal!r}; give the right to a group of the settings."


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


def _assignments(stacks: Stacks) -> Iterator[tuple[str, str]]:
    for resource in resources(stacks, "azurerm_role_assignment"):
        role = str(resource.arguments.get("role_definition_name", ""))
        if re.fullmatch(r"Owner|Contributor|User Access Administrator|.* Owner", role):
            yield resource.where, f"gives the broad role {role!r}; give the narrow role that the work needs."


CHECKS = (
    PolicyCheck(
        id="no-right-for-everybody",
        reason="a right of everybody is a right of the next person who gets an account",
        look=_grants_to_everybody,
    ),
    PolicyCheck(
        id="no-all-privileges",
        reason="ALL_PRIVILEGES grows with every release of Databricks, and nobody decides about it",
        look=_all_privileges,
    ),
    PolicyCheck(
        id="no-right-for-a-person",
        reason="persons change jobs; rights belong to groups whose members the company's directory keeps",
        look=_persons,
    ),
    PolicyCheck(
        id="one-owner-of-grants",
        reason="two owners of one securable's grants overwrite one another at every deployment",
        look=_owners_of_grants,
    ),
    PolicyCheck(
        id="narrow-azure-roles",
        reason="a role that may change everything may also open everything",
        look=_assignments,
    ),
)
