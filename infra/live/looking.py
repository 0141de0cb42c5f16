"""Looks for rights that were given by hand in one place: as whoever is signed in, and changes nothing."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.config.ceilings import ceilings
from infra.config.loading import Settings
from infra.config.naming import ResourceKind, name
from infra.config.stack_names import ACCOUNT
from infra.graph.estate import Estate
from infra.graph.identities import expected_members
from infra.graph.rights import Judge
from infra.live.azure_by_hand import added_in_azure
from infra.live.azure_declared import azure_declaration
from infra.live.azure_reading import AzureReader
from infra.live.azure_session import AzureSession
from infra.live.by_hand import AddedByHand, added_by_hand
from infra.live.declared_rights import DeclaredRights
from infra.live.live_rights import LiveRights
from infra.live.reading import AccountReader, WorkspaceReader
from infra.rights.needed import NeededRight
from infra.terraform_cli.synthesized import SynthesizedStack
from pipelines.declarations.use_case import UseCase

if TYPE_CHECKING:
    from databricks.sdk import AccountClient, WorkspaceClient

ACCOUNT_HOST = "https://accounts.azuredatabricks.net"
"""The address of every account of Azure Databricks (https://learn.microsoft.com/en-us/azure/databricks/admin/account-settings/)."""


@dataclass(frozen=True, kw_only=True)
class RightsDrift:
    """What is held beyond the declaration in one place, and what could not be read."""

    added: tuple[AddedByHand, ...]
    unread: tuple[str, ...]

    def __add__(self, other: "RightsDrift") -> "RightsDrift":
        """Return both."""
        return RightsDrift(added=(*self.added, *other.added), unread=(*self.unread, *other.unread))


class Declaration:
    """What is declared for one place, in the tree and in what was released.

    Parameters
    ----------
    stacks
        Every stack of the tree.
    released
        Those of the place as they were released; a right of theirs is not by hand before the next release takes it away.
    """

    def __init__(
        self,
        stacks: Mapping[str, SynthesizedStack],
        released: Mapping[str, SynthesizedStack],
        settings: Settings,
        use_cases: tuple[UseCase, ...],
        place: str,
    ) -> None:
        self.place, self.settings = place, settings
        self.estates = [Estate(stacks, settings), Estate(_as_released(stacks, released), settings)]
        self.rights = [DeclaredRights(estate, use_cases, place) for estate in self.estates]
        self.judge = Judge(self.estates[0], ceilings(), use_cases)

    def beyond(self, live: LiveRights) -> RightsDrift:
        """Return what is held beyond it."""
        runner = name(ResourceKind.APPLICATION, self.settings.account.organisation, self.place)
        return RightsDrift(added=added_by_hand(live, self.rights, self.judge, runner), unread=tuple(live.unread))


def rights_of_workspace(client: "WorkspaceClient", declaration: Declaration) -> RightsDrift:
    """Return what is held by hand in an environment's workspace and catalog."""
    reader = WorkspaceReader(client, declaration.place, declaration.rights[0].folders)
    return declaration.beyond(reader.read())


def rights_of_account(client: "AccountClient", declaration: Declaration) -> RightsDrift:
    """Return what is held by hand in the account; a workspace of another repository is not looked at."""
    organisation = declaration.settings.account.organisation
    ours = {name(ResourceKind.WORKSPACE, organisation, place): place for place in declaration.settings.environments}
    numbers = {
        ours[str(one.workspace_name)]: int(one.workspace_id)
        for one in client.workspaces.list()
        if one.workspace_id is not None and one.workspace_name in ours
    }
    identities = [name(ResourceKind.APPLICATION, organisation, place) for place in (ACCOUNT, *ours.values())]
    groups = expected_members(declaration.settings)
    return declaration.beyond(AccountReader(client, numbers, groups, identities).read())


def rights_in_azure(
    session: AzureSession, declaration: Declaration, needed: Mapping[str, Sequence[NeededRight]]
) -> RightsDrift:
    """Return what is held by hand in Azure at the scopes of a place, and on its application in Entra.

    The account's identity reads every application; dev's reads none, and takes a service principal with exactly its own
    role at its own scope for itself.

    Parameters
    ----------
    needed
        The rights that each place's identity needs, which `infra devops` gives it.
    """
    declared = azure_declaration(declaration.estates, ceilings(), declaration.place, needed)
    live = AzureReader(session, declared).read()
    return RightsDrift(added=added_in_azure(live, declared), unread=tuple(live.unread))


def signed_in_to_account(settings: Settings) -> "AccountClient":
    """Return the client of the account, with the session of whoever runs the command."""
    from databricks.sdk import AccountClient

    return AccountClient(host=ACCOUNT_HOST, account_id=settings.account.databricks_account_id)


def signed_in_to_workspace(resource_id: str) -> "WorkspaceClient":
    """Return the client of an environment's workspace, which the SDK finds by its Azure resource id."""
    from databricks.sdk import WorkspaceClient

    return WorkspaceClient(azure_workspace_resource_id=resource_id)


def _as_released(
    stacks: Mapping[str, SynthesizedStack], released: Mapping[str, SynthesizedStack]
) -> dict[str, SynthesizedStack]:
    """Return the stacks of the tree, with the resources of those that were released."""
    changed = {
        one: dataclasses.replace(
            stacks[one], content={**stacks[one].content, "resource": those.content.get("resource", {})}
        )
        for one, those in released.items()
        if one in stacks
    }
    return {**stacks, **changed}
