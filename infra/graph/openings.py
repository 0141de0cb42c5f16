"""What the settings open between environments: to which principal, on which objects, with which privileges."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from infra.config.ceilings import Ceilings
from infra.config.loading import Settings
from infra.config.naming import role_group
from infra.permissions.roles import Access, Role
from pipelines.declarations.environment import ENVIRONMENTS
from pipelines.declarations.use_case import UseCase


@dataclass(frozen=True, kw_only=True)
class DeclaredOpening:
    """One principal of another environment that may hold something here.

    Attributes
    ----------
    reader, owner
        The principal's environment, and the one that lets it in.
    principal
        Name of the group; empty for the runner of the reader's jobs.
    use_cases
        Whose models a runner may copy; empty for a group, which reads what explains every use case.
    """

    reader: str
    owner: str
    principal: str = ""
    use_cases: frozenset[str] = frozenset()

    def allows(self, ceilings: Ceilings, kind: str, layer: str, use_case: str) -> frozenset[str]:
        """Return the words that the principal may hold on an object."""
        if self.principal:
            return ceilings.level(Access.EXPLAIN, kind, layer)
        if use_case and use_case not in self.use_cases:
            return frozenset()
        return ceilings.machine("receiver", kind, layer)


def openings_into(settings: Settings, use_cases: Sequence[UseCase], owner: str) -> Iterator[DeclaredOpening]:
    """Yield what the settings open of one environment; nothing between two of which only one has a state in Azure."""
    organisation = settings.account.organisation
    for reader, stated in settings.environments.items():
        if (stated.state is None) != (settings.environments[owner].state is None) or reader == owner:
            continue
        if owner in stated.reads:
            group = role_group(organisation, reader, Role.DATA_SCIENTIST)
            yield DeclaredOpening(reader=reader, owner=owner, principal=group)
        copied = frozenset(one.name for one in use_cases if reader not in one.trained_in)
        if stated.receives_models and ENVIRONMENTS[reader].receives_from == owner and copied:
            yield DeclaredOpening(reader=reader, owner=owner, use_cases=copied)


def let_in(settings: Settings, use_cases: Sequence[UseCase], owner: str) -> tuple[str, ...]:
    """Return the environments that reach into one, as the settings say."""
    return tuple(dict.fromkeys(opening.reader for opening in openings_into(settings, use_cases, owner)))
