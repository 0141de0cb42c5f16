"""Derives from a stack's resources the requests to Azure that its provider sends, as far as they decide about keys and networks.

Each resource is sent once all that it refers to is there; what it refers to is answered by the cloud and never made up.
"""

import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Any
from urllib.parse import quote

from infra.emulated_cloud.calls import CloudAnswer
from infra.emulated_cloud.world import Json

ARM = "management.azure.com"
ASSIGNMENTS = "providers/Microsoft.Authorization/roleAssignments"
REFERENCE = re.compile(r"\b((?:data\.)?azure(?:rm|ad)_\w+\.\w+)")
Send = Callable[[str, Any, str], CloudAnswer]
"""Sends a request with a body from a network, and returns the answer."""


@dataclass(frozen=True, kw_only=True)
class AzurePlatform:
    """The Azure resources of a stack, and what is known of them so far.

    Parameters
    ----------
    content
        The stack as Terraform reads it.
    send
        Sends a request as whoever applies it.
    known
        Address of a resource or a look-up to its attributes.
    """

    content: Mapping[str, Any]
    send: Send
    known: dict[str, Json] = field(default_factory=dict)

    def apply(self) -> None:
        """Send every resource of a type in `TYPES`.

        Raises
        ------
        AssertionError
            If the cloud refuses one.
        """
        chosen = {
            f"{kind}.{name}": (TYPES[kind], stated)
            for kind, resources in self.content["resource"].items()
            if kind in TYPES
            for name, stated in resources.items()
        }
        needs = {
            address: set(REFERENCE.findall(json.dumps(stated))) & set(chosen) - {address}
            for address, (_, stated) in chosen.items()
        }
        for address in TopologicalSorter(needs).static_order():
            make, stated = chosen[address]
            self.known[address] = make(self, stated)

    def value(self, stated: Any) -> Any:
        """Return a text with its references replaced by what the cloud has answered."""
        if not isinstance(stated, str):
            return stated
        whole = re.fullmatch(r"\$\{([^}]*)\}", stated)
        if whole:
            return self._found(whole[1])
        return re.sub(r"\$\{([^}]*)\}", lambda found: str(self._found(found[1])), stated)

    def _found(self, expression: str) -> Any:
        words = re.findall(r"\w+", expression.replace("jsondecode", ""))
        start = 3 if words[0] == "data" else 2
        found: Any = self.known[".".join(words[:start])]
        for word in words[start:]:
            found = found[int(word) if word.isdigit() else word]
        return found

    def group(self, stated: Json) -> str:
        """Return the path of the resource group that a resource is in."""
        subscription = self.content["provider"]["azurerm"][0]["subscription_id"]
        name = stated.get("resource_group_name") or stated["name"]
        return f"/subscriptions/{subscription}/resourceGroups/{self.value(name)}"

    def put(self, path: str, properties: Json, **more: Any) -> Json:
        """Put a resource and return its properties and its identity as the cloud answers them, beside its id and name."""
        answer = self.send(f"PUT {ARM}{quote(path)}", {"location": "westeurope", "properties": properties, **more}, "")
        assert answer.status < 300, (path, answer.body)
        identity = answer.body.get("identity") or {}
        return {
            "id": path, "name": path.rpartition("/")[2], "made": answer.body["properties"],
            "identity": [{"principal_id": identity.get("principalId")}],
        }  # fmt: skip


def _group(platform: AzurePlatform, stated: Json) -> Json:
    return platform.put(platform.group(stated), {})


def _network(platform: AzurePlatform, stated: Json) -> Json:
    path = f"{platform.group(stated)}/providers/Microsoft.Network/virtualNetworks/{stated['name']}"
    return platform.put(path, {"addressSpace": {"addressPrefixes": stated["address_space"]}})


def _subnet(platform: AzurePlatform, stated: Json) -> Json:
    network = platform.value(stated["virtual_network_name"])
    path = f"{platform.group(stated)}/providers/Microsoft.Network/virtualNetworks/{network}/subnets/{stated['name']}"
    return platform.put(path, {"addressPrefixes": stated["address_prefixes"]})


def _closed(stated: Json) -> Json:
    return {"publicNetworkAccess": "Enabled" if stated["public_network_access_enabled"] else "Disabled"}


def _vault(platform: AzurePlatform, stated: Json) -> Json:
    path = f"{platform.group(stated)}/providers/Microsoft.KeyVault/vaults/{stated['name']}"
    return platform.put(path, _closed(stated))


def _storage(platform: AzurePlatform, stated: Json) -> Json:
    path = f"{platform.group(stated)}/providers/Microsoft.Storage/storageAccounts/{stated['name']}"
    return platform.put(path, _closed(stated), identity=stated.get("identity"))


def _connector(platform: AzurePlatform, stated: Json) -> Json:
    path = f"{platform.group(stated)}/providers/Microsoft.Databricks/accessConnectors/{stated['name']}"
    return platform.put(path, {}, identity=stated["identity"])


def _key(platform: AzurePlatform, stated: Json) -> Json:
    """Create a key in the vault itself, from a machine in the platform's network."""
    vault = str(platform.value(stated["key_vault_id"])).rpartition("/")[2]
    (network,) = (one["name"] for one in platform.content["resource"]["azurerm_virtual_network"].values())
    request = f"POST {vault}.vault.azure.net/keys/{stated['name']}/create"
    answer = platform.send(request, {"kty": stated["key_type"]}, network)
    assert answer.status < 300, answer.body
    return {"id": answer.body["key"]["kid"]}


def _template(platform: AzurePlatform, stated: Json) -> Json:
    path = f"{platform.group(stated)}/providers/Microsoft.Resources/deployments/{stated['name']}"
    template = json.loads(stated["template_content"])
    given = platform.put(path, {"mode": stated["deployment_mode"], "template": template})
    return {**given, "output_content": given["made"].get("outputs", {})}


def _workspace(platform: AzurePlatform, stated: Json) -> Json:
    group = platform.group(stated)
    managed = f"{group.rpartition('/')[0]}/{stated['managed_resource_group_name']}"
    properties: Json = {
        "managedResourceGroupId": managed,
        "defaultStorageFirewall": "Enabled" if stated.get("default_storage_firewall_enabled") else "Disabled",
        "parameters": {"prepareEncryption": {"value": stated.get("customer_managed_key_enabled", False)}},
    }
    key = platform.value(stated.get("managed_disk_cmk_key_vault_key_id", ""))
    if key:
        uri, _, name = str(key).partition("/keys/")
        held = {"keyVaultUri": uri, "keyName": name.partition("/")[0]}
        properties["encryption"] = {
            "entities": {"managedDisk": {"keySource": "Microsoft.Keyvault", "keyVaultProperties": held}}
        }
    given = platform.put(f"{group}/providers/Microsoft.Databricks/workspaces/{stated['name']}", properties)
    identities = {
        name: [{"principal_id": given["made"].get(field, {}).get("principalId")}]
        for name, field in (("managed_disk_identity", "managedDiskIdentity"), ("storage_account_identity", "storageAccountIdentity"))
    }  # fmt: skip
    return {**given, **identities, "managed_resource_group_id": managed}


def _role(platform: AzurePlatform, stated: Json) -> Json:
    scope, role = platform.value(stated["scope"]), quote(f"roleName eq '{stated['role_definition_name']}'")
    asked = f"GET {ARM}{scope}/providers/Microsoft.Authorization/roleDefinitions?$filter={role}"
    (definition,) = platform.send(asked, None, "").body["value"]
    properties = {"principalId": platform.value(stated["principal_id"]), "roleDefinitionId": definition["id"]}
    return platform.put(f"{scope}/{ASSIGNMENTS}/{uuid.uuid4()}", properties)


def _endpoint(platform: AzurePlatform, stated: Json) -> Json:
    connection = stated["private_service_connection"]
    leads = {
        "privateLinkServiceId": platform.value(connection["private_connection_resource_id"]),
        "groupIds": connection["subresource_names"],
    }
    properties = {
        "subnet": {"id": platform.value(stated["subnet_id"])},
        "privateLinkServiceConnections": [{"name": connection["name"], "properties": leads}],
    }
    return platform.put(
        f"{platform.group(stated)}/providers/Microsoft.Network/privateEndpoints/{stated['name']}", properties
    )


TYPES: Mapping[str, Callable[[AzurePlatform, Json], Json]] = {
    "azurerm_resource_group": _group, "azurerm_virtual_network": _network, "azurerm_subnet": _subnet,
    "azurerm_key_vault": _vault, "azurerm_storage_account": _storage, "azurerm_databricks_access_connector": _connector,
    "azurerm_key_vault_key": _key, "azurerm_resource_group_template_deployment": _template,
    "azurerm_databricks_workspace": _workspace, "azurerm_role_assignment": _role, "azurerm_private_endpoint": _endpoint,
}  # fmt: skip
"""Type to what sends a resource of it and returns its attributes."""
