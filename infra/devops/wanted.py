"""What must be set up in Azure DevOps and for its identities, as the settings and the pipelines' names say."""

from collections.abc import Mapping
from dataclasses import dataclass

from infra.devops.names import APPROVED, PIPELINES, connection_subject, place
from infra.naming import Kind, name
from infra.settings_loading import Settings
from infra.settings_model import State
from infra.stacks.account import DEVOPS_ISSUER

ROLES = ("Contributor", "User Access Administrator")
"""What the identity of an environment holds on its subscription: it makes resources, their locks and their rights."""
STATE_ROLE = "Storage Blob Data Contributor"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One thing that is deployed: an environment, or the account.

    Attributes
    ----------
    application
        Display name of the Entra application that its service connection signs in as.
    issuer, subject
        By what Entra knows the service connection, as the account stack states it.
    subscription_id
        None for the account, which has none of its own.
    roles
        Azure roles by the scope that they are held on.
    approved
        Whether somebody approves before it is deployed.
    """

    name: str
    application: str
    issuer: str
    subject: str
    subscription_id: str | None
    roles: Mapping[str, tuple[str, ...]]
    approved: bool

    @property
    def place(self) -> str:
        """The name of its service connection and of its Azure DevOps environment."""
        return place(self.name)


@dataclass(frozen=True, kw_only=True)
class Wanted:
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


def wanted(settings: Settings) -> Wanted:
    """Return what the settings ask for."""
    account = settings.account
    devops = account.azure_devops
    stages = [_stage(settings, "account", None, account.state)]
    stages += [_stage(settings, name, s.subscription_id, s.state) for name, s in settings.environments.items()]
    return Wanted(
        organisation=devops.organisation,
        organisation_id=devops.organisation_id,
        project=devops.project,
        repository=devops.repository,
        tenant_id=account.entra_tenant_id,
        approvers=devops.approvers,
        stages=tuple(stages),
        pipelines=PIPELINES,
    )


def _stage(settings: Settings, stage: str, subscription_id: str | None, state: State | None) -> Stage:
    account = settings.account
    devops = account.azure_devops
    stated = devops.federation.get(stage)
    scopes: dict[str, tuple[str, ...]] = {f"/subscriptions/{subscription_id}": ROLES} if subscription_id else {}
    if state is not None:
        scopes[_scope(state)] = (STATE_ROLE,)
    return Stage(
        name=stage,
        application=name(Kind.APPLICATION, account.organisation, stage),
        issuer=stated.issuer if stated else f"{DEVOPS_ISSUER}/{devops.organisation_id}",
        subject=stated.subject if stated else connection_subject(devops.organisation, devops.project, stage),
        subscription_id=subscription_id,
        roles=scopes,
        approved=stage in APPROVED,
    )


def _scope(state: State) -> str:
    return (
        f"/subscriptions/{state.subscription_id}/resourceGroups/{state.resource_group}"
        f"/providers/Microsoft.Storage/storageAccounts/{state.storage_account}"
    )
