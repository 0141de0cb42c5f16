"""The identities as they are: applications and service principals in Entra, their roles, and who administers the account."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from infra.devops.desired_state import DesiredState
from infra.releases.ledger import Az, LedgerError

GRAPH = "https://graph.microsoft.com/v1.0"
GRAPH_APPLICATION = "00000003-0000-0000-c000-000000000000"
"""Application id of Microsoft Graph, the same in every tenant."""
DATABRICKS_APPLICATION = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d"
"""Application id of Azure Databricks, for which `az rest` requests a token."""


@dataclass(frozen=True, kw_only=True)
class ActualIdentities:
    """What exists in Entra and Databricks.

    Attributes
    ----------
    applications, principals
        Display name of an application to its application id, and to the object id of its service principal; an
        application without a service principal can hold no role and sign in nowhere.
    credentials
        Federated issuers and subjects of an application.
    roles
        Azure roles by application and scope, each with its condition.
    graph
        Object id of Microsoft Graph's own service principal.
    graph_roles
        Ids of the roles of Microsoft Graph that an application holds.
    account_principals
        Service principals of the Databricks account by application id, each with its roles; None if whoever is signed
        in may not look.
    """

    applications: Mapping[str, str] = field(default_factory=dict)
    principals: Mapping[str, str] = field(default_factory=dict)
    credentials: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=dict)
    roles: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)
    graph: str = ""
    graph_roles: Mapping[str, frozenset[str]] = field(default_factory=dict)
    account_principals: Mapping[str, tuple[str, frozenset[str]]] | None = field(default_factory=dict)


def read_identities(desired: DesiredState, az: Az) -> ActualIdentities:
    """Read the identities that the set-up may create or give roles to; nothing is written.

    Raises
    ------
    LedgerError
        If the Azure command line fails, for example because nobody is signed in.
    """
    found = {stage.application: _application(az, stage.application) for stage in desired.stages}
    applications = {name: application for name, application in found.items() if application}
    held = {name: _principal(az, application) for name, application in applications.items()}
    principals = {name: principal for name, principal in held.items() if principal}
    return ActualIdentities(
        applications=applications,
        principals=principals,
        credentials={name: _credentials(az, application) for name, application in applications.items()},
        roles={
            (stage.application, scope): _roles(az, applications[stage.application], scope)
            for stage in desired.stages
            if stage.application in principals
            for scope in stage.roles
        },
        graph=_principal(az, GRAPH_APPLICATION),
        graph_roles={
            stage.application: _graph_roles(az, principals[stage.application])
            for stage in desired.stages
            if stage.application in principals and stage.graph_roles
        },
        account_principals=_account_principals(desired, az, applications),
    )


def account_url(desired: DesiredState) -> str:
    """Return the address of the service principals of the Databricks account.

    Source: https://docs.databricks.com/api/azure/account/accountserviceprincipals
    """
    return f"https://accounts.azuredatabricks.net/api/2.0/accounts/{desired.databricks_account_id}/scim/v2/ServicePrincipals"


def _json(az: Az, *words: str) -> Any:
    return json.loads(az((*words, "--output", "json")))


def _application(az: Az, display_name: str) -> str:
    found = _json(az, "ad", "app", "list", "--display-name", display_name)
    return next((str(app["appId"]) for app in found if app["displayName"] == display_name), "")


def _principal(az: Az, application: str) -> str:
    found = _json(az, "ad", "sp", "list", "--filter", f"appId eq '{application}'")
    return next((str(principal["id"]) for principal in found), "")


def _credentials(az: Az, application: str) -> frozenset[tuple[str, str]]:
    found = _json(az, "ad", "app", "federated-credential", "list", "--id", application)
    return frozenset((str(credential["issuer"]), str(credential["subject"])) for credential in found)


def _roles(az: Az, application: str, scope: str) -> Mapping[str, str]:
    found = _json(az, "role", "assignment", "list", "--assignee", application, "--scope", scope)
    return {str(role["roleDefinitionName"]): str(role.get("condition") or "") for role in found}


def _graph_roles(az: Az, principal: str) -> frozenset[str]:
    url = f"{GRAPH}/servicePrincipals/{principal}/appRoleAssignments"
    return frozenset(str(role["appRoleId"]) for role in _json(az, "rest", "--method", "get", "--url", url)["value"])


def _account_principals(
    desired: DesiredState, az: Az, applications: Mapping[str, str]
) -> Mapping[str, tuple[str, frozenset[str]]] | None:
    """Return id and roles of the service principals that should administer the account."""
    found = {}
    for stage in desired.stages:
        application = applications.get(stage.application)
        if not stage.account_admin or application is None:
            continue
        wanted = quote(f'applicationId eq "{application}"')
        url = f"{account_url(desired)}?filter={wanted}"
        try:
            answer = _json(az, "rest", "--method", "get", "--url", url, "--resource", DATABRICKS_APPLICATION)
        except LedgerError:
            return None  # only account admins may look; a person is told what to look for
        for principal in answer.get("Resources", ()):
            roles = frozenset(str(role["value"]) for role in principal.get("roles", ()))
            found[application] = (str(principal["id"]), roles)
    return found
