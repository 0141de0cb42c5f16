"""What Azure and the Databricks account hold now, read with the session of ``az login``; nothing is written."""

import datetime as dt
import json
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from infra.devops.actual_identities import DATABRICKS_APPLICATION
from infra.ready.wanted import GlobalName, Wanted
from infra.releases.ledger import Az, LedgerError

Path = Callable[[str], str]
"""Tries the way to a host; returns what is wrong with it, or nothing."""
GRAPH = "https://graph.microsoft.com/v1.0"
SECONDS = 5.0
"""How long a connection may take."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A type of machine as a subscription has it in a region.

    Attributes
    ----------
    family
        The quota that it counts against.
    restriction
        Why it cannot be had; empty if it can.
    """

    family: str
    cores: int
    restriction: str = ""


@dataclass(frozen=True, kw_only=True)
class Quota:
    """The cores of a family of machines in a region."""

    used: int
    limit: int


@dataclass(frozen=True, kw_only=True)
class Present:
    """What exists. What could not be asked is in `unknown`, with the error.

    Attributes
    ----------
    user, tenant_id
        Who is signed in, and where.
    roles
        Azure roles of whoever is signed in on the subscription, groups and inherited ones included.
    directory_roles
        Roles in Entra of the person who is signed in, also by groups.
    registered
        The registered resource providers.
    taken
        Names that exist, each with whether it is in a resource group of ours.
    machines
        By type; a type that the region does not have is missing.
    quotas
        By family.
    pending
        Ids of the connections of private endpoints to our storage that wait for an approval.
    paths
        Host to what is wrong with the way to it from this machine; empty text if nothing is.
    metastores
        Id to name of the account's metastores in the region.
    month
        The present one, as YYYY-MM, in UTC.
    """

    user: str = ""
    tenant_id: str = ""
    roles: frozenset[str] = frozenset()
    directory_roles: frozenset[str] = frozenset()
    registered: frozenset[str] = frozenset()
    taken: Mapping[str, bool] = field(default_factory=dict)
    machines: Mapping[str, Machine] = field(default_factory=dict)
    quotas: Mapping[str, Quota] = field(default_factory=dict)
    pending: tuple[str, ...] = ()
    paths: Mapping[str, str] = field(default_factory=dict)
    metastores: Mapping[str, str] = field(default_factory=dict)
    month: str = ""
    unknown: Mapping[str, str] = field(default_factory=dict)


def read_held(wanted: Wanted, az: Az, path: Path) -> Present:
    """Ask for everything that an environment needs.

    One question that fails does not stop the others: most answers need no more than the role Reader.

    Raises
    ------
    LedgerError
        If nobody is signed in.
    """
    who = _json(az, "account", "show", "--subscription", wanted.subscription_id)
    unknown: dict[str, str] = {}

    def asked(what: str, question: Callable[[], Any], otherwise: Any) -> Any:
        try:
            return question()
        except LedgerError as error:
            unknown[what] = str(error)
            return otherwise

    ids: dict[str, str] = asked("resources", lambda: _resources(wanted, az), {})
    for what in ("taken", "pending", "paths") if "resources" in unknown else ():
        unknown[what] = unknown["resources"]
    user = str(who["user"]["name"])
    return Present(
        user=user,
        tenant_id=str(who["tenantId"]),
        roles=asked("roles", lambda: _roles(wanted, az, user), frozenset()),
        directory_roles=asked("directory_roles", lambda: _directory_roles(az), frozenset()),
        registered=asked("registered", lambda: _registered(wanted, az), frozenset()),
        taken=asked("taken", lambda: {n.name: n.name in ids for n in wanted.names if n.name in ids or _is_taken(n, az)}, {}),
        machines=asked("machines", lambda: _machines(wanted, az), {}),
        quotas=asked("quotas", lambda: _quotas(wanted, az), {}),
        pending=asked("pending", lambda: _pending([ids[name] for name in wanted.approving if name in ids], az), ()),
        paths=asked("paths", lambda: {host: path(host) for host in _hosts(wanted, ids, az)}, {}),
        metastores=asked("metastores", lambda: _metastores(wanted, az), {}),
        month=f"{dt.datetime.now(tz=dt.UTC):%Y-%m}",
        unknown=unknown,
    )  # fmt: skip


def way_to(host: str) -> str:
    """Connect to a host on port 443 and return what is wrong; nothing is sent."""
    try:
        with socket.create_connection((host, 443), timeout=SECONDS):
            return ""
    except socket.gaierror as error:
        return f"its name is not resolved ({error.strerror})"
    except OSError as error:
        return f"no connection ({error.strerror or error})"


def _json(az: Az, *words: str) -> Any:
    return json.loads(az((*words, "--output", "json")))


def _resources(wanted: Wanted, az: Az) -> dict[str, str]:
    """Return the ids of the resources of our groups by name; a group that does not exist has none."""
    return {
        str(one["name"]): str(one["id"])
        for subscription, groups in wanted.groups.items()
        for one in _json(az, "resource", "list", "--subscription", subscription)
        if str(one.get("resourceGroup", "")).lower() in groups
    }


def _roles(wanted: Wanted, az: Az, user: str) -> frozenset[str]:
    found = _json(
        az, "role", "assignment", "list", "--assignee", user, "--include-inherited", "--include-groups",
        "--scope", f"/subscriptions/{wanted.subscription_id}",
    )  # fmt: skip
    return frozenset(str(one["roleDefinitionName"]) for one in found)


def _directory_roles(az: Az) -> frozenset[str]:
    """Return the roles in Entra of the person who is signed in.

    Source: https://learn.microsoft.com/en-us/graph/api/user-list-transitivememberof
    """
    found = _json(az, "rest", "--method", "get", "--url", f"{GRAPH}/me/transitiveMemberOf")
    kind = "#microsoft.graph.directoryRole"
    return frozenset(str(one["displayName"]) for one in found["value"] if one.get("@odata.type") == kind)


def _registered(wanted: Wanted, az: Az) -> frozenset[str]:
    found = _json(az, "provider", "list", "--subscription", wanted.subscription_id)
    return frozenset(str(one["namespace"]) for one in found if one["registrationState"] == "Registered")


def _is_taken(name: GlobalName, az: Az) -> bool:
    """Ask whether somebody has a name; a deleted vault keeps its name while it can be recovered."""
    command = {"storage account": ("storage", "account"), "key vault": ("keyvault",)}[name.kind]
    return not _json(az, *command, "check-name", "--name", name.name)["nameAvailable"]


def _machines(wanted: Wanted, az: Az) -> dict[str, Machine]:
    found = {}
    for name in wanted.machines:
        offered = _json(
            az, "vm", "list-skus", "--subscription", wanted.subscription_id, "--location", wanted.region,
            "--resource-type", "virtualMachines", "--size", name, "--all",
        )  # fmt: skip
        for one in (one for one in offered if one["name"] == name):
            cores = next(c["value"] for c in one["capabilities"] if c["name"] == "vCPUs")
            whole = [r for r in one.get("restrictions") or () if r.get("type") == "Location"]
            why = str(whole[0].get("reasonCode", "restricted")) if whole else ""
            found[name] = Machine(family=str(one["family"]), cores=int(cores), restriction=why)
    return found


def _quotas(wanted: Wanted, az: Az) -> dict[str, Quota]:
    found = _json(az, "vm", "list-usage", "--subscription", wanted.subscription_id, "--location", wanted.region)
    return {
        str(one["name"]["value"]).lower(): Quota(used=int(one["currentValue"]), limit=int(one["limit"]))
        for one in found
    }


def _pending(storages: Iterable[str], az: Az) -> tuple[str, ...]:
    return tuple(
        str(one["id"])
        for storage in storages
        for one in _json(az, "network", "private-endpoint-connection", "list", "--id", storage)
        if one["properties"]["privateLinkServiceConnectionState"]["status"] == "Pending"
    )


def _hosts(wanted: Wanted, ids: Mapping[str, str], az: Az) -> tuple[str, ...]:
    """Return the hosts of the state, the workspace and the vault, as far as they exist."""
    hosts = [wanted.state_host] if wanted.state in ids else []
    for name, property_ in ((wanted.workspace, "workspaceUrl"), (wanted.vault, "vaultUri")):
        if name in ids:
            address = str(_json(az, "resource", "show", "--ids", ids[name])["properties"][property_])
            hosts.append(urlsplit(address).hostname or address)
    return tuple(hosts)


def _metastores(wanted: Wanted, az: Az) -> dict[str, str]:
    """Return the metastores of the account in the region.

    Source: https://docs.databricks.com/api/azure/account/accountmetastores/list
    """
    url = f"https://accounts.azuredatabricks.net/api/2.0/accounts/{wanted.databricks_account_id}/metastores"
    found = _json(az, "rest", "--method", "get", "--url", url, "--resource", DATABRICKS_APPLICATION)
    return {
        str(one["metastore_id"]): str(one["name"])
        for one in found.get("metastores", ())
        if one.get("region") == wanted.metastore_region
    }
