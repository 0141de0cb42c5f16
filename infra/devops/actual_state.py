"""The actual state of Azure DevOps and Entra, read with the Azure command line and the session of `az login`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from infra.devops.actual_identities import ActualIdentities, read_identities
from infra.devops.desired_state import DesiredState
from infra.releases.ledger import Az, LedgerError

RESOURCE = "499b84ac-1321-427f-aa17-267ca6975798"
"""The id of Azure DevOps in Entra, published by Microsoft; `az rest` requests a token for it."""
GIT_NAMESPACE = "2e9eb7ed-3c0a-47d4-87c1-0ffdd275fd87"
"""The security namespace of Git repositories."""
ENTRA = "TEAM FOUNDATION"
"""The scope of Entra groups in Azure DevOps."""
VERSION, PREVIEW = "7.1", "7.1-preview.1"
PAGE = 100
PREVIEWS = ("distributedtask", "pipelines/checks", "pipelines/pipelinePermissions")
"""Resources that this version of the API has in preview only; a request without the flag is refused."""

GENERAL_SETTINGS = "build/generalsettings"
"""What all pipelines of a project keep to: https://learn.microsoft.com/en-us/rest/api/azure/devops/build/general-settings."""

Json = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class PipelineAccess:
    """The pipelines that may use a resource: those with these ids, or all, which takes precedence over the list."""

    pipelines: frozenset[int] = frozenset()
    open_to_all: bool = False


@dataclass(frozen=True, kw_only=True)
class ActualState:
    """What exists in Azure DevOps and Entra.

    Attributes
    ----------
    project, repository
        Their ids; empty if they do not exist.
    pipelines, connections, environments, queues
        By name, as the API returns them; a queue is a project's reference to an agent pool.
    elastic
        Agent pools of scale sets, by the id of the pool.
    checks
        Approvals, locks and branch controls by ``endpoint/<id>``, ``environment/<id>`` and ``queue/<id>``.
    authorised
        The pipelines that may use a resource, by the same keys.
    settings
        The general settings of the project's pipelines.
    policies
        Branch policies of the repository.
    approvers
        The id of the group that approves; empty if Azure DevOps does not know that group.
    build_identity
        Descriptor of the build identity; empty if no pipeline has run yet.
    allowed, denied
        Bits of the rights on the repository that are allowed and denied to the build identity.
    identities
        The applications that the pipelines sign in with, and what they may do.
    """

    project: str = ""
    repository: str = ""
    pipelines: Mapping[str, Json] = field(default_factory=dict)
    connections: Mapping[str, Json] = field(default_factory=dict)
    environments: Mapping[str, Json] = field(default_factory=dict)
    queues: Mapping[str, Json] = field(default_factory=dict)
    elastic: Mapping[int, Json] = field(default_factory=dict)
    checks: Mapping[str, Sequence[Json]] = field(default_factory=dict)
    authorised: Mapping[str, PipelineAccess] = field(default_factory=dict)
    settings: Json = field(default_factory=dict)
    policies: Sequence[Json] = ()
    approvers: str = ""
    build_identity: str = ""
    allowed: int = 0
    denied: int = 0
    identities: ActualIdentities = field(default_factory=ActualIdentities)


def address(base: str, path: str, **query: str) -> str:
    """Return the address of a resource of the API, with the version of this resource."""
    version = PREVIEW if path.startswith(PREVIEWS) else VERSION
    return f"{base}/_apis/{path}?{urlencode({**query, 'api-version': version}, safe='$')}"


def project_url(desired: DesiredState) -> str:
    """Return the address of the project."""
    return f"{desired.url}/{quote(desired.project)}"


def read_actual_state(desired: DesiredState, az: Az) -> ActualState:
    """Read everything that the set-up may change; nothing is written.

    Raises
    ------
    LedgerError
        If the Azure command line fails, for example because nobody is signed in, or if an identity is ambiguous.
    """
    base = project_url(desired)
    projects = {p["name"]: p["id"] for p in _projects(az, desired)}
    if desired.project not in projects:
        return ActualState(identities=read_identities(desired, az))
    repositories = {r["name"]: r["id"] for r in _values(az, address(base, "git/repositories"))}
    repository = str(repositories.get(desired.repository, ""))
    connections = {c["name"]: c for c in _values(az, address(base, "serviceendpoint/endpoints"))}
    environments = {stage.place: e for stage in desired.stages for e in _environment(az, base, stage.place)}
    pools = ",".join(stage.place for stage in desired.stages)
    queues = {q["name"]: q for q in _values(az, address(base, "distributedtask/queues", queueNames=pools))}
    signing_in = [c.place for s in desired.stages for c in s.connections]
    keys = [f"endpoint/{connections[place]['id']}" for place in signing_in if place in connections]
    keys += [f"environment/{environments[s.place]['id']}" for s in desired.stages if s.place in environments]
    keys += [f"queue/{queues[s.place]['id']}" for s in desired.stages if s.place in queues]
    identity = _identity(desired, az, desired.build_identity)
    approvers = _identity(desired, az, desired.approvers)
    allowed, denied = _rights(
        az, desired, str(projects[desired.project]), repository, str(identity.get("descriptor", ""))
    )
    return ActualState(
        project=str(projects[desired.project]),
        repository=repository,
        pipelines={p["name"]: p for p in _values(az, address(base, "pipelines"))},
        connections=connections,
        environments=environments,
        queues=queues,
        elastic={int(p["poolId"]): p for p in _values(az, address(desired.url, "distributedtask/elasticpools"))},
        checks={key: _checks(az, base, key) for key in keys},
        authorised={key: _authorised(az, base, key) for key in keys},
        settings=_get(az, address(base, GENERAL_SETTINGS)),
        policies=[p for p in _values(az, address(base, "policy/configurations")) if not p.get("isDeleted")],
        approvers=str(approvers.get("id", "")),
        build_identity=str(identity.get("descriptor", "")),
        allowed=allowed,
        denied=denied,
        identities=read_identities(desired, az),
    )


def _get(az: Az, url: str) -> Json:
    answer: Json = json.loads(az(("rest", "--method", "get", "--url", url, "--resource", RESOURCE, "--output", "json")))
    return answer


def _values(az: Az, url: str) -> list[dict[str, Any]]:
    return list(_get(az, url).get("value", ()))


def _projects(az: Az, desired: DesiredState) -> list[dict[str, Any]]:
    """Return all projects, page by page; ``az rest`` does not show the header that names the next page."""
    found: list[dict[str, Any]] = []
    while page := _values(az, address(desired.url, "projects", **{"$top": str(PAGE), "$skip": str(len(found))})):
        found += page
    return found


def _environment(az: Az, base: str, name: str) -> list[dict[str, Any]]:
    """Return one environment, or none; the request filters by name, because the list comes in pages."""
    return [e for e in _values(az, address(base, "distributedtask/environments", name=name)) if e["name"] == name]


def _checks(az: Az, base: str, key: str) -> list[dict[str, Any]]:
    kind, _, identifier = key.partition("/")
    query = {"resourceType": kind, "resourceId": identifier, "$expand": "settings"}
    return _values(az, address(base, "pipelines/checks/configurations", **query))


def _authorised(az: Az, base: str, key: str) -> PipelineAccess:
    answer = _get(az, address(base, f"pipelines/pipelinePermissions/{key}"))
    return PipelineAccess(
        pipelines=frozenset(int(p["id"]) for p in answer.get("pipelines", ()) if p.get("authorized")),
        open_to_all=bool((answer.get("allPipelines") or {}).get("authorized")),
    )


def _identity(desired: DesiredState, az: Az, display_name: str) -> Json:
    base = f"https://vssps.dev.azure.com/{desired.organisation}"
    query = {"searchFilter": "General", "filterValue": display_name, "queryMembership": "None"}
    found = _values(az, address(base, "identities", **query))
    scopes = (desired.project, desired.organisation, ENTRA)
    names = {display_name, *(f"[{scope}]\\{display_name}" for scope in scopes)}
    exact = {str(i["id"]): i for i in found if i.get("providerDisplayName") in names}
    if len(exact) > 1:
        known = ", ".join(sorted(str(i["providerDisplayName"]) for i in exact.values()))
        raise LedgerError(
            f"Azure DevOps knows {display_name} more than once: {known}; none is chosen by chance, so "
            "rename all but the right one."
        )
    return next(iter(exact.values()), {})


def _rights(az: Az, desired: DesiredState, project: str, repository: str, descriptor: str) -> tuple[int, int]:
    if not repository or not descriptor:
        return 0, 0
    query = {"token": f"repoV2/{project}/{repository}", "descriptors": descriptor}
    lists = _values(az, address(desired.url, f"accesscontrollists/{GIT_NAMESPACE}", **query))
    entries = [entry for found in lists for entry in found.get("acesDictionary", {}).values()]
    return next(((int(entry.get("allow", 0)), int(entry.get("deny", 0))) for entry in entries), (0, 0))
