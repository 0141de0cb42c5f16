"""Every right that the stacks give, as a record, and what of it is above the ceilings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.config.ceilings import Ceilings
from infra.graph.estate import Estate, GraphResource
from infra.graph.openings import DeclaredOpening, openings_into
from infra.graph.principals import GraphPrincipal, Principals, level_of
from pipelines.declarations.asset import OWN_LAYERS, Layer, shared_schema
from pipelines.declarations.job import Task
from pipelines.declarations.use_case import UseCase

SECURABLES = (
    "metastore",
    "catalog",
    "schema",
    "volume",
    "model",
    "storage_credential",
    "credential",
    "external_location",
)
OBJECTS: Mapping[str, str] = {
    "job_id": "job", "experiment_id": "experiment", "sql_endpoint_id": "warehouse", "cluster_id": "cluster",
    "cluster_policy_id": "policy", "instance_pool_id": "pool", "directory_path": "folder",
    "serving_endpoint_id": "endpoint", "dashboard_id": "dashboard", "alert_v2_id": "alert",
    "database_instance_name": "online_store",
}  # fmt: skip
"""The argument of ``databricks_permissions`` that names an object, to the kind of the object."""
PRINCIPALS = ("service_principal_name", "group_name", "user_name", "principal")
DEPLOYMENT, RELEASES = "deployment", "releases"


@dataclass(frozen=True, kw_only=True)
class HeldRight:
    """What one principal holds on one object.

    Attributes
    ----------
    kind, layer, use_case
        What the object is; for a schema its layer, and the use case that it belongs to, if it does.
    on
        The object for people.
    target
        The resource of the object; None if it is none of these stacks.
    through
        The resource that gives the right.
    """

    principal: GraphPrincipal
    words: frozenset[str]
    environment: str
    kind: str
    on: str
    through: str
    target: GraphResource | None = None
    layer: str = ""
    use_case: str = ""

    @property
    def sentence(self) -> str:
        """The right as one step of a path."""
        words = ", ".join(sorted(self.words))
        return f"{self.principal.words} holds {words} on {self.on} ({self.through})"


def held_rights(estate: Estate, principals: Principals, use_cases: Sequence[UseCase]) -> Iterator[HeldRight]:
    """Yield every right that grants, permissions, secret lists, workspace assignments and owners give."""
    known = frozenset(use_case.name for use_case in use_cases)
    for resource in estate.of("databricks_grants", "databricks_grant"):
        kind = next((name for name in SECURABLES if resource.get(name) is not None), "unknown securable")
        blocks = resource.blocks("grant") if resource.type == "databricks_grants" else [resource.arguments]
        for block in blocks:
            words = frozenset(str(word).replace(" ", "_") for word in block.get("privileges") or ())
            yield _right(estate, principals, resource, block.get("principal"), words, kind, resource.get(kind), known)
    for resource in estate.of("databricks_permissions"):
        argument = next((name for name in OBJECTS if resource.get(name) is not None), "")
        for block in resource.blocks("access_control"):
            who = next((block[name] for name in PRINCIPALS if block.get(name)), "nobody")
            words = frozenset({str(block.get("permission_level"))})
            kind = OBJECTS.get(argument, "unknown object")
            yield _right(estate, principals, resource, who, words, kind, resource.get(argument), known)
    for resource in estate.of("databricks_secret_acl"):
        words = frozenset({str(resource.get("permission"))})
        yield _right(
            estate, principals, resource, resource.get("principal"), words, "secrets", resource.get("scope"), known
        )
    for resource in estate.of("databricks_mws_permission_assignment"):
        words = frozenset(str(word) for word in resource.all("permissions"))
        target = resource.get("workspace_id")
        yield _right(estate, principals, resource, resource.get("principal_id"), words, "workspace", target, known)


def _right(
    estate: Estate,
    principals: Principals,
    resource: GraphResource,
    who: Any,
    words: frozenset[str],
    kind: str,
    target: Any,
    use_cases: frozenset[str],
) -> HeldRight:
    found = estate.origin(resource.stack, target)
    kind, layer, use_case = placed(estate, found, kind, use_cases)
    shown = str(found.get("name") or found.get("path") or found.name) if found else str(target)
    return HeldRight(
        principal=principals.of(resource.stack, who),
        words=words,
        environment=resource.environment,
        kind=kind,
        on=f"{resource.environment}'s {kind} {shown if '${' not in shown else found.name if found else shown}",
        through=resource.where,
        target=found,
        layer=layer,
        use_case=use_case,
    )


def placed(estate: Estate, target: GraphResource | None, kind: str, use_cases: frozenset[str]) -> tuple[str, str, str]:
    """Return what an object is: its kind, its layer if it is a schema, and its use case."""
    if target is None:
        return f"unknown {kind}" if kind != "metastore" else kind, "", ""
    if target.type == "databricks_schema":
        return kind, *_layer(str(target.get("name")), use_cases)
    if target.type == "databricks_volume" and target.get("name") == RELEASES:
        return RELEASES, "", ""
    if target.type in ("databricks_volume", "databricks_registered_model"):
        schema = estate.origin(target.stack, target.get("schema_name"))
        return kind, "", _layer(str(schema.get("name")) if schema else "", use_cases)[1]
    named, parts = "", target.name.split("_")
    while parts and not named:
        named = "_".join(parts) if "_".join(parts) in use_cases else ""
        parts.pop()
    return kind, "", named


def _layer(schema: str, use_cases: frozenset[str]) -> tuple[str, str]:
    if schema == DEPLOYMENT:
        return DEPLOYMENT, ""
    use_case, _, layer = schema.rpartition("_")
    if use_case in use_cases and layer in OWN_LAYERS:
        return layer, use_case
    use_case, shared, _ = schema.partition(shared_schema("", ""))
    if use_case in use_cases and shared:  # no use case has a name with that in it
        return Layer.SHARED.value, use_case
    return "unknown layer", ""


class Judge:
    """Says which words a principal may hold, by the ceilings, the settings and what the settings open."""

    def __init__(self, estate: Estate, ceilings: Ceilings, use_cases: Sequence[UseCase]) -> None:
        self._settings = estate.settings
        self._ceilings = ceilings
        self._teams = {team.name: frozenset(team.use_cases) for team in estate.settings.teams}
        self._read = _schemas_read(use_cases)
        self._openings: Mapping[str, tuple[DeclaredOpening, ...]] = {
            owner: tuple(openings_into(estate.settings, use_cases, owner)) for owner in estate.settings.environments
        }

    def allowed(self, right: HeldRight) -> frozenset[str]:
        """Return the words that the principal of a right may hold there."""
        who = right.principal
        if right.environment not in self._settings.environments:
            return frozenset()
        if who.kind == "runner" and who.environment == right.environment:
            return self._ceilings.machine("runner", right.kind, right.layer)
        if who.kind == "deployer":
            return self._ceilings.machine("deployer", right.kind, right.layer)
        if who.environment not in ("", right.environment):
            return self._opened(right)
        if who.kind == "team":
            return self._of_team(right)
        level = level_of(self._settings, who, right.environment)
        return self._ceilings.level(level, right.kind, right.layer)

    def _opened(self, right: HeldRight) -> frozenset[str]:
        who = right.principal
        found: frozenset[str] = frozenset()
        for opening in self._openings[right.environment]:
            names_it = opening.principal == who.name if opening.principal else who.kind == "runner"
            if opening.reader == who.environment and names_it:
                found |= opening.allows(self._ceilings, right.kind, right.layer, right.use_case)
        return found

    def _of_team(self, right: HeldRight) -> frozenset[str]:
        level = level_of(self._settings, right.principal, right.environment)
        words = self._ceilings.level(level, right.kind, right.layer)
        own = self._teams.get(right.principal.role, frozenset())
        if right.kind in ("secrets", "cluster"):
            return words if right.target is not None and right.target.name == right.principal.role else frozenset()
        if not right.use_case or right.use_case in own:
            return words
        schema = str(right.target.get("name")) if right.target is not None else ""
        reads = any(schema in self._read.get(name, frozenset()) for name in own)
        return words & {"USE_SCHEMA", "SELECT"} if right.kind == "schema" and reads else frozenset()


def _schemas_read(use_cases: Sequence[UseCase]) -> Mapping[str, frozenset[str]]:
    """Return the schemas that the declared tasks of each use case read."""
    return {
        use_case.name: frozenset(
            asset.schema
            for job in use_case.jobs
            for task in job.tasks
            if isinstance(task, Task)
            for asset in task.reads
        )
        for use_case in use_cases
    }


def above_ceilings(rights: Sequence[HeldRight], judge: Judge) -> Iterator[tuple[str, str]]:
    """Yield resource and message of every right that is above its ceiling."""
    for right in rights:
        allowed = judge.allowed(right)
        above = right.words - allowed
        if above or not right.words:
            may = ", ".join(sorted(allowed)) or "nothing"
            yield right.through, f"{right.sentence}; there it may hold {may} (infra/ceilings.yaml)."
