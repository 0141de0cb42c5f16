"""What every construct inside one environment's workspace is given, and how it adds resources, grants and permissions."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from databricks.sdk.service.iam import PermissionLevel

from infra.config.naming import logical_id
from infra.constructs.deployment import Deployment
from infra.permissions.grants import Grant, Permission
from infra.synthesis.stack import Provider, Resource, Stack


@dataclass(frozen=True, kw_only=True)
class WorkspaceContext:
    """The workspace stack of one environment and what it is made from.

    Attributes
    ----------
    provider
        The Databricks provider whose host is this workspace.
    job_principal
        Application id of the service principal that runs the jobs and owns everything in the catalog.
    """

    stack: Stack
    provider: Provider
    deployment: Deployment
    job_principal: str

    def add(self, type_: str, *label: str, **arguments: Any) -> Resource:
        """Add a resource of this workspace; the parts of its label are joined to its logical id."""
        return self.stack.add(type_, logical_id(*label), provider=self.provider, **arguments)

    def grant(self, *label: str, to: Iterable[Grant], **securable: str) -> Resource:
        """Add the one authoritative list of grants on a securable: Terraform revokes every grant that it does not list.

        Parameters
        ----------
        securable
            The securable by its kind, for example ``schema=...``.
        """
        listed = [
            {"principal": grant.principal, "privileges": sorted(privilege.value for privilege in grant.privileges)}
            for grant in to
        ]
        return self.add("databricks_grants", *label, grant=listed, **securable)

    def permit(
        self, *label: str, groups: Iterable[Permission] = (), jobs: PermissionLevel | None = None, **target: str
    ) -> Resource:
        """Add the one list of permissions on a workspace object.

        Parameters
        ----------
        groups
            The levels of account groups.
        jobs
            The level of the service principal that runs the jobs; None for no permission.
        target
            The id of the object by its kind, for example ``job_id=...``.
        """
        own = [] if jobs is None else [Permission(principal=self.job_principal, level=jobs)]
        listed = [
            *({"service_principal_name": p.principal, "permission_level": p.level.value} for p in own),
            *({"group_name": p.principal, "permission_level": p.level.value} for p in groups),
        ]
        return self.add("databricks_permissions", *label, access_control=listed, **target)
