"""Makes every name and every tag: allowed characters, length limits, a hash where a name is cut.

Sources of the limits: "Naming rules and restrictions for Azure resources" (Microsoft Learn) and the Databricks REST
API reference. Names of Unity Catalog securables are the same on a laptop and come from the declarations.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from infra.permissions.roles import Role
from ml.spec.errors import DeclarationError


@dataclass(frozen=True, kw_only=True)
class NamingRule:
    """How one kind of name is built: prefix, separator of its parts, maximum length."""

    prefix: str
    limit: int
    separator: str = "-"


class ResourceKind(Enum):
    """The kinds of resources that we name."""

    RESOURCE_GROUP = NamingRule(prefix="rg", limit=90)
    NETWORK = NamingRule(prefix="vnet", limit=64)
    SUBNET = NamingRule(prefix="snet", limit=80)
    SECURITY_GROUP = NamingRule(prefix="nsg", limit=80)
    NAT_GATEWAY = NamingRule(prefix="ng", limit=80)
    PUBLIC_IP = NamingRule(prefix="pip", limit=80)
    PRIVATE_ENDPOINT = NamingRule(prefix="pep", limit=64)
    PEERING = NamingRule(prefix="peer", limit=80)
    ROUTE_TABLE = NamingRule(prefix="rt", limit=80)
    DNS_LINK = NamingRule(prefix="dnslink", limit=80)
    KEY_VAULT = NamingRule(prefix="kv", limit=24)
    KEY = NamingRule(prefix="cmk", limit=127)
    ACCESS_CONNECTOR = NamingRule(prefix="dbac", limit=64)
    STORAGE_ACCOUNT = NamingRule(prefix="st", limit=24, separator="")
    WORKSPACE = NamingRule(prefix="dbw", limit=64)
    LOG_WORKSPACE = NamingRule(prefix="log", limit=63)
    DIAGNOSTICS = NamingRule(prefix="diag", limit=64)
    LOCK = NamingRule(prefix="lock", limit=64)
    BUDGET = NamingRule(prefix="budget", limit=63)
    ACTION_GROUP = NamingRule(prefix="ag", limit=64)
    APPLICATION_INSIGHTS = NamingRule(prefix="appi", limit=255)
    PRIVATE_LINK_SCOPE = NamingRule(prefix="ampls", limit=64)
    ALERT_RULE = NamingRule(prefix="alert", limit=128)
    APPLICATION = NamingRule(prefix="app", limit=120)
    CREDENTIAL = NamingRule(prefix="cred", limit=100)
    LOCATION = NamingRule(prefix="loc", limit=100)
    NETWORK_POLICY = NamingRule(prefix="np", limit=32)
    CONNECTIVITY = NamingRule(prefix="ncc", limit=30)
    GROUP = NamingRule(prefix="grp", limit=100)
    POLICY = NamingRule(prefix="policy", limit=100)
    POOL = NamingRule(prefix="pool", limit=100)
    CLUSTER = NamingRule(prefix="cluster", limit=100)
    SQL_WAREHOUSE = NamingRule(prefix="sql", limit=100)
    SECRET_SCOPE = NamingRule(prefix="scope", limit=128)
    ENDPOINT = NamingRule(prefix="serve", limit=63)
    METASTORE = NamingRule(prefix="metastore", limit=100)


HASH_LENGTH = 6


def name(kind: ResourceKind, *parts: str) -> str:
    """Return the name of a resource, never longer than its kind allows.

    Parameters
    ----------
    kind
        The kind of resource.
    parts
        Organisation, environment and whatever distinguishes this resource from others of its kind.

    Returns
    -------
    str
        Lower case. A name that would be too long is cut and ends with a hash of the whole name, so that two long names
        with the same beginning stay different.

    Raises
    ------
    DeclarationError
        If a part holds no letter or digit.
    """
    rule: NamingRule = kind.value
    cleaned = [re.sub(r"[^a-z0-9]+", rule.separator, part.lower()).strip(rule.separator or None) for part in parts]
    if not all(cleaned):
        raise DeclarationError(f"name of a {kind.name.lower()} from {parts}: every part needs a letter or digit.")
    whole = rule.separator.join((rule.prefix, *cleaned))
    if len(whole) <= rule.limit:
        return whole
    digest = hashlib.sha256(whole.encode()).hexdigest()[:HASH_LENGTH]
    return whole[: rule.limit - HASH_LENGTH - len(rule.separator)].rstrip("-") + rule.separator + digest


def role_group(organisation: str, environment: str, role: Role) -> str:
    """Return the account group whose members hold a role in an environment."""
    return name(ResourceKind.GROUP, organisation, environment, role.value)


def team_group(organisation: str, team: str) -> str:
    """Return the account group of a team's members."""
    return name(ResourceKind.GROUP, organisation, "team", team)


def logical_id(*parts: str) -> str:
    """Return the last part of a Terraform address: stable, readable, in characters that Terraform allows.

    The parts are joined by ``_``. Another way of joining would change every address, which golden lists would report.
    """
    return "_".join(re.sub(r"[^A-Za-z0-9]+", "_", part).strip("_").lower() for part in parts if part)


def tags(
    *,
    organisation: str,
    environment: str,
    team: str = "platform",
    cost_centre: str = "shared",
    use_case: str = "shared",
    commit: str | None = None,
) -> Mapping[str, str]:
    """Return the tags of a resource, for dividing costs and finding owners."""
    return {
        "organisation": organisation,
        "environment": environment,
        "team": team,
        "cost_centre": cost_centre,
        "use_case": use_case,
        "managed_by": "terraform",
        **({"git_commit": commit} if commit else {}),
    }
