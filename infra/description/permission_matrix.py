"""The permission matrix: who may do what in which environment, read from the graph over all stacks.

It answers "who can reach prod's data?" with the rights that the stacks give, so it shows every principal that holds something,
also one that no settings name. `infra access` shows how a principal gets a right, through memberships and jobs.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from infra.config.loading import Settings
from infra.config.naming import ResourceKind, name, role_group, team_group
from infra.graph.paths import Graph
from infra.graph.principals import GraphPrincipal, level_of
from infra.graph.rights import RELEASES, HeldRight
from infra.permissions.roles import Role
from pipelines.declarations.use_case import UseCase


@dataclass(frozen=True, kw_only=True)
class MatrixRow:
    """One holder in one environment.

    Attributes
    ----------
    who
        The holder for people, for example ``team operations``.
    principal
        The account group.
    access
        The level of access that the settings state.
    reach
        ``all use cases`` or the names of those it reaches.
    data, jobs, experiments, models, workspace
        Its rights, in Databricks' terms; a dash for none.
    """

    environment: str
    who: str
    principal: str
    access: str
    reach: str
    workspace: str
    data: str
    jobs: str
    experiments: str
    models: str


NOTHING = "-"
ALL, NONE_YET = "all use cases", "no use case yet"
FILES: Mapping[str, str] = {"volume": "volumes", RELEASES: "the released code"}


def permission_matrix(graph: Graph, settings: Settings, use_cases: Sequence[UseCase]) -> tuple[MatrixRow, ...]:
    """Return a row for each holder in every environment, the jobs first, including holders without any right.

    Parameters
    ----------
    graph
        Of all stacks, as they were made from the settings.
    """
    rights = [edge.held for edge in graph.edges if edge.held is not None]
    owned = {(edge.source.id, edge.target.home, _type(edge.target.id)) for edge in graph.edges if edge.verb == "owns"}
    names = frozenset(use_case.name for use_case in use_cases)
    layers = dict.fromkeys(layer.value for one in use_cases for layer in one.schemas.values())
    rows = []
    for environment in settings.environments:
        here = [right for right in rights if right.environment == environment]
        for who in _holders(settings, environment, here):
            own = [right for right in here if right.principal == who]
            owns = {kind for source, home, kind in owned if (source, home) == (f"{who.kind}:{who.name}", environment)}
            rows.append(_row(settings, environment, who, own, owns, names, tuple(layers)))
    return tuple(rows)


def as_markdown(rows: Sequence[MatrixRow]) -> str:
    """Return the matrix as one Markdown table."""
    heads = ("environment", "who", "access", "reaches", "workspace", "data", "jobs", "experiments", "models")
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for row in rows:
        cells = (
            row.environment, row.who, row.access, row.reach, row.workspace, row.data, row.jobs, row.experiments,
            row.models,
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _type(node: str) -> str:
    return node.partition("/")[2].partition(".")[0]


def _holders(settings: Settings, environment: str, rights: Iterable[HeldRight]) -> Iterator[GraphPrincipal]:
    """Yield the principals that the settings name in an environment, in their order, then the others with a right there."""
    organisation = settings.account.organisation
    runner = name(ResourceKind.APPLICATION, organisation, environment)
    named = [
        GraphPrincipal(kind="runner", name=runner, environment=environment),
        *(
            GraphPrincipal(
                kind="role", name=role_group(organisation, environment, role), environment=environment, role=role.value
            )
            for role in sorted(Role)
        ),
        *(
            GraphPrincipal(kind="team", name=team_group(organisation, one.name), role=one.name)
            for one in settings.teams
        ),
    ]
    # The identity of the account makes the workspaces and holds nothing in them that could be read.
    others = {right.principal for right in rights if right.principal.kind != "deployer"} - set(named)
    yield from named
    yield from sorted(others, key=lambda one: (one.kind, one.environment, one.name))


def _row(
    settings: Settings,
    environment: str,
    who: GraphPrincipal,
    rights: Sequence[HeldRight],
    owns: set[str],
    names: frozenset[str],
    layers: tuple[str, ...],
) -> MatrixRow:
    shown, access = _named(settings, environment, who)
    return MatrixRow(
        environment=environment,
        who=shown,
        principal=who.name,
        access=access,
        reach=_reach(settings, who, rights, names),
        workspace=_words(rights, "workspace"),
        data=_data(rights, owns, layers),
        jobs=_words(rights, "job"),
        experiments=_words(rights, "experiment"),
        models="; ".join((["owns them"] if "databricks_registered_model" in owns else []) + _some(_words(rights, "model")))
        or NOTHING,
    )  # fmt: skip


def _named(settings: Settings, environment: str, who: GraphPrincipal) -> tuple[str, str]:
    """Return who somebody is for people, and the level of access."""
    here = who.environment in ("", environment)
    if who.kind == "runner":
        return ("jobs (service principal)", "owner") if here else (f"jobs of {who.environment}", "copy models")
    if who.kind == "role":
        role = who.role.replace("_", " ")
        return (
            (role, level_of(settings, who, environment).value) if here else (f"{role} of {who.environment}", "explain")
        )
    if who.kind == "team":
        return f"team {who.role}", level_of(settings, who, environment).value
    return who.words, NOTHING


def _reach(settings: Settings, who: GraphPrincipal, rights: Sequence[HeldRight], names: frozenset[str]) -> str:
    reached = {right.use_case for right in rights if right.use_case}
    if reached == names:
        return ALL
    waits = who.kind == "team" and not any(one.use_cases for one in settings.teams if one.name == who.role)
    return ", ".join(sorted(reached)) or (NONE_YET if waits and rights else NOTHING)


def _words(rights: Sequence[HeldRight], kind: str) -> str:
    return ", ".join(sorted({word for right in rights if right.kind == kind for word in right.words})) or NOTHING


def _some(words: str) -> list[str]:
    return [] if words == NOTHING else [words]


def _data(rights: Sequence[HeldRight], owns: set[str], layers: tuple[str, ...]) -> str:
    """Return the privileges on data, layers and files with the same privileges together."""
    on: dict[str, set[str]] = {layer: set() for layer in layers}
    for right in rights:
        if right.kind == "schema" and right.layer in on:
            on[right.layer] |= right.words - {"USE_SCHEMA"}
        elif right.kind in FILES:
            on.setdefault(FILES[right.kind], set()).update(right.words)
    together: dict[str, list[str]] = {}
    for place, words in on.items():
        if words:
            together.setdefault(", ".join(sorted(words)), []).append(place)
    stated = [
        f"{words} on {'every layer' if tuple(places) == layers else ', '.join(places)}"
        for words, places in together.items()
    ]
    return "; ".join((["owns the catalog"] if "databricks_catalog" in owns else []) + stated) or NOTHING
