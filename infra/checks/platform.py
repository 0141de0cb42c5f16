"""Checks on Azure resources: no open network, strict storage and vaults, a closed workspace, diagnostics."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from infra.checks.compute import TAGS
from infra.checks.finding import PolicyCheck, Stacks
from infra.checks.reading import SynthesizedResource, referenced, resources
from infra.terraform_cli.references import texts

EVERYWHERE = re.compile(r"^(0\.0\.0\.0(/0|-255\.255\.255\.255)?|::/0)$")

LOGGED = (
    "azurerm_databricks_workspace", "azurerm_key_vault", "azurerm_network_security_group", "azurerm_virtual_network",
    "azurerm_public_ip", "azurerm_storage_account",
)  # fmt: skip
"""The resource types in use that have diagnostic settings; Azure has none for the others."""

UNTAGGED = frozenset(
    {
        "azurerm_subnet", "azurerm_role_assignment", "azurerm_monitor_diagnostic_setting", "azurerm_management_lock",
        "azurerm_consumption_budget_resource_group", "azurerm_consumption_budget_subscription",
        "azurerm_key_vault_access_policy", "azurerm_storage_management_policy", "azurerm_storage_container",
        "azurerm_storage_data_lake_gen2_filesystem", "azurerm_nat_gateway_public_ip_association",
        "azurerm_subnet_nat_gateway_association", "azurerm_subnet_network_security_group_association",
        "azurerm_network_security_rule", "azurerm_storage_account_customer_managed_key",
        "azurerm_route", "azurerm_subnet_route_table_association", "azurerm_virtual_network_peering",
        "azurerm_storage_account_network_rules", "azurerm_databricks_workspace_root_dbfs_customer_managed_key",
    }
)  # fmt: skip
"""Azure resource types without tags."""


def _open_ranges(stacks: Stacks) -> Iterator[tuple[str, str]]:
    for resource in resources(stacks):
        if resource.type == "azurerm_route" and resource.arguments.get("next_hop_type") == "VirtualAppliance":
            continue  # everything goes to a firewall, which decides
        for path, text in texts(resource.arguments):
            if EVERYWHERE.match(text):
                yield resource.where, f"{path} is {text}, the whole internet; name the ranges that need it."
    for rule in _security_rules(stacks):
        resource, arguments = rule
        sources = [arguments.get("source_address_prefix"), *(arguments.get("source_address_prefixes") or [])]
        inbound = arguments.get("direction") == "Inbound" and arguments.get("access") == "Allow"
        if inbound and {"*", "Internet"} & set(sources):
            yield resource.where, f"rule {arguments.get('name')!r} admits everybody; name the sources that need it."


def _security_rules(stacks: Stacks) -> Iterator[tuple[SynthesizedResource, Mapping[str, Any]]]:
    for resource in resources(stacks, "azurerm_network_security_group"):
        for rule in resource.blocks("security_rule"):
            yield resource, rule
    for resource in resources(stacks, "azurerm_network_security_rule"):
        yield resource, resource.arguments


def _workspaces(stacks: Stacks) -> Iterator[tuple[str, str]]:
    for workspace in resources(stacks, "azurerm_databricks_workspace"):
        if workspace.arguments.get("sku") != "premium":
            yield (
                workspace.where,
                f"sku is {workspace.arguments.get('sku')!r}; only 'premium' has access control.",
            )
        custom = workspace.blocks("custom_parameters")
        if not any(block.get("no_public_ip") is True for block in custom):
            yield workspace.where, "must state no_public_ip = true: its machines would have public addresses."
        if not any(block.get("virtual_network_id") for block in custom):
            yield workspace.where, "must lie in the environment's own virtual network."
        open_to_all = workspace.arguments.get("public_network_access_enabled") is not False
        if open_to_all and not _has_ip_list(stacks, workspace.environment):
            yield workspace.where, "can be reached from everywhere; close it or give a list of addresses."


def _has_ip_list(stacks: Stacks, environment: str) -> bool:
    lists = [r for r in resources(stacks, "databricks_ip_access_list") if r.environment == environment]
    return any(r.arguments.get("list_type") == "ALLOW" and r.arguments.get("ip_addresses") for r in lists)


_STORAGE: Mapping[str, Any] = {
    "shared_access_key_enabled": False, "allow_nested_items_to_be_public": False, "https_traffic_only_enabled": True,
    "min_tls_version": "TLS1_2", "is_hns_enabled": True, "cross_tenant_replication_enabled": False,
}  # fmt: skip


def _storage(stacks: Stacks) -> Iterator[tuple[str, str]]:
    closed = {
        name
        for rules in resources(stacks, "azurerm_storage_account_network_rules")
        if rules.arguments.get("default_action") == "Deny"
        for name in referenced(stacks, rules.stack, rules.arguments.get("storage_account_id"))
    }
    for account in resources(stacks, "azurerm_storage_account"):
        yield from _differences(account, _STORAGE)
        denied = any(block.get("default_action") == "Deny" for block in account.blocks("network_rules"))
        if not denied and account.where not in closed:
            yield account.where, "its network rules do not deny by default."


_VAULT: Mapping[str, Any] = {"purge_protection_enabled": True, "public_network_access_enabled": False}


def _vaults(stacks: Stacks) -> Iterator[tuple[str, str]]:
    for vault in resources(stacks, "azurerm_key_vault"):
        yield from _differences(vault, _VAULT)
        if True not in (
            vault.arguments.get("rbac_authorization_enabled"),
            vault.arguments.get("enable_rbac_authorization"),
        ):
            yield vault.where, "must use roles of Azure (rbac_authorization_enabled = true), not access policies."
        if not any(block.get("default_action") == "Deny" for block in vault.blocks("network_acls")):
            yield vault.where, "its network rules do not deny by default."


def _differences(resource: SynthesizedResource, expected: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in expected.items():
        got = resource.arguments.get(name)
        if got != value:
            yield resource.where, f"{name} is {got!r}, must be {value!r}."


def _diagnostics(stacks: Stacks) -> Iterator[tuple[str, str]]:
    logged = {
        name
        for setting in resources(stacks, "azurerm_monitor_diagnostic_setting")
        for name in referenced(stacks, setting.stack, setting.arguments.get("target_resource_id"))
    }
    for resource in resources(stacks, *LOGGED):
        if resource.where not in logged:
            yield resource.where, "has no diagnostic setting; its events are not recorded."


def _tags(stacks: Stacks) -> Iterator[tuple[str, str]]:
    for resource in resources(stacks):
        if resource.type.startswith("azurerm_") and resource.type not in UNTAGGED:
            missing = sorted(TAGS - set(resource.arguments.get("tags") or {}))
            if missing:
                yield resource.where, f"lacks the tags {', '.join(missing)}."


CHECKS = (
    PolicyCheck(id="no-open-range", reason="a rule for the whole internet restricts nothing", look=_open_ranges),
    PolicyCheck(id="workspace-is-closed", reason="the workspace is the door to the data", look=_workspaces),
    PolicyCheck(
        id="storage-is-strict", reason="keys and public access bypass every grant of the catalog", look=_storage
    ),
    PolicyCheck(
        id="vault-is-strict", reason="data under a key that is deleted for good cannot be read again", look=_vaults
    ),
    PolicyCheck(
        id="diagnostics-are-kept",
        reason="an event that is not recorded cannot be explained afterwards",
        look=_diagnostics,
    ),
    PolicyCheck(id="azure-is-tagged", reason="costs are divided and owners found by tags", look=_tags),
)
