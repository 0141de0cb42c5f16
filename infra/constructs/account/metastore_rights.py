"""The rights on the metastore with which an environment's identity creates its own catalog, location and credential."""

from collections.abc import Iterable

from databricks.sdk.service.catalog import Privilege

from infra.constructs.deployment import Deployment
from infra.synthesis.stack import Provider, Resource, Stack

CREATES = (Privilege.CREATE_CATALOG, Privilege.CREATE_EXTERNAL_LOCATION, Privilege.CREATE_STORAGE_CREDENTIAL)
"""What an environment creates in the metastore itself.

Source: https://learn.microsoft.com/en-us/azure/databricks/data-governance/unity-catalog/manage-privileges/privileges
"""


def metastore_rights(
    stack: Stack, *, deployment: Deployment, account: Stack, after: Iterable[Resource], provider: Provider
) -> None:
    """Grant the environment's identity what it needs on the metastore.

    The resource is authoritative for this principal alone, because several environments share the metastore, and each
    has a stack of its own. An account admin manages the privileges on a metastore, through a workspace that is attached.
    Source: https://learn.microsoft.com/en-us/azure/databricks/data-governance/unity-catalog/manage-privileges/admin-privileges

    Parameters
    ----------
    after
        What makes the identity of the account a member of the workspace.
    provider
        The workspace, signed in to with the identity of the account.
    """
    of_telemetry = () if deployment.settings.telemetry is None else (Privilege.CREATE_SERVICE_CREDENTIAL,)
    stack.add(
        "databricks_grant",
        "metastore",
        provider=provider,
        depends_on=after,
        metastore=stack.reading(account, "metastore_id"),
        principal=stack.reading(account, f"runner_{deployment.environment}"),
        privileges=[privilege.value for privilege in (*CREATES, *of_telemetry)],
    )
