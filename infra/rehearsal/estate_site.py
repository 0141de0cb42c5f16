"""The emulated cloud for the company that the settings describe, before its first deployment."""

from infra.config.loading import Settings
from infra.emulated_cloud.world import Site

NUMBERS = 1_000_000_000_000_001
"""The number of the first environment's workspace; that of the second is twice as large, and so on."""


def site_of(settings: Settings) -> Site:
    """Return the account, the tenant and the subscriptions of settings, without metastore and workspaces."""
    account, environments = settings.account, settings.environments
    return Site(
        account=str(account.databricks_account_id), tenant=str(account.entra_tenant_id), region=account.metastore.region,
        subscriptions=tuple((name, str(one.subscription_id)) for name, one in environments.items()),
        workspaces=tuple((name, str(NUMBERS * index)) for index, name in enumerate(environments, 1)), prepared=False,
    )  # fmt: skip
