"""The environment's own network: two delegated subnets for clusters, one for private endpoints, one NAT gateway."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.config.naming import ResourceKind, logical_id
from infra.constructs.deployment import Deployment
from infra.synthesis.stack import Provider, Resource, Stack

DNS_ZONES: Mapping[str, str] = {
    "databricks": "privatelink.azuredatabricks.net",
    "dfs": "privatelink.dfs.core.windows.net",
    "blob": "privatelink.blob.core.windows.net",
    "vault": "privatelink.vaultcore.azure.net",
}
DELEGATION = "Microsoft.Databricks/workspaces"
DELEGATED_ACTIONS = (
    "Microsoft.Network/virtualNetworks/subnets/join/action",
    "Microsoft.Network/virtualNetworks/subnets/prepareNetworkPolicies/action",
    "Microsoft.Network/virtualNetworks/subnets/unprepareNetworkPolicies/action",
)


@dataclass(frozen=True, kw_only=True)
class VirtualNetwork:
    """The resources of the network that workspace, storage and key vault refer to."""

    network: Resource
    security_group: Resource
    public_ip: Resource
    host_subnet: Resource
    container_subnet: Resource
    endpoint_subnet: Resource
    host_association: Resource
    container_association: Resource
    zones: Mapping[str, Resource]


def network(stack: Stack, group: Resource, *, deployment: Deployment, provider: Provider) -> VirtualNetwork:
    """Add the network of an environment, within its own address range."""
    place: dict[str, Any] = {"resource_group_name": group.attribute("name"), "provider": provider}
    tagged: dict[str, Any] = {**place, "location": deployment.settings.region, "tags": deployment.tags()}
    virtual = stack.add(
        "azurerm_virtual_network",
        "network",
        **tagged,
        name=deployment.name(ResourceKind.NETWORK),
        address_space=[deployment.settings.network.address_space],
    )
    security_group = stack.add(
        "azurerm_network_security_group",
        "clusters",
        **tagged,
        name=deployment.name(ResourceKind.SECURITY_GROUP, "clusters"),
        security_rule=[_DENY_INTERNET],
    )
    ranges = subnet_ranges(deployment.settings.network.address_space)
    subnets = {
        part: _subnet(stack, part, ranges[part], deployment=deployment, virtual=virtual, place=place)
        for part in ("host", "container", "endpoints")
    }
    associations = {
        part: stack.add(
            "azurerm_subnet_network_security_group_association",
            part,
            provider=provider,
            subnet_id=subnet.id,
            network_security_group_id=security_group.id,
        )
        for part, subnet in subnets.items()
    }
    public_ip = _nat_gateway(stack, [subnets["host"], subnets["container"]], deployment, tagged)
    return VirtualNetwork(
        network=virtual,
        security_group=security_group,
        public_ip=public_ip,
        host_subnet=subnets["host"],
        container_subnet=subnets["container"],
        endpoint_subnet=subnets["endpoints"],
        host_association=associations["host"],
        container_association=associations["container"],
        zones=_dns(stack, virtual, deployment, place),
    )


def subnet_ranges(address_space: str) -> Mapping[str, str]:
    """Return the ranges of the subnets: a quarter each for hosts and containers, an eighth for private endpoints.

    Parameters
    ----------
    address_space
        The environment's range in CIDR notation.
    """
    whole = ipaddress.IPv4Network(address_space)
    host, container, rest, _spare = whole.subnets(prefixlen_diff=2)
    endpoints = next(rest.subnets(prefixlen_diff=1))
    return {"host": str(host), "container": str(container), "endpoints": str(endpoints)}


_DENY_INTERNET = {
    "name": "deny-internet-inbound",
    "priority": 4000,
    "direction": "Inbound",
    "access": "Deny",
    "protocol": "*",
    "source_address_prefix": "Internet",
    "source_port_range": "*",
    "destination_address_prefix": "*",
    "destination_port_range": "*",
}


def _subnet(
    stack: Stack,
    part: str,
    address_range: str,
    *,
    deployment: Deployment,
    virtual: Resource,
    place: Mapping[str, Any],
) -> Resource:
    delegated = part != "endpoints"
    delegation = {"name": "databricks", "service_delegation": {"name": DELEGATION, "actions": list(DELEGATED_ACTIONS)}}
    return stack.add(
        "azurerm_subnet",
        part,
        **place,
        name=deployment.name(ResourceKind.SUBNET, part),
        virtual_network_name=virtual.attribute("name"),
        address_prefixes=[address_range],
        default_outbound_access_enabled=False,
        private_endpoint_network_policies="Disabled" if delegated else "NetworkSecurityGroupEnabled",
        delegation=[delegation] if delegated else None,
    )


def _nat_gateway(stack: Stack, subnets: list[Resource], deployment: Deployment, tagged: Mapping[str, Any]) -> Resource:
    """Add the gateway with the one address from which clusters reach the internet; nothing reaches them through it."""
    provider = tagged["provider"]
    public_ip = stack.add(
        "azurerm_public_ip",
        "way_out",
        **tagged,
        name=deployment.name(ResourceKind.PUBLIC_IP),
        allocation_method="Static",
        sku="Standard",
    )
    gateway = stack.add(
        "azurerm_nat_gateway",
        "way_out",
        **tagged,
        name=deployment.name(ResourceKind.NAT_GATEWAY),
        sku_name="Standard",
    )
    stack.add(
        "azurerm_nat_gateway_public_ip_association",
        "way_out",
        provider=provider,
        nat_gateway_id=gateway.id,
        public_ip_address_id=public_ip.id,
    )
    for subnet in subnets:
        stack.add(
            "azurerm_subnet_nat_gateway_association",
            subnet.name,
            provider=provider,
            nat_gateway_id=gateway.id,
            subnet_id=subnet.id,
        )
    return public_ip


def _dns(stack: Stack, virtual: Resource, deployment: Deployment, place: Mapping[str, Any]) -> Mapping[str, Resource]:
    zones = {}
    for label, zone_name in DNS_ZONES.items():
        zone = stack.add("azurerm_private_dns_zone", label, **place, name=zone_name, tags=deployment.tags())
        stack.add(
            "azurerm_private_dns_zone_virtual_network_link",
            label,
            **place,
            name=deployment.name(ResourceKind.DNS_LINK, label),
            private_dns_zone_name=zone.attribute("name"),
            virtual_network_id=virtual.id,
            tags=deployment.tags(),
        )
        zones[label] = zone
    return zones


def private_endpoint(
    stack: Stack,
    label: str,
    target: Resource,
    *,
    subresource: str,
    zone: Resource,
    subnet: Resource,
    group: Resource,
    deployment: Deployment,
    provider: Provider,
) -> Resource:
    """Add a private endpoint of one service in the environment's network."""
    endpoint_name = deployment.name(ResourceKind.PRIVATE_ENDPOINT, label)
    return stack.add(
        "azurerm_private_endpoint",
        logical_id(label),
        provider=provider,
        name=endpoint_name,
        location=deployment.settings.region,
        resource_group_name=group.attribute("name"),
        subnet_id=subnet.id,
        tags=deployment.tags(),
        private_service_connection={
            "name": endpoint_name,
            "private_connection_resource_id": target.id,
            "subresource_names": [subresource],
            "is_manual_connection": False,
        },
        private_dns_zone_group={"name": "default", "private_dns_zone_ids": [zone.id]},
    )
