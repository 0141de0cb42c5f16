"""Reads who holds which role in Azure at an environment's scopes, and what its application in Entra can be used with."""

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

from infra.devops.identity_steps import GRAPH_ROLES
from infra.live.azure_declared import AzureDeclaration
from infra.live.azure_rights import GROUP_MEMBER, OWNER_OF, IdentitySource, LiveAssignment, LiveAzure
from infra.live.azure_session import ARM, GRAPH, AzureSession, Json
from infra.live.live_rights import COPYABLE, SIGNS_IN, LiveRight

AUTHORIZATION = "Microsoft.Authorization"
VERSIONS = {AUTHORIZATION: "2022-04-01", "Microsoft.Databricks": "2024-05-01", "Microsoft.Storage": "2023-05-01"}
"""Provider to the version of its interface; the first with conditions of assignments is that of role assignments."""
NAMES_OF_ROLES = {identity: name for name, identity in GRAPH_ROLES.items()}


class AzureReader:
    """Reads what is held in one place, part by part; what a service refuses becomes a sentence."""

    def __init__(self, session: AzureSession, declared: AzureDeclaration) -> None:
        self._session, self._declared, self._unread = session, declared, list[str]()
        self._role = cache(self._role_of)
        self._name = cache(self._name_of)

    def read(self) -> LiveAzure:
        """Return everything."""
        declared = self._declared
        sources = sorted({one.identity for one in (*declared.assignments, *declared.permitted)})
        found = {source: identity for source in sources for identity in self._object_ids(source)}
        assignments = [one for scope in declared.scopes for one in self._assignments(scope)]
        return LiveAzure(
            assignments=tuple(sorted(set(assignments))), credentials=tuple(self._credentials()), object_ids=found,
            unread=tuple(dict.fromkeys(self._unread)),
        )  # fmt: skip

    def _all(self, what: str, part: Callable[[], Iterable[Any]], *passed_over: int) -> list[Any]:
        """Return everything of one part; nothing, and a sentence, if the service refuses it.

        Parameters
        ----------
        passed_over
            The status with which a service refuses what need not be there, or need not be told.
        """
        from azure.core.exceptions import AzureError

        try:
            return list(part())
        except AzureError as error:
            if getattr(error, "status_code", None) not in passed_over:
                self._unread.append(f"{what} cannot be read: {_said(error)}")
            return []

    # Azure ---------------------------------------------------------------------------------------------------------

    def _assignments(self, scope: str) -> Iterator[LiveAssignment]:
        path = f"{scope}/providers/{AUTHORIZATION}/roleAssignments"
        part = self._session.all(ARM, path, **{"api-version": VERSIONS[AUTHORIZATION]})
        for one in self._all(f"role assignments of {scope}", lambda: part):
            stated = one["properties"]
            yield LiveAssignment(
                principal_id=stated["principalId"], kind=str(stated.get("principalType")), principal=self._named(stated["principalId"], stated.get("principalType")),
                role=self._role(stated["roleDefinitionId"]), scope=stated["scope"], condition=stated.get("condition") or "",
            )  # fmt: skip

    def _role_of(self, definition: str) -> str:
        path = f"{self._declared.scopes[0]}/providers/{AUTHORIZATION}/roleDefinitions/{definition.rpartition('/')[2]}"
        asked = self._all(
            f"the role {definition}",
            lambda: [self._session.one(ARM, path, **{"api-version": VERSIONS[AUTHORIZATION]})],
        )
        return next((str(one["properties"]["roleName"]) for one in asked), definition)

    def _object_ids(self, source: IdentitySource) -> Iterator[str]:
        """Yield the object id of an identity; nothing for one that does not exist yet."""
        if not source.resource:
            (known_as,) = source.attribute
            yield from (str(one["id"]) for one in self._entities("servicePrincipals", known_as, source.value))
            return
        provider = source.resource.partition("/providers/")[2].partition("/")[0]
        asked = self._all(
            source.resource,
            lambda: [self._session.one(ARM, source.resource, **{"api-version": VERSIONS[provider]})],
            404,
        )
        for document in asked:
            value: Any = document
            for key in source.attribute:
                value = (value or {}).get(key)
            if value:
                yield str(value)

    # Entra ---------------------------------------------------------------------------------------------------------

    def _entities(self, kind: str, known_as: str, value: str) -> list[Json]:
        query = {"$filter": f"{known_as} eq '{value}'"}
        untold = () if self._declared.reads_directory else (403,)
        return self._all(f"{kind} {value}", lambda: self._session.all(GRAPH, f"/v1.0/{kind}", **query), *untold)

    def _credentials(self) -> Iterator[LiveRight]:
        for application in self._declared.credentials:
            for kind in ("applications", "servicePrincipals"):
                for one in self._entities(kind, "displayName", application):
                    for who, word in self._of(kind, one, application):
                        yield LiveRight(kind="application", on=application, principal=who, words=frozenset({word}))

    def _of(self, kind: str, one: Json, application: str) -> Iterator[tuple[str, str]]:
        """Yield who holds what on an application or on its service principal."""
        yield from _copyable(one)
        path = f"/v1.0/{kind}/{one['id']}"

        def part(name: str) -> list[Json]:
            return self._all(f"{name} of {application}", lambda: self._session.all(GRAPH, f"{path}/{name}"))

        yield from ((self._named(str(owner["id"])), OWNER_OF) for owner in part("owners"))
        if kind == "applications":
            yield from ((_subject(credential), SIGNS_IN) for credential in part("federatedIdentityCredentials"))
            return
        for role in part("appRoleAssignments"):
            identity = str(role["appRoleId"])
            yield application, NAMES_OF_ROLES.get(identity, f"{role.get('resourceDisplayName') or 'role'} {identity}")
        for group in part("transitiveMemberOf"):
            yield application, f"{GROUP_MEMBER} {group.get('displayName') or group['id']}"

    def _named(self, identity: str, kind: str | None = None) -> str:
        return self._declared.groups.get(identity) or self._name(identity) or f"{kind or 'object'} {identity}"

    def _name_of(self, identity: str) -> str:
        """Return the name of an object id; empty for one that Entra does not tell: then the id names it."""
        from azure.core.exceptions import AzureError

        for kind in ("servicePrincipals", "directoryObjects"):
            try:
                one = self._session.one(GRAPH, f"/v1.0/{kind}/{identity}")
            except AzureError:
                continue
            return str(one.get("userPrincipalName") or one.get("displayName") or "")
        return ""


def _subject(credential: Json) -> str:
    """Return who signs in by a federated credential; a flexible one has an expression in the place of a subject."""
    subject = credential.get("subject") or (credential.get("claimsMatchingExpression") or {}).get("value")
    return f"{subject} of {credential.get('issuer')}"


def _copyable(entity: Json) -> Iterator[tuple[str, str]]:
    """Yield each secret and certificate: whoever has it signs in, from anywhere, until it ends."""
    for kind, field in (("password", "passwordCredentials"), ("certificate", "keyCredentials")):
        for one in entity.get(field) or ():
            called = f" '{one['displayName']}'" if one.get("displayName") else ""
            yield f"whoever has the {kind} {one.get('keyId')}{called}, until {one.get('endDateTime')},", COPYABLE


def _said(error: Exception) -> str:
    return " ".join(str(error).split())
