"""Mutants of networks: rules, subnets, endpoints, peerings, names, and the network of serverless compute.

Rules: learn.microsoft.com/azure/databricks/security/network/classic/vnet-inject,
learn.microsoft.com/azure/databricks/security/network/serverless-network-security/network-policies.
"""

from benchmarks.mutants.operators import ACCOUNT, ANY, STRICT, adding, appending, custom, dropping, setting, without
from benchmarks.mutants.world import World

_RULE, _SUBNET, _W = "azurerm_network_security_rule", "azurerm_subnet", "azurerm_databricks_workspace"
_ELSEWHERE = "/subscriptions/<uuid>/resourceGroups/x/providers/Microsoft.Network/virtualNetworks/x"
_OTHER_NETWORK = "/subscriptions/6b1c2d3e-4f50-4b6c-9d7e-8f90a1b2c3d4/resourceGroups/rg-mrd-staging/providers/Microsoft.Network/virtualNetworks/vnet-mrd-staging"
_GROUP = {"resource_group_name": "${azurerm_resource_group.group.name}"}


def _rule(**arguments: str) -> dict[str, object]:
    return {
        **_GROUP, "network_security_group_name": "${azurerm_network_security_group.clusters.name}", "name": "more",
        "priority": 200, "protocol": "*", "access": "Allow", "direction": "Inbound", "source_port_range": "*",
        "destination_port_range": "*", "source_address_prefix": "*", "destination_address_prefix": "*", **arguments,
    }  # fmt: skip


def _denies(arguments: dict[str, object]) -> bool:
    return arguments["access"] == "Deny"


NETWORK = [
    adding(_RULE, "platform", _rule(), _rule(source_address_prefix="Internet"), _rule(source_address_prefix="20.0.0.0/8"),
           _rule(direction="Outbound", destination_address_prefix="Internet"), _rule(source_address_prefix="203.0.113.7"),
           _rule(direction="Outbound", destination_address_prefix="*"), _rule(source_address_prefix="AzureCloud"),
           _rule(direction="Outbound", destination_address_prefix="52.0.0.0/8", destination_port_range="443"),
           _rule(source_address_prefix="10.40.0.0/20", destination_port_range="22")),
    setting(_RULE, "access", "Allow", fits=_denies, where=STRICT),
    setting(_RULE, "priority", 4096, fits=lambda a: _denies(a) and a["direction"] == "Outbound", harmful=False),
    setting(_RULE, "destination_address_prefix", "203.0.113.0/24", fits=lambda a: _denies(a) and a["direction"] == "Outbound"),
    setting(_RULE, "source_address_prefix", "203.0.113.0/24", fits=lambda a: _denies(a) and a["direction"] == "Inbound"),
    setting(_RULE, "destination_port_range", "*", fits=lambda a: "https" in a["name"]),
    setting(_RULE, "destination_address_prefix", "Internet", fits=lambda a: "storage" in a["name"] or "sql" in a["name"]),
    dropping(_RULE, fits=_denies),
    dropping("azurerm_subnet_network_security_group_association"),
    setting(_SUBNET, "default_outbound_access_enabled", True),
    setting(_SUBNET, "private_endpoint_network_policies", "Disabled", fits=lambda a: "endpoints" in a["name"]),
    setting(_SUBNET, "service_endpoints", ["Microsoft.Storage"]),
    setting(_SUBNET, "service_endpoint_policy_ids", ["x"]),
    setting(_SUBNET, "virtual_network_name", "vnet-other"),
    setting(_SUBNET, "address_prefixes", ["10.40.0.0/22"]),
    setting(_SUBNET, "delegation", [{"name": "x", "service_delegation": {"name": "Microsoft.Web/serverFarms"}}]),
    appending("azurerm_virtual_network", "address_space", "10.40.0.0/20", "10.43.0.0/16"),
    setting("azurerm_virtual_network", "dns_servers", ["203.0.113.53"], ["8.8.8.8"]),
    setting("azurerm_virtual_network", "ddos_protection_plan", {"id": "x", "enable": False}),
    adding("azurerm_virtual_network_peering", "platform",
           {**_GROUP, "name": "x", "virtual_network_name": "${azurerm_virtual_network.network.name}",
            "remote_virtual_network_id": _ELSEWHERE},
           {**_GROUP, "name": "x", "virtual_network_name": "${azurerm_virtual_network.network.name}",
            "remote_virtual_network_id": _OTHER_NETWORK}, where=("dev", "prod")),
    adding("azurerm_virtual_network", "platform", {**_GROUP, "name": "extra", "address_space": ["10.99.0.0/16"]}),
    adding("azurerm_subnet", "platform", {**_GROUP, "name": "extra", "address_prefixes": ["<number>"],
           "virtual_network_name": "${azurerm_virtual_network.network.name}"}),
    adding("azurerm_public_ip", "platform", {**_GROUP, "name": "extra", "allocation_method": "Static"}),
    adding("azurerm_network_interface", "platform", {**_GROUP, "name": "x"}),
    adding("azurerm_bastion_host", "platform", {**_GROUP, "name": "x"}),
    adding("azurerm_route", "platform", {**_GROUP, "name": "x", "address_prefix": "0.0.0.0/0", "next_hop_type": "Internet",
           "route_table_name": "x"}),
    adding("azurerm_virtual_network_gateway", "platform", {**_GROUP, "name": "x", "type": "Vpn"}),
    adding("azurerm_private_endpoint", "platform",
           {**_GROUP, "name": "x", "location": "westeurope", "subnet_id": "${azurerm_subnet.endpoints.id}",
            "private_service_connection": {"name": "x", "is_manual_connection": False, "subresource_names": ["dfs"],
            "private_connection_resource_id": "/subscriptions/<uuid>/resourceGroups/x/providers/Microsoft.Storage/storageAccounts/x"}},
           {**_GROUP, "name": "x", "location": "westeurope", "subnet_id": _ELSEWHERE + "/subnets/x",
            "private_service_connection": {"name": "x", "is_manual_connection": False, "subresource_names": ["dfs"],
            "private_connection_resource_id": "${azurerm_storage_account.lake.id}"}},
           {**_GROUP, "name": "x", "location": "westeurope", "subnet_id": "${azurerm_subnet.endpoints.id}",
            "private_service_connection": {"name": "x", "is_manual_connection": False, "subresource_names": ["dfs"],
            "private_connection_resource_id": "${data.terraform_remote_state.<other>_platform.outputs.lake_id}"}}),
    setting("azurerm_private_endpoint", "private_service_connection.is_manual_connection", False, where=ANY,
            fits=lambda a: a["private_service_connection"]["is_manual_connection"] is True),
    setting("azurerm_private_endpoint", "subnet_id", "${azurerm_subnet.host.id}", _ELSEWHERE + "/subnets/x"),
    setting("azurerm_private_endpoint", "private_service_connection.private_connection_resource_id",
            "/subscriptions/<uuid>/resourceGroups/x/providers/Microsoft.Storage/storageAccounts/x"),
    dropping("azurerm_private_endpoint", fits=lambda a: "login" not in a["name"]),
    setting(_W, "public_network_access_enabled", True, where=ANY),
    setting(_W, "custom_parameters.no_public_ip", False, where=ANY),
    without(_W, "custom_parameters.virtual_network_id"),
    setting(_W, "custom_parameters.virtual_network_id", _ELSEWHERE),
    setting(_W, "network_security_group_rules_required", "AllRules"),
    setting(_W, "default_storage_firewall_enabled", False),
    setting(_W, "sku", "standard", "trial"),
    setting(_W, "custom_parameters.public_subnet_name", "${azurerm_subnet.agents.name}"),
    adding("databricks_ip_access_list", "workspace", {"label": "all", "list_type": "ALLOW", "ip_addresses": ["0.0.0.0/0"]},
           {"label": "halves", "list_type": "ALLOW", "ip_addresses": ["0.0.0.0/1", "128.0.0.0/1"]}),
    setting("azurerm_public_ip", "domain_name_label", "mrd-<env>"),
]  # fmt: skip

_POLICY, _OPTION = "databricks_account_network_policy", "databricks_workspace_network_option"
_NCC, _ENDPOINT = "databricks_mws_ncc_binding", "databricks_mws_ncc_private_endpoint_rule"


def _strict_policy(arguments: dict[str, object]) -> bool:
    return "dev" not in str(arguments["network_policy_id"])


def _policy_output(world: World) -> None:
    outputs = world.content("account")["output"]
    outputs[f"network_policy_{world.random.choice(STRICT)}"]["value"] = (
        "${databricks_account_network_policy.egress_dev.network_policy_id}"
    )


SERVERLESS_AND_DNS = [
    setting(_POLICY, "egress.network_access.restriction_mode", "FULL_ACCESS", where=ACCOUNT, fits=_strict_policy),
    setting(_POLICY, "egress.network_access.allowed_internet_destinations",
            [{"destination": "*", "internet_destination_type": "DNS_NAME"}],
            [{"destination": "pastebin.com", "internet_destination_type": "DNS_NAME"}], where=ACCOUNT, fits=_strict_policy),
    setting(_POLICY, "egress.network_access.allowed_storage_destinations",
            [{"azure_storage_account": "elsewhere", "azure_storage_service": "blob", "storage_destination_type": "AZURE_STORAGE"}],
            where=ACCOUNT, fits=_strict_policy),
    setting(_POLICY, "egress.network_access.policy_enforcement", {"enforcement_mode": "DRY_RUN"}, where=ACCOUNT,
            fits=_strict_policy),
    without(_POLICY, "egress", where=ACCOUNT),
    custom("a stricter environment takes dev's policy", _policy_output),
    setting(_OPTION, "network_policy_id", "default-policy", "${data.terraform_remote_state.account.outputs.network_policy_dev}"),
    dropping(_OPTION),
    setting(_OPTION, "workspace_id", "${data.terraform_remote_state.dev_platform.outputs.workspace_id}"),
    dropping(_NCC),
    setting(_NCC, "network_connectivity_config_id", "<uuid>"),
    setting(_NCC, "workspace_id", "${data.terraform_remote_state.<other>_platform.outputs.workspace_id}"),
    setting(_ENDPOINT, "resource_id", "/subscriptions/<uuid>/resourceGroups/x/providers/Microsoft.Storage/storageAccounts/x",
            "${data.terraform_remote_state.dev_platform.outputs.vault_id}"),
    adding(_ENDPOINT, "account", {"group_id": "dfs", "resource_id": "${data.terraform_remote_state.<other>_platform.outputs.lake_id}",
           "network_connectivity_config_id": "${databricks_mws_network_connectivity_config.serverless.network_connectivity_config_id}"},
           where=("staging",)),
    adding(_ENDPOINT, "account", {"domain_names": ["pastebin.com"], "network_connectivity_config_id": "<uuid>"}),
    setting("azurerm_private_dns_zone_virtual_network_link", "virtual_network_id", _ELSEWHERE, _OTHER_NETWORK),
    setting("azurerm_private_dns_zone_virtual_network_link", "registration_enabled", True),
    dropping("azurerm_private_dns_zone_virtual_network_link"),
    adding("azurerm_private_dns_zone_virtual_network_link", "platform", {**_GROUP, "name": "x", "virtual_network_id": _ELSEWHERE,
           "private_dns_zone_name": "${azurerm_private_dns_zone.dfs.name}"}),
    adding("azurerm_private_dns_a_record", "platform", {**_GROUP, "name": "stmrdprodlake", "records": ["203.0.113.9"], "ttl": 300,
           "zone_name": "${azurerm_private_dns_zone.dfs.name}"}),
    adding("azurerm_private_dns_zone", "platform", {**_GROUP, "name": "login.microsoftonline.com"}),
    setting("azurerm_private_endpoint", "private_dns_zone_group.private_dns_zone_ids",
            ["/subscriptions/<uuid>/resourceGroups/x/providers/Microsoft.Network/privateDnsZones/privatelink.dfs.core.windows.net"]),
    without("azurerm_private_endpoint", "private_dns_zone_group"),
]  # fmt: skip
