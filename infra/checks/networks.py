"""Checks on networks: closed services have their private endpoints, and classic compute leaves no more freely than serverless.

Sources, on learn.microsoft.com: azure/databricks/security/network/storage/firewall-support (endpoints dfs and blob),
azure/databricks/security/network/classic/private-link-standard (one endpoint of sign-in per region and private DNS zone),
azure/databricks/security/network/serverless-network-security/network-policies (egress of serverless compute),
azure/private-link/disable-private-endpoint-network-policy (rules of a security group hold for endpoints only if switched on).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from infra.checks.finding import PolicyCheck, Stacks
from infra.checks.reading import SynthesizedResource, referenced, resources
from infra.config.stack_names import environment_of

STORAGE = frozenset({"dfs", "blob"})
NEEDED: Mapping[str, frozenset[str]] = {
    "azurerm_storage_account": STORAGE,
    "azurerm_key_vault": frozenset({"vault"}),
    "azurerm_databricks_workspace": frozenset({"databricks_ui_api"}),
}
"""By type of a service without public access, the endpoints without which nobody reaches it."""

RULED = ("NetworkSecurityGroupEnabled", "Enabled")
RESTRICTED = "RESTRICTED_ACCESS"
FREE = "its clusters reach the whole internet, while serverless compute is restricted"
EVERYWHERE = ("0.0.0.0/0", "Internet", "*")


def _closed_services(stacks: Stacks) -> Iterator[tuple[str, str]]:
    endpoints, serverless = _endpoints(stacks), _serverless(stacks)
    for service in resources(stacks, *NEEDED):
        if service.arguments.get("public_network_access_enabled") is False:
            for missing in sorted(NEEDED[service.type] - endpoints[service.where]):
                yield service.where, f"has no public access and no private endpoint {missing!r}; nothing reaches it."
        if service.type == "azurerm_databricks_workspace" and service.arguments.get("default_storage_firewall_enabled"):
            for missing in sorted(STORAGE - endpoints[f"{service.where}/storage"]):
                yield service.where, f"its own storage is closed and has no private endpoint {missing!r} for clusters."
            for missing in sorted(STORAGE - serverless[service.where]):
                yield (
                    service.where,
                    f"its own storage is closed and has no endpoint {missing!r} for serverless compute.",
                )
        if service.type == "azurerm_storage_account":
            for missing in sorted(STORAGE - serverless[service.where]):
                yield service.where, f"has no endpoint {missing!r} for serverless compute."


def _endpoints(stacks: Stacks) -> Mapping[str, set[str]]:
    """Return the endpoints of each service in its own environment; `/storage` marks those of a workspace's storage."""
    found: dict[str, set[str]] = defaultdict(set)
    for endpoint in resources(stacks, "azurerm_private_endpoint"):
        for connection in endpoint.blocks("private_service_connection"):
            target = str(connection.get("private_connection_resource_id"))
            inner = "/storage" if ".managed_resource_group_id" in target else ""
            for where in referenced(stacks, endpoint.stack, target):
                if environment_of(where.split("/")[0]) == endpoint.environment:
                    found[where + inner] |= set(connection.get("subresource_names") or ())
    return found


def _serverless(stacks: Stacks) -> Mapping[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for rule in resources(stacks, "databricks_mws_ncc_private_endpoint_rule"):
        for where in referenced(stacks, rule.stack, rule.arguments.get("resource_id")):
            if environment_of(where.split("/")[0]) == rule.environment:
                found[where].add(str(rule.arguments.get("group_id")))
    return found


def _sign_in(stacks: Stacks) -> Iterator[tuple[str, str]]:
    """Yield endpoints of sign-in beyond the first of a region and a private DNS zone."""
    first: dict[tuple[str, frozenset[str]], str] = {}
    for endpoint in resources(stacks, "azurerm_private_endpoint"):
        kinds = {name for c in endpoint.blocks("private_service_connection") for name in c.get("subresource_names", ())}
        if "browser_authentication" not in kinds:
            continue
        zones = [zone for group in endpoint.blocks("private_dns_zone_group") for zone in group["private_dns_zone_ids"]]
        resolved = frozenset(where for zone in zones for where in referenced(stacks, endpoint.stack, zone))
        place = (str(endpoint.arguments.get("location")), resolved or frozenset(str(zone).lower() for zone in zones))
        if first.setdefault(place, endpoint.where) != endpoint.where:
            yield (
                endpoint.where,
                f"is the second endpoint of sign-in of its region and DNS zone, after {first[place]}; keep one.",
            )


def _unruled_endpoints(stacks: Stacks) -> Iterator[tuple[str, str]]:
    """Yield subnets with private endpoints that the rules of their security group do not hold for."""
    used = {
        subnet
        for endpoint in resources(stacks, "azurerm_private_endpoint")
        for subnet in referenced(stacks, endpoint.stack, endpoint.arguments.get("subnet_id"))
    }
    for subnet in resources(stacks, "azurerm_subnet"):
        if subnet.where in used and subnet.arguments.get("private_endpoint_network_policies") not in RULED:
            yield (
                subnet.where,
                f"holds private endpoints and is open to all; state private_endpoint_network_policies = {RULED[0]}.",
            )


def _egress(stacks: Stacks) -> Iterator[tuple[str, str]]:
    """Yield subnets of clusters that reach the internet freely while serverless compute does not."""
    restricted = _restricted(stacks)
    for subnet in resources(stacks, "azurerm_subnet"):
        of_clusters = any(
            service.get("name") == "Microsoft.Databricks/workspaces"
            for service in subnet.blocks("delegation.service_delegation")
        )
        if of_clusters and subnet.environment in restricted and not _is_held(stacks, subnet):
            yield (
                subnet.where,
                f"{FREE}; deny what leaves, or name the hub's egress_firewall in the settings.",
            )


def _restricted(stacks: Stacks) -> frozenset[str]:
    """Return the environments whose serverless compute is restricted, by the policies of their workspaces."""
    policies = {
        policy.where: any(b.get("restriction_mode") == RESTRICTED for b in policy.blocks("egress.network_access"))
        for policy in resources(stacks, "databricks_account_network_policy")
    }
    return frozenset(
        environment_of(workspace.split("/")[0])
        for option in resources(stacks, "databricks_workspace_network_option")
        for workspace in referenced(stacks, option.stack, option.arguments.get("workspace_id"))
        for policy in referenced(stacks, option.stack, option.arguments.get("network_policy_id"))
        if policies.get(policy)
    )


def _is_held(stacks: Stacks, subnet: SynthesizedResource) -> bool:
    """Return whether everything that leaves a subnet goes to a firewall, or what its security group denies stays."""
    routes = _linked(stacks, subnet, "azurerm_subnet_route_table_association", "route_table_id")
    groups = _linked(stacks, subnet, "azurerm_subnet_network_security_group_association", "network_security_group_id")
    return any(_routes_everything(stacks, table) for table in routes) or any(_denies(stacks, group) for group in groups)


def _linked(stacks: Stacks, subnet: SynthesizedResource, kind: str, argument: str) -> set[str]:
    return {
        where
        for link in resources(stacks, kind)
        if subnet.where in referenced(stacks, link.stack, link.arguments.get("subnet_id"))
        for where in referenced(stacks, link.stack, link.arguments.get(argument))
    }


def _routes_everything(stacks: Stacks, table: str) -> bool:
    return any(
        table in referenced(stacks, route.stack, route.arguments.get("route_table_name"))
        and route.arguments.get("address_prefix") == EVERYWHERE[0]
        and route.arguments.get("next_hop_type") == "VirtualAppliance"
        for route in resources(stacks, "azurerm_route")
    )


def _denies(stacks: Stacks, group: str) -> bool:
    """Return whether a group denies what leaves for the internet, and no rule before that allows all of it."""
    rules = [
        rule.arguments
        for rule in resources(stacks, "azurerm_network_security_rule")
        if group in referenced(stacks, rule.stack, rule.arguments.get("network_security_group_name"))
        and rule.arguments.get("direction") == "Outbound"
        and rule.arguments.get("destination_address_prefix") in EVERYWHERE
    ]
    first = min(rules, key=lambda rule: int(rule.get("priority", 0)), default=None)
    return first is not None and first.get("access") == "Deny"


CHECKS = (
    PolicyCheck(
        id="closed-services-are-reached",
        reason="a closed service without its endpoints serves nobody",
        look=_closed_services,
    ),
    PolicyCheck(
        id="one-sign-in-endpoint",
        reason="a second endpoint takes the first one's name away from everybody",
        look=_sign_in,
    ),
    PolicyCheck(
        id="endpoints-obey-rules",
        reason="who reaches a closed service is decided by the rules of the subnet of its endpoint",
        look=_unruled_endpoints,
    ),
    PolicyCheck(
        id="one-egress-policy",
        reason="data leaves through the widest door: classic compute has the same policy as serverless",
        look=_egress,
    ),
)
