"""The key vault and, if the settings ask for it, the customer-managed key that encrypts everything."""

from dataclasses import dataclass

from infra.config.naming import ResourceKind
from infra.constructs.azure.network import VirtualNetwork, private_endpoint
from infra.constructs.deployment import Deployment
from infra.synthesis.stack import Provider, Resource, Stack

DATABRICKS_APPLICATION = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d"
"""Application id of the Azure Databricks service, the same in every tenant (Microsoft Learn)."""

KEY_USER = "Key Vault Crypto Service Encryption User"
KEY_OFFICER = "Key Vault Crypto Officer"


@dataclass(frozen=True, kw_only=True)
class Encryption:
    """The vault, and the customer-managed key if there is one."""

    vault: Resource
    key: Resource | None
    ready: tuple[Resource, ...]


def encryption(
    stack: Stack,
    group: Resource,
    *,
    deployment: Deployment,
    network: VirtualNetwork,
    deployer: str,
    provider: Provider,
    entra: Provider,
) -> Encryption:
    """Add the vault (role-based, purge-protected, private) and its key.

    Parameters
    ----------
    deployer
        Entra object id of the identity that applies the stack; not whoever is signed in, so that a plan of somebody else
        shows no change.
    """
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
    endpoint = private_endpoint(
        stack,
        "vault",
        vault,
        subresource="vault",
        zone=network.zones["vault"],
        subnet=network.endpoint_subnet,
        group=group,
        deployment=deployment,
        provider=provider,
    )
    if not deployment.settings.customer_managed_keys:
        return Encryption(vault=vault, key=None, ready=())
    officer = _role(stack, "deployer_keys", vault, KEY_OFFICER, deployer, provider)
    key = stack.add(
        "azurerm_key_vault_key",
        "key",
        provider=provider,
        depends_on=(officer, endpoint),
        prevent_destroy=deployment.settings.locks,
        name=deployment.name(ResourceKind.KEY),
        key_vault_id=vault.id,
        key_type="RSA-HSM",
        key_size=3072,
        key_opts=["wrapKey", "unwrapKey"],
        rotation_policy={
            "expire_after": "P2Y",
            "notify_before_expiry": "P30D",
            "automatic": {"time_before_expiry": "P60D"},
        },
        tags=deployment.tags(),
    )
    service = stack.look_up("azuread_service_principal", "databricks", provider=entra, client_id=DATABRICKS_APPLICATION)
    wrap = _role(stack, "databricks_key", vault, KEY_USER, service.attribute("object_id"), provider)
    return Encryption(vault=vault, key=key, ready=(wrap,))


def let_use_key(stack: Stack, label: str, encryption: Encryption, principal_id: str, provider: Provider) -> Resource:
    """Let one identity wrap and unwrap keys with the environment's key."""
    return _role(stack, label, encryption.vault, KEY_USER, principal_id, provider)


def _role(stack: Stack, label: str, scope: Resource, role: str, principal_id: str, provider: Provider) -> Resource:
    return stack.add(
        "azurerm_role_assignment",
        label,
        provider=provider,
        scope=scope.id,
        role_definition_name=role,
        principal_id=principal_id,
    )
