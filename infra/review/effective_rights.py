"""What a change gives to a principal and takes from it in effect: the difference of what follows from two graphs.

A grant is one edge; what it gives also depends on every membership, job, volume of code and signing in before and after it.
So the closures of both graphs are subtracted, and each difference names the step that makes it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from infra.graph.edges import Effect, GraphEdge
from infra.graph.meanings import RuleContext
from infra.graph.paths import Graph, Path, crosses, is_open, path_through, sentence
from infra.graph.rights import Judge
from infra.graph.uncollected import uncollected

PRINCIPALS = ("role", "team", "company", "runner", "deployer", "everybody", "person", "unknown", "subject")
"""The kinds of nodes that are somebody, as `infra.graph.edges` names them before the colon of their ids."""
Key = tuple[str, str]
"""What is held and on which node."""


@dataclass(frozen=True, kw_only=True)
class RightsChange:
    """What one principal gains or loses in one environment by one step.

    Attributes
    ----------
    principal
        For people.
    environment
        Where the objects are, or ``account``.
    gained
        Whether it is gained, not lost.
    rights
        Each right with its object, such as ``SELECT on prod's schema air_time_bronze``; the nearest first.
    path
        How the principal comes to the first of them, each step with file and address.
    controls
        Whether one of the objects can be changed or acted as, and was there before or is there after.
    """

    principal: str
    environment: str
    gained: bool
    rights: tuple[str, ...]
    path: str
    controls: bool


@dataclass(frozen=True, kw_only=True)
class WayChange:
    """One way from one environment into another that a change opens or closes.

    Attributes
    ----------
    declared
        Whether settings and ceilings open it; a way that they do not is also a finding of `check`.
    """

    reader: str
    owner: str
    opened: bool
    declared: bool
    path: str


@uncollected
def rights_changes(before: Graph, after: Graph) -> tuple[RightsChange, ...]:
    """Return what principals gain and lose, the gains first; nothing for an edge that is only stated elsewhere."""
    return (*_only_in(after, before, gained=True), *_only_in(before, after, gained=False))


@uncollected
def way_changes(
    before: Graph, after: Graph, judge: Judge, contexts: Mapping[str, RuleContext]
) -> tuple[WayChange, ...]:
    """Return the ways between environments that open, then those that close.

    Parameters
    ----------
    judge, contexts
        What settings and ceilings open after the change.
    """
    old, new = _ways(before), _ways(after)
    return tuple(
        WayChange(
            reader=edge.source.home or "nowhere",
            owner=edge.target.home,
            opened=opened,
            declared=is_open(edge, judge, contexts),
            path=sentence(path_through(graph, edge)),
        )
        for opened, graph, those, others in ((True, after, new, old), (False, before, old, new))
        for edge in {(one.through, one.target.id): one for step, one in those.items() if step not in others}.values()
    )


def together(changes: Sequence[RightsChange]) -> tuple[tuple[tuple[str, ...], RightsChange], ...]:
    """Return what several principals gain or lose alike once: their names, the nearest first, with the longest path."""
    found: dict[tuple[object, ...], list[RightsChange]] = {}
    for change in changes:
        found.setdefault((change.gained, change.environment, change.rights), []).append(change)
    return tuple(
        (tuple(dict.fromkeys(one.principal for one in sorted(those, key=lambda one: len(one.path)))),
         max(those, key=lambda one: len(one.path)))
        for those in found.values()
    )  # fmt: skip


def _ways(graph: Graph) -> dict[tuple[str, str, str], GraphEdge]:
    return {
        (edge.source.id, edge.target.id, word): edge for edge in graph.edges if crosses(edge) for word in _words(edge)
    }


def _only_in(graph: Graph, other: Graph, *, gained: bool) -> Iterator[RightsChange]:
    mine, theirs = _steps(graph), _steps(other)
    new = mine - theirs
    if not new:
        return
    for principal in _concerned(graph, new):
        has, had = _rights(graph, principal), _rights(other, principal)
        by_step: dict[tuple[str, tuple[str, str, str]], dict[Key, Path]] = {}
        for key, (before, last) in has.items():
            if key not in had:
                path = (*before, last)
                step = next(step for edge in path for step in _steps_of(edge) if step in new)
                home = path[-1].target.home or path[-1].source.home or "account"
                by_step.setdefault((home, step), {})[key] = path
        for (home, _), those in by_step.items():
            yield _change(graph.nodes[principal].words, home, those, other, gained=gained)


def _change(principal: str, home: str, those: Mapping[Key, Path], other: Graph, *, gained: bool) -> RightsChange:
    in_order = sorted(those.items(), key=lambda one: (len(one[1]), one[0]))
    return RightsChange(
        principal=principal,
        environment=home,
        gained=gained,
        rights=tuple(_shown(word, path[-1]) for (word, _), path in in_order),
        path=sentence(in_order[0][1]),
        controls=any(_leads_on(path[-1]) and path[-1].target.id in other.nodes for path in those.values()),
    )


def _shown(word: str, edge: GraphEdge) -> str:
    return f"{word} on {edge.target.words}" if edge.held is not None else f"{word} {edge.target.words}"


def _leads_on(edge: GraphEdge) -> bool:
    return edge.effect in (Effect.CHANGES, Effect.ACTS)


def _steps(graph: Graph) -> set[tuple[str, str, str]]:
    return {step for edge in graph.edges for step in _steps_of(edge)}


def _steps_of(edge: GraphEdge) -> Iterator[tuple[str, str, str]]:
    return ((edge.source.id, edge.target.id, word) for word in _words(edge))


def _words(edge: GraphEdge) -> Sequence[str]:
    """Return what is held, a word each; for any other edge its verb."""
    return sorted(edge.held.words) if edge.held is not None else (edge.verb,)


def _concerned(graph: Graph, new: set[tuple[str, str, str]]) -> Iterator[str]:
    """Yield the principals from which a new step can be reached, in the order of their ids."""
    reached = graph.leading_to(source for source, _, _ in new)
    return (node for node in sorted(reached) if _is_somebody(node) and node in graph.nodes)


def _is_somebody(node: str) -> bool:
    kind, colon, _ = node.partition(":")
    return bool(colon) and kind in PRINCIPALS


def _rights(graph: Graph, principal: str) -> dict[Key, tuple[Path, GraphEdge]]:
    """Return everything that a principal holds in effect, each with the shortest path to it: what leads there, and its end."""
    reached: dict[str, Path] = {principal: (), **graph.closure(principal)}
    found: dict[Key, tuple[Path, GraphEdge]] = {}
    for node, path in reached.items():
        if path and not _leads_on(path[-1]):
            continue
        for edge in graph.leaving.get(node, ()):
            for word in _words(edge):
                key = (word, edge.target.id)
                if key not in found or len(path) < len(found[key][0]):
                    found[key] = (path, edge)
    return found
