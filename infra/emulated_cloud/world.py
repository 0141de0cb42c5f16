"""What exists in the emulated cloud: identities, documents, and who belongs to what."""

import base64
import itertools
import json
import secrets
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from ml.spec.errors import LakehouseError

Json = dict[str, Any]
Store = dict[str, Json]

ADMINS, USERS, ACCOUNT_USERS = "admins", "users", "account users"
TOKEN_SECONDS = 24 * 3600
"""How long a token says that it lasts; it is accepted for as long as the world is."""
USER, SERVICE_PRINCIPAL, GROUP = "Users", "ServicePrincipals", "Groups"


@dataclass(frozen=True, kw_only=True)
class Caller:
    """One identity that can call: a person or a service principal.

    Parameters
    ----------
    name
        How it is called in the tokens file.
    principal
        Its name in Databricks: the address of a person, the application id of a service principal.
    kind
        `USER` or `SERVICE_PRINCIPAL`.
    object_id
        Its id in Entra, to which Azure roles are given.
    """

    name: str
    principal: str
    kind: str
    object_id: str


@dataclass(frozen=True, kw_only=True)
class Site:
    """What a cloud is set up with before anybody calls: ids, region, and whether the workspaces exist.

    Parameters
    ----------
    subscriptions
        Environment to the id of its subscription.
    workspaces
        Environment to the number of its workspace.
    prepared
        Whether the metastore and the workspaces exist from the start; otherwise they come with the first deployment.
    """

    account: str = "7c1f2a54-3f0e-4a6b-9d57-2f8f4f0b6a11"
    tenant: str = "2d9c8e70-61b4-4c1d-8f0a-5b7a3e9d4c22"
    region: str = "westeurope"
    metastore: str = "120efa64-9b68-46ba-be38-f319458430d2"
    subscriptions: tuple[tuple[str, str], ...] = (
        ("dev", "5a0b1c2d-3e4f-4a5b-8c6d-7e8f90a1b2c3"),
        ("staging", "6b1c2d3e-4f50-4b6c-8d7e-8f90a1b2c3d4"),
        ("prod", "7c2d3e4f-5061-4c7d-8e8f-90a1b2c3d4e5"),
    )
    workspaces: tuple[tuple[str, str], ...] = (
        ("dev", "1000000000000001"),
        ("staging", "2000000000000002"),
        ("prod", "3000000000000003"),
    )
    prepared: bool = True


class CloudCompute(Protocol):
    """What runs jobs, statements and models; without one, a cloud keeps their descriptions only."""

    def start(self, place: str, run: Json) -> None:
        """Begin to run the tasks of a run in a workspace."""

    def ask(self, metastore: str, do: str, **given: Any) -> Any:
        """Return what the engine of a metastore answers."""


class EngineError(LakehouseError):
    """The engine could not do what was asked; the message is the engine's own."""


@dataclass(kw_only=True)
class World:
    """The whole state; one request at a time changes it.

    Attributes
    ----------
    stores
        Place and kind to documents by id. A place is a service and what it serves (an account, a workspace).
    tokens
        Bearer token to the identity that holds it.
    account_admins
        Principals that administer the Databricks account.
    directory_readers, directory_writers
        Object ids that may read, and may write, applications in Entra.
    contents
        Place and path to the bytes of a file.
    audiences
        Token that was asked for one service to the application id of that service; any other is accepted everywhere.
    issuer_key
        What every token that somebody signs in with is signed with.
    compute
        What runs jobs and statements; None for a cloud that keeps their descriptions only.
    """

    site: Site = field(default_factory=Site)
    stores: dict[tuple[str, str], Store] = field(default_factory=lambda: defaultdict(dict))
    tokens: dict[str, Caller] = field(default_factory=dict)
    account_admins: set[str] = field(default_factory=set)
    directory_readers: set[str] = field(default_factory=set)
    directory_writers: set[str] = field(default_factory=set)
    contents: dict[tuple[str, str], bytes] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1_000_001))
    audiences: dict[str, str] = field(default_factory=dict)
    issuer_key: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    compute: CloudCompute | None = None

    def store(self, place: str, kind: str) -> Store:
        """Return the documents of one kind in one place, by id."""
        return self.stores[place, kind]

    def new_uuid(self) -> str:
        """Return a fresh id as Azure and Databricks give them."""
        return str(uuid.uuid4())

    def new_number(self) -> int:
        """Return a fresh number, larger than a float can hold exactly, as those of jobs and experiments are."""
        return 8_000_000_000_000_000_000 + next(self.numbers)

    def new_object_number(self) -> int:
        """Return a fresh number of an object in a workspace's tree, which a float holds exactly.

        The provider plans the number of a notebook as a float; a longer one would differ when the plan is applied.
        """
        return 4_000_000_000_000_000 + next(self.numbers)

    def now(self) -> int:
        """Return the time in milliseconds since 1970."""
        return time.time_ns() // 1_000_000

    def issue_token(self, caller: Caller) -> str:
        """Return a new bearer token of an identity: an access token of Entra, which clients read for who they are.

        The claims are those of https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference. The
        signature is a secret of this world: it alone knows the token again, and nobody else has to.
        """
        now = self.now() // 1000
        who = (
            {"idtyp": "app", "appid": caller.principal, "app_displayname": caller.name}
            if caller.kind == SERVICE_PRINCIPAL
            else {"idtyp": "user", "upn": caller.principal}
        )
        claims = {
            "iss": f"https://sts.windows.net/{self.site.tenant}/", "tid": self.site.tenant, "ver": "1.0", "iat": now,
            "exp": now + TOKEN_SECONDS, "oid": caller.object_id, "sub": caller.object_id, **who,
        }  # fmt: skip
        token = f"{_segment({'typ': 'JWT', 'alg': 'HS256'})}.{_segment(claims)}.{secrets.token_urlsafe(32)}"
        self.tokens[token] = caller
        return token

    def token_of(self, principal: str) -> str:
        """Return a token of an identity that every service accepts, by its name in Databricks; empty if it has none."""
        held = (token for token, caller in self.tokens.items() if caller.principal == principal)
        return next((token for token in held if token not in self.audiences), "")

    # Principals of the account -------------------------------------------------------------------------------------

    def scim(self, kind: str) -> Store:
        """Return the users, service principals or groups of the account, by their number."""
        return self.store("account", kind)

    def principal(self, name: str) -> Json | None:
        """Return the user, service principal or group of the account that has this name; None if there is none."""
        if name == ACCOUNT_USERS:
            return {"displayName": name}
        found = (document for kind in PRINCIPAL_NAMES for document in self.scim(kind).values())
        return next(
            (one for one in found if name in (one.get("userName"), one.get("applicationId"), _group(one))), None
        )

    def names_of(self, principal: str) -> set[str]:
        """Return a principal's own name and those of all groups it belongs to, nested ones included."""
        document = self.principal(principal) or {}
        ids, names = {document.get("id")}, {principal, ACCOUNT_USERS}
        while True:
            more = [
                group for group in self.scim(GROUP).values()
                if group["id"] not in ids and any(member["value"] in ids for member in group.get("members", ()))
            ]  # fmt: skip
            if not more:
                return names
            ids.update(group["id"] for group in more)
            names.update(group["displayName"] for group in more)

    def workspace_permission(self, workspace: str, principal: str) -> str:
        """Return ``ADMIN``, ``USER`` or an empty text: what a principal is in a workspace."""
        assigned = self.store("account", f"assignments {workspace}")
        ids = {
            str(document["id"]) for name in self.names_of(principal) if "id" in (document := self.principal(name) or {})
        }
        levels = {level for key, document in assigned.items() if key in ids for level in document["permissions"]}
        return "ADMIN" if "ADMIN" in levels else "USER" if levels else ""

    # Unity Catalog -------------------------------------------------------------------------------------------------

    def metastore_of(self, workspace: str) -> Json | None:
        """Return the metastore that a workspace is attached to."""
        assigned = self.store("account", "metastore assignments").get(workspace)
        return self.store("account", "metastores").get(assigned["metastore_id"]) if assigned else None


def _group(document: Json) -> str | None:
    return None if "applicationId" in document or "userName" in document else document.get("displayName")


PRINCIPAL_NAMES = (USER, SERVICE_PRINCIPAL, GROUP)


def _segment(content: Json) -> str:
    """Return a part of a JSON Web Token (RFC 7515, section 2: base64url without padding)."""
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()
