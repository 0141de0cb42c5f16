"""Reads who holds what through the Databricks SDK: in a workspace with its catalog, and in the account. Changes nothing."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from infra.live.live_rights import (
    COPYABLE,
    MEMBER,
    OBJECTS,
    OWNS,
    PERSONAL_COMPUTE,
    RUNS_AS,
    SECURABLES,
    SIGNS_IN,
    USES,
    WORKSPACE,
    LiveRight,
    LiveRights,
)

if TYPE_CHECKING:
    from databricks.sdk import AccountClient, WorkspaceClient

Found = Iterator[LiveRight]
BOUND = ("catalog", "storage_credential", "credential", "external_location")
WITHOUT_SERVICE = frozenset({"FEATURE_DISABLED", "ENDPOINT_NOT_FOUND", "NOT_IMPLEMENTED"})
"""How a workspace says that it does not have a service."""
SYSTEM_SCHEMAS = frozenset({"information_schema"})


class _Reader:
    """Reads part by part; a part that a service refuses becomes a sentence, and the others are read on."""

    def __init__(self) -> None:
        self.unread: list[str] = []

    def all(self, what: str, part: Callable[..., Iterable[Any]], *given: Any, **named: Any) -> list[Any]:
        """Return everything of one part; nothing, and a sentence, if the service refuses it."""
        from databricks.sdk.errors.base import DatabricksError

        try:
            return list(part(*given, **named))
        except DatabricksError as error:
            self.unread.append(f"{what} cannot be read: {' '.join(str(error).split())}")
            return []

    def one(self, what: str, part: Callable[..., Any], *given: Any) -> list[Any]:
        """Return one thing in a list; an empty list, and a sentence, if the service refuses it."""
        return self.all(what, lambda: [part(*given)])


class WorkspaceReader(_Reader):
    """Reads one workspace and the catalog of its environment.

    Parameters
    ----------
    folders
        The paths of the folders whose permissions are declared; a workspace's other folders belong to its people.
    """

    def __init__(self, client: "WorkspaceClient", environment: str, folders: Iterable[str] = ()) -> None:
        super().__init__()
        self._client, self._environment, self._folders = client, environment, tuple(folders)

    def read(self) -> LiveRights:
        """Return everything."""
        rights = [*self._catalog(), *self._objects(), *self._jobs(), *self._secrets()]
        return LiveRights(place=self._environment, rights=tuple(sorted(set(rights), key=_order)), unread=self.unread)

    @cached_property
    def _applications(self) -> dict[str, str]:
        """The display name of each service principal by its application id."""
        those = self.all("service principals", self._client.service_principals.list)
        return {str(one.application_id): str(one.display_name) for one in those}

    def _who(self, name: str | None) -> str:
        return self._applications.get(str(name), str(name))

    def _catalog(self) -> Found:
        client, catalog = self._client, self._environment
        found: list[tuple[str, Any]] = [
            ("catalog", one) for one in self.one(f"catalog {catalog}", client.catalogs.get, catalog)
        ]
        for schema in self.all("schemas", client.schemas.list, catalog):
            if schema.name in SYSTEM_SCHEMAS:
                continue
            found.append(("schema", schema))
            for kind, lists in (
                ("table", client.tables.list), ("volume", client.volumes.list), ("model", client.registered_models.list),
            ):  # fmt: skip
                where = {"catalog_name": catalog, "schema_name": schema.name}
                found += [(kind, one) for one in self.all(f"{kind}s of {schema.full_name}", lists, **where)]
        found += [
            ("storage_credential", one) for one in self.all("storage credentials", client.storage_credentials.list)
        ]
        from databricks.sdk.service.catalog import CredentialPurpose

        services = self.all(
            "service credentials", client.credentials.list_credentials, purpose=CredentialPurpose.SERVICE
        )
        found += [("credential", one) for one in services]
        found += [("external_location", one) for one in self.all("external locations", client.external_locations.list)]
        for kind, one in found:
            yield from self._securable(kind, one)

    def _securable(self, kind: str, one: Any) -> Found:
        name = str(getattr(one, "full_name", None) or one.name)
        if one.owner:
            yield LiveRight(kind=kind, on=name, principal=self._who(one.owner), words=frozenset({OWNS}))
        for grant in self.all(f"grants on {kind} {name}", self._grants, kind, name):
            words = frozenset(privilege.value for privilege in grant.privileges or ())
            yield LiveRight(kind=kind, on=name, principal=self._who(grant.principal), words=words)
        if kind in BOUND and _is_isolated(one):
            part = self._client.workspace_bindings.get_bindings
            for binding in self.all(f"bindings of {kind} {name}", part, kind, name):
                if binding.workspace_id != self._own_number:
                    words = frozenset({binding.binding_type.value})
                    yield LiveRight(kind=kind, on=name, principal=f"{WORKSPACE} {binding.workspace_id}", words=words)

    @cached_property
    def _own_number(self) -> int | None:
        """The number of this workspace, to which its environment's own objects are bound."""
        found = self.one("the metastore of the workspace", self._client.metastores.current)
        return found[0].workspace_id if found else None

    def _grants(self, kind: str, name: str) -> Iterator[Any]:
        page: str | None = None
        while page != "":
            answer = self._client.grants.get(SECURABLES[kind], name, page_token=page)
            yield from answer.privilege_assignments or ()
            page = answer.next_page_token or ""

    def _objects(self) -> Found:
        client = self._client
        parts: tuple[tuple[str, Callable[[], Iterable[Any]], str, str], ...] = (
            ("cluster", client.clusters.list, "cluster_id", "cluster_name"),
            ("policy", client.cluster_policies.list, "policy_id", "name"),
            ("pool", client.instance_pools.list, "instance_pool_id", "instance_pool_name"),
            ("warehouse", client.warehouses.list, "id", "name"),
            ("experiment", client.experiments.list_experiments, "experiment_id", "name"),
            ("endpoint", client.serving_endpoints.list, "id", "name"),
            ("online_store", self._online_stores, "name", "name"),
            ("dashboard", client.lakeview.list, "dashboard_id", "display_name"),
            ("alert", client.alerts_v2.list_alerts, "id", "display_name"),
            ("folder", self._declared_folders, "object_id", "path"),
        )
        for kind, lists, identity, shown in parts:
            for one in self.all(f"{kind}s", lists):
                if kind == "policy" and not one.is_default and one.creator_user_name:
                    who = self._who(one.creator_user_name)
                    yield LiveRight(kind=kind, on=str(one.name), principal=who, words=frozenset({OWNS}))
                yield from self._permissions(kind, str(getattr(one, identity) or one.name), str(getattr(one, shown)))

    def _online_stores(self) -> Iterator[Any]:
        """Yield the online stores; none where the region or the workspace has no such service."""
        from databricks.sdk.errors.base import DatabricksError

        try:
            yield from self._client.feature_store.list_online_stores()
        except DatabricksError as error:
            if error.error_code not in WITHOUT_SERVICE:
                raise

    def _declared_folders(self) -> Iterator[Any]:
        from databricks.sdk.errors import NotFound

        for path in self._folders:
            try:
                yield self._client.workspace.get_status(path)
            except NotFound:  # Terraform's part of the drift tells what is missing
                continue

    def _jobs(self) -> Found:
        for one in self.all("jobs", self._client.jobs.list):
            for job in self.one(f"job {one.job_id}", self._client.jobs.get, one.job_id):
                name = str(job.settings.name if job.settings else one.job_id)
                yield from self._permissions("job", str(job.job_id), name)
                if job.run_as_user_name:
                    who = self._who(job.run_as_user_name)
                    yield LiveRight(kind="job", on=name, principal=who, words=frozenset({RUNS_AS}))

    def _permissions(self, kind: str, identity: str, name: str) -> Found:
        asked = self.one(f"permissions on {kind} {name}", self._client.permissions.get, OBJECTS[kind], identity)
        for entry in (entry for answer in asked for entry in answer.access_control_list or ()):
            own = frozenset(one.permission_level.value for one in entry.all_permissions or () if not one.inherited)
            who = self._who(entry.group_name or entry.service_principal_name or entry.user_name)
            if own:
                yield LiveRight(kind=kind, on=name, principal=who, words=own)

    def _secrets(self) -> Found:
        for scope in self.all("secret scopes", self._client.secrets.list_scopes):
            for entry in self.all(f"secret scope {scope.name}", self._client.secrets.list_acls, scope.name):
                words = frozenset({entry.permission.value})
                yield LiveRight(kind="secrets", on=str(scope.name), principal=self._who(entry.principal), words=words)


class AccountReader(_Reader):
    """Reads the account: members of groups, roles, signing in, and who is assigned to which workspace.

    Parameters
    ----------
    workspaces
        The number of each environment's workspace.
    groups, identities
        The names of the groups and identities that are ours: an account can serve others as well.
    """

    def __init__(
        self,
        client: "AccountClient",
        workspaces: Mapping[str, int],
        groups: Collection[str],
        identities: Collection[str],
    ) -> None:
        super().__init__()
        self._client, self._workspaces = client, workspaces
        self._our_groups, self._our_identities = groups, identities

    def read(self) -> LiveRights:
        """Return everything."""
        rights = [
            *self._members(), *self._roles(), *self._federations(), *self._secrets_of_identities(), *self._rule_sets(),
            *self._assignments(), *self._personal_compute(),
        ]  # fmt: skip
        return LiveRights(place="account", rights=tuple(sorted(set(rights), key=_order)), unread=self.unread)

    @cached_property
    def _groups(self) -> list[Any]:
        return self.all("groups", self._client.groups.list)

    def _members(self) -> Found:
        ours = [one for one in self._groups if one.display_name in self._our_groups]
        whole = [
            group
            for one in ours
            for group in self.one(f"group {one.display_name}", self._client.groups.get, str(one.id))
        ]
        for group in whole:
            for member in group.members or ():
                who = self._names.get(str(member.value), str(member.display or member.value))
                yield LiveRight(kind="group", on=str(group.display_name), principal=who, words=frozenset({MEMBER}))

    @cached_property
    def _machines(self) -> list[Any]:
        return self.all("service principals", self._client.service_principals.list)

    @cached_property
    def _users(self) -> list[Any]:
        return self.all("users", self._client.users.list)

    @cached_property
    def _names(self) -> dict[str, str]:
        """The name of everybody by the account's number."""
        return {
            **{str(one.id): str(one.display_name) for one in (*self._groups, *self._machines)},
            **{str(one.id): str(one.user_name) for one in self._users},
        }

    def _roles(self) -> Found:
        for one in (*self._groups, *self._machines, *self._users):
            words = frozenset(str(role.value) for role in one.roles or ())
            if words:
                yield LiveRight(kind="account", on="account", principal=self._names[str(one.id)], words=words)

    def _federations(self) -> Found:
        for one in (one for one in self._machines if one.display_name in self._our_identities):
            name = str(one.display_name)
            part = self._client.service_principal_federation_policy.list
            for policy in self.all(f"federation policies of {name}", part, int(one.id)):
                oidc = policy.oidc_policy
                who = f"{oidc.subject} of {oidc.issuer}" if oidc else "a policy without a subject"
                yield LiveRight(kind="identity", on=name, principal=who, words=frozenset({SIGNS_IN}))

    def _secrets_of_identities(self) -> Found:
        """Yield every secret of our identities: they sign in by federation, and a secret is one more way in.

        https://docs.databricks.com/api/azure/account/serviceprincipalsecrets/list
        """
        for one in (one for one in self._machines if one.display_name in self._our_identities):
            name = str(one.display_name)
            for secret in self.all(f"secrets of {name}", self._client.service_principal_secrets.list, str(one.id)):
                who = f"whoever has the secret {secret.id}"
                yield LiveRight(kind="identity", on=name, principal=who, words=frozenset({COPYABLE}))

    def _rule_sets(self) -> Found:
        """Yield who may act as, or manage, our identities and groups, and who has a role on the account.

        https://docs.databricks.com/api/azure/account/accountaccesscontrol/getruleset
        """
        ours = [
            ("account", "account", ""),
            *(("identity", one.display_name, f"/servicePrincipals/{one.application_id}")
              for one in self._machines if one.display_name in self._our_identities),
            *(("group", one.display_name, f"/groups/{one.id}") for one in self._groups if one.display_name in self._our_groups),
        ]  # fmt: skip
        for kind, on, part in ours:
            place = f"accounts/{self._client.config.account_id}{part}/ruleSets/default"
            for rule_set in self.one(
                f"the rule set of {kind} {on}", self._client.access_control.get_rule_set, place, ""
            ):
                for rule in rule_set.grant_rules or ():
                    for principal in rule.principals or ():
                        word = str(rule.role).rpartition("/")[2]
                        yield LiveRight(
                            kind=kind, on=str(on), principal=self._named(principal), words=frozenset({word})
                        )

    def _named(self, principal: str) -> str:
        """Return the name of a principal of a rule set, which is ``users/``, ``groups/`` or ``servicePrincipals/`` and a name."""
        kind, _, name = principal.partition("/")
        if kind != "servicePrincipals":
            return name
        return next((str(one.display_name) for one in self._machines if one.application_id == name), name)

    def _assignments(self) -> Found:
        for environment, number in self._workspaces.items():
            for one in self.all(f"principals of workspace {number}", self._client.workspace_assignment.list, number):
                number_of = str(one.principal.principal_id)
                words = frozenset(permission.value for permission in one.permissions or ())
                yield LiveRight(
                    kind="workspace", on=environment, principal=self._names.get(number_of, number_of), words=words
                )

    def _personal_compute(self) -> Found:
        """Yield that everybody may make clusters of their own, past the policies of teams: the account's default.

        https://docs.databricks.com/api/azure/account/personalcompute/get
        """
        for one in self.one("who may use personal compute", self._client.settings.personal_compute.get):
            if one.personal_compute.value.value != "DELEGATE":
                yield LiveRight(kind="policy", on=PERSONAL_COMPUTE, principal="account users", words=frozenset({USES}))


def _is_isolated(one: Any) -> bool:
    return "ISOLATED" in str(getattr(one.isolation_mode, "value", one.isolation_mode))


def _order(right: LiveRight) -> tuple[str, str, str, list[str]]:
    return right.kind, right.on, right.principal, sorted(right.words)
