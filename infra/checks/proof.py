"""The isolation proof: no environment reaches another's data but on a way that the settings declare, and there to read."""

from collections.abc import Iterable
from dataclasses import dataclass

from infra.checks.finding import Finding, Stacks
from infra.checks.ways import ways


@dataclass(frozen=True, kw_only=True)
class Opening:
    """What settings declare: people of `reader` may read, and only read, what explains `owner`."""

    reader: str
    owner: str


def isolation_findings(stacks: Stacks, openings: Iterable[Opening]) -> tuple[Finding, ...]:
    """Return every way between environments that is not declared, and every declared one that does more than read.

    Parameters
    ----------
    stacks
        The synthesized stacks of all environments.
    openings
        What the settings declare.
    """
    declared = {(opening.reader, opening.owner) for opening in openings}
    found = []
    for way in ways(stacks):
        # Who opens itself must know whom to: its deployment reads the other's state for the id of a workspace.
        if way.is_state and (way.owner, way.reader) in declared:
            continue
        if (way.reader, way.owner) not in declared:
            found.append((way.through, f"{way.reader} reaches {way.owner}: {way.how}. No setting declares it."))
        elif not way.reads_only:
            found.append((way.through, f"{way.reader} reaches {way.owner} for more than reading: {way.how}."))
    return tuple(Finding(check=PROOF, resource=where, message=message) for where, message in sorted(set(found)))


PROOF = "environments-are-isolated"
