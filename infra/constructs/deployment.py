"""The input of one environment's stacks: its settings, the holders of access, the release.

Pure values; the stacks and constructs read nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from infra.config.loading import Settings
from infra.config.model import AccountSettings, EnvironmentSettings, RetiredTeam, Team
from infra.config.naming import ResourceKind, name, role_group, tags, team_group
from infra.constructs.release import Release
from infra.permissions.grants import Holder, Usage, schema_usage
from infra.permissions.roles import Access, Role
from pipelines.declarations.environment import ENVIRONMENTS
from pipelines.declarations.use_case import UseCase


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """One environment with everything that its stacks need.

    Attributes
    ----------
    readers
        Environments whose data scientists may read predictions and monitoring of this one.
    receivers
        Environments whose jobs may copy models of this one.
    let_in_by
        Environments that give this one access, to read predictions and monitoring or to copy models.
    other_ranges
        The address ranges of the other environments.
    """

    environment: str
    account: AccountSettings
    settings: EnvironmentSettings
    teams: tuple[Team, ...]
    retired_teams: tuple[RetiredTeam, ...]
    use_cases: tuple[UseCase, ...]
    holders: tuple[Holder, ...]
    readers: tuple[str, ...]
    receivers: tuple[str, ...]
    let_in_by: tuple[str, ...]
    other_ranges: Mapping[str, str]
    usage: Mapping[str, Usage]
    release: Release

    def name(self, kind: ResourceKind, *parts: str) -> str:
        """Return the name of a resource of this environment."""
        return name(kind, self.account.organisation, self.environment, *parts)

    def tags(self, team: Team | None = None, use_case: str = "shared") -> Mapping[str, str]:
        """Return the tags of a resource of this environment: shared, or of a team, or of a use case."""
        return tags(
            organisation=self.account.organisation,
            environment=self.environment,
            team=team.name if team else "platform",
            cost_centre=team.cost_centre if team else "shared",
            use_case=use_case,
        )

    def received_by(self, use_case: UseCase) -> tuple[str, ...]:
        """Return the environments whose jobs may copy a use case's model from here."""
        return tuple(name for name in self.receivers if name not in use_case.trained_in)

    def holder_of(self, team: Team) -> Holder:
        """Return a team's group with its level of access."""
        group = team_group(self.account.organisation, team.name)
        return next(holder for holder in self.holders if holder.principal == group)

    def of_team(self, team: Team) -> tuple[UseCase, ...]:
        """Return the use cases of one team."""
        return tuple(use_case for use_case in self.use_cases if use_case.name in team.use_cases)


def deployments(settings: Settings, use_cases: Sequence[UseCase], release: Release) -> Mapping[str, Deployment]:
    """Return one deployment per environment, in the order of promotion.

    Parameters
    ----------
    settings
        The checked settings.
    use_cases
        The declared use cases.
    release
        The code to deploy, the same in every environment.
    """
    usage = schema_usage(use_cases)
    return {
        environment: Deployment(
            environment=environment,
            account=settings.account,
            settings=stated,
            teams=settings.teams,
            retired_teams=settings.retired_teams,
            use_cases=tuple(use_cases),
            holders=holders(settings, environment),
            readers=readers(settings, environment),
            receivers=receivers(settings, use_cases, environment),
            let_in_by=owners(settings, use_cases, environment),
            other_ranges={
                other: its.network.address_space for other, its in settings.environments.items() if other != environment
            },
            usage=usage,
            release=release,
        )
        for environment, stated in settings.environments.items()
    }


def readers(settings: Settings, environment: str) -> tuple[str, ...]:
    """Return the environments whose data scientists may read predictions and monitoring of this one.

    An environment is connected if its settings name a `state`. A pair of which only one is connected is left out: the
    other one has no workspace and no storage yet.
    """
    return tuple(
        name
        for name, stated in settings.environments.items()
        if environment in stated.reads and _connected_alike(settings, name, environment)
    )


def receivers(settings: Settings, use_cases: Sequence[UseCase], environment: str) -> tuple[str, ...]:
    """Return the environments that receive models from this one: their settings allow it and a use case needs it.

    As with `readers`, a pair of which only one is connected is left out.
    """
    return tuple(
        name
        for name, stated in settings.environments.items()
        if stated.receives_models
        and ENVIRONMENTS[name].receives_from == environment
        and any(name not in use_case.trained_in for use_case in use_cases)
        and _connected_alike(settings, name, environment)
    )


def owners(settings: Settings, use_cases: Sequence[UseCase], environment: str) -> tuple[str, ...]:
    """Return the environments that give this one access, as a reader or as a receiver of models."""
    return tuple(
        owner
        for owner in settings.environments
        if environment in (*readers(settings, owner), *receivers(settings, use_cases, owner))
    )


def _connected_alike(settings: Settings, one: str, other: str) -> bool:
    """Return whether both environments are connected, or neither, as before a first deployment."""
    first, second = (settings.environments[name].state for name in (one, other))
    return (first is None) == (second is None)


def holders(settings: Settings, environment: str) -> tuple[Holder, ...]:
    """Return all holders of access in an environment: roles, teams, and readers from other environments."""
    stated, organisation = settings.environments[environment], settings.account.organisation
    roles = [
        Holder(
            principal=role_group(organisation, environment, role),
            access=held.access,
            description=role.value.replace("_", " "),
        )
        for role, held in sorted(stated.roles.items())
    ]
    teams = [
        Holder(
            principal=team_group(organisation, team.name),
            access=stated.team_access,
            description=f"team {team.name}",
            use_cases=frozenset(team.use_cases),
        )
        for team in settings.teams
    ]
    others = [
        Holder(
            principal=role_group(organisation, other, Role.DATA_SCIENTIST),
            access=Access.EXPLAIN,
            description=f"data scientist of {other}",
        )
        for other in readers(settings, environment)
    ]
    return (*roles, *teams, *others)
