"""The rights that a resource gives, each as a record, so that the rights of two commits can be subtracted."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from infra.terraform_cli.synthesized import as_blocks

Arguments = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, order=True)
class Privilege:
    """One right.

    Attributes
    ----------
    principal
        Who has it: a name where the stacks state one, else the resource or output that provides it.
    right
        The privilege, level or role in the platform's own word.
    on
        The object that it applies to.
    """

    principal: str
    right: str
    on: str


def privileges_of(kind: str, name: str, arguments: Arguments) -> frozenset[Privilege]:
    """Return the rights that one resource gives.

    Parameters
    ----------
    kind, name
        Type and name of its address.
    arguments
        As synthesized, or as a plan states them.
    """
    given = set(_GIVING[kind](name, arguments)) if kind in _GIVING else set()
    owner = arguments.get("owner")
    if owner:
        given.add(Privilege(principal=readable(owner), right="OWNER", on=f"{_bare(kind)} {name}"))
    return frozenset(given)


def readable(value: Any) -> str:
    """Return a value without Terraform's expression syntax: an output as its name, an attribute as its resource."""
    return _readable(str(value))


@lru_cache(maxsize=100_000)
def _readable(text: str) -> str:
    output = re.fullmatch(r"\$\{data\.terraform_remote_state\.[\w-]+\.outputs\.([\w-]+)\}", text)
    if output:
        return output[1]
    return re.sub(r"\$\{(?:\w+?_)?(\w+)\.([\w-]+)\.[^}]*\}", r"\1 \2", text)


def _bare(kind: str) -> str:
    return kind.partition("_")[2].replace("_", " ")


UNKNOWN = "known after apply"
"""A principal or right of a plan that Terraform does not know yet, in its own words: no reason to leave the right out."""


def _grants(name: str, arguments: Arguments) -> Iterator[Privilege]:
    if "grant" not in arguments:
        yield Privilege(principal=UNKNOWN, right=UNKNOWN, on=_target(arguments, name))
    for grant in as_blocks(arguments.get("grant")):
        who = readable(grant.get("principal") or UNKNOWN)
        for privilege in grant.get("privileges") or (UNKNOWN,):
            yield Privilege(principal=who, right=privilege, on=_target(arguments, name))


def _grant(name: str, arguments: Arguments) -> Iterator[Privilege]:
    who = readable(arguments.get("principal") or name)
    for privilege in arguments.get("privileges") or (UNKNOWN,):
        yield Privilege(principal=who, right=privilege, on=_target(arguments, name))


SECURABLES = ("catalog", "schema", "table", "volume", "model", "function", "storage_credential", "credential", "external_location",
              "metastore")  # fmt: skip


def _target(arguments: Arguments, name: str) -> str:
    """Return the securable of grants, or the resource's own name while the plan does not know the securable."""
    for securable in SECURABLES:
        if arguments.get(securable):
            stated = readable(arguments[securable])
            return stated if stated.startswith(f"{securable} ") else f"{securable} {stated}"
    return name


def _permissions(name: str, arguments: Arguments) -> Iterator[Privilege]:
    for control in as_blocks(arguments.get("access_control")):
        who = next((control[key] for key in PRINCIPALS if control.get(key)), UNKNOWN)
        level = str(control.get("permission_level") or UNKNOWN)
        yield Privilege(principal=readable(who), right=level, on=name.replace("_", " "))


PRINCIPALS = ("group_name", "user_name", "service_principal_name")


def _member(name: str, arguments: Arguments) -> Iterator[Privilege]:
    who, group = arguments.get("member_id"), arguments.get("group_id")
    known = who and group
    yield Privilege(
        principal=readable(who) if known else name, right="MEMBER", on=readable(group) if known else "its group"
    )


def _role(name: str, arguments: Arguments) -> Iterator[Privilege]:
    role = arguments.get("role_definition_name") or arguments.get("role_definition_id")
    yield Privilege(
        principal=readable(arguments.get("principal_id") or name),
        right=str(role),
        on=readable(arguments.get("scope") or name),
    )


def _workspace(name: str, arguments: Arguments) -> Iterator[Privilege]:
    for permission in arguments.get("permissions") or (UNKNOWN,):
        yield Privilege(principal=readable(arguments.get("principal_id") or name), right=permission, on="workspace")


def _secret(name: str, arguments: Arguments) -> Iterator[Privilege]:
    scope = readable(arguments.get("scope") or name)
    yield Privilege(principal=readable(arguments.get("principal")), right=str(arguments.get("permission")), on=scope)


def _binding(name: str, arguments: Arguments) -> Iterator[Privilege]:
    securable = readable(arguments.get("securable_name") or name)
    workspace = readable(arguments.get("workspace_id") or name)
    yield Privilege(principal=f"workspace {workspace}", right=str(arguments.get("binding_type")), on=securable)


def _signs_in(name: str, arguments: Arguments) -> Iterator[Privilege]:
    stated: Arguments = (as_blocks(arguments.get("oidc_policy")) or [arguments])[0]
    yield Privilege(principal=str(stated.get("subject")), right="SIGNS IN AS", on=name.replace("_", " "))


def _account_role(name: str, arguments: Arguments) -> Iterator[Privilege]:
    who = arguments.get("service_principal_id") or arguments.get("group_id") or arguments.get("user_id") or name
    yield Privilege(principal=readable(who), right=str(arguments.get("role")), on="account")


def _rule_set(name: str, arguments: Arguments) -> Iterator[Privilege]:
    for rule in as_blocks(arguments.get("grant_rules")):
        for who in rule.get("principals") or (UNKNOWN,):
            yield Privilege(principal=readable(who), right=str(rule.get("role") or UNKNOWN), on=name.replace("_", " "))


def _entitlements(name: str, arguments: Arguments) -> Iterator[Privilege]:
    whose = ("group_id", "user_id", "service_principal_id")
    who = next((arguments[key] for key in whose if arguments.get(key)), name)
    for entitlement, held in arguments.items():
        if held is True:
            yield Privilege(principal=readable(who), right=entitlement, on="workspace")


def _entra_role(name: str, arguments: Arguments) -> Iterator[Privilege]:
    role = str(arguments.get("app_role_id") or arguments.get("role_id") or UNKNOWN)
    who = readable(arguments.get("principal_object_id") or name)
    yield Privilege(principal=who, right=role, on=readable(arguments.get("resource_object_id") or "Entra"))


def _vault(name: str, arguments: Arguments) -> Iterator[Privilege]:
    who, vault = readable(arguments.get("object_id") or name), readable(arguments.get("key_vault_id") or name)
    for what in ("key", "secret", "certificate", "storage"):
        for permission in arguments.get(f"{what}_permissions") or ():
            yield Privilege(principal=who, right=f"{permission} of {what}s", on=vault)


_GIVING: Mapping[str, Callable[[str, Arguments], Iterator[Privilege]]] = MappingProxyType(
    {
        "databricks_grants": _grants,
        "databricks_grant": _grant,
        "databricks_permissions": _permissions,
        "databricks_group_member": _member,
        "databricks_group_role": _account_role,
        "databricks_user_role": _account_role,
        "databricks_access_control_rule_set": _rule_set,
        "databricks_entitlements": _entitlements,
        "azuread_app_role_assignment": _entra_role,
        "azuread_directory_role_assignment": _entra_role,
        "azurerm_key_vault_access_policy": _vault,
        "databricks_service_principal_role": _account_role,
        "databricks_mws_permission_assignment": _workspace,
        "databricks_secret_acl": _secret,
        "databricks_workspace_binding": _binding,
        "databricks_service_principal_federation_policy": _signs_in,
        "azuread_application_federated_identity_credential": _signs_in,
        "azurerm_role_assignment": _role,
    }
)
GIVING = frozenset(_GIVING)
"""The resource types that only give rights."""
