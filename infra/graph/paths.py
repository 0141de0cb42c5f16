"""Paths through the graph: from one environment into another, from a principal, to an object."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from infra.graph.edges import Effect, GraphEdge, GraphNode
from infra.graph.estate import ACCOUNT
from infra.graph.meanings import RuleContext
from infra.graph.rights import Judge

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

        What is only read leads no further: reading a table is not acting as its owner.
        """
        found: dict[str, Path] = {start: ()}
        pending = deque([start])
        while pending:
            here = pending.popleft()
            if found[here] and found[here][-1].effect in (Effect.READS, Effect.REACHES):
                continue
            for edge in self.leaving.get(here, ()):
                if edge.target.id not in found and follows(edge):
                    found[edge.target.id] = (*found[here], edge)
                    pending.append(edge.target.id)
        del found[start]
        return found

    def paths_to(self, target: str) -> dict[str, Path]:
        """Return the shortest path from everything from which a node can be reached."""
        found: dict[str, Path] = {target: ()}
        pending = deque([target])
        while pending:
            here = pending.popleft()
            for edge in self.entering.get(here, ()):
                leads_on = here == target or edge.effect in (Effect.CHANGES, Effect.ACTS)
                if edge.source.id not in found and leads_on:
                    found[edge.source.id] = (edge, *found[here])
                    pending.append(edge.source.id)
        del found[target]
        return found


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
        if _crosses(edge) and not _is_open(edge, judge, contexts):
            before = _beginning(graph, edge)
            after = _consequence(graph, edge)
            yield edge.through, (*before, edge, *after)


def _crosses(edge: GraphEdge) -> bool:
    """Return whether an edge leads from one environment, or from nowhere, into another environment."""
    if edge.source.home == edge.target.home or edge.target.home in ("", ACCOUNT) or edge.source.home == ACCOUNT:
        return False
    # A group of the company holds roles in several environments, a team is at home in all: the ceilings decide for both.
    return not edge.source.id.startswith(("company:", "team:"))


def _is_open(edge: GraphEdge, judge: Judge, contexts: Mapping[str, RuleContext]) -> bool:
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
