"""Each choice that the settings offer for the network, the keys and the storage, as it is synthesized."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from infra.config.checks import load_settings
from infra.config.network import DNS_ZONES
from infra.constructs.release import Release
from infra.graph.declared import as_synthesized
from infra.graph.proof import prove
from infra.stacks.estate import stacks
from infra.synthesis.stack import Resource, Stack
from pipelines.declarations.registry import use_cases

HUB = "/subscriptions/0f1e2d3c-4b5a-4697-8877-665544332211/resourceGroups/rg-hub/providers/Microsoft.Network"
ZONES = {service: f"{HUB}/privateDnsZones/{name}" for service, name in DNS_ZONES.items()}


def platform(folder: Any, release: Release, environment: str = "prod", **network: Any) -> Mapping[str, Resource]:
    """Return the resources of a platform with changed settings of its network."""
    for name, value in network.items():
        folder.change(environment, ("network", name), value)
    built: dict[str, Stack] = {stack.name: stack for stack in stacks(load_settings(folder.path), use_cases(), release)}
    return built[f"{environment}-platform"].resources


def of_type(found: Mapping[str, Resource], kind: str) -> dict[str, Resource]:
    """Return the resources of one type by name."""
    return {resource.name: resource for resource in found.values() if resource.type == kind}


def test_a_network_in_an_existing_company_uses_its_hub_firewall_and_zones(folder: Any, release: Release) -> None:
    """Peered, resolved by the hub, everything that leaves goes to the firewall; no zone, address or gateway is made."""
    hub = {"network": f"{HUB}/virtualNetworks/hub", "dns_servers": ["10.0.0.4"], "egress_firewall": "10.0.1.4"}
    found = platform(folder, release, hub=hub, private_dns_zones=ZONES, web_authentication=False)
    peering = found["azurerm_virtual_network_peering.hub"].arguments
    assert peering["remote_virtual_network_id"] == hub["network"]
    assert found["azurerm_virtual_network.network"].arguments["dns_servers"] == ["10.0.0.4"]
    route = found["azurerm_route.firewall"].arguments
    assert (route["next_hop_type"], route["next_hop_in_ip_address"]) == ("VirtualAppliance", "10.0.1.4")
    assert set(of_type(found, "azurerm_subnet_route_table_association")) == {"host", "container", "agents"}
    for absent in ("private_dns_zone", "private_dns_zone_virtual_network_link", "public_ip", "nat_gateway"):
        assert not of_type(found, f"azurerm_{absent}")
    endpoints = of_type(found, "azurerm_private_endpoint")
    named = {e.arguments["private_dns_zone_group"]["private_dns_zone_ids"][0] for e in endpoints.values()}
    assert named == set(ZONES.values())
    assert "workspace_login" not in endpoints


def test_a_hub_forwards_nothing_between_environments(folder: Any, release: Release) -> None:
    """Both groups deny the ranges of the others, before Azure's own rules let in whatever a peering reaches."""
    hub = {"network": f"{HUB}/virtualNetworks/hub"}
    alone = of_type(platform(folder, release), "azurerm_network_security_rule")
    assert not [name for name in alone if "_dev_" in name or "_staging_" in name]
    rules = of_type(platform(folder, release, hub=hub), "azurerm_network_security_rule")
    for group in ("clusters", "agents"):
        for other, addresses in (("dev", "10.40.0.0/20"), ("staging", "10.41.0.0/20")):
            inbound, outbound = (rules[f"{group}_deny_{other}_{way}"].arguments for way in ("inbound", "outbound"))
            assert (inbound["access"], inbound["source_address_prefix"], inbound["protocol"]) == (
                "Deny",
                addresses,
                "*",
            )
            assert (outbound["access"], outbound["destination_address_prefix"]) == ("Deny", addresses)
            assert inbound["destination_port_range"] == outbound["destination_port_range"] == "*"
        mine = [rule.arguments for name, rule in rules.items() if name.startswith(group)]
        for way in ("Inbound", "Outbound"):
            numbers = [rule["priority"] for rule in mine if rule["direction"] == way]
            assert len(numbers) == len(set(numbers))
            assert max(numbers) < 4096


def test_a_group_that_lets_another_environment_through_a_hub_is_a_finding(folder: Any, release: Release) -> None:
    """With its range and the direction; what denies it otherwise is no replacement."""
    folder.change("prod", ("network", "hub"), {"network": f"{HUB}/virtualNetworks/hub"})
    settings = load_settings(folder.path)
    synthesized = as_synthesized(stacks(settings, use_cases(), release))

    def told() -> list[tuple[str, str]]:
        found = prove(synthesized, settings, use_cases())
        return [(one.resource, one.message) for one in found if "the hub could forward" in one.message]

    assert told() == []
    rules: Any = synthesized["prod-platform"].content["resource"]["azurerm_network_security_rule"]
    rules["clusters_deny_dev_inbound"]["access"] = "Allow"
    del rules["agents_deny_staging_outbound"]
    groups = "prod-platform/azurerm_network_security_group."
    assert told() == [
        (
            f"{groups}agents",
            "does not deny 10.41.0.0/20 of staging outbound, which the hub could forward; state that rule.",
        ),
        (
            f"{groups}clusters",
            "does not deny 10.40.0.0/20 of dev inbound, which the hub could forward; state that rule.",
        ),
    ]


@pytest.mark.parametrize(("egress", "denied"), [("restricted", True), ("open", False)])
def test_clusters_leave_as_freely_as_serverless_compute(
    egress: str, denied: bool, folder: Any, release: Release
) -> None:
    """Restricted: to the services that Databricks needs and nowhere else."""
    rules = of_type(platform(folder, release, "dev", egress=egress), "azurerm_network_security_rule")
    out = {
        r.arguments["destination_address_prefix"]: r.arguments["access"]
        for name, r in rules.items()
        if name.startswith("clusters") and r.arguments["direction"] == "Outbound"
    }
    allowed = {"Sql": "Allow", "Storage": "Allow", "EventHub": "Allow", "Internet": "Deny"}
    assert out == (allowed if denied else {})


def test_a_public_workspace_is_reached_by_its_clusters_over_the_internet(folder: Any, release: Release) -> None:
    """Then the control plane is one more service that they need."""
    found = platform(folder, release, exposure="public", allowed_ip_ranges=["203.0.113.0/24"])
    assert "clusters_allow_azuredatabricks_outbound" in of_type(found, "azurerm_network_security_rule")


def test_no_rule_is_within_a_security_group(estate: Mapping[str, Stack]) -> None:
    """Databricks adds its own to the group; those within it would be all that may exist, and each plan would differ."""
    for stack in estate.values():
        for group in of_type(stack.resources, "azurerm_network_security_group").values():
            assert "security_rule" not in group.arguments


@pytest.mark.parametrize(
    ("agents", "delegated"),
    [("none", None), ("virtual_machines", []), ("managed_devops_pool", ["Microsoft.DevOpsInfrastructure/pools"])],
)
def test_agents_have_a_subnet_of_the_kind_that_their_pool_needs(
    agents: str, delegated: list[str] | None, folder: Any, release: Release
) -> None:
    """The workspace and the vault are private: who deploys runs in this network."""
    subnets = of_type(platform(folder, release, agents=agents), "azurerm_subnet")
    assert ("agents" in subnets) == (delegated is not None)
    if delegated is not None:
        stated = subnets["agents"].arguments.get("delegation") or []
        assert [delegation["service_delegation"]["name"] for delegation in stated] == delegated


def test_the_key_is_made_without_the_data_plane_of_its_vault(estate: Mapping[str, Stack]) -> None:
    """By a template, which names the vault and key, rotates without expiry, and returns the address of the version."""
    found = estate["prod-platform"].resources
    template = json.loads(found["azurerm_resource_group_template_deployment.key"].arguments["template_content"])
    (key,) = template["resources"]
    vault = found["azurerm_key_vault.vault"].arguments["name"]
    assert (key["type"], key["name"].split("/")[0]) == ("Microsoft.KeyVault/vaults/keys", vault)
    policy = key["properties"]["rotationPolicy"]
    assert policy["lifetimeActions"][0]["action"] == {"type": "rotate"}
    assert "attributes" not in policy, "a version that expires would take the data with it"
    (output,) = template["outputs"]
    used = found["azurerm_databricks_workspace.workspace"].arguments["managed_disk_cmk_key_vault_key_id"]
    assert used == f"${{jsondecode(azurerm_resource_group_template_deployment.key.output_content).{output}.value}}"
    assert not [address for address in found if address.startswith("azurerm_key_vault_key")]


def test_a_raised_generation_reads_the_key_again_and_makes_no_other(folder: Any, release: Release) -> None:
    """The template changes and so its outputs are read; the key in it is the same."""
    address = "azurerm_resource_group_template_deployment.key"
    before = json.loads(platform(folder, release)[address].arguments["template_content"])
    folder.change("prod", ("key_generation",), 2)
    after = json.loads(platform(folder, release)[address].arguments["template_content"])
    assert before.pop("contentVersion") != after.pop("contentVersion")
    assert before == after
