"""The providers that several kinds of stacks configure; none reads environment variables."""

from collections.abc import Mapping

from infra.config.model import AccountSettings
from infra.constructs.deployment import Deployment
from infra.synthesis.stack import Provider, Stack

ACCOUNT_HOST = "https://accounts.azuredatabricks.net"


def databricks_account(stack: Stack, account: AccountSettings) -> Provider:
    """Configure the provider of the Databricks account, which manages workspaces and serverless networks."""
    return stack.provider(
        "databricks", "account", host=ACCOUNT_HOST, account_id=account.databricks_account_id, auth_type="azure-cli"
    )


FEATURES: Mapping[str, Mapping[str, bool]] = {
    "storage": {"data_plane_available": False},
    "key_vault": {"purge_soft_delete_on_destroy": False},
    "template_deployment": {"delete_nested_items_during_deletion": False},
}
"""Defaults of the Azure provider that do not fit closed services, changed.

Storage accounts and vaults are closed from their first moment: the provider would wait for an account's endpoints until it
gives up. A vault with purge protection cannot be purged. A template's key cannot be deleted through Azure Resource Manager.
Source: the provider's guide "The Features Block" (github.com/hashicorp/terraform-provider-azurerm, version 4.55.0).
"""

OF_TELEMETRY: Mapping[str, Mapping[str, bool]] = {"application_insights": {"disable_generated_rule": True}}
"""Azure adds an alert rule of its own to each new component, which nobody has declared and no page lists; same source."""


def azure_subscription(stack: Stack, deployment: Deployment) -> Provider:
    """Configure the provider of Azure, for the environment's subscription."""
    features = {**FEATURES, **(OF_TELEMETRY if deployment.settings.telemetry is not None else {})}
    return stack.provider(
        "azurerm",
        "azure",
        features=[{name: [dict(values)] for name, values in features.items()}],
        subscription_id=deployment.settings.subscription_id,
        tenant_id=deployment.account.entra_tenant_id,
        storage_use_azuread=True,
    )


def databricks_workspace(stack: Stack, alias: str, *, host: str, resource_id: str) -> Provider:
    """Configure the provider of one workspace, which whoever is signed in to Azure signs in to.

    Parameters
    ----------
    host, resource_id
        The workspace's address, and its id in Azure.
    """
    return stack.provider(
        "databricks", alias, host=host, azure_workspace_resource_id=resource_id, auth_type="azure-cli"
    )
