"""The key vault and, if the settings ask for it, the customer-managed key that encrypts everything.

The vault is closed from its first moment, so nothing here uses its data plane: Azure Resource Manager creates the key, which
needs no network path to the vault and no role in it. "Deployment of secrets or keys through ARM templates" is "not affected
by firewalls" (learn.microsoft.com/azure/key-vault/general/overview-vnet-service-endpoints). So a plan is the same whoever
makes it, and wherever.
"""

import json
from dataclasses import dataclass

from infra.config.naming import ResourceKind
from infra.constructs.azure.network import VirtualNetwork
from infra.constructs.azure.private_endpoints import private_endpoint
from infra.constructs.deployment import Deployment
from infra.permissions.azure_roles import ASSIGNED_TO, KEYS
from infra.synthesis.stack import Provider, Resource, Stack

DATABRICKS_APPLICATION = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d"
"""Application id of the Azure Databricks service, the same in every tenant
(learn.microsoft.com/azure/databricks/security/keys/cmk-managed-services-azure/customer-managed-key-managed-services-azure)."""

KEY_API = "2023-07-01"
ROTATES_AFTER = "P22M"
"""The vault makes a new version of the key by itself. Old versions never expire: data under them stays readable."""


@dataclass(frozen=True, kw_only=True)
class Key:
    """The customer-managed key.

    Attributes
    ----------
    name
        Its name in the vault.
    version_id
        The expression for the address of the version that was the newest when `key_generation` was last changed.
    usable
        What must exist before Azure Databricks uses the key: the key, and the right of the service.
    """

    name: str
    version_id: str
    usable: tuple[Resource, ...]


@dataclass(frozen=True, kw_only=True)
class Encryption:
    """The vault, and the customer-managed key if there is one."""

    vault: Resource
    key: Key | None


def encryption(
    stack: Stack,
    group: Resource,
    *,
    deployment: Deployment,
    network: VirtualNetwork,
    provider: Provider,
    entra: Provider,
) -> Encryption:
    """Add the vault (role-based, purge-protected, private) and its key."""
    vault = stack.add(
        "azurerm_key_vault",
        "vault",
        provider=provider,
        prevent_destroy=deployment.settings.locks,
        name=deployment.name(ResourceKind.KEY_VAULT),
        location=deployment.settings.region,
        resource_group_name=group.attribute("name"),
        tenant_id=deployment.account.entra_tenant_id,
        sku_name="premium",
        rbac_authorization_enabled=True,
        purge_protection_enabled=True,
        soft_delete_retention_days=deployment.settings.retention.deleted_data_days,
        public_network_access_enabled=False,
        network_acls={"default_action": "Deny", "bypass": "AzureServices"},
        tags=deployment.tags(),
    )
    private_endpoint(
        stack,
        "vault",
        vault.id,
        subresource="vault",
        zones=[network.zones["vault"]],
        subnet=network.endpoint_subnet,
        group=group,
        deployment=deployment,
        provider=provider,
    )
    if not deployment.settings.customer_managed_keys:
        return Encryption(vault=vault, key=None)
    made = _key(stack, group, vault, deployment, provider)
    service = stack.look_up("azuread_service_principal", "databricks", provider=entra, client_id=DATABRICKS_APPLICATION)
    allowed = _let_use(stack, "databricks_key", vault, service.attribute("object_id"), provider)
    version_id = f"${{jsondecode({made.address}.output_content).version.value}}"
    key = Key(name=deployment.name(ResourceKind.KEY), version_id=version_id, usable=(made, allowed))
    return Encryption(vault=vault, key=key)


def let_use_key(stack: Stack, label: str, encryption: Encryption, principal_id: str, provider: Provider) -> Resource:
    """Let one identity wrap and unwrap keys with the environment's key."""
    return _let_use(stack, label, encryption.vault, principal_id, provider)


def _let_use(stack: Stack, label: str, vault: Resource, principal_id: str, provider: Provider) -> Resource:
    # The type is stated: Azure need not look the identity up, which is new, and the deployer's own role is conditional on it.
    return stack.add(
        "azurerm_role_assignment",
        label,
        provider=provider,
        scope=vault.id,
        role_definition_name=KEYS,
        principal_id=principal_id,
        principal_type=ASSIGNED_TO,
    )


def _key(stack: Stack, group: Resource, vault: Resource, deployment: Deployment, provider: Provider) -> Resource:
    """Create the key through Azure Resource Manager, which creates it once and leaves an existing one as it is.

    Source: learn.microsoft.com/azure/key-vault/keys/quick-create-template. A changed template makes Terraform
    read the outputs again, which is what `key_generation` is for: they name the newest version at that time.
    """
    vault_name, key_name = deployment.name(ResourceKind.KEY_VAULT), deployment.name(ResourceKind.KEY)
    key = {
        "type": "Microsoft.KeyVault/vaults/keys",
        "apiVersion": KEY_API,
        "name": f"{vault_name}/{key_name}",
        "properties": {
            "kty": "RSA-HSM",
            "keySize": 3072,
            "keyOps": ["wrapKey", "unwrapKey"],
            "rotationPolicy": {
                "lifetimeActions": [{"trigger": {"timeAfterCreate": ROTATES_AFTER}, "action": {"type": "rotate"}}]
            },
        },
    }
    newest = f"reference(resourceId('{key['type']}', '{vault_name}', '{key_name}'), '{KEY_API}').keyUriWithVersion"
    template = {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": f"1.0.0.{deployment.settings.key_generation}",
        "resources": [key],
        "outputs": {"version": {"type": "string", "value": f"[{newest}]"}},
    }
    return stack.add(
        "azurerm_resource_group_template_deployment",
        "key",
        provider=provider,
        depends_on=(vault,),
        name=key_name,
        resource_group_name=group.attribute("name"),
        deployment_mode="Incremental",
        template_content=json.dumps(template, sort_keys=True),
        tags=deployment.tags(),
    )
