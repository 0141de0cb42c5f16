"""What reaches what over networks: rules of security groups, private endpoints, address ranges of different environments.

Sources, on learn.microsoft.com: azure/databricks/security/network/classic/vnet-inject and
azure/databricks/security/network/classic/private-link-standard.
"""

import ipaddress
from collections.abc import Iterator, Mapping
from itertools import combinations

from infra.config.ceilings import Ceilings
from infra.config.network import Egress
from infra.graph.estate import Estate, GraphResource
from infra.graph.meanings import RuleContext

Found = Iterator[tuple[str, str]]
RULE, GROUP = "azurerm_network_security_rule", "azurerm_network_security_group"


def reach_findings(estate: Estate, ceilings: Ceilings, contexts: Mapping[str, RuleContext]) -> Found:
    """Yield resource and message of every way over a network that nothing declares, and of every missing door."""
    yield from _rules(estate, ceilings)
    yield from _doors(estate)
    yield from _apart(estate)
    yield from _endpoints(estate, contexts)
    yield from _ranges(estate)


def _rules(estate: Estate, ceilings: Ceilings) -> Found:
    for rule in estate.of(RULE):
        group = estate.origin(rule.stack, rule.get("network_security_group_name"))
        if rule.get("access") != "Allow":
            continue
        target, ports = str(rule.get("destination_address_prefix")), _ports(rule)
        leaves = ceilings.leaves.get(group.name if group else "", {})
        if rule.get("direction") != "Outbound":
            yield (
                rule.where,
                f"admits {rule.get('source_address_prefix')}; nothing enters but what is in the network already.",
            )
        elif not ports or not ports <= set(leaves.get(target, ())) or rule.get("protocol") != "Tcp":
            may = "; ".join(f"{tag} on {', '.join(those)}" for tag, those in leaves.items()) or "nothing"
            yield rule.where, f"lets {', '.join(sorted(ports))} leave for {target}; the ceilings allow {may}."


def _ports(rule: GraphResource) -> set[str]:
    return {str(port) for name in ("destination_port_range", "destination_port_ranges") for port in rule.all(name)}


def _doors(estate: Estate) -> Found:
    """Yield security groups that do not deny the internet, in or out, after what they allow."""
    for group in estate.of(GROUP):
        stated = estate.settings.environments.get(group.environment)
        if stated is None:
            continue
        firewall = stated.network.hub is not None and stated.network.hub.egress_firewall is not None
        closed_out = group.name != "clusters" or (stated.network.egress is Egress.RESTRICTED and not firewall)
        for direction in ("Inbound", *(("Outbound",) if closed_out else ())):
            if not any(_denies(estate, rule, group, direction, "Internet") for rule in estate.of(RULE)):
                yield (
                    group.where,
                    f"does not deny the whole internet {direction.lower()}; state that rule, after those that allow.",
                )


def _apart(estate: Estate) -> Found:
    """Yield security groups of a network with a hub that do not deny the ranges of other environments, in or out."""
    environments = estate.settings.environments
    for group in estate.of(GROUP):
        stated = environments.get(group.environment)
        if stated is None or stated.network.hub is None:
            continue
        for other, its in environments.items():
            for direction in ("Inbound", "Outbound") if other != group.environment else ():
                whole = its.network.address_space
                if not any(_denies(estate, rule, group, direction, whole) for rule in estate.of(RULE)):
                    yield (
                        group.where,
                        f"does not deny {whole} of {other} {direction.lower()}, which the hub could forward; state that rule.",
                    )


def _denies(estate: Estate, rule: GraphResource, group: GraphResource, direction: str, whom: str) -> bool:
    """Return whether a rule of a group denies everything to or from a tag or range."""
    side = ("source", "destination") if direction == "Inbound" else ("destination", "source")
    return (
        estate.origin(rule.stack, rule.get("network_security_group_name")) == group
        and (rule.get("access"), rule.get("direction"), rule.get("protocol")) == ("Deny", direction, "*")
        and rule.get(f"{side[0]}_address_prefix") in (whom, "*")
        and rule.get(f"{side[1]}_address_prefix") == "*"
        and _ports(rule) == {"*"}
    )


def _endpoints(estate: Estate, contexts: Mapping[str, RuleContext]) -> Found:
    for endpoint in estate.of("azurerm_private_endpoint"):
        value = endpoint.get("private_service_connection.private_connection_resource_id")
        target = estate.origin(endpoint.stack, value)
        waits = endpoint.get("private_service_connection.is_manual_connection") is True
        here = endpoint.environment
        if target is None:
            yield endpoint.where, f"leads from {here} to {value}, which is nothing of these stacks."
        elif target.environment == here and waits:
            yield endpoint.where, f"waits for an approval of {target.where}, which is its own environment's."
        elif target.environment != here:
            opened = target.environment in contexts[here].opened and target.type == "azurerm_storage_account"
            if not opened:
                yield (
                    endpoint.where,
                    f"leads from {here} to {target.environment}'s {target.where}. No setting declares it.",
                )
            elif not waits:
                yield endpoint.where, f"leads from {here} to {target.where}, which its owner need not approve."


def _ranges(estate: Estate) -> Found:
    networks = [
        (network, ipaddress.ip_network(text))
        for network in estate.of("azurerm_virtual_network")
        for text in network.all("address_space")
        if "$" not in str(text)
    ]
    for (one, first), (other, second) in combinations(networks, 2):
        if one.environment != other.environment and first.overlaps(second):
            yield one.where, f"address range {first} overlaps {second} of {other.where}."
