"""The environment's own network: two delegated subnets for clusters, one for private endpoints, one for agents."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.config.naming import ResourceKind
from infra.config.network import AgentPool
from infra.constructs.azure.egress import way_out
from infra.constructs.azure.private_endpoints import dns_zones
from infra.constructs.azure.security_groups import agents_group, clusters_group
from infra.constructs.deployment import Deployment
from infra.synthesis.stack import Provider, Resource, Stack

JOIN = "Microsoft.Network/virtualNetworks/subnets/join/action"
DATABRICKS: Mapping[str, Any] = {
    "name": "databricks",
    "service_delegation": {
        "name": "Microsoft.Databricks/workspaces",
        "actions": [
            JOIN,
            "Microsoft.Network/virtualNetworks/subnets/prepareNetworkPolicies/action",
            "Microsoft.Network/virtualNetworks/subnets/unprepareNetworkPolicies/action",
        ],
    },
}
MANAGED_POOL: Mapping[str, Any] = {
    "name": "agents",
    "service_delegation": {"name": "Microsoft.DevOpsInfrastructure/pools", "actions": [JOIN]},
}
"""What a subnet needs that a managed pool uses (learn.microsoft.com/azure/devops/managed-devops-pools/configure-networking)."""


@dataclass(frozen=True, kw_only=True)
class VirtualNetwork:
    """The resources of the network that workspace, storage and key vault refer to.

    Attributes
    ----------
    zones
        Id of the private DNS zone, by service.
    """

    network: Resource
    host_subnet: Resource
    container_subnet: Resource
    endpoint_subnet: Resource
    host_association: Resource
    container_association: Resource
    zones: Mapping[str, str]


def network(stack: Stack, group: Resource, *, deployment: Deployment, provider: Provider) -> VirtualNetwork:
    """Add the network of an environment, within its own address range, and its connection to an existing hub."""
    place: dict[str, Any] = {"resource_group_name": group.attribute("name"), "provider": provider}
    tagged: dict[str, Any] = {**place, "location": deployment.settings.region, "tags": deployment.tags()}
    stated = deployment.settings.network
    virtual = stack.add(
        "azurerm_virtual_network",
        "network",
        **tagged,
        name=deployment.name(ResourceKind.NETWORK),
        address_space=[stated.address_space],
        dns_servers=list(stated.hub.dns_servers) if stated.hub and stated.hub.dns_servers else None,
    )
    clusters = clusters_group(stack, deployment, tagged)
    groups = {"host": clusters, "container": clusters, "endpoints": clusters}
    if stated.agents is not AgentPool.NONE:
        groups["agents"] = agents_group(stack, deployment, tagged)
    ranges = subnet_ranges(stated.address_space)
    subnets = {
        part: _subnet(stack, part, ranges[part], deployment=deployment, virtual=virtual, place=place) for part in groups
    }
    associations = {
        part: stack.add(
            "azurerm_subnet_network_security_group_association",
            part,
            provider=provider,
            subnet_id=subnet.id,
            network_security_group_id=groups[part].id,
        )
        for part, subnet in subnets.items()
    }
    _peer(stack, virtual, deployment, place)
    way_out(stack, [subnet for part, subnet in subnets.items() if part != "endpoints"], deployment, tagged)
    return VirtualNetwork(
        network=virtual,
        host_subnet=subnets["host"],
        container_subnet=subnets["container"],
        endpoint_subnet=subnets["endpoints"],
        host_association=associations["host"],
        container_association=associations["container"],
        zones=dns_zones(stack, virtual, deployment, place),
    )


def subnet_ranges(address_space: str) -> Mapping[str, str]:
    """Return the ranges of the subnets: a quarter each for hosts and containers, an eighth each for endpoints and agents.

    Parameters
    ----------
    address_space
        The environment's range in CIDR notation.
    """
    whole = ipaddress.IPv4Network(address_space)
    host, container, rest, _spare = whole.subnets(prefixlen_diff=2)
    endpoints, agents = rest.subnets(prefixlen_diff=1)
    return {"host": str(host), "container": str(container), "endpoints": str(endpoints), "agents": str(agents)}


def _subnet(
    stack: Stack,
    part: str,
    address_range: str,
    *,
    deployment: Deployment,
    virtual: Resource,
    place: Mapping[str, Any],
) -> Resource:
    managed = deployment.settings.network.agents is AgentPool.MANAGED_DEVOPS_POOL
    delegations = {"host": [DATABRICKS], "container": [DATABRICKS], "agents": [MANAGED_POOL] if managed else None}
    return stack.add(
        "azurerm_subnet",
        part,
        **place,
        name=deployment.name(ResourceKind.SUBNET, part),
        virtual_network_name=virtual.attribute("name"),
        address_prefixes=[address_range],
        default_outbound_access_enabled=False,
        private_endpoint_network_policies="NetworkSecurityGroupEnabled" if part == "endpoints" else "Disabled",
        delegation=delegations.get(part),
    )


def _peer(stack: Stack, virtual: Resource, deployment: Deployment, place: Mapping[str, Any]) -> None:
    """Peer with the hub. The hub's owner adds the other half; until then the peering stays 'Initiated'.

    Source: learn.microsoft.com/azure/virtual-network/virtual-network-peering-overview.
    """
    hub = deployment.settings.network.hub
    if hub is not None:
        stack.add(
            "azurerm_virtual_network_peering",
            "hub",
            **place,
            name=deployment.name(ResourceKind.PEERING, "hub"),
            virtual_network_name=virtual.attribute("name"),
            remote_virtual_network_id=hub.network,
            allow_virtual_network_access=True,
            allow_forwarded_traffic=True,
        )
