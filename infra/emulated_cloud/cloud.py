"""The emulated cloud: which service a host name is, who calls, which rules hold, and what is answered."""

import functools
import json
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

from infra.emulated_cloud.areas.azure import blobs, data, deployments, monitor, resources
from infra.emulated_cloud.areas.databricks import (
    account,
    catalog,
    compute,
    files,
    jobs,
    model_versions,
    object_permissions,
    online_stores,
    principals,
    secret_scopes,
    service_credentials,
    sql_statements,
    workspace_objects,
    workspace_settings,
)
from infra.emulated_cloud.areas.entra import graph, graph_credentials, tokens
from infra.emulated_cloud.calls import (
    ACCOUNT,
    AZURE,
    GRAPH,
    MONITOR,
    SIGN_IN,
    STORAGE,
    VAULT,
    WORKSPACE,
    Area,
    Call,
    CloudAnswer,
    CloudRefusalError,
    Endpoint,
    ServiceRule,
)
from infra.emulated_cloud.world import Caller, World

AREAS: tuple[Area, ...] = tuple(
    module.AREA for module in (
        principals, account, catalog, service_credentials, object_permissions, compute, workspace_objects, workspace_settings, secret_scopes, files, jobs, online_stores,
        sql_statements, model_versions,
        deployments, resources, data, blobs, monitor, graph, graph_credentials,
        tokens,
    )
)  # fmt: skip
"""Every area; the first endpoint that fits answers."""
HOSTS = (
    (re.compile(r"accounts\.azuredatabricks\.net"), ACCOUNT),
    (re.compile(r"adb-(\d+)\.\d+\.azuredatabricks\.net"), WORKSPACE),
    (re.compile(r"management\.azure\.com"), AZURE),
    (re.compile(r"graph\.microsoft\.com"), GRAPH),
    (re.compile(r"login\.microsoftonline\.com"), SIGN_IN),
    (re.compile(r"([\w-]+)\.vault\.azure\.net"), VAULT),
    (re.compile(r"([\w-]+\.(?:blob|dfs|file|queue|table|web))\.core\.windows\.net"), STORAGE),
    (re.compile(r"([\w-]+)\.in\.applicationinsights\.azure\.com"), MONITOR),
)
"""Real host names and their service; the group is the place."""
XML_HOSTS = re.compile(r"[\w-]+\.(blob|queue|file)\.core\.windows\.net")
"""Services that answer in XML."""
OPEN = ("/aad/auth", "/.well-known/databricks-config", "/metadata/endpoints")
"""Paths that are answered before anybody has signed in."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request as it arrives: real host name, method, path with query, bytes, bearer token, and its network."""

    host: str
    method: str
    target: str
    content: bytes = b""
    token: str = ""
    network: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """One emulated cloud.

    Parameters
    ----------
    world
        Its state.
    areas
        What it answers and enforces.
    """

    world: World
    areas: tuple[Area, ...] = field(default=AREAS)

    def answer(self, request: Request) -> CloudAnswer:
        """Return the answer to a request; a refusal is an answer too."""
        try:
            with self.world.lock:
                return self._act(self._call(request))
        except CloudRefusalError as refusal:
            return self._challenged(request, refused(request, refusal))

    def _challenged(self, request: Request, answer: CloudAnswer) -> CloudAnswer:
        """Add where a vault says that tokens for it come from, which its clients ask first.

        https://learn.microsoft.com/en-us/azure/key-vault/general/authentication-requests-and-responses
        """
        if answer.status != 401 or not request.host.lower().endswith(".vault.azure.net"):
            return answer
        issuer = f"https://login.microsoftonline.com/{self.world.site.tenant}"
        challenge = f'Bearer authorization="{issuer}", resource="https://vault.azure.net"'
        return replace(answer, headers={**answer.headers, "WWW-Authenticate": challenge})

    def _call(self, request: Request) -> Call:
        service, place = service_of(request.host)
        parts = urlsplit(request.target)
        path = "/" + unquote(parts.path).lstrip("/")
        caller = self.world.tokens.get(request.token)
        if caller is None and path not in OPEN and service != SIGN_IN:
            raise CloudRefusalError(401, "UNAUTHENTICATED", "Request to a service without a valid token.")
        _require_audience(self.world.audiences.get(request.token, ""), service)
        return Call(
            world=self.world, caller=caller or NOBODY, service=service, place=place, method=request.method, path=path,
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            body=_form(request.content) if service == SIGN_IN else _document(request.content),
            raw=request.content, network=request.network, headers=request.headers,
        )  # fmt: skip

    def _act(self, call: Call) -> CloudAnswer:
        if call.service == WORKSPACE and call.path not in OPEN:
            self._enter(call)
        for endpoint, rules in self._answering.get((call.service, call.method), ()):
            arguments = endpoint.matches(call.path)
            if arguments is not None:
                known = replace(call, arguments=arguments)
                for rule in rules:
                    rule.enforce(known)
                return _as_answer(endpoint.action(known))
        raise CloudRefusalError(
            501, "NOT_IMPLEMENTED", f"The emulator knows no {call.method} {call.path} of {call.service}."
        )

    @functools.cached_property
    def _answering(self) -> dict[tuple[str, str], list[tuple[Endpoint, tuple[ServiceRule, ...]]]]:
        """Service and method to the endpoints for them, each with the rules of its area."""
        found: dict[tuple[str, str], list[tuple[Endpoint, tuple[ServiceRule, ...]]]] = defaultdict(list)
        for area in self.areas:
            for endpoint in area.endpoints:
                found[endpoint.service, endpoint.method].append((endpoint, area.shared + area.rules))
        return found

    def _enter(self, call: Call) -> None:
        """Refuse who is not in the workspace, and a workspace that does not exist."""
        if call.place not in self.world.store("account", "workspaces"):
            raise CloudRefusalError(404, "RESOURCE_DOES_NOT_EXIST", f"Workspace {call.place} does not exist.")
        if not self.world.workspace_permission(call.place, call.caller.principal):
            message = f"{call.caller.principal} is not a member of workspace {call.place}."
            raise CloudRefusalError(403, "PERMISSION_DENIED", message)


AUDIENCES = {
    ACCOUNT: "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d", WORKSPACE: "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d",
    AZURE: "797f4846-ba00-4fd7-ba43-dac1f8f63013", GRAPH: "00000003-0000-0000-c000-000000000000",
    STORAGE: "e406a681-f3d4-42a8-90b6-c2b029497af1", VAULT: "cfa8b339-82a2-471a-a3c9-0fc0be7a4093",
}  # fmt: skip
"""Services and the applications that tokens for them are asked for.

https://learn.microsoft.com/en-us/troubleshoot/entra/entra-id/governance/verify-first-party-apps-sign-in
"""


def _require_audience(audience: str, service: str) -> None:
    """Refuse a token that was asked for another service.

    https://learn.microsoft.com/en-us/entra/identity-platform/access-tokens#validate-tokens
    """
    if audience and AUDIENCES.get(service, audience) != audience:
        raise CloudRefusalError(
            401, "InvalidAuthenticationTokenAudience", "The access token was obtained for the wrong audience or resource.",
            rule="tokens-are-for-one-service",
        )  # fmt: skip


NOBODY = Caller(name="nobody", principal="", kind="", object_id="")


def service_of(host: str) -> tuple[str, str]:
    """Return the service of a host name and the place in it.

    Raises
    ------
    CloudRefusalError
        If the name belongs to none.
    """
    for pattern, service in HOSTS:
        found = pattern.fullmatch(host.partition(":")[0].lower())
        if found:
            return service, found[1] if pattern.groups else ""
    raise CloudRefusalError(502, "UNKNOWN_HOST", f"The emulator stands for no host {host}.")


def refused(request: Request, refusal: CloudRefusalError) -> CloudAnswer:
    """Return a refusal as the service writes it: Azure and Graph nest it, Databricks does not, Entra has the words of OAuth.

    Blobs, queues and files answer in XML
    (https://learn.microsoft.com/en-us/rest/api/storageservices/status-and-error-codes2), from which clients read the code.
    """
    headers = {"X-Emulator-Rule": refusal.rule} if refusal.rule else {}
    if XML_HOSTS.fullmatch(request.host.partition(":")[0].lower()):
        text = f"<Error><Code>{escape(refusal.code)}</Code><Message>{escape(str(refusal))}</Message></Error>"
        content = f'<?xml version="1.0" encoding="utf-8"?>{text}'.encode()
        headers |= {"Content-Type": "application/xml", "x-ms-error-code": refusal.code}
        return CloudAnswer(status=refusal.status, body=content, headers=headers)
    service = next((name for pattern, name in HOSTS if pattern.fullmatch(request.host.lower())), "")
    plain = {"code": refusal.code, "message": str(refusal)}
    if service == SIGN_IN:
        numbers = [int(number) for number in re.findall(r"AADSTS(\d+)", str(refusal))]
        body: Any = {"error": refusal.code, "error_description": str(refusal), "error_codes": numbers}
    elif service in (AZURE, GRAPH, VAULT, STORAGE, MONITOR):
        body = {"error": plain}
    else:
        body = {"error_code": refusal.code, "message": str(refusal), **refusal.details}
    return CloudAnswer(status=refusal.status, body=body, headers=headers)


def _form(content: bytes) -> dict[str, str]:
    return dict(parse_qsl(content.decode(errors="replace"), keep_blank_values=True))


def _document(content: bytes) -> Any:
    try:
        return json.loads(content) if content else None
    except (ValueError, UnicodeDecodeError):
        return None


def _as_answer(result: CloudAnswer | Mapping[str, Any] | list[Any] | None) -> CloudAnswer:
    return result if isinstance(result, CloudAnswer) else CloudAnswer(body=result)
