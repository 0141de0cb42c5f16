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

    def _all(self, what: str, part: Callable[[], Iterable[Any]], *, missing_is_none: bool = False) -> list[Any]:
        """Return everything of one part; nothing, and a sentence, if the service refuses it."""
        from azure.core.exceptions import AzureError, ResourceNotFoundError

        try:
            return list(part())
        except ResourceNotFoundError as error:
            if not missing_is_none:
                self._unread.append(f"{what} cannot be read: {_said(error)}")
        except AzureError as error:
            self._unread.append(f"{what} cannot be read: {_said(error)}")
        return []

    # Azure ---------------------------------------------------------------------------------------------------------

    def _assignments(self, scope: str) -> Iterator[LiveAssignment]:
        path = f"{scope}/providers/{AUTHORIZATION}/roleAssignments"
        part = self._session.all(ARM, path, **{"api-version": VERSIONS[AUTHORIZATION]})
        for one in self._all(f"role assignments of {scope}", lambda: part):
            stated = one["properties"]
            yield LiveAssignment(
                principal_id=stated["principalId"], principal=self._named(stated["principalId"], stated.get("principalType")),
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
            missing_is_none=True,
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
        return self._all(f"{kind} {value}", lambda: self._session.all(GRAPH, f"/v1.0/{kind}", **query))

    def _credentials(self) -> Iterator[LiveRight]:
        application = self._declared.application
        for kind in ("applications", "servicePrincipals"):
            for one in self._entities(kind, "displayName", application):
                path = f"/v1.0/{kind}/{one['id']}"
                for who, words in (
                    *_copyable(one),
                    *self._owners(path),
                    *self._signing_in(kind, path),
                    *self._of_identity(kind, path),
                ):
                    yield LiveRight(
                        kind="application", on=application, principal=who or application, words=frozenset({words})
                    )

    def _part(self, path: str, part: str) -> list[Json]:
        what = f"{part} of {self._declared.application}"
        return self._all(what, lambda: self._session.all(GRAPH, f"{path}/{part}"))

    def _owners(self, path: str) -> Iterator[tuple[str, str]]:
        for one in self._part(path, "owners"):
            yield self._named(str(one["id"])), OWNER_OF

    def _signing_in(self, kind: str, path: str) -> Iterator[tuple[str, str]]:
        for one in self._part(path, "federatedIdentityCredentials") if kind == "applications" else ():
            # A flexible credential has an expression in the place of a subject.
            subject = one.get("subject") or (one.get("claimsMatchingExpression") or {}).get("value")
            yield f"{subject} of {one.get('issuer')}", SIGNS_IN

    def _of_identity(self, kind: str, path: str) -> Iterator[tuple[str, str]]:
        """Yield the roles of Microsoft Graph and of other services that the identity holds, and what it is a member of."""
        if kind != "servicePrincipals":
            return
        for one in self._part(path, "appRoleAssignments"):
            role = str(one["appRoleId"])
            yield "", NAMES_OF_ROLES.get(role, f"{one.get('resourceDisplayName') or 'role'} {role}")
        for one in self._part(path, "transitiveMemberOf"):
            yield "", f"{GROUP_MEMBER} {one.get('displayName') or one['id']}"

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


def _copyable(entity: Json) -> Iterator[tuple[str, str]]:
    """Yield each secret and certificate: whoever has it signs in, from anywhere, until it ends."""
    for kind, field in (("password", "passwordCredentials"), ("certificate", "keyCredentials")):
        for one in entity.get(field) or ():
            called = f" '{one['displayName']}'" if one.get("displayName") else ""
            yield f"whoever has the {kind} {one.get('keyId')}{called}, until {one.get('endDateTime')},", COPYABLE


def _said(error: Exception) -> str:
    return " ".join(str(error).split())
