"""The isolation proof: an environment reaches another's data only as the settings declare, and only to read."""

from collections.abc import Iterable
from dataclasses import dataclass

from infra.checks.access_paths import AccessPath, access_paths
from infra.checks.finding import PolicyFinding, Stacks


@dataclass(frozen=True, kw_only=True)
class Opening:
    """Access that the settings declare: `reader` may read from `owner`, and only read.

    Attributes
    ----------
    privileges
        The only privileges that may be held there; None for all that change nothing.
    """

    reader: str
    owner: str
    privileges: frozenset[str] | None = None

    def allows(self, path: AccessPath) -> bool:
        """Return whether an access path between these environments stays within what is declared."""
        return path.reads_only and (self.privileges is None or path.held <= self.privileges)


def isolation_findings(stacks: Stacks, openings: Iterable[Opening]) -> tuple[PolicyFinding, ...]:
    """Return every undeclared access path between environments, and every declared one that does more than read.

    Parameters
    ----------
    stacks
        The synthesized stacks of all environments.
    openings
        The access that the settings declare.
    """
    declared: dict[tuple[str, str], list[Opening]] = {}
    for opening in openings:
        declared.setdefault((opening.reader, opening.owner), []).append(opening)
    found = []
    for path in access_paths(stacks):
        # An owner that opens itself reads the state of the reader, for the id of its workspace.
        if path.is_state and (path.owner, path.reader) in declared:
            continue
        if (path.reader, path.owner) not in declared:
            found.append((path.through, f"{path.reader} reaches {path.owner}: {path.how}. No setting declares it."))
        elif not any(opening.allows(path) for opening in declared[path.reader, path.owner]):
            found.append((path.through, f"{path.reader} reaches {path.owner} for more than is declared: {path.how}."))
    return tuple(PolicyFinding(check=PROOF, resource=where, message=message) for where, message in sorted(set(found)))


PROOF = "environments-are-isolated"
