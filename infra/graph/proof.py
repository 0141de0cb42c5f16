"""The proof over all stacks: everything that the graph finds, each finding with the resource that it is about."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from infra.config.ceilings import Ceilings, ceilings
from infra.config.loading import Settings
from infra.graph.contents import content_findings
from infra.graph.edges import edges
from infra.graph.estate import Estate, Stacks
from infra.graph.identities import identity_findings
from infra.graph.meanings import RuleContext, contexts, mismatches
from infra.graph.paths import Graph, crossings, sentence
from infra.graph.principals import Principals
from infra.graph.reach import reach_findings
from infra.graph.required import missing
from infra.graph.rights import Judge, above_ceilings, held_rights
from infra.graph.uncollected import uncollected
from infra.graph.whole_stacks import stack_findings
from pipelines.declarations.use_case import UseCase


@dataclass(frozen=True, kw_only=True, order=True)
class GraphFinding:
    """One violation.

    Attributes
    ----------
    check
        Which part of the proof found it.
    """

    check: str
    resource: str
    message: str


PARTS: Mapping[str, str] = {
    "types-are-known": "what nobody has said the meaning of cannot be judged, and a control that is left out protects nothing",
    "stacks-are-whole": "a provider, a state or an output decides where a change lands, whatever its resources say",
    "controls-are-there": "a control that is absent is as open as a bad one",
    "rights-within-ceilings": "who may hold what is decided apart from the code that grants it",
    "environments-are-isolated": "an environment reaches another only as the settings declare",
    "identities-as-declared": "whoever is in a group, or signs in as an identity, holds all that it holds",
    "networks-as-declared": "data leaves by the widest door",
    "contents-as-declared": "what runs and what is served is inside documents that a plan does not explain",
}
"""The parts of the proof, each with its name, as waivers state it, and the reason for it."""


@uncollected
def prove(
    stacks: Stacks, settings: Settings, use_cases: Sequence[UseCase], held_to: Ceilings | None = None
) -> tuple[GraphFinding, ...]:
    """Return everything that the graph over all stacks finds.

    Parameters
    ----------
    stacks
        The synthesized stacks of all environments.
    held_to
        The ceilings; by default those of `infra/ceilings.yaml`.
    """
    estate = Estate(stacks, settings)
    return tuple(sorted(set(_all(estate, tuple(use_cases), held_to or ceilings()))))


def _all(estate: Estate, use_cases: tuple[UseCase, ...], held_to: Ceilings) -> Iterator[GraphFinding]:
    places = contexts(estate.settings, use_cases)
    known = [resource for resource in estate.resources if resource.environment in places]
    rights = tuple(held_rights(estate, Principals(estate), use_cases))
    judge = Judge(estate, held_to, use_cases)
    found = (
        (
            (resource.where, message)
            for resource in known
            for message in mismatches(estate, resource, places[resource.environment])
        ),
        stack_findings(estate, places),
        missing(estate),
        above_ceilings(rights, judge),
        _ways(Graph(edges(estate, rights)), judge, places),
        identity_findings(estate, held_to),
        reach_findings(estate, held_to, places),
        content_findings(estate, places, use_cases),
    )
    for check, those in zip(PARTS, found, strict=True):
        for resource, message in those:
            yield GraphFinding(check=check, resource=resource, message=message)


def _ways(graph: Graph, judge: Judge, places: Mapping[str, RuleContext]) -> Iterator[tuple[str, str]]:
    for where, path in crossings(graph, judge, places):
        crossing = next(edge for edge in path if edge.through == where)
        reader = crossing.source.home or "somebody of no environment"
        yield where, f"{reader} reaches {crossing.target.home}: {sentence(path)}. No setting opens this."
