"""Application Insights of an environment: where jobs send traces, metrics and events, reached privately and with an identity.

The component keeps its data in the environment's Log Analytics workspace. It takes nothing without a token of Entra ID, so
its connection string, which every job gets, opens nothing by itself: the key in it is "not considered secret"
(https://learn.microsoft.com/en-us/azure/azure-monitor/app/connection-strings). The token is that of an access connector of
its own, whose only role is to publish to this component
(https://learn.microsoft.com/en-us/azure/azure-monitor/app/azure-ad-authentication).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.config.naming import ResourceKind, logical_id
from infra.config.network import MONITOR_ZONES, Exposure
from infra.constructs.azure.network import VirtualNetwork
from infra.constructs.azure.private_endpoints import private_endpoint
from infra.constructs.deployment import Deployment
from infra.permissions.azure_roles import ASSIGNED_TO, PUBLISHES
from infra.synthesis.stack import Provider, Resource, Stack

LABEL = "telemetry"


@dataclass(frozen=True, kw_only=True)
class Insights:
    """The component, and the connector whose identity publishes to it."""

    component: Resource
    connector: Resource

    @property
    def connection(self) -> str:
        """The connection string, which Terraform would hide: it is no secret where a token is asked for."""
        return f"${{nonsensitive({self.component.address}.connection_string)}}"


def internet_access(deployment: Deployment) -> dict[str, Any]:
    """Return what of Azure Monitor the internet reaches: nothing is sent over it where there is a private way in.

    Queries come from it only where the whole environment is public.
    """
    stated = deployment.settings
    public = stated.network.exposure is Exposure.PUBLIC
    private_way = stated.telemetry is not None and stated.telemetry.private_link
    return {"internet_ingestion_enabled": public and not private_way, "internet_query_enabled": public}


def application_insights(
    stack: Stack,
    group: Resource,
    logs: Resource,
    *,
    deployment: Deployment,
    network: VirtualNetwork,
    provider: Provider,
) -> Insights | None:
    """Add the component, its private link and who may publish; None where the settings state no telemetry.

    Parameters
    ----------
    logs
        The environment's Log Analytics workspace, which keeps the data for as long as it keeps logs.
    """
    stated = deployment.settings.telemetry
    if stated is None:
        return None
    component = stack.add(
        "azurerm_application_insights",
        LABEL,
        provider=provider,
        name=deployment.name(ResourceKind.APPLICATION_INSIGHTS),
        location=deployment.settings.region,
        resource_group_name=group.attribute("name"),
        workspace_id=logs.id,
        application_type="other",
        daily_data_cap_in_gb=stated.daily_gigabytes,
        local_authentication_disabled=True,
        **internet_access(deployment),
        tags=deployment.tags(),
    )
    connector = stack.add(
        "azurerm_databricks_access_connector",
        LABEL,
        provider=provider,
        name=deployment.name(ResourceKind.ACCESS_CONNECTOR, LABEL),
        location=deployment.settings.region,
        resource_group_name=group.attribute("name"),
        identity={"type": "SystemAssigned"},
        tags=deployment.tags(),
    )
    stack.add(
        "azurerm_role_assignment",
        LABEL,
        provider=provider,
        scope=component.id,
        role_definition_name=PUBLISHES,
        principal_id=connector.attribute("identity[0].principal_id"),
        principal_type=ASSIGNED_TO,
    )
    if stated.private_link:
        _private_link(
            stack, group, {LABEL: component, "logs": logs}, deployment=deployment, network=network, provider=provider
        )
    return Insights(component=component, connector=connector)


def _private_link(
    stack: Stack,
    group: Resource,
    linked: Mapping[str, Resource],
    *,
    deployment: Deployment,
    network: VirtualNetwork,
    provider: Provider,
) -> None:
    """Add the private link scope and its endpoint: who is in the network reaches what is linked, and nothing else.

    Names of Azure Monitor resolve to the endpoint in every network with these zones, so a network and its zones have one scope
    (https://learn.microsoft.com/en-us/azure/azure-monitor/logs/private-link-design).
    """
    query = "Open" if deployment.settings.network.exposure is Exposure.PUBLIC else "PrivateOnly"
    scope = stack.add(
        "azurerm_monitor_private_link_scope",
        LABEL,
        provider=provider,
        name=deployment.name(ResourceKind.PRIVATE_LINK_SCOPE),
        resource_group_name=group.attribute("name"),
        ingestion_access_mode="PrivateOnly",
        query_access_mode=query,
        tags=deployment.tags(),
    )
    services = [
        stack.add(
            "azurerm_monitor_private_link_scoped_service",
            label,
            provider=provider,
            name=deployment.name(ResourceKind.PRIVATE_LINK_SCOPE, label),
            resource_group_name=group.attribute("name"),
            scope_name=scope.attribute("name"),
            linked_resource_id=resource.id,
        )
        for label, resource in linked.items()
    ]
    private_endpoint(
        stack,
        logical_id("monitor"),
        scope.id,
        subresource="azuremonitor",
        zones=[network.zones[service] for service in (*MONITOR_ZONES, "blob")],
        subnet=network.endpoint_subnet,
        group=group,
        deployment=deployment,
        provider=provider,
        after=services,
    )
