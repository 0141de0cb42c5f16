"""Checks on customer-managed keys and closed data planes: who needs a key may use it in time, and no plan needs a path in.

What each service needs is stated here apart from the constructs that grant it. Sources, on learn.microsoft.com:
azure/databricks/security/keys/cmk-managed-disks-azure, azure/databricks/security/keys/cmk-managed-services-azure,
azure/databricks/security/keys/customer-managed-keys, azure/storage/common/customer-managed-keys-overview.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from infra.checks.finding import PolicyCheck, Stacks
from infra.checks.reading import SynthesizedResource, referenced, resources
from infra.terraform_cli.references import expressions
from infra.terraform_cli.synthesized import as_blocks

KEY_USER = "Key Vault Crypto Service Encryption User"
DATABRICKS_APPLICATION = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d"
"""Application id of the Azure Databricks service in every tenant."""
SERVICE = "the enterprise application AzureDatabricks"

DATA_PLANE = (
    "azurerm_key_vault_key", "azurerm_key_vault_secret", "azurerm_key_vault_certificate",
    "azurerm_storage_blob", "azurerm_storage_data_lake_gen2_filesystem", "azurerm_storage_data_lake_gen2_path",
    "azurerm_storage_queue", "azurerm_storage_table", "azurerm_storage_share",
)  # fmt: skip
"""Resource types that the Azure provider creates through the data plane of a vault or of a storage account."""

FEATURES: Mapping[str, tuple[str, str]] = {
    "azurerm_storage_account": ("storage", "data_plane_available"),
    "azurerm_resource_group_template_deployment": ("template_deployment", "delete_nested_items_during_deletion"),
}
"""By resource type, the feature of the provider that must be off: block and name."""


def _keys(stacks: Stacks) -> Iterator[tuple[str, str]]:
    yield from _vaults(stacks)
    for workspace in resources(stacks, "azurerm_databricks_workspace"):
        if workspace.arguments.get("managed_disk_cmk_key_vault_key_id"):
            yield from _missing(stacks, workspace, workspace, "managed_disk_identity", "no cluster would start")
        if workspace.arguments.get("managed_services_cmk_key_vault_key_id"):
            yield from _missing_service(stacks, workspace)
            yield from _missing(stacks, workspace, workspace, "storage_account_identity", "managed services need it")
    for user, target, owner, identity in _USERS:
        for resource in resources(stacks, user):
            for where in referenced(stacks, resource.stack, resource.arguments.get(target)):
                found = [r for r in resources(stacks, owner) if r.where == where]
                for account in found:
                    yield from _missing(stacks, account, resource, identity, "it could not be encrypted", before=True)


_USERS = (
    ("azurerm_storage_account_customer_managed_key", "storage_account_id", "azurerm_storage_account", "identity"),
    (
        "azurerm_databricks_workspace_root_dbfs_customer_managed_key", "workspace_id", "azurerm_databricks_workspace",
        "storage_account_identity",
    ),
)  # fmt: skip
"""Resource types that make something use a key: the argument that names it, its type and its identity."""


def _missing(
    stacks: Stacks,
    owner: SynthesizedResource,
    user: SynthesizedResource,
    identity: str,
    consequence: str,
    *,
    before: bool = False,
) -> Iterator[tuple[str, str]]:
    """Yield that the identity of a resource has no right on the key, or gets it too late."""
    wanted = f"{owner.address}.{identity}[0].principal_id"
    rights = [
        r for r in _rights(stacks) if r.stack == owner.stack and wanted in expressions(r.arguments["principal_id"])
    ]
    if not rights:
        yield (
            user.where,
            f"the {identity} of {owner.address} does not hold {KEY_USER!r}: {consequence}; assign the role.",
        )
    elif before and not _waits_for(user, rights):
        yield (
            user.where,
            f"uses the key, perhaps before the {identity} of {owner.address} may; state depends_on {rights[0].address}.",
        )


def _missing_service(stacks: Stacks, workspace: SynthesizedResource) -> Iterator[tuple[str, str]]:
    named = stacks[workspace.stack].content.get("data", {}).get("azuread_service_principal", {})
    services = {
        f"data.azuread_service_principal.{name}.object_id"
        for name, arguments in named.items()
        if arguments.get("client_id") == DATABRICKS_APPLICATION
    }
    rights = [r for r in _rights(stacks) if r.stack == workspace.stack and services & set(expressions(r.arguments))]
    if not rights:
        yield workspace.where, f"{SERVICE} does not hold {KEY_USER!r}: managed services could not be encrypted."
    elif not _waits_for(workspace, rights):
        yield workspace.where, f"may be created before {SERVICE} may use the key; state depends_on {rights[0].address}."


def _vaults(stacks: Stacks) -> Iterator[tuple[str, str]]:
    """Yield closed vaults that refuse services outside every network: encrypting disks and managed services is one."""
    keys = {key.stack for key in _rights(stacks)}
    for vault in resources(stacks, "azurerm_key_vault"):
        admits = any(block.get("bypass") == "AzureServices" for block in vault.blocks("network_acls"))
        if vault.stack in keys and not admits:
            yield (
                vault.where,
                "network_acls.bypass must be 'AzureServices': services use its key from outside the network.",
            )


def _rights(stacks: Stacks) -> Iterator[SynthesizedResource]:
    for role in resources(stacks, "azurerm_role_assignment"):
        if role.arguments.get("role_definition_name") == KEY_USER:
            yield role


def _waits_for(user: SynthesizedResource, rights: list[SynthesizedResource]) -> bool:
    return bool({right.address for right in rights} & set(user.arguments.get("depends_on", ())))


def _data_planes(stacks: Stacks) -> Iterator[tuple[str, str]]:
    """Yield what needs a network path to a vault or an account that is closed from its first moment."""
    closed = {
        resource.where
        for resource in resources(stacks, "azurerm_key_vault", "azurerm_storage_account")
        if resource.arguments.get("public_network_access_enabled") is False
    }
    for resource in resources(stacks, *DATA_PLANE):
        behind = closed & {where for value in _places(resource) for where in referenced(stacks, resource.stack, value)}
        for where in sorted(behind):
            yield (
                resource.where,
                f"is created through the data plane of {where}, which is closed; use Azure Resource Manager.",
            )
    for stack in stacks.values():
        for kind, (block, feature) in FEATURES.items():
            if kind in stack.types("resource") and not _is_off(stack.content, block, feature):
                yield (
                    f"{stack.name}/provider.azurerm",
                    f"must state features.{block}.{feature} = false, for its {kind}.",
                )


def _places(resource: SynthesizedResource) -> Iterator[Any]:
    for name in ("key_vault_id", "storage_account_id", "storage_account_name"):
        if name in resource.arguments:
            yield resource.arguments[name]


def _is_off(content: Mapping[str, Any], block: str, feature: str) -> bool:
    stated = [
        inner.get(feature)
        for provider in as_blocks(content.get("provider", {}).get("azurerm"))
        for features in as_blocks(provider.get("features"))
        for inner in as_blocks(features.get(block))
    ]
    return bool(stated) and all(value is False for value in stated)


def _who_runs(stacks: Stacks) -> Iterator[tuple[str, str]]:
    """Yield what depends on the identity that runs Terraform: another identity's plan would replace it."""
    for resource in resources(stacks):
        if any(
            "data.azurerm_client_config." in text or "data.azuread_client_config." in text
            for text in expressions(resource.arguments)
        ):
            yield resource.where, "depends on who runs Terraform (client_config); name the identity in the settings."


CHECKS = (
    PolicyCheck(
        id="keys-can-be-used", reason="what is encrypted with a key that it may not use cannot start", look=_keys
    ),
    PolicyCheck(
        id="no-closed-data-plane",
        reason="a first deployment has no way through a door that it closes itself",
        look=_data_planes,
    ),
    PolicyCheck(
        id="plan-of-everybody-is-the-same",
        reason="a person deploys first and a pipeline afterwards; neither may undo what the other did",
        look=_who_runs,
    ),
)
