"""The providers that more than one kind of stack configures; none takes anything from environment variables."""

from infra.config.model import AccountSettings
from infra.constructs.deployment import Deployment
from infra.synthesis.stack import Provider, Stack

ACCOUNT_HOST = "https://accounts.azuredatabricks.net"


def databricks_account(stack: Stack, account: AccountSettings) -> Provider:
    """Configure what speaks with the Databricks account, where workspaces and serverless networks are known."""
    return stack.provider(
        "databricks", "account", host=ACCOUNT_HOST, account_id=account.databricks_account_id, auth_type="azure-cli"
    )


def azure_subscription(stack: Stack, deployment: Deployment) -> Provider:
    """Configure what speaks with Azure, in the environment's subscription."""
    return stack.provider(
        "azurerm",
        "azure",
        features=[{}],
        subscription_id=deployment.settings.subscription_id,
        tenant_id=deployment.account.entra_tenant_id,
        storage_use_azuread=True,
    )
