"""What must be set up in Azure DevOps and for its identities, as the settings and the pipelines' names say."""

from collections.abc import Mapping
from dataclasses import dataclass

from infra.config.loading import Settings
from infra.config.model import AzureDevops, StateStorage
from infra.config.naming import ResourceKind, name
from infra.config.pipeline_names import APPROVED, CONNECTIONS, PIPELINES, Connection, place, signs_in_as

ROLES = ("Contributor", "User Access Administrator")
"""What the identity of an environment holds on its subscription: it makes resources, their locks and their rights."""
STATE_ROLE = "Storage Blob Data Contributor"


@dataclass(frozen=True, kw_only=True)
class ServiceConnection:
    """One way to sign in as the identity of a stage.

    Attributes
    ----------
    issuer, subject
        By what Entra knows it, as the account stack states it.
    declared
        Who may use it, from where, and whether that is approved.
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
    """One thing that is deployed: an environment, or the account.

    Attributes
    ----------
    application
        Display name of the Entra application that its service connections sign in as.
    subscription_id
        None for the account, which has none of its own.
    roles
        Azure roles by the scope that they are held on.
    approved
        Whether somebody approves before it is deployed.
    """

    name: str
    application: str
    connections: tuple[ServiceConnection, ...]
    subscription_id: str | None
    roles: Mapping[str, tuple[str, ...]]
    approved: bool

    @property
    def place(self) -> str:
        """The name of its Azure DevOps environment and of its agents."""
        return place(self.name)


@dataclass(frozen=True, kw_only=True)
class DesiredState:
    """Everything that must be there."""

    organisation: str
    organisation_id: str
    project: str
    repository: str
    tenant_id: str
    approvers: str
    stages: tuple[Stage, ...]
    pipelines: Mapping[str, str]

    @property
    def url(self) -> str:
        """The address of the organisation."""
        return f"https://dev.azure.com/{self.organisation}"

    @property
    def build_identity(self) -> str:
        """The display name of the identity as which the project's pipelines run."""
        return f"{self.project} Build Service ({self.organisation})"


def desired_state(settings: Settings) -> DesiredState:
    """Return what the settings ask for."""
    account = settings.account
    devops = account.azure_devops
    stages = [_stage(settings, "account", None, account.state)]
    stages += [_stage(settings, name, s.subscription_id, s.state) for name, s in settings.environments.items()]
    return DesiredState(
        organisation=devops.organisation,
        organisation_id=devops.organisation_id,
        project=devops.project,
        repository=devops.repository,
        tenant_id=account.entra_tenant_id,
        approvers=devops.approvers,
        stages=tuple(stages),
        pipelines=PIPELINES,
    )


def _stage(settings: Settings, stage: str, subscription_id: str | None, state: StateStorage | None) -> Stage:
    account = settings.account
    scopes: dict[str, tuple[str, ...]] = {f"/subscriptions/{subscription_id}": ROLES} if subscription_id else {}
    if state is not None:
        scopes[_scope(state)] = (STATE_ROLE,)
    return Stage(
        name=stage,
        application=name(ResourceKind.APPLICATION, account.organisation, stage),
        connections=tuple(_connection(account.azure_devops, key) for key, c in CONNECTIONS.items() if c.stage == stage),
        subscription_id=subscription_id,
        roles=scopes,
        approved=stage in APPROVED,
    )


def _connection(devops: AzureDevops, connection: str) -> ServiceConnection:
    issuer, subject = signs_in_as(devops, connection)
    return ServiceConnection(name=connection, issuer=issuer, subject=subject, declared=CONNECTIONS[connection])


def _scope(state: StateStorage) -> str:
    return (
        f"/subscriptions/{state.subscription_id}/resourceGroups/{state.resource_group}"
        f"/providers/Microsoft.Storage/storageAccounts/{state.storage_account}"
    )
