"""What one environment's stacks need of Azure before they are applied: a pure function on the stacks and the settings."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

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
    groups
        Our resource groups by subscription, in small letters: what has one of `names` there is ours.
    workspace, vault
        Names of what is reached over a private address.
    state
        Name of the storage account of the state; empty if it is on the local disk.
    approving
        Names of the storage accounts that approve private endpoints: the lake, and the workspace's own storage.
    metastore_id
        Of an existing metastore that the settings name; None where one is created.
    first_month
        From when the budget counts, as YYYY-MM.
    """

    environment: str
    tenant_id: str
    subscription_id: str
    region: str
    databricks_account_id: str
    namespaces: tuple[str, ...]
    names: tuple[GlobalName, ...]
    machines: Mapping[str, int]
    groups: Mapping[str, frozenset[str]]
    workspace: str
    vault: str
    state: str
    approving: tuple[str, ...]
    metastore_id: str | None
    metastore_region: str
    first_month: str

    @property
    def state_host(self) -> str:
        """The host that the state is read from; empty without one."""
        return f"{self.state}.blob.core.windows.net" if self.state else ""


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
    workspace = _one(own, "azurerm_databricks_workspace")
    storages = (_name_of(own, "azurerm_storage_account"), str(workspace["custom_parameters"]["storage_account_name"]))
    kept = (stated.state.storage_account,) if stated.state else ()
    groups = {_name_of(own, "azurerm_resource_group"), str(workspace["managed_resource_group_name"])}
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
        )
        + tuple(GlobalName(kind="storage account", name=name) for name in (storages[1], *kept)),
        machines=_machines(stated),
        groups=_groups(stated, groups),
        workspace=str(workspace["name"]),
        vault=_name_of(own, "azurerm_key_vault"),
        state="".join(kept),
        approving=storages,
        metastore_id=settings.account.metastore.id,
        metastore_region=settings.account.metastore.region,
        first_month=stated.budget.first_month,
    )


def _namespace(type_: str) -> str:
    return next(namespace for beginning, namespace in NAMESPACES.items() if type_.startswith(beginning))


def _one(resources: Iterable[Resource], type_: str) -> Mapping[str, Any]:
    return next(resource.arguments for resource in resources if resource.type == type_)


def _name_of(resources: Iterable[Resource], type_: str) -> str:
    return str(_one(resources, type_)["name"])


def _groups(stated: EnvironmentSettings, own: set[str]) -> Mapping[str, frozenset[str]]:
    """Return our groups by subscription; the state may be in another one."""
    found = {stated.subscription_id: frozenset(name.lower() for name in own)}
    if stated.state is not None:
        place = stated.state.subscription_id
        found[place] = found.get(place, frozenset()) | {stated.state.resource_group.lower()}
    return found


def _machines(stated: EnvironmentSettings) -> Mapping[str, int]:
    """Return the most machines of each type; a cluster has a driver beside its workers."""
    pool = stated.compute.pool
    found = {pool.node_type: pool.capacity_maximum}
    for size in stated.compute.sizes.values():
        found[size.node_type] = max(found.get(size.node_type, 0), size.workers_maximum + 1)
    return found
