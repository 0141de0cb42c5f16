"""Private endpoints to the lakes of other environments that give this one access, in this environment's own network.

The owner grants what may be read. Every endpoint waits for the owner's approval, so that no identity of this environment
has a right on another's storage. The endpoints are in the workspace stack, which is deployed after all platform stacks:
two platform stacks that open themselves to each other would have to be deployed before each other. The endpoints of
serverless compute belong to the account; `infra.constructs.account.membership` has them.
"""

from dataclasses import dataclass

from infra.config.naming import ResourceKind, logical_id
from infra.constructs.deployment import Deployment
from infra.synthesis.stack import Provider, Stack

SERVICES = ("dfs", "blob")
ENDPOINT_SUBNET, GROUP, LAKE = "endpoint_subnet_id", "resource_group", "lake_id"
WORKSPACE_STORAGE = "workspace_storage_id"
"""Outputs of a platform stack; `zone_output` gives the names of the outputs for DNS zones."""


@dataclass(frozen=True, kw_only=True)
class OwnNetwork:
    """The network in which an environment's private endpoints are created, from the outputs of its platform stack.

    Attributes
    ----------
    group
        Name of the resource group.
    zones
        Id of the private DNS zone, by service.
    """

    group: str
    subnet: str
    zones: dict[str, str]


def zone_output(service: str) -> str:
    """Return the name of the platform stack's output with the private DNS zone of a storage service."""
    return f"zone_{service}_id"


def own_network(stack: Stack, platform: Stack) -> OwnNetwork:
    """Read the network from the outputs of the environment's own platform stack."""
    return OwnNetwork(
        group=stack.reading(platform, GROUP),
        subnet=stack.reading(platform, ENDPOINT_SUBNET),
        zones={service: stack.reading(platform, zone_output(service)) for service in SERVICES},
    )


def lake_endpoints(
    stack: Stack,
    owner: str,
    *,
    lake_id: str,
    deployment: Deployment,
    network: OwnNetwork,
    azure: Provider,
) -> None:
    """Request private endpoints to the owner's lake, one for each service."""
    for service in SERVICES:
        label = logical_id(owner, "lake", service)
        endpoint_name = deployment.name(ResourceKind.PRIVATE_ENDPOINT, label)
        stack.add(
            "azurerm_private_endpoint",
            label,
            provider=azure,
            name=endpoint_name,
            location=deployment.settings.region,
            resource_group_name=network.group,
            subnet_id=network.subnet,
            tags=deployment.tags(),
            private_service_connection={
                "name": endpoint_name,
                "private_connection_resource_id": lake_id,
                "subresource_names": [service],
                "is_manual_connection": True,
                "request_message": f"an opening that the settings declare: {deployment.environment} into {owner}",
            },
            private_dns_zone_group={"name": "default", "private_dns_zone_ids": [network.zones[service]]},
        )
