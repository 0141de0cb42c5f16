"""The isolation proof: no environment reaches another's data but on a way that the settings declare, and there to read."""

from collections.abc import Iterable
from dataclasses import dataclass

from infra.checks.access_paths import AccessPath, access_paths
from infra.checks.finding import PolicyFinding, Stacks


@dataclass(frozen=True, kw_only=True)
class Opening:
    """What settings declare: `reader` may read, and only read, something of `owner`.

    Attributes
    ----------
    privileges
        The only ones that may be held there; None for any that change nothing.
    """

    reader: str
    owner: str
    privileges: frozenset[str] | None = None

    def allows(self, way: AccessPath) -> bool:
        """Return whether a way between these environments stays within what is declared."""
        return way.reads_only and (self.privileges is None or way.held <= self.privileges)


def isolation_findings(stacks: Stacks, openings: Iterable[Opening]) -> tuple[PolicyFinding, ...]:
    """Return every way between environments that is not declared, and every declared one that does more than read.

    Parameters
    ----------
    stacks
        The synthesized stacks of all environments.
    openings
        What the settings declare.
    """
    declared: dict[tuple[str, str], list[Opening]] = {}
    for opening in openings:
        declared.setdefault((opening.reader, opening.owner), []).append(opening)
    found = []
    for way in access_paths(stacks):
        # Who opens itself must know whom to: its deployment reads the other's state for the id of a workspace.
        if way.is_state and (way.owner, way.reader) in declared:
            continue
        if (way.reader, way.owner) not in declared:
            found.append((way.through, f"{way.reader} reaches {way.owner}: {way.how}. No setting declares it."))
        elif not any(opening.allows(way) for opening in declared[way.reader, way.owner]):
            found.append((way.through, f"{way.reader} reaches {way.owner} for more than is declared: {way.how}."))
    return tuple(PolicyFinding(check=PROOF, resource=where, message=message) for where, message in sorted(set(found)))


PROOF = "environments-are-isolated"
