"""Paths through the graph: from one environment into another, from a principal, to an object."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from infra.graph.edges import Effect, GraphEdge, GraphNode, edges
from infra.graph.estate import ACCOUNT, Estate
from infra.graph.meanings import RuleContext
from infra.graph.principals import Principals
from infra.graph.rights import Judge, held_rights
from infra.graph.uncollected import uncollected
from pipelines.declarations.use_case import UseCase

Path = tuple[GraphEdge, ...]


class Graph:
    """All edges, found by where they begin and where they lead."""

    def __init__(self, edges: Sequence[GraphEdge]) -> None:
        self.edges = edges

    @cached_property
    def leaving(self) -> Mapping[str, list[GraphEdge]]:
        """The edges that begin at each node."""
        return _by(self.edges, lambda edge: edge.source.id)

    @cached_property
    def entering(self) -> Mapping[str, list[GraphEdge]]:
        """The edges that lead to each node."""
        return _by(self.edges, lambda edge: edge.target.id)

    @cached_property
    def nodes(self) -> Mapping[str, GraphNode]:
        """Every node by its id."""
        return {node.id: node for edge in self.edges for node in (edge.source, edge.target)}

    def closure(self, start: str, *, follows: Callable[[GraphEdge], bool] = lambda _: True) -> dict[str, Path]:
        """Return the shortest path to everything that can be reached from a node, over the edges that are followed.

        What is only read leads no further: reading a table is not acting as its owner. Where one thing can be read by a
        shorter path and changed by a longer one, the longer one is returned, because of what follows from it.
        """
        found: dict[str, Path] = {start: ()}
        pending = deque([start])
        while pending:
            here = pending.popleft()
            for edge in self.leaving.get(here, ()):
                known = found.get(edge.target.id)
                is_further = known is None or (_leads_on(edge) and not _goes_on(known))
                if is_further and follows(edge):
                    found[edge.target.id] = (*found[here], edge)
                    if _leads_on(edge):
                        pending.append(edge.target.id)
        del found[start]
        return found

    def paths_to(self, target: str) -> dict[str, Path]:
        """Return the shortest path from everything from which a node can be reached, first those that change it."""
        found: dict[str, Path] = {target: ()}
        self._lead_to(found, [edge for edge in self.entering.get(target, ()) if _leads_on(edge)])
        self._lead_to(found, [edge for edge in self.entering.get(target, ()) if not _leads_on(edge)])
        del found[target]
        return found

    def leading_to(self, targets: Iterable[str]) -> set[str]:
        """Return the nodes themselves and everything that acts as or changes one of them, directly or through others."""
        found = set(targets)
        pending = deque(found)
        while pending:
            for edge in self.entering.get(pending.popleft(), ()):
                if _leads_on(edge) and edge.source.id not in found:
                    found.add(edge.source.id)
                    pending.append(edge.source.id)
        return found

    def _lead_to(self, found: dict[str, Path], last: Sequence[GraphEdge]) -> None:
        """Add the paths that end with one of some edges, from everything that has none yet."""
        pending: deque[tuple[GraphEdge, Path]] = deque((edge, (edge,)) for edge in last)
        while pending:
            first, path = pending.popleft()
            if first.source.id not in found:
                found[first.source.id] = path
                before = self.entering.get(first.source.id, ())
                pending.extend((edge, (edge, *path)) for edge in before if _leads_on(edge))


@uncollected
def whole_graph(estate: Estate, use_cases: Sequence[UseCase]) -> Graph:
    """Return the graph of everything that an estate states."""
    return Graph(edges(estate, tuple(held_rights(estate, Principals(estate), use_cases))))


def _leads_on(edge: GraphEdge) -> bool:
    """Return whether more follows from an edge; nothing follows from reading or reaching alone."""
    return edge.effect in (Effect.CHANGES, Effect.ACTS)


def _goes_on(path: Path) -> bool:
    return not path or _leads_on(path[-1])


def sentence(path: Path) -> str:
    """Return a path as one sentence: every step with the file and the address that state it."""
    return ", which ".join(
        edge.sentence if number == 0 else edge.sentence.removeprefix(f"{edge.source.words} ")
        for number, edge in enumerate(path)
    )


def crossings(graph: Graph, judge: Judge, contexts: Mapping[str, RuleContext]) -> Iterator[tuple[str, Path]]:
    """Yield every way from one environment into another that nothing opens: where it crosses, and the whole path.

    A path begins at what the environment itself has (an identity, a group, a stack, a network, a token) and goes on, past
    the crossing, to the furthest thing that follows from it.
    """
    for edge in graph.edges:
        if crosses(edge) and not is_open(edge, judge, contexts):
            yield edge.through, path_through(graph, edge)


def path_through(graph: Graph, edge: GraphEdge) -> Path:
    """Return a way from one environment into another from its beginning to the furthest thing that follows from it."""
    return (*_beginning(graph, edge), edge, *_consequence(graph, edge))


def crosses(edge: GraphEdge) -> bool:
    """Return whether an edge leads from one environment, or from nowhere, into another environment."""
    if edge.source.home == edge.target.home or edge.target.home in ("", ACCOUNT) or edge.source.home == ACCOUNT:
        return False
    # A group of the company holds roles in several environments, a team is at home in all: the ceilings decide for both.
    return not edge.source.id.startswith(("company:", "team:"))


def is_open(edge: GraphEdge, judge: Judge, contexts: Mapping[str, RuleContext]) -> bool:
    """Return whether the settings and the ceilings open an edge that crosses."""
    if edge.held is not None:
        return edge.held.words <= judge.allowed(edge.held)
    if edge.source.home not in contexts or edge.target.home not in contexts:
        return False
    opened = edge.target.home in contexts[edge.source.home].opened
    if edge.target.id.startswith("state:"):
        platform = edge.target.id.endswith("-platform")
        return platform and (opened or edge.target.home in contexts[edge.source.home].readers)
    if edge.effect is Effect.REACHES:
        return opened and "/azurerm_storage_account." in edge.target.id
    return opened and edge.effect is Effect.READS


def _beginning(graph: Graph, edge: GraphEdge) -> Path:
    """Return how the company's people or a token come to the source of a crossing; empty if it is a beginning itself."""
    ways = [way for way in graph.paths_to(edge.source.id).items() if way[0].startswith(("subject:", "company:"))]
    return min(ways, key=lambda way: len(way[1]), default=("", ()))[1]


def _consequence(graph: Graph, edge: GraphEdge) -> Path:
    """Return what follows from a crossing within the other environment: acting as its identity, or the longest chain."""
    if edge.effect in (Effect.READS, Effect.REACHES):
        return ()
    inside = graph.closure(edge.target.id, follows=lambda one: one.target.home == edge.target.home)
    acting = [path for node, path in inside.items() if node.startswith("runner:")]
    return min(acting, key=len, default=())


def _by(edges: Iterable[GraphEdge], key: Callable[[GraphEdge], str]) -> Mapping[str, list[GraphEdge]]:
    found: dict[str, list[GraphEdge]] = {}
    for edge in edges:
        found.setdefault(key(edge), []).append(edge)
    return found
