"""The desired state of Azure DevOps and its identities, from the settings and the names of the pipelines."""

from collections.abc import Mapping
from dataclasses import dataclass

from infra.config.loading import Settings
from infra.config.model import AzureDevops, EnvironmentSettings, StateStorage
from infra.config.naming import ResourceKind, name
from infra.config.pipeline_names import APPROVED, CONNECTIONS, PIPELINES, Connection, place, signs_in_as
from infra.permissions.azure_roles import DATA, AzureRole, deployment_roles

STATE_ROLE = AzureRole(name=DATA)


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
    approved
        Whether its deployment needs an approval.
    """

    name: str
    application: str
    connections: tuple[ServiceConnection, ...]
    subscription_id: str | None
    roles: Mapping[str, tuple[AzureRole, ...]]
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


def desired_state(settings: Settings) -> DesiredState:
    """Return the desired state for the settings."""
    account = settings.account
    devops = account.azure_devops
    stages = [_stage(settings, "account", None, account.state)]
    stages += [_stage(settings, name, stated, stated.state) for name, stated in settings.environments.items()]
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


def _stage(settings: Settings, stage: str, stated: EnvironmentSettings | None, state: StateStorage | None) -> Stage:
    account = settings.account
    scopes = {}
    if stated is not None:
        roles = deployment_roles(customer_managed_keys=stated.customer_managed_keys, locks=stated.locks)
        scopes[f"/subscriptions/{stated.subscription_id}"] = roles
    if state is not None:
        scopes[_scope(state)] = (STATE_ROLE,)
    return Stage(
        name=stage,
        application=name(ResourceKind.APPLICATION, account.organisation, stage),
        connections=tuple(_connection(account.azure_devops, key) for key, c in CONNECTIONS.items() if c.stage == stage),
        subscription_id=stated.subscription_id if stated else None,
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
