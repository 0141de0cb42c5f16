"""Plans what the identities lack: applications, service principals, federated credentials, roles."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from infra.devops.actual_identities import DATABRICKS_APPLICATION, GRAPH, account_url
from infra.devops.actual_state import ActualState
from infra.devops.desired_state import AzureRole, DesiredState, ServiceConnection, Stage
from infra.devops.step import SetupStep
from infra.permissions.azure_roles import CONDITION_VERSION, PRIVILEGED

GRAPH_ROLES: Mapping[str, str] = {
    "Application.Read.All": "9a5d68dd-52b0-4cc2-bd40-abcc3ac3049c",
    "Application.ReadWrite.OwnedBy": "18a4783c-866b-4cc7-a460-3d5e5662c884",
}
"""Roles of Microsoft Graph, with ids that are the same in every tenant.

Source: https://learn.microsoft.com/en-us/graph/permissions-reference
"""
ADMIN_ROLE = "account_admin"


def identity_steps(actual: ActualState, desired: DesiredState) -> Iterator[SetupStep]:
    """Yield what the identities lack. The account stack creates those of environments, this set-up that of the account."""
    for stage in desired.stages:
        application = actual.identities.applications.get(stage.application)
        if application is None:
            yield _application(stage)
            continue
        if stage.application not in actual.identities.principals:
            yield _principal(stage, application)
        yield from _credentials(stage, application, actual)
        missing = (
            "" if stage.application in actual.identities.principals else f"the service principal {stage.application}"
        )
        yield from _azure_roles(stage, application, actual, missing)
        yield from _graph_roles(stage, actual, missing)
        yield from _account_admin(stage, application, actual, desired, missing)


def token_of(connection: Mapping[str, Any]) -> tuple[str, str]:
    """Return issuer and subject of a service connection's token, as stated by Azure DevOps."""
    stated = connection.get("authorization", {}).get("parameters", {})
    return (
        str(stated.get("workloadIdentityFederationIssuer", "")),
        str(stated.get("workloadIdentityFederationSubject", "")),
    )


def _application(stage: Stage) -> SetupStep:
    if stage.account_admin:
        return SetupStep(
            what=f"create the Entra application {stage.application}",
            reason="the identity that deploys the account stack cannot be in it",
            command=("ad", "app", "create", "--display-name", stage.application, "--output", "none"),
        )
    return SetupStep(
        what=f"deploy the account stack, which creates the Entra application {stage.application}",
        reason=f"the pipelines sign in to {stage.name} with this identity",
    )


def _principal(stage: Stage, application: str) -> SetupStep:
    """Return the step that makes an application one that can sign in and hold roles.

    Source: https://learn.microsoft.com/en-us/entra/identity-platform/app-objects-and-service-principals
    """
    if not stage.account_admin:
        return SetupStep(
            what=f"deploy the account stack, which creates the service principal {stage.application}",
            reason="an application alone signs in nowhere",
        )
    return SetupStep(
        what=f"create the service principal of the Entra application {stage.application}",
        reason="an application alone signs in nowhere and holds no role",
        command=("ad", "sp", "create", "--id", application, "--output", "none"),
    )


def _credentials(stage: Stage, application: str, actual: ActualState) -> Iterator[SetupStep]:
    credentials = actual.identities.credentials.get(stage.application, frozenset())
    for connection in stage.connections if stage.account_admin else ():
        known = actual.connections.get(connection.place)
        token = token_of(known) if known else None
        if token not in credentials:
            yield _credential(stage, connection, token, application)


def _credential(
    stage: Stage, connection: ServiceConnection, token: tuple[str, str] | None, application: str
) -> SetupStep:
    issuer, subject = token or ("", "")
    body = {
        "name": f"azure-devops-{connection.name}", "issuer": issuer, "subject": subject,
        "audiences": ["api://AzureADTokenExchange"],
    }  # fmt: skip
    return SetupStep(
        what=f"let the service connection {connection.place} sign in as {stage.application}",
        reason="no federated credential has its issuer and subject",
        command=(
            "ad", "app", "federated-credential", "create", "--id", application,
            "--parameters", json.dumps(body, sort_keys=True), "--output", "none",
        ),
        waits_for="" if token else f"the service connection {connection.place}: it states issuer and subject",
    )  # fmt: skip


def _azure_roles(stage: Stage, application: str, actual: ActualState, missing: str) -> Iterator[SetupStep]:
    """Yield the steps that give an identity its roles, and those that take away what would give it any other.

    Azure keeps one assignment of a role on a scope: one with another condition goes before the right one comes.
    """
    for scope, roles in stage.roles.items():
        held = actual.identities.roles.get((stage.application, scope), {})
        wanted = {role.name: role.condition for role in roles}
        for name, condition in sorted(held.items()):
            if wanted.get(name) != condition and (name in PRIVILEGED or wanted.get(name)):
                yield SetupStep(
                    what=f"take the role {name} on {scope} from {stage.application}",
                    reason="it gives more than the roles that the stacks assign",
                    command=("role", "assignment", "delete", "--assignee", application, "--role", name, "--scope", scope),
                )  # fmt: skip
        for role in roles:
            if role.name not in held:
                yield _azure_role(stage, application, scope, role, missing)


def _azure_role(stage: Stage, application: str, scope: str, role: AzureRole, missing: str) -> SetupStep:
    limit = ("--condition", role.condition, "--condition-version", CONDITION_VERSION) if role.condition else ()
    only = f", to give the roles {', '.join(role.gives)} alone" if role.gives else ""
    return SetupStep(
        what=f"give {stage.application} the role {role.name} on {scope}{only}",
        reason=f"it deploys {stage.name} and reaches the states with it",
        command=(
            "role", "assignment", "create", "--assignee", application, "--role", role.name, "--scope", scope, *limit,
            "--output", "none",
        ),
        waits_for=missing,
    )  # fmt: skip


def _graph_roles(stage: Stage, actual: ActualState, missing: str) -> Iterator[SetupStep]:
    """Yield the roles of Microsoft Graph that are missing.

    Source: https://learn.microsoft.com/en-us/graph/api/serviceprincipal-post-approleassignments
    """
    principal = actual.identities.principals.get(stage.application, "")
    held = actual.identities.graph_roles.get(stage.application, frozenset())
    for role in stage.graph_roles:
        if GRAPH_ROLES[role] not in held:
            body = {"principalId": principal, "resourceId": actual.identities.graph, "appRoleId": GRAPH_ROLES[role]}
            yield SetupStep(
                what=f"give {stage.application} the role {role} of Microsoft Graph",
                reason=f"the stacks of {stage.name} read or write applications; a Privileged Role Administrator gives it",
                command=(
                    "rest", "--method", "post", "--url", f"{GRAPH}/servicePrincipals/{principal}/appRoleAssignments",
                    "--headers", "Content-Type=application/json", "--body", json.dumps(body, sort_keys=True),
                    "--output", "none",
                ),
                waits_for=missing,
            )  # fmt: skip


def _account_admin(
    stage: Stage, application: str, actual: ActualState, desired: DesiredState, missing: str
) -> Iterator[SetupStep]:
    if not stage.account_admin:
        return
    what = f"make {stage.application} an admin of the Databricks account"
    known = actual.identities.account_principals
    if known is None:
        yield SetupStep(
            what=f"see in the account console that {stage.application} is an account admin, or make it one",
            reason="whoever is signed in is no account admin and may not look",
        )
        return
    identifier, roles = known.get(application, ("", frozenset()))
    if ADMIN_ROLE in roles:
        return
    if identifier:
        change = {"op": "add", "path": "roles", "value": [{"value": ADMIN_ROLE}]}
        schema = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
        method, url, body = (
            "patch",
            f"{account_url(desired)}/{identifier}",
            {"schemas": [schema], "Operations": [change]},
        )
    else:
        method, url = "post", account_url(desired)
        body = {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServicePrincipal"], "applicationId": application,
            "displayName": stage.application, "roles": [{"value": ADMIN_ROLE}],
        }  # fmt: skip
    yield SetupStep(
        what=what,
        reason="it alone deploys what belongs to the account",
        command=(
            "rest", "--method", method, "--url", url, "--resource", DATABRICKS_APPLICATION,
            "--headers", "Content-Type=application/json", "--body", json.dumps(body, sort_keys=True), "--output", "none",
        ),
        waits_for=missing,
    )  # fmt: skip
