"""The providers that several kinds of stacks configure; none reads environment variables."""

from infra.config.model import AccountSettings
from infra.constructs.deployment import Deployment
from infra.synthesis.stack import Provider, Stack

ACCOUNT_HOST = "https://accounts.azuredatabricks.net"


def databricks_account(stack: Stack, account: AccountSettings) -> Provider:
    """Configure the provider of the Databricks account, which manages workspaces and serverless networks."""
    return stack.provider(
        "databricks", "account", host=ACCOUNT_HOST, account_id=account.databricks_account_id, auth_type="azure-cli"
    )


def azure_subscription(stack: Stack, deployment: Deployment) -> Provider:
    """Configure the provider of Azure, for the environment's subscription."""
    return stack.provider(
        "azurerm",
        "azure",
        features=[{}],
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
