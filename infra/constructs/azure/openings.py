"""The network ways to lakes of environments that let this one in: private endpoints in its own network, nothing more.

What may be read there is granted by the owner. Every way waits until the owner approves it, so that no identity of this
environment holds any right over another's storage. They stand in the workspace stack, which comes after all platforms:
between platform stacks two openings could ask for each other's first.
"""

from dataclasses import dataclass

from infra.config.naming import ResourceKind, logical_id
from infra.constructs.deployment import Deployment
from infra.synthesis.stack import Provider, Stack

SERVICES = ("dfs", "blob")
ENDPOINT_SUBNET, GROUP, CONNECTIVITY, LAKE = "endpoint_subnet_id", "resource_group", "connectivity_id", "lake_id"
"""Outputs of a platform stack; `zone_output` names those of the zones."""


@dataclass(frozen=True, kw_only=True)
class OwnNetwork:
    """Where an environment's own ways begin, as its platform stack offers it.

    Attributes
    ----------
    group
        Name of the resource group.
    zones
        Id of the private zone of names, by service.
    connectivity
        Id of the network configuration of serverless compute.
    """

    group: str
    subnet: str
    zones: dict[str, str]
    connectivity: str


def zone_output(service: str) -> str:
    """Return the output under which a platform stack offers the zone of a service of storage."""
    return f"zone_{service}_id"


def own_network(stack: Stack, platform: Stack) -> OwnNetwork:
    """Read from the environment's own platform stack where its ways begin."""
    return OwnNetwork(
        group=stack.reading(platform, GROUP),
        subnet=stack.reading(platform, ENDPOINT_SUBNET),
        zones={service: stack.reading(platform, zone_output(service)) for service in SERVICES},
        connectivity=stack.reading(platform, CONNECTIVITY),
    )


def lake_endpoints(
    stack: Stack,
    owner: str,
    *,
    lake_id: str,
    deployment: Deployment,
    network: OwnNetwork,
    azure: Provider,
    account: Provider,
) -> None:
    """Ask the owner for a private address of its lake: one for clusters, one for serverless compute, per service."""
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
        stack.add(
            "databricks_mws_ncc_private_endpoint_rule",
            label,
            provider=account,
            network_connectivity_config_id=network.connectivity,
            resource_id=lake_id,
            group_id=service,
        )
