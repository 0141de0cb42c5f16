"""The first identities: what the guide lets a person do before any pipeline can start.

`python -m infra bootstrap` is run as it is. Azure DevOps is not emulated, so of `python -m infra devops --apply` the steps
in Entra, Azure and the Databricks account are done here, with the roles that `devops` derives from the stacks.
"""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.config.loading import Settings
from infra.config.stack_names import ACCOUNT
from infra.devops.desired_state import Rights, Stage, desired_state
from infra.emulated_cloud.prepared import PERSON
from infra.permissions.azure_roles import CONDITION_VERSION
from infra.rehearsal.site import RehearsalSite
from ml.spec.errors import LakehouseError

APPLICATION = "app-{organisation}-{place}"
AUDIENCE = "api://AzureADTokenExchange"
STATE_ROLE = "Storage Blob Data Contributor"


class RehearsalError(LakehouseError):
    """A step of the rehearsal did not end as it should; the message has its output."""


def run_as(site: RehearsalSite, principal: str, words: list[str], folder: Path, **more: str) -> str:
    """Run a command as an identity and return what it printed.

    Raises
    ------
    RehearsalError
        If it fails.
    """
    done = subprocess.run(  # noqa: S603 -- our own commands
        words,
        cwd=folder,
        env={**os.environ, **site.signed_in(principal), **more},
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise RehearsalError(f"{' '.join(words[:6])} ended with {done.returncode}:\n{said}")
    return done.stdout


def create_states(site: RehearsalSite, settings: Settings, tree: Path) -> list[str]:
    """Create the storage of every state, as the person, and return the places."""
    stated = {ACCOUNT: settings.account.state, **{name: one.state for name, one in settings.environments.items()}}
    places = [place for place, state in stated.items() if state is not None]
    for place in places:
        words = [sys.executable, "-m", "infra", "bootstrap", place, "--principal", PERSON.object_id, "--apply"]
        run_as(site, PERSON.principal, words, tree)
    return places


def create_account_identity(site: RehearsalSite, settings: Settings, rights: Rights) -> str:
    """Create the identity of the account, make it an account admin, and return its application id."""
    stage = next(one for one in desired_state(settings, rights).stages if one.name == ACCOUNT)
    made = ask(site, "graph", "POST", "/v1.0/applications", {"displayName": stage.application})
    principal = ask(site, "graph", "POST", "/v1.0/servicePrincipals", {"appId": made["appId"]})
    body = {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServicePrincipal"], "applicationId": made["appId"],
        "displayName": stage.application, "roles": [{"value": "account_admin"}],
    }  # fmt: skip
    for connection in stage.connections:
        named = {
            "name": connection.name,
            "issuer": connection.issuer,
            "subject": connection.subject,
            "audiences": [AUDIENCE],
        }
        ask(site, "graph", "POST", f"/v1.0/applications/{made['id']}/federatedIdentityCredentials", named)
    ask(site, "account", "POST", f"/api/2.0/accounts/{site.cloud.world.site.account}/scim/v2/ServicePrincipals", body)
    # Sign-in and directory roles are given, not asked for, in the emulated cloud.
    site.cloud.world.account_admins.add(made["appId"])
    site.cloud.world.directory_writers.add(principal["id"])
    give_roles(site, settings, stage, principal["id"])
    return str(made["appId"])


def give_environment_roles(
    site: RehearsalSite, settings: Settings, rights: Rights, environments: list[str]
) -> list[str]:
    """Give the identities of environments the roles that `devops` derives; return what was given."""
    known = site.cloud.world.store("graph", "servicePrincipals").values()
    objects = {str(one.get("displayName")): str(one["id"]) for one in known}
    stages = [one for one in desired_state(settings, rights).stages if one.name in environments]
    return [line for stage in stages for line in give_roles(site, settings, stage, objects[stage.application])]


def object_id(site: RehearsalSite, application: str) -> str:
    """Return the object id in Entra of the service principal of an application."""
    known = site.cloud.world.store("graph", "servicePrincipals").values()
    return next(str(one["id"]) for one in known if one.get("appId") == application)


def give_roles(site: RehearsalSite, settings: Settings, stage: Stage, principal: str) -> list[str]:
    """Give an identity its roles in Azure, and the right to its own state."""
    stated = settings.account.state if stage.name == ACCOUNT else settings.environments[stage.name].state
    # Roles of Microsoft Graph are given, not asked for, in the emulated cloud.
    site.cloud.world.directory_readers |= {principal} if stage.graph_roles else set()
    roles = {scope: {role.name: role.condition for role in given} for scope, given in stage.roles.items()}
    if stated is not None:
        scope = (
            f"/subscriptions/{stated.subscription_id}/resourceGroups/{stated.resource_group}/providers/"
            f"Microsoft.Storage/storageAccounts/{stated.storage_account}"
        )
        roles.setdefault(scope, {}).setdefault(STATE_ROLE, "")
    done = []
    for scope, conditions in roles.items():
        for name, condition in conditions.items():
            assign_role(site, principal, name, scope, condition)
            done.append(f"{stage.application}: {name} on {scope}")
    return done


def assign_role(site: RehearsalSite, principal: str, role: str, scope: str, condition: str = "") -> None:
    """Let a principal hold a role in Azure at a scope, as the person who owns it gives it."""
    words = ["az", "role", "assignment", "create", "--assignee-object-id", principal, "--role", role, "--scope", scope]
    if condition:
        words += ["--condition", condition, "--condition-version", CONDITION_VERSION]
    run_as(site, PERSON.principal, words, site.folder)


def ask(
    site: RehearsalSite, host: str, method: str, path: str, body: Mapping[str, Any], *, who: str = PERSON.name
) -> dict[str, Any]:
    """Send a request to a service of the emulated cloud as one of its first identities."""
    described = json.loads(site.addresses.tokens.read_text(encoding="utf-8"))
    request = urllib.request.Request(  # noqa: S310 -- an address of the emulated cloud
        f"{site.addresses.hosts[host]}{path}", data=json.dumps(body).encode(), method=method,
        headers={"Authorization": f"Bearer {described['identities'][who]['token']}"},
    )  # fmt: skip
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        content = answer.read()
    return dict(json.loads(content)) if content else {}
