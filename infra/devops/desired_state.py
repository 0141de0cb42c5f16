"""The desired state of Azure DevOps and its identities, from the settings and the names of the pipelines."""

from collections.abc import Mapping
from dataclasses import dataclass

from infra.config.loading import Settings
from infra.config.model import AzureDevops
from infra.config.naming import ResourceKind, name
from infra.config.pipeline_names import APPROVED, CONNECTIONS, PIPELINES, Connection, place, signs_in_as
from infra.config.stack_names import ACCOUNT
from infra.permissions.azure_roles import only_assigning
from infra.rights.catalogue import ACCOUNT_ADMIN, Authority
from infra.rights.needed import NeededRight

Rights = Mapping[str, tuple[NeededRight, ...]]
"""The rights of each identity, by ``account`` and the names of the environments."""


@dataclass(frozen=True, kw_only=True)
class AzureRole:
    """A role in Azure, which an identity needs at one scope.

    Attributes
    ----------
    gives
        For a role that assigns roles: the only ones that it has to assign.
    """

    name: str
    gives: tuple[str, ...] = ()

    @property
    def condition(self) -> str:
        """The condition under which it is held; empty for none."""
        return only_assigning(self.gives)


@dataclass(frozen=True, kw_only=True)
class ServiceConnection:
    """A service connection, which signs in with the identity of a stage.

    Attributes
    ----------
    issuer, subject
        By which Entra identifies it, as in the account stack.
    declared
        Who may use it, from which refs, and whether an approval is needed.
    """

    name: str
    issuer: str
    subject: str
    declared: Connection

    @property
    def place(self) -> str:
        """Its name in Azure DevOps."""
        return place(self.name)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of deployment: an environment, or the account.

    Attributes
    ----------
    application
        Display name of the Entra application of its service connections.
    subscription_id
        None for the account, which has no subscription.
    roles
        Azure roles by scope.
    graph_roles
        Roles of Microsoft Graph.
    account_admin
        Whether it administers the Databricks account.
    approved
        Whether its deployment needs an approval.
    """

    name: str
    application: str
    connections: tuple[ServiceConnection, ...]
    subscription_id: str | None
    roles: Mapping[str, tuple[AzureRole, ...]]
    graph_roles: tuple[str, ...]
    account_admin: bool
    approved: bool

    @property
    def place(self) -> str:
        """The name of its Azure DevOps environment and of its agents."""
        return place(self.name)


@dataclass(frozen=True, kw_only=True)
class DesiredState:
    """Everything that must exist."""

    organisation: str
    organisation_id: str
    project: str
    repository: str
    tenant_id: str
    databricks_account_id: str
    approvers: str
    stages: tuple[Stage, ...]
    pipelines: Mapping[str, str]

    @property
    def url(self) -> str:
        """The address of the organisation."""
        return f"https://dev.azure.com/{self.organisation}"

    @property
    def build_identity(self) -> str:
        """The display name of the identity that runs the project's pipelines."""
        return f"{self.project} Build Service ({self.organisation})"


def desired_state(settings: Settings, rights: Rights) -> DesiredState:
    """Return the desired state for the settings.

    Parameters
    ----------
    rights
        The rights that each identity needs for its stacks.
    """
    account = settings.account
    devops = account.azure_devops
    stages = [_stage(settings, ACCOUNT, None, rights)]
    stages += [_stage(settings, name, s.subscription_id, rights) for name, s in settings.environments.items()]
    return DesiredState(
        organisation=devops.organisation,
        organisation_id=devops.organisation_id,
        project=devops.project,
        repository=devops.repository,
        tenant_id=account.entra_tenant_id,
        databricks_account_id=account.databricks_account_id,
        approvers=devops.approvers,
        stages=tuple(stages),
        pipelines=PIPELINES,
    )


def _stage(settings: Settings, stage: str, subscription_id: str | None, rights: Rights) -> Stage:
    account, needed = settings.account, rights.get(stage, ())
    roles: dict[str, tuple[AzureRole, ...]] = {}
    for right in (right for right in needed if right.authority is Authority.AZURE):
        roles[right.scope] = (*roles.get(right.scope, ()), AzureRole(name=right.right, gives=right.roles_given))
    return Stage(
        name=stage,
        application=name(ResourceKind.APPLICATION, account.organisation, stage),
        connections=tuple(_connection(account.azure_devops, key) for key, c in CONNECTIONS.items() if c.stage == stage),
        subscription_id=subscription_id,
        roles=roles,
        graph_roles=tuple(right.right for right in needed if right.authority is Authority.ENTRA),
        account_admin=any(right.right == ACCOUNT_ADMIN for right in needed),
        approved=stage in APPROVED,
    )


def _connection(devops: AzureDevops, connection: str) -> ServiceConnection:
    issuer, subject = signs_in_as(devops, connection)
    return ServiceConnection(name=connection, issuer=issuer, subject=subject, declared=CONNECTIONS[connection])
