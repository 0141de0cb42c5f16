"""Private endpoints of services in the environment's network, and the DNS zones in which their names resolve."""

from collections.abc import Mapping, Sequence
from typing import Any

from infra.config.naming import ResourceKind, logical_id
from infra.config.network import DNS_ZONES, MONITOR_ZONES
from infra.constructs.deployment import Deployment
from infra.synthesis.stack import Provider, Resource, Stack


def dns_zones(stack: Stack, virtual: Resource, deployment: Deployment, place: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the id of each service's zone: existing ones if the settings name them, else zones of this network alone.

    Existing zones belong to somebody else, who links them to this network or to the resolvers that it uses.
    """
    existing, telemetry = deployment.settings.network.private_dns_zones, deployment.settings.telemetry
    wanted = {**DNS_ZONES, **(MONITOR_ZONES if telemetry is not None and telemetry.private_link else {})}
    if existing is not None:
        return {service: str(getattr(existing, service)) for service in wanted}
    zones = {}
    for label, zone_name in wanted.items():
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
        zones[label] = zone.id
    return zones


def private_endpoint(
    stack: Stack,
    label: str,
    target: str,
    *,
    subresource: str,
    zones: Sequence[str],
    subnet: Resource,
    group: Resource,
    deployment: Deployment,
    provider: Provider,
    after: Sequence[Resource] = (),
) -> Resource:
    """Add a private endpoint of one service in the environment's network.

    Parameters
    ----------
    target
        Resource id of the service.
    zones
        Resource ids of the private DNS zones that get the endpoint's records.
    after
        What must exist before the endpoint.
    """
    endpoint_name = deployment.name(ResourceKind.PRIVATE_ENDPOINT, label)
    return stack.add(
        "azurerm_private_endpoint",
        logical_id(label),
        provider=provider,
        depends_on=after,
        name=endpoint_name,
        location=deployment.settings.region,
        resource_group_name=group.attribute("name"),
        subnet_id=subnet.id,
        tags=deployment.tags(),
        private_service_connection={
            "name": endpoint_name,
            "private_connection_resource_id": target,
            "subresource_names": [subresource],
            "is_manual_connection": False,
        },
        private_dns_zone_group={"name": "default", "private_dns_zone_ids": list(zones)},
    )
