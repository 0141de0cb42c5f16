"""The network security groups: what may enter and leave the subnets of clusters and of agents.

Every rule is a resource of its own. Azure Databricks adds rules to the group of its delegated subnets and refuses to lose
them (learn.microsoft.com/azure/databricks/security/network/classic/vnet-inject); rules within the group would claim to be
all of them, and each plan would remove those of Databricks.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from infra.config.naming import ResourceKind, logical_id
from infra.config.network import Egress, Exposure
from infra.constructs.deployment import Deployment
from infra.synthesis.stack import Resource, Stack

CONTROL_PLANE = ("AzureDatabricks", ("443", "3306", "8443-8451"))
SERVICES = (("Sql", ("3306",)), ("Storage", ("443",)), ("EventHub", ("9093",)))
"""Service tags and ports that classic compute needs: metastore, artifacts and logs, telemetry.

Source: learn.microsoft.com/azure/databricks/security/network/classic/vnet-inject#network-security-group-rules and, for
the control plane, which private endpoints replace, learn.microsoft.com/azure/databricks/security/network/classic/udr.
"""
FIRST_PRIORITY, LAST_PRIORITY = 300, 4000


def clusters_group(stack: Stack, deployment: Deployment, tagged: Mapping[str, Any]) -> Resource:
    """Add the group of clusters and private endpoints; with restricted egress only what Databricks needs may leave."""
    stated = deployment.settings.network
    group = _group(stack, "clusters", deployment, tagged)
    rules = [_rule("deny-internet-inbound", "Inbound", "Deny", LAST_PRIORITY, source="Internet")]
    # A firewall that the settings name decides by itself what leaves.
    if stated.egress is Egress.RESTRICTED and not (stated.hub and stated.hub.egress_firewall):
        needed = SERVICES if stated.exposure is Exposure.PRIVATE else (CONTROL_PLANE, *SERVICES)
        rules += [
            _rule(
                f"allow-{tag.lower()}-outbound", "Outbound", "Allow", FIRST_PRIORITY + 10 * n, target=tag, ports=ports
            )
            for n, (tag, ports) in enumerate(needed)
        ]
        rules.append(_rule("deny-internet-outbound", "Outbound", "Deny", LAST_PRIORITY, target="Internet"))
    rules += _apart(deployment)
    _add_rules(stack, group, rules, tagged)
    return group


def agents_group(stack: Stack, deployment: Deployment, tagged: Mapping[str, Any]) -> Resource:
    """Add the group of agents: nothing enters; HTTPS leaves, to Azure DevOps, registries and the services they deploy."""
    group = _group(stack, "agents", deployment, tagged)
    rules = [
        _rule("deny-internet-inbound", "Inbound", "Deny", LAST_PRIORITY, source="Internet"),
        _rule("allow-https-outbound", "Outbound", "Allow", FIRST_PRIORITY, target="Internet", ports=("443",)),
        _rule("deny-internet-outbound", "Outbound", "Deny", LAST_PRIORITY, target="Internet"),
        *_apart(deployment),
    ]
    _add_rules(stack, group, rules, tagged)
    return group


def _apart(deployment: Deployment) -> Iterator[dict[str, Any]]:
    """Yield the rules that keep other environments out where a hub, with which all are peered, could forward between them.

    Azure's own rules let in and out whatever the tag VirtualNetwork has, and that has peered networks and the prefixes of
    routes too: learn.microsoft.com/azure/virtual-network/service-tags-overview. Openings need no way, each reader has
    private endpoints of its own.
    """
    if deployment.settings.network.hub is None:
        return
    for n, (other, addresses) in enumerate(deployment.other_ranges.items(), start=1):
        priority = LAST_PRIORITY - 10 * n
        yield _rule(f"deny-{other}-inbound", "Inbound", "Deny", priority, source=addresses)
        yield _rule(f"deny-{other}-outbound", "Outbound", "Deny", priority, target=addresses)


def _group(stack: Stack, label: str, deployment: Deployment, tagged: Mapping[str, Any]) -> Resource:
    return stack.add(
        "azurerm_network_security_group",
        label,
        **tagged,
        name=deployment.name(ResourceKind.SECURITY_GROUP, label),
    )


def _rule(
    name: str,
    direction: str,
    access: str,
    priority: int,
    *,
    source: str = "*",
    target: str = "*",
    ports: tuple[str, ...] = (),
) -> dict[str, Any]:
    wanted = (
        {"destination_port_ranges": list(ports)}
        if len(ports) > 1
        else {"destination_port_range": "".join(ports) or "*"}
    )
    return {
        "name": name,
        "priority": priority,
        "direction": direction,
        "access": access,
        "protocol": "Tcp" if ports else "*",
        "source_address_prefix": source,
        "source_port_range": "*",
        "destination_address_prefix": target,
        **wanted,
    }


def _add_rules(stack: Stack, group: Resource, rules: Iterable[Mapping[str, Any]], tagged: Mapping[str, Any]) -> None:
    for rule in rules:
        stack.add(
            "azurerm_network_security_rule",
            logical_id(group.name, rule["name"]),
            provider=tagged["provider"],
            resource_group_name=tagged["resource_group_name"],
            network_security_group_name=group.attribute("name"),
            **rule,
        )
