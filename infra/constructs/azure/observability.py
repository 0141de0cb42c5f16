"""Logs: one Log Analytics workspace per environment, and diagnostic settings on every resource that has logs."""

from collections.abc import Mapping
from typing import Any

from infra.config.naming import ResourceKind, logical_id
from infra.constructs.azure.insights import internet_access
from infra.constructs.deployment import Deployment
from infra.synthesis.stack import Provider, Resource, Stack

LOGGED: frozenset[str] = frozenset(
    {
        "azurerm_databricks_workspace",
        "azurerm_key_vault",
        "azurerm_log_analytics_workspace",
        "azurerm_network_security_group",
        "azurerm_public_ip",
        "azurerm_storage_account",
        "azurerm_virtual_network",
    }
)
"""The resource types in use that have diagnostic settings. A NAT gateway and a private endpoint have none."""

_METRICS = frozenset({"azurerm_key_vault", "azurerm_public_ip", "azurerm_virtual_network"})


def log_workspace(stack: Stack, group: Resource, *, deployment: Deployment, provider: Provider) -> Resource:
    """Add the workspace that stores the environment's logs for the period in its settings.

    With telemetry it is as closed as Application Insights. Diagnostic settings go on: Azure's own services send them
    (https://learn.microsoft.com/en-us/azure/azure-monitor/logs/private-link-design).
    """
    closed = internet_access(deployment) if deployment.settings.telemetry is not None else {}
    return stack.add(
        "azurerm_log_analytics_workspace",
        "logs",
        provider=provider,
        prevent_destroy=deployment.settings.locks,
        name=deployment.name(ResourceKind.LOG_WORKSPACE),
        location=deployment.settings.region,
        resource_group_name=group.attribute("name"),
        sku="PerGB2018",
        retention_in_days=deployment.settings.retention.log_days,
        local_authentication_enabled=False,
        **closed,
        tags=deployment.tags(),
    )


def diagnose_everything(stack: Stack, logs: Resource, *, deployment: Deployment, provider: Provider) -> None:
    """Add diagnostic settings for every resource of the stack that has logs; call it after all others are added."""
    for resource in list(stack.resources.values()):
        if resource.type in LOGGED and not resource.is_data:
            for label, target, arguments in _targets(resource):
                stack.add(
                    "azurerm_monitor_diagnostic_setting",
                    label,
                    provider=provider,
                    name=deployment.name(ResourceKind.DIAGNOSTICS, label),
                    target_resource_id=target,
                    log_analytics_workspace_id=logs.id,
                    **arguments,
                )


def _targets(resource: Resource) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Return label, target and logged categories; a storage account has logs for each service."""
    label = logical_id(resource.type.removeprefix("azurerm_"), resource.name)
    everything = {"enabled_log": [{"category_group": "allLogs"}]}
    if resource.type == "azurerm_storage_account":
        return [
            (label, resource.id, {"enabled_metric": [{"category": "Transaction"}]}),
            (f"{label}_blob", f"{resource.id}/blobServices/default", everything),
        ]
    metrics = {"enabled_metric": [{"category": "AllMetrics"}]} if resource.type in _METRICS else {}
    return [(label, resource.id, {**everything, **metrics})]
