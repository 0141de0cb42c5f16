"""What the stacks declare of who holds what, under the names by which the services know objects and principals."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from infra.config.naming import ResourceKind, name
from infra.config.stack_names import ACCOUNT
from infra.graph.estate import Estate, GraphResource
from infra.graph.principals import GraphPrincipal, Principals
from infra.graph.rights import RELEASES, HeldRight, held_rights, placed
from infra.graph.settings_values import administrators
from infra.live.live_rights import MEMBER, OWNS, RUNS_AS, SIGNS_IN
from pipelines.declarations.use_case import UseCase

KINDS: Mapping[str, str] = {
    "databricks_catalog": "catalog", "databricks_schema": "schema", "databricks_volume": "volume",
    "databricks_registered_model": "model", "databricks_storage_credential": "storage_credential",
    "databricks_credential": "credential", "databricks_external_location": "external_location", "databricks_job": "job", "databricks_cluster": "cluster",
    "databricks_cluster_policy": "policy", "databricks_instance_pool": "pool", "databricks_sql_endpoint": "warehouse",
    "databricks_mlflow_experiment": "experiment", "databricks_model_serving": "endpoint", "databricks_online_store": "online_store", "databricks_directory": "folder",
    "databricks_dashboard": "dashboard", "databricks_alert_v2": "alert", "databricks_secret_scope": "secrets",
}  # fmt: skip
"""Type of resource to the kind of its object."""
REFERENCE = re.compile(r"\$\{[^}]+\}")
"""A reference of Terraform, also as a part of a text."""
_SHOWN = ("name", "cluster_name", "instance_pool_name", "display_name", "path")
Key = tuple[str, str]
"""Kind and name of an object."""


@dataclass(frozen=True, kw_only=True)
class DeclaredObject:
    """One object that the stacks declare, and what is held on it by principal."""

    resource: GraphResource | None
    held: Mapping[str, frozenset[str]]


class DeclaredRights:
    """Everything that the stacks of one environment, or those of the account, declare.

    Parameters
    ----------
    place
        ``account`` or an environment.
    """

    def __init__(self, estate: Estate, use_cases: Sequence[UseCase], place: str) -> None:
        self._estate, self._use_cases, self._place = estate, use_cases, place
        self._principals = Principals(estate)
        self.objects = self._all()

    @property
    def folders(self) -> tuple[str, ...]:
        """The paths of the declared folders."""
        return tuple(name for kind, name in self.objects if kind == "folder")

    def held(self, kind: str, on: str, principal: str) -> frozenset[str]:
        """Return what a principal is declared to hold on an object."""
        found = self.objects.get((kind, on))
        return frozenset() if found is None else found.held.get(principal, frozenset())

    def as_held(self, kind: str, on: str, principal: str, words: frozenset[str]) -> HeldRight:
        """Return a right as the ceilings judge it: who the principal is, and what the object is."""
        found = self.objects.get((kind, on))
        target = found.resource if found else None
        known = frozenset(use_case.name for use_case in self._use_cases)
        placed_kind, layer, use_case = placed(self._estate, target, kind, known) if target else (kind, "", "")
        environment = on if kind == "workspace" else self._place
        return HeldRight(
            principal=self._somebody(principal), words=words, environment=environment, kind=placed_kind, on=on,
            through="live", target=target, layer=layer, use_case=use_case,
        )  # fmt: skip

    def _somebody(self, shown: str) -> GraphPrincipal:
        for environment in (ACCOUNT, *self._estate.settings.environments):
            if shown == self._application(environment):
                kind = "deployer" if environment == ACCOUNT else "runner"
                return GraphPrincipal(kind=kind, name=shown, environment=environment)
        return self._principals.of(ACCOUNT, shown)

    def _application(self, place: str) -> str:
        return name(ResourceKind.APPLICATION, self._estate.settings.account.organisation, place)

    def _all(self) -> dict[Key, DeclaredObject]:
        resources: dict[Key, GraphResource] = {}
        for one in self._estate.resources:
            if one.type in KINDS and one.environment == self._place:
                resources[KINDS[one.type], self._name(one)] = one
        held: dict[Key, dict[str, frozenset[str]]] = {key: {} for key in resources}
        for kind, on, principal, words in self._rights():
            mine = held.setdefault((kind, on), {})
            mine[principal] = mine.get(principal, frozenset()) | words
        return {key: DeclaredObject(resource=resources.get(key), held=those) for key, those in held.items()}

    def _rights(self) -> Iterator[tuple[str, str, str, frozenset[str]]]:
        if self._place == ACCOUNT:
            yield from self._of_account()
            return
        for right in held_rights(self._estate, self._principals, self._use_cases):
            if right.environment == self._place and right.target is not None and right.kind != "workspace":
                yield _plain(right.kind), self._name(right.target), right.principal.name, right.words
        for one in self._estate.resources:
            if one.environment != self._place or one.type not in KINDS:
                continue
            for owner in one.all("owner"):
                yield KINDS[one.type], self._name(one), self._principals.of(one.stack, owner).name, frozenset({OWNS})
            runs_as = one.get("run_as.service_principal_name") or one.get("run_as.user_name")
            if one.type == "databricks_job" and runs_as:
                yield "job", self._name(one), self._principals.of(one.stack, runs_as).name, frozenset({RUNS_AS})

    def _of_account(self) -> Iterator[tuple[str, str, str, frozenset[str]]]:
        estate, principals = self._estate, self._principals
        for right in held_rights(estate, principals, self._use_cases):
            if right.kind == "workspace":
                yield "workspace", right.environment, right.principal.name, right.words
        for who in filter(None, (self._application(ACCOUNT), administrators(estate.settings))):
            yield "account", ACCOUNT, who, frozenset({"account_admin"})
        for one in estate.of("databricks_group_member"):
            group, member = (principals.of(one.stack, one.get(side)) for side in ("group_id", "member_id"))
            yield "group", group.name, member.name, frozenset({MEMBER})
        for one in estate.of("databricks_service_principal_federation_policy"):
            who = f"{one.get('oidc_policy.subject')} of {one.get('oidc_policy.issuer')}"
            yield "identity", principals.of(one.stack, one.get("service_principal_id")).name, who, frozenset({SIGNS_IN})

    @cached_property
    def bindings(self) -> Counter[tuple[str, ...]]:
        """To how many workspaces of other environments each object is bound: kind, name and type of the binding."""
        found: Counter[tuple[str, ...]] = Counter()
        for one in self._estate.of("databricks_workspace_binding"):
            bound = self._estate.origin(one.stack, one.get("securable_name"))
            if bound is not None and bound.environment == self._place:
                found[KINDS[bound.type], self._name(bound), str(one.get("binding_type"))] += 1
        return found

    def _name(self, one: GraphResource) -> str:
        """Return the name that the services give an object, with the catalog and the schema that hold it."""
        holders = [one.get(argument) for argument in ("catalog_name", "schema_name") if one.get(argument) is not None]
        return ".".join([*(self._literal(one, value) for value in holders), self._own_name(one)])

    def _own_name(self, one: GraphResource) -> str:
        return next((self._literal(one, one.get(field)) for field in _SHOWN if one.get(field) is not None), one.name)

    def _literal(self, one: GraphResource, value: object) -> str:
        def named(reference: re.Match[str]) -> str:
            origin = self._estate.origin(one.stack, reference[0])
            return reference[0] if origin is None else self._own_name(origin)

        return REFERENCE.sub(named, str(value))


def _plain(kind: str) -> str:
    return "volume" if kind == RELEASES else kind
