"""Who a principal is: the group of a role, a team, an environment's identity, everybody, or somebody unknown."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from infra.config.loading import Settings
from infra.config.naming import ResourceKind, name, role_group, team_group
from infra.config.stack_names import ACCOUNT
from infra.graph.estate import Estate, GraphResource
from infra.permissions.roles import Access, Role

EVERYBODY = frozenset({"users", "account users", "all workspace users", "all account users"})
"""The groups of Databricks that contain everybody."""


@dataclass(frozen=True, kw_only=True)
class GraphPrincipal:
    """One principal.

    Attributes
    ----------
    kind
        ``role``, ``team``, ``company`` (an Entra group), ``runner``, ``deployer``, ``everybody``, ``person`` or ``unknown``.
    environment
        Its environment; empty if it belongs to none.
    access
        The level that the settings give a role.
    """

    kind: str
    name: str
    environment: str = ""
    role: str = ""

    @property
    def words(self) -> str:
        """The principal for people."""
        if self.kind == "role":
            return f"{self.environment}'s {self.role.replace('_', ' ')}s ({self.name})"
        if self.kind == "runner":
            return f"{self.environment}'s identity ({self.name})"
        labels = {"team": "the team", "company": "the company's group", "deployer": "the identity of the account"}
        labels |= {"everybody": "everybody", "person": "the person"}
        return f"{labels.get(self.kind, 'the unknown principal')} ({self.name})"


class Principals:
    """Every principal that the settings name, found by name or by the resource that stands for it."""

    def __init__(self, estate: Estate) -> None:
        self._estate = estate
        self._settings = estate.settings
        self._of_resources: dict[str, GraphPrincipal] = {}

    @cached_property
    def by_name(self) -> Mapping[str, GraphPrincipal]:
        """Each group by its display name, as settings and naming rules give it."""
        return {one.name: one for one in _named(self._settings)}

    def of(self, stack: str, value: object) -> GraphPrincipal:
        """Return the principal that a value of a stack names."""
        text = self._estate.resolved(stack, value)
        origin = self._estate.origin(stack, value)
        if origin is not None:
            return self.of_resource(origin)
        if text in self.by_name:
            return self.by_name[text]
        if text.lower() in EVERYBODY:
            return GraphPrincipal(kind="everybody", name=text)
        return GraphPrincipal(kind="person" if "@" in text and "{" not in text else "unknown", name=text)

    def of_resource(self, resource: GraphResource) -> GraphPrincipal:
        """Return the principal that a resource stands for."""
        if resource.where not in self._of_resources:
            self._of_resources[resource.where] = self._found(resource)
        return self._of_resources[resource.where]

    def _found(self, resource: GraphResource) -> GraphPrincipal:
        if resource.type in ("databricks_group", "data.databricks_group"):
            shown = str(resource.get("display_name"))
            return self.by_name.get(shown, GraphPrincipal(kind="unknown", name=shown))
        if resource.type in ("data.databricks_service_principal", "data.azuread_service_principal"):
            if resource.where in _DEPLOYER:
                return GraphPrincipal(kind="deployer", name=self._application(ACCOUNT), environment=ACCOUNT)
        elif resource.type in ("databricks_service_principal", "azuread_service_principal", "azuread_application"):
            return self._runner(resource)
        return GraphPrincipal(kind="unknown", name=resource.where)

    def _runner(self, resource: GraphResource) -> GraphPrincipal:
        """Return the environment's identity: the resource and its application have the names that the settings give it."""
        application = self._estate.by_where.get(f"account/azuread_application.{resource.name}")
        for environment in self._settings.environments:
            expected = self._application(environment)
            stated = {resource.get("display_name"), application.get("display_name") if application else None} - {None}
            if resource.name == f"runner_{environment}" and stated == {expected}:
                return GraphPrincipal(kind="runner", name=expected, environment=environment)
        return GraphPrincipal(kind="unknown", name=resource.where)

    def _application(self, place: str) -> str:
        return name(ResourceKind.APPLICATION, self._settings.account.organisation, place)


_DEPLOYER = frozenset(
    {"account/data.databricks_service_principal.deployer", "account/data.azuread_service_principal.deployer"}
)


def _named(settings: Settings) -> Iterator[GraphPrincipal]:
    organisation = settings.account.organisation
    for group in settings.account.entra_groups:
        yield GraphPrincipal(kind="company", name=group)
    for team in settings.teams:
        yield GraphPrincipal(kind="team", name=team_group(organisation, team.name), role=team.name)
    for environment in settings.environments:
        for role in Role:
            yield GraphPrincipal(
                kind="role", name=role_group(organisation, environment, role), environment=environment, role=role.value
            )


def level_of(settings: Settings, principal: GraphPrincipal, environment: str) -> Access:
    """Return the level that the settings give a role or a team in an environment; none to anybody else."""
    stated = settings.environments[environment]
    if principal.kind == "team":
        return stated.team_access
    if principal.kind == "role" and principal.environment == environment:
        return stated.roles[Role(principal.role)].access
    return Access.NONE
