"""How machines of the environment's network reach the internet: through an existing firewall, or a NAT gateway."""

from collections.abc import Mapping
from typing import Any

from infra.config.naming import ResourceKind
from infra.constructs.deployment import Deployment
from infra.synthesis.stack import Resource, Stack

EVERYWHERE = "0.0.0.0/0"


def way_out(stack: Stack, subnets: list[Resource], deployment: Deployment, tagged: Mapping[str, Any]) -> None:
    """Add the one way out for subnets, which have no other: Azure's default outbound access is off."""
    hub = deployment.settings.network.hub
    if hub is not None and hub.egress_firewall is not None:
        _route_to_firewall(stack, subnets, hub.egress_firewall, deployment, tagged)
    else:
        _nat_gateway(stack, subnets, deployment, tagged)


def _route_to_firewall(
    stack: Stack, subnets: list[Resource], firewall: str, deployment: Deployment, tagged: Mapping[str, Any]
) -> None:
    """Send everything that leaves the network to the firewall.

    What the firewall must admit: learn.microsoft.com/azure/databricks/security/network/classic/udr.
    """
    table = stack.add(
        "azurerm_route_table",
        "way_out",
        **tagged,
        name=deployment.name(ResourceKind.ROUTE_TABLE),
        bgp_route_propagation_enabled=False,
    )
    stack.add(
        "azurerm_route",
        "firewall",
        provider=tagged["provider"],
        name="egress-firewall",
        resource_group_name=tagged["resource_group_name"],
        route_table_name=table.attribute("name"),
        address_prefix=EVERYWHERE,
        next_hop_type="VirtualAppliance",
        next_hop_in_ip_address=firewall,
    )
    for subnet in subnets:
        stack.add(
            "azurerm_subnet_route_table_association",
            subnet.name,
            provider=tagged["provider"],
            subnet_id=subnet.id,
            route_table_id=table.id,
        )


def _nat_gateway(stack: Stack, subnets: list[Resource], deployment: Deployment, tagged: Mapping[str, Any]) -> None:
    """Add the gateway with the one address from which machines reach the internet; nothing reaches them through it."""
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
