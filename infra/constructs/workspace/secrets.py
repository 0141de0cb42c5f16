"""A team's secret scope and who may read it. No secret's value is ever in a stack."""

from databricks.sdk.service.workspace import AclPermission

from infra.config.model import Team
from infra.config.naming import Kind, logical_id
from infra.constructs.deployment import Deployment
from infra.permissions.access import Holder
from infra.synthesis.stack import Provider, Resource, Stack


def secret_scope(
    stack: Stack, team: Team, holder: Holder, *, deployment: Deployment, runner: str, provider: Provider
) -> Resource:
    """Add the scope of a team: its jobs read it, its people where their access says so."""
    scope = stack.add(
        "databricks_secret_scope",
        logical_id(team.name),
        provider=provider,
        prevent_destroy=deployment.settings.locks,
        name=deployment.name(Kind.SECRET_SCOPE, team.name),
    )
    readers = [("runner", runner, AclPermission.READ)]
    if holder.rights.secrets is not None:
        readers.append(("members", holder.principal, holder.rights.secrets))
    for label, principal, permission in readers:
        stack.add(
            "databricks_secret_acl",
            logical_id(team.name, label),
            provider=provider,
            scope=scope.attribute("name"),
            principal=principal,
            permission=permission.value,
        )
    return scope
