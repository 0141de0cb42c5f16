"""A request as an area sees it, what it answers, and the patterns of requests."""

import fnmatch
import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.emulated_cloud.world import Caller, Json, Store, World
from ml.spec.errors import LakehouseError

ACCOUNT, WORKSPACE, AZURE, GRAPH, VAULT, STORAGE, MONITOR, SIGN_IN = (
    "account", "workspace", "azure", "graph", "vault", "storage", "monitor", "sign-in",
)  # fmt: skip


class CloudRefusalError(LakehouseError):
    """The emulated service refuses a request, with the status and the code that the real one answers.

    Parameters
    ----------
    rule
        The id of the rule that refuses; empty for a request that is not well formed or names what is not there.
    details
        More fields of the answer, beside its code and its message.
    """

    def __init__(
        self, status: int, code: str, message: str, *, rule: str = "", details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.rule, self.details = status, code, rule, dict(details or {})


@dataclass(frozen=True, kw_only=True)
class CloudAnswer:
    """Status, document or bytes, and headers of an answer."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request of one identity.

    Parameters
    ----------
    service, place
        Which service, and which of its places: the workspace's number, the vault's or the storage account's name.
    network
        The virtual network or the public address that the request comes from; empty for any other of the internet.
    headers
        The request's headers, their names in small letters.
    arguments
        What the pattern of the path holds.
    """

    world: World
    caller: Caller
    service: str
    place: str
    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    raw: bytes = b""
    network: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    arguments: Mapping[str, str] = field(default_factory=dict)

    @property
    def fields(self) -> Json:
        """The body as a document; empty if there is none."""
        return self.body if isinstance(self.body, dict) else {}

    @property
    def where(self) -> str:
        """The place of the stores: ``workspace 1000000000000001``, ``account``, ``azure``."""
        return f"workspace {self.place}" if self.service == WORKSPACE else self.service

    def store(self, kind: str) -> Store:
        """Return the documents of one kind where the request is made."""
        return self.world.store(self.where, kind)

    def asked(self, name: str) -> str:
        """Return an argument of the path, the query or the body as text; empty if it is in none."""
        for source in (self.arguments, self.query, self.fields):
            if name in source:
                return str(source[name])
        return ""

    def is_workspace_admin(self) -> bool:
        """Return whether the caller administers the workspace that is asked."""
        return self.world.workspace_permission(self.place, self.caller.principal) == "ADMIN"

    def is_account_admin(self) -> bool:
        """Return whether the caller administers the account."""
        return bool(self.world.account_admins & self.world.names_of(self.caller.principal))


def not_found(what: str) -> CloudRefusalError:
    """Return the refusal of a request that names what does not exist."""
    return CloudRefusalError(404, "RESOURCE_DOES_NOT_EXIST", f"{what} does not exist.")


def invalid(message: str) -> CloudRefusalError:
    """Return the refusal of a request whose values cannot be right."""
    return CloudRefusalError(400, "INVALID_PARAMETER_VALUE", message)


def taken(what: str) -> CloudRefusalError:
    """Return the refusal of a creation of what is there already."""
    return CloudRefusalError(409, "RESOURCE_ALREADY_EXISTS", f"{what} already exists.")


Action = Callable[[Call], "CloudAnswer | Json | list[Any] | None"]


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One request that a service answers: its method and path, and what it does.

    Parameters
    ----------
    request
        ``METHOD /path/{argument}``; ``{argument*}`` spans slashes.
    """

    service: str
    request: str
    action: Action

    @property
    def method(self) -> str:
        """The method of the request."""
        return self.request.partition(" ")[0]

    def matches(self, path: str) -> dict[str, str] | None:
        """Return the arguments of a path that this endpoint answers; None for any other."""
        found = _pattern(self.request.partition(" ")[2]).fullmatch(path)
        return found.groupdict() if found else None


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One request of an example: who sends it, what, from where.

    Parameters
    ----------
    who
        The name of an identity of the prepared cloud.
    request
        ``METHOD host/path?query``; the host by its short name: account, azure, graph, dev, prod, a vault's own name.
    """

    who: str
    request: str
    body: Any = None
    network: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ServiceRule:
    """One rule of a service: where it is documented, what it refuses, and an example of both.

    Parameters
    ----------
    rule
        Its id.
    says
        The rule in one sentence.
    page
        The address of the page that states it.
    on
        The requests it looks at, ``service METHOD /path``; ``*`` stands for anything.
    holds
        Whether a request keeps the rule.
    refusal
        Status, code and message of the answer to a request that breaks it.
    given
        What is done before the two examples.
    accepted, refused
        A request that keeps the rule, and one that breaks it.
    """

    rule: str
    says: str
    page: str
    on: tuple[str, ...]
    holds: Callable[[Call], bool]
    refusal: tuple[int, str, str]
    given: tuple[Attempt, ...] = ()
    accepted: Attempt
    refused: Attempt

    def looks_at(self, call: Call) -> bool:
        """Return whether a request is one that the rule is about."""
        asked = f"{call.service} {call.method} {call.path}"
        return any(_wildcards(pattern).match(asked) for pattern in self.on)

    def enforce(self, call: Call) -> None:
        """Refuse a request that breaks the rule.

        Raises
        ------
        CloudRefusalError
            If it does, with this rule's id.
        """
        if self.looks_at(call) and not self.holds(call):
            status, code, message = self.refusal
            inner = [value for value in call.fields.values() if isinstance(value, dict)]
            inner += [
                one
                for value in call.fields.values()
                if isinstance(value, list)
                for one in value
                if isinstance(one, dict)
            ]
            known: Json = {"caller": call.caller.principal, "path": call.path, **call.query}
            for source in (*inner, call.fields, call.arguments):
                known |= source
            text = re.sub(r"\{(\w+)\}", lambda found: str(known.get(found[1], found[0])), message)
            raise CloudRefusalError(status, code, text, rule=self.rule)


@dataclass(frozen=True, kw_only=True)
class Area:
    """One area of the services: the requests it answers and the rules it enforces.

    Parameters
    ----------
    shared
        Rules of another area that hold for its requests too.
    """

    name: str
    endpoints: tuple[Endpoint, ...]
    rules: tuple[ServiceRule, ...] = ()
    shared: tuple[ServiceRule, ...] = ()


def endpoints(service: str, actions: Mapping[str, Action]) -> tuple[Endpoint, ...]:
    """Return the endpoints of a service from a table of requests and what they do."""
    return tuple(Endpoint(service=service, request=request, action=action) for request, action in actions.items())


@functools.cache
def _wildcards(pattern: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(pattern))


@functools.cache
def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"(\{\w+\*?\})", template)
    text = "".join(
        f"(?P<{part.strip('{}*')}>{'.+' if part.endswith('*}') else '[^/]+'})"
        if part.startswith("{")
        else re.escape(part)
        for part in parts
    )
    return re.compile(text)
