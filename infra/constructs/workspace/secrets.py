"""A team's secret scope and who may read it. No secret's value is ever in a stack.

The principal of the jobs creates the scope and manages it; with less it could not change who may read it.
Source: https://learn.microsoft.com/en-us/azure/databricks/security/auth/access-control/#secrets
"""

from databricks.sdk.service.workspace import AclPermission

from infra.config.model import Team
from infra.config.naming import ResourceKind
from infra.constructs.workspace.context import WorkspaceContext
from pipelines.declarations.environment_data import SECRET_SCOPE


def secret_scope(workspace: WorkspaceContext, team: Team) -> None:
    """Add the scope of a team: the principal of the jobs manages it, its people read it if their level allows it.

    Another name would be another, empty scope (https://docs.databricks.com/api/workspace/secrets has no request that renames
    one), so a team that is renamed keeps the name of its scope.
    """
    deployment = workspace.deployment
    scope = workspace.add(
        "databricks_secret_scope",
        team.name,
        prevent_destroy=deployment.settings.locks,
        name=deployment.name(ResourceKind.SECRET_SCOPE, team.first_name),
    )
    holder = deployment.holder_of(team)
    # The label `runner` is part of an address in the state.
    readers = [("runner", workspace.job_principal, AclPermission.MANAGE)]
    if holder.rights.secrets is not None:
        readers.append(("members", holder.principal, holder.rights.secrets))
    for label, principal, permission in readers:
        workspace.add(
            "databricks_secret_acl",
            team.name,
            label,
            scope=scope.attribute("name"),
            principal=principal,
            permission=permission.value,
        )


def redaction_scope(workspace: WorkspaceContext) -> None:
    """Add the scope of the key with which the environment's jobs hash what is redacted; nobody but they may read it.

    Whoever knew the key could hash all values that are possible and compare. Its value is put there by an administrator.
    """
    scope = workspace.add(
        "databricks_secret_scope",
        SECRET_SCOPE,
        prevent_destroy=workspace.deployment.settings.locks,
        name=SECRET_SCOPE,
    )
    workspace.add(
        "databricks_secret_acl",
        SECRET_SCOPE,
        "runner",
        scope=scope.attribute("name"),
        principal=workspace.job_principal,
        permission=AclPermission.MANAGE.value,
    )
