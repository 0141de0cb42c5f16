"""What one environment's stacks need of Azure before they are applied: a pure function on the stacks and the settings."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from infra.config.loading import Settings
from infra.config.model import EnvironmentSettings
from infra.synthesis.stack import Resource, Stack

NAMESPACES: Mapping[str, str] = MappingProxyType(
    {
        "azurerm_application_insights": "Microsoft.Insights",
        "azurerm_databricks_": "Microsoft.Databricks",
        "azurerm_key_vault": "Microsoft.KeyVault",
        "azurerm_log_analytics_": "Microsoft.OperationalInsights",
        "azurerm_monitor_": "Microsoft.Insights",
        "azurerm_storage_": "Microsoft.Storage",
        "azurerm_consumption_budget_": "Microsoft.Consumption",
        "azurerm_role_": "Microsoft.Authorization",
        "azurerm_management_lock": "Microsoft.Authorization",
        "azurerm_resource_group": "Microsoft.Resources",
        "azurerm_": "Microsoft.Network",
    }
)
"""Beginning of a resource type to the resource provider that creates it; the first that fits counts.

Source: https://learn.microsoft.com/en-us/azure/azure-resource-manager/management/azure-services-resource-providers
"""
COMPUTE = "Microsoft.Compute"
"""The machines of clusters are created by Databricks, in the same subscription."""
GLOBAL_NAMES: Mapping[str, str] = MappingProxyType(
    {"azurerm_storage_account": "storage account", "azurerm_key_vault": "key vault"}
)
"""Types whose names are unique in all of Azure.

Source: https://learn.microsoft.com/en-us/azure/azure-resource-manager/management/resource-name-rules
"""


@dataclass(frozen=True, kw_only=True)
class GlobalName:
    """A name that nobody else may have."""

    kind: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What an environment needs.

    Attributes
    ----------
    namespaces
        Resource providers that must be registered in the subscription.
    names
        Names that are ours or free.
    machines
        Machine type to the most machines of it that run at once: a pool at its capacity, or the largest cluster.
    group, workspace, vault, lake
        Names of the resource group and of what in it is reached over a private address, or approves endpoints.
    metastore_id
        Of an existing metastore that the settings name; None where one is created.
    """

    environment: str
    tenant_id: str
    subscription_id: str
    region: str
    databricks_account_id: str
    namespaces: tuple[str, ...]
    names: tuple[GlobalName, ...]
    machines: Mapping[str, int]
    group: str
    workspace: str
    vault: str
    lake: str
    metastore_id: str | None
    metastore_region: str


def wanted(settings: Settings, environment: str, stacks: Iterable[Stack]) -> Wanted:
    """Return what the stacks of one environment need.

    Parameters
    ----------
    stacks
        All stacks, of which those of the environment count.
    """
    stated = settings.environments[environment]
    own = [
        resource
        for stack in stacks
        if stack.name.startswith(f"{environment}-")
        for resource in stack.resources.values()
        if not resource.is_data and resource.type.startswith("azurerm_")
    ]
    return Wanted(
        environment=environment,
        tenant_id=settings.account.entra_tenant_id,
        subscription_id=stated.subscription_id,
        region=stated.region,
        databricks_account_id=settings.account.databricks_account_id,
        namespaces=tuple(sorted({COMPUTE, *(_namespace(resource.type) for resource in own)})),
        names=tuple(
            GlobalName(kind=GLOBAL_NAMES[resource.type], name=str(resource.arguments["name"]))
            for resource in own
            if resource.type in GLOBAL_NAMES
        ),
        machines=_machines(stated),
        group=_name_of(own, "azurerm_resource_group"),
        workspace=_name_of(own, "azurerm_databricks_workspace"),
        vault=_name_of(own, "azurerm_key_vault"),
        lake=_name_of(own, "azurerm_storage_account"),
        metastore_id=settings.account.metastore.id,
        metastore_region=settings.account.metastore.region,
    )


def _namespace(type_: str) -> str:
    return next(namespace for beginning, namespace in NAMESPACES.items() if type_.startswith(beginning))


def _name_of(resources: Iterable[Resource], type_: str) -> str:
    return next(str(resource.arguments["name"]) for resource in resources if resource.type == type_)


def _machines(stated: EnvironmentSettings) -> Mapping[str, int]:
    """Return the most machines of each type; a cluster has a driver beside its workers."""
    pool = stated.compute.pool
    found = {pool.node_type: pool.capacity_maximum}
    for size in stated.compute.sizes.values():
        found[size.node_type] = max(found.get(size.node_type, 0), size.workers_maximum + 1)
    return found
