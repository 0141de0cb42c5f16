"""Every access path from one environment into another, read from the synthesized stacks.

An access path is a foreign state that is read, a binding, a right of a foreign principal, a role on foreign storage, the
name of a foreign storage account, a private endpoint to a foreign resource, a securable that is open to every workspace
of the metastore, or an overlapping address range. `isolation_proof` decides which of them are allowed.
"""

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from infra.checks.finding import Stacks
from infra.checks.reading import referenced, resources
from infra.config.stack_names import ACCOUNT, environment_of, identity_of
from infra.terraform_cli.references import state_owner, texts

ISOLATED: Mapping[str, str] = {
    "databricks_catalog": "ISOLATED",
    "databricks_storage_credential": "ISOLATION_MODE_ISOLATED",
    "databricks_credential": "ISOLATION_MODE_ISOLATED",
    "databricks_external_location": "ISOLATION_MODE_ISOLATED",
}
"""Securables of the metastore, which every workspace sees unless their mode is this one."""

READS = frozenset(
    {"USE_CATALOG", "USE_SCHEMA", "SELECT", "EXECUTE", "READ_VOLUME", "BROWSE", "CAN_VIEW", "CAN_READ", "USER"}
)
"""Privileges, permission levels and memberships that allow no change."""


@dataclass(frozen=True, kw_only=True)
class AccessPath:
    """One path by which `reader` reaches something that belongs to `owner`.

    Attributes
    ----------
    through
        The resource that opens it, as ``<stack>/<type>.<name>``.
    reads_only
        Whether the path allows no change.
    is_state
        Whether it leads to the Terraform state of a stack, which has identifiers and no data.
    held
        The privileges or levels that a foreign principal holds; empty if the path is not a right.
    """

    reader: str
    owner: str
    through: str
    how: str
    reads_only: bool = False
    is_state: bool = False
    held: frozenset[str] = frozenset()


def access_paths(stacks: Stacks) -> tuple[AccessPath, ...]:
    """Return every access path from one environment into another, declared or not."""
    environments = sorted({environment_of(name) for name in stacks} - {ACCOUNT})
    found = [
        *_states(stacks),
        *_bindings(stacks),
        *_rights(stacks, environments),
        *_roles(stacks, environments),
        *_names(stacks, environments),
        *_endpoints(stacks),
        *_open_securables(stacks, environments),
        *_ranges(stacks),
    ]
    return tuple(sorted(found, key=lambda path: (path.reader, path.owner, path.through, path.how)))


def _states(stacks: Stacks) -> Iterator[AccessPath]:
    for stack in stacks.values():
        reader = identity_of(stack.name)
        for name, _, _ in stack.remote_states():
            written_by = state_owner(stacks, stack, name)
            owner = environment_of(written_by) if written_by else "an unknown environment"
            # The identity of the account administers every environment: what it reads, no environment reaches.
            if owner not in (reader, ACCOUNT) and reader != ACCOUNT:
                yield AccessPath(
                    reader=reader,
                    owner=owner,
                    through=f"{stack.name}/data.terraform_remote_state.{name}",
                    how=f"reads the state of {written_by or 'no stack of these'}",
                    reads_only=True,
                    is_state=True,
                )


def _bindings(stacks: Stacks) -> Iterator[AccessPath]:
    for binding in resources(stacks, "databricks_workspace_binding", "databricks_catalog_workspace_binding"):
        workspaces = referenced(stacks, binding.stack, binding.arguments.get("workspace_id"))
        bound = {environment_of(name.split("/")[0]) for name in workspaces} or {"an unknown workspace"}
        for reader in bound - {binding.environment}:
            yield AccessPath(
                reader=reader,
                owner=binding.environment,
                through=binding.where,
                how=f"its workspace is bound to {binding.arguments.get('securable_name', 'a catalog')}",
                reads_only=binding.arguments.get("binding_type") == "BINDING_TYPE_READ_ONLY",
            )


def _rights(stacks: Stacks, environments: Iterable[str]) -> Iterator[AccessPath]:
    """Yield the rights of principals of one environment on another's catalog, workspace and secrets."""
    for resource in resources(stacks, *_GIVING):
        if resource.environment == ACCOUNT:
            continue
        blocks = [resource.arguments, *resource.blocks("grant"), *resource.blocks("access_control")]
        for principal, held in [(_principal(block), _held(block)) for block in blocks]:
            reader = _environment_in(principal, stacks, resource.stack, environments)
            if reader not in (None, resource.environment):
                yield AccessPath(
                    reader=str(reader),
                    owner=resource.environment,
                    through=resource.where,
                    how=f"{principal} holds {', '.join(sorted(held))}",
                    reads_only=held <= READS,
                    held=held,
                )


_GIVING = (
    "databricks_grants", "databricks_grant", "databricks_permissions", "databricks_secret_acl",
    "databricks_mws_permission_assignment", "databricks_permission_assignment",
)  # fmt: skip


def _principal(block: Mapping[str, Any]) -> str:
    names = ("principal", "principal_id", "group_name", "service_principal_name", "user_name")
    return next((str(block[name]) for name in names if block.get(name)), "")


def _held(block: Mapping[str, Any]) -> frozenset[str]:
    single = [block.get("permission_level"), block.get("permission")]
    several = [*(block.get("privileges") or []), *(block.get("permissions") or [])]
    return frozenset(str(word).replace(" ", "_") for word in (*single, *several) if word)


def _environment_in(principal: str, stacks: Stacks, stack: str, environments: Iterable[str]) -> str | None:
    """Return the environment of a principal, by the parts of its name or of the resources that it refers to."""
    names = {principal, *(name.split("/")[1] for name in referenced(stacks, stack, principal))}
    parts = {part for name in names for part in re.split(r"[^a-z0-9]+", name.lower())}
    found = parts & set(environments)
    return found.pop() if len(found) == 1 else None


def _roles(stacks: Stacks, environments: Iterable[str]) -> Iterator[AccessPath]:
    for role in resources(stacks, "azurerm_role_assignment"):
        principal = str(role.arguments.get("principal_id"))
        readers = {environment_of(name.split("/")[0]) for name in referenced(stacks, role.stack, principal)}
        named = _environment_in(principal, stacks, role.stack, environments)
        scopes = referenced(stacks, role.stack, role.arguments.get("scope"))
        for reader in {*readers, *([named] if named else [])} - {ACCOUNT}:
            for owner in {environment_of(name.split("/")[0]) for name in scopes} - {ACCOUNT, reader}:
                what = role.arguments.get("role_definition_name")
                yield AccessPath(
                    reader=reader, owner=owner, through=role.where, how=f"its identity holds the role {what!r}"
                )


def _names(stacks: Stacks, environments: Iterable[str]) -> Iterator[AccessPath]:
    """Yield resources that contain the name of a storage account of another environment."""
    owned = {
        str(account.arguments["name"]): account.environment
        for account in resources(stacks, "azurerm_storage_account")
        if "name" in account.arguments
    }
    for resource in resources(stacks):
        if resource.environment not in environments:
            continue
        for path, text in texts(resource.arguments):
            for name, owner in owned.items():
                if name in text and owner != resource.environment:
                    how = f"{path} names the storage account {name}"
                    yield AccessPath(reader=resource.environment, owner=owner, through=resource.where, how=how)


ENDPOINTS: Mapping[str, tuple[str, str, str]] = {
    "azurerm_private_endpoint": ("subnet_id", "private_service_connection", "a private endpoint"),
    "databricks_mws_ncc_private_endpoint_rule": (
        "network_connectivity_config_id", "resource_id", "a private endpoint of serverless compute"
    ),
}  # fmt: skip
"""Resource types that give a network a private address of a service: arguments of network and service, and a label."""


def _endpoints(stacks: Stacks) -> Iterator[AccessPath]:
    """Yield private endpoints between environments; an endpoint to storage gives access to granted data alone."""
    for endpoint in resources(stacks, *ENDPOINTS):
        network, service, words = ENDPOINTS[endpoint.type]
        inside = referenced(stacks, endpoint.stack, endpoint.arguments.get(network))
        targets = referenced(stacks, endpoint.stack, endpoint.arguments.get(service))
        waits = all(b.get("is_manual_connection") is True for b in endpoint.blocks("private_service_connection"))
        to_storage = all(target.split("/")[1].startswith("azurerm_storage_account.") for target in targets)
        for reader in _environments_of(inside) or {"an unknown network"}:
            for owner in (_environments_of(targets) or {"an unknown environment"}) - {reader}:
                yield AccessPath(
                    reader=reader,
                    owner=owner,
                    through=endpoint.where,
                    how=f"{words}{'' if waits else ', which its owner need not approve,'} leads to "
                    f"{', '.join(sorted(targets)) or 'nothing of these stacks'}",
                    reads_only=bool(targets) and to_storage and waits,
                )


def _environments_of(where: Iterable[str]) -> set[str]:
    return {environment_of(name.split("/")[0]) for name in where}


def _open_securables(stacks: Stacks, environments: Iterable[str]) -> Iterator[AccessPath]:
    for securable in resources(stacks, *ISOLATED):
        if securable.arguments.get("isolation_mode") != ISOLATED[securable.type]:
            for reader in sorted(set(environments) - {securable.environment}):
                how = (
                    f"{securable.arguments.get('name', securable.address)} is open to every workspace of the metastore"
                )
                yield AccessPath(reader=reader, owner=securable.environment, through=securable.where, how=how)


def _ranges(stacks: Stacks) -> Iterator[AccessPath]:
    for peering in resources(stacks, "azurerm_virtual_network_peering"):
        remote = referenced(stacks, peering.stack, peering.arguments.get("remote_virtual_network_id"))
        for owner in {environment_of(name.split("/")[0]) for name in remote} - {peering.environment}:
            yield AccessPath(
                reader=peering.environment, owner=owner, through=peering.where, how="their networks are peered"
            )
    networks = [
        (network, ipaddress.ip_network(text))
        for network in resources(stacks, "azurerm_virtual_network")
        for text in network.arguments.get("address_space") or []
        if not text.startswith("${")
    ]
    for (one, first), (other, second) in combinations(networks, 2):
        if one.environment != other.environment and first.overlaps(second):
            how = f"address range {first} overlaps {second} of {other.where}"
            yield AccessPath(reader=one.environment, owner=other.environment, through=one.where, how=how)
