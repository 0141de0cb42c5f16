"""The settings of a workspace that only an account admin may change."""

from collections.abc import Iterable

from databricks.sdk.service.settings import RestrictWorkspaceAdminsMessageStatus

from infra.synthesis.stack import Provider, Resource, Stack


def restrictions(stack: Stack, *, after: Iterable[Resource], provider: Provider) -> None:
    """Take from workspace admins the right to run jobs as others and to make tokens for others.

    Only an account admin who is a member of the workspace sets it. Afterwards a workspace admin makes only itself the
    owner of a job, and lets it run as itself or as a service principal whose user it is.
    Source: https://learn.microsoft.com/en-us/azure/databricks/admin/workspace-settings/restrict-workspace-admins

    Parameters
    ----------
    after
        What makes the identity of the account a member of the workspace.
    provider
        The workspace, signed in to with the identity of the account.
    """
    status = RestrictWorkspaceAdminsMessageStatus.RESTRICT_TOKENS_AND_JOB_RUN_AS
    stack.add(
        "databricks_restrict_workspace_admins_setting",
        "workspace",
        provider=provider,
        depends_on=after,
        restrict_workspace_admins={"status": status.value},
    )
