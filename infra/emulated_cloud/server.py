"""Serves an emulated cloud on the loopback address: one port for each service, and a proxy for the real host names."""

import base64
import binascii
import json
import os
import secrets
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from infra.emulated_cloud.areas.azure.databricks_workspaces import host_of
from infra.emulated_cloud.calls import CloudAnswer, CloudRefusalError
from infra.emulated_cloud.certificates import write_authority
from infra.emulated_cloud.cloud import Cloud, Request, service_of
from infra.emulated_cloud.world import SERVICE_PRINCIPAL, USER, Caller

LOOPBACK = "127.0.0.1"
TOKENS = "/.emulator/tokens"
POLL_SECONDS = 0.05
"""How long a port takes to notice that it is to close."""


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Where a served cloud is found.

    Parameters
    ----------
    hosts
        Short name of a service to its address on this machine.
    proxy
        The address of the proxy for the real host names.
    authority
        The certificate that clients of the proxy must trust.
    tokens
        The file that holds every identity with its token; only its owner reads it.
    """

    hosts: dict[str, str]
    proxy: str
    authority: Path
    tokens: Path


class Port(ThreadingHTTPServer):
    """One listening port: the cloud behind it, the host it stands for, and how it answers for real host names."""

    daemon_threads = True

    def __init__(self, cloud: Cloud, host: str, control: str, context: ssl.SSLContext | None = None) -> None:
        super().__init__((LOOPBACK, 0), Exchange)
        self.cloud, self.host, self.control, self.context = cloud, host, control, context

    @property
    def address(self) -> str:
        """The address on this machine."""
        return f"http://{LOOPBACK}:{self.server_address[1]}"


class Exchange(BaseHTTPRequestHandler):
    """One connection to a port."""

    server: Port
    protocol_version = "HTTP/1.1"
    network = ""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the name is the standard library's
        """Say nothing: what was refused is in the answer."""

    def do_CONNECT(self) -> None:
        """Answer a tunnel to a real host name here, with a certificate of our own authority."""
        if self.server.context is None:
            self.send_error(405)
            return
        try:
            service_of(self.path)
        except CloudRefusalError as refusal:
            self.send_error(502, str(refusal))
            return
        self.send_response(200)
        self.end_headers()
        network = _user_of(self.headers.get("Proxy-Authorization", ""))
        with self.server.context.wrap_socket(self.connection, server_side=True) as inner:
            tunnel = type("Tunnel", (Exchange,), {"network": network})
            tunnel(inner, self.client_address, self.server)
        self.close_connection = True

    def serve(self) -> None:
        """Answer one request."""
        content = self._content()
        token = self.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        if self.path == TOKENS:
            self._send(issue_token(self.server, token, content))
            return
        self._send(self.server.cloud.answer(Request(
            host=self._host(), method=self.command, target=self.path, content=content, token=token, network=self.network,
            headers={name.lower(): value for name, value in self.headers.items()},
        )))  # fmt: skip

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = serve  # noqa: N815 -- the names are the standard library's

    def _content(self) -> bytes:
        """Read the body, whole or in chunks (RFC 9112, section 7.1): clients send in chunks what they read from a file."""
        if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            """Leave the trailer fields aside."""
        return b"".join(parts)

    def _host(self) -> str:
        named = self.headers.get("Host", "")
        try:
            service_of(named)
        except CloudRefusalError:
            return self.server.host
        return named.partition(":")[0]

    def _send(self, answer: CloudAnswer) -> None:
        body = (
            answer.body
            if isinstance(answer.body, bytes)
            else b""
            if answer.body is None
            else json.dumps(answer.body).encode()
        )
        self.send_response(answer.status)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **answer.headers}
        for name, value in headers.items():
            if answer.status != 204 or name != "Content-Length":
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD" and answer.status != 204:
            self.wfile.write(body)


def issue_token(port: Port, token: str, content: bytes) -> CloudAnswer:
    """Return a token for a principal that was created later; only who reads the tokens file can ask for one."""
    if not secrets.compare_digest(token, port.control):
        return CloudAnswer(status=401, body={"message": "This needs the control token of the tokens file."})
    world, name = port.cloud.world, str(json.loads(content or b"{}").get("principal", ""))
    document = world.principal(name)
    if document is None or "members" in document or not ({"applicationId", "userName"} & set(document)):
        return CloudAnswer(status=404, body={"message": f"No user or service principal {name} exists."})
    kind = SERVICE_PRINCIPAL if "applicationId" in document else USER
    known = world.store("graph", "servicePrincipals").values()
    entra = next((one["id"] for one in known if one.get("appId") == name), f"object of {name}")
    caller = Caller(name=str(document.get("displayName", name)), principal=name, kind=kind, object_id=entra)
    return CloudAnswer(body={"token": world.issue_token(caller)})


@contextmanager
def served(cloud: Cloud, folder: Path) -> Iterator[Addresses]:
    """Serve a cloud while the context lasts; tokens and certificates are written into a folder.

    Parameters
    ----------
    cloud
        What answers.
    folder
        Where the tokens file and the certificates go; it is created.
    """
    folder.mkdir(parents=True, exist_ok=True)
    authority, context = write_authority(folder)
    control = secrets.token_urlsafe(24)
    ports = {name: Port(cloud, host, control) for name, host in _hosts(cloud).items()}
    proxy = Port(cloud, "", control, context)
    for port in (*ports.values(), proxy):
        threading.Thread(target=port.serve_forever, args=(POLL_SECONDS,), daemon=True).start()
    addresses = Addresses(
        hosts={name: port.address for name, port in ports.items()}, proxy=proxy.address,
        authority=authority, tokens=folder / "tokens.json",
    )  # fmt: skip
    _write_tokens(cloud, addresses, control)
    try:
        yield addresses
    finally:
        for port in (*ports.values(), proxy):
            port.shutdown()
            port.server_close()
        for file in (addresses.tokens, folder / "server.pem"):
            file.unlink(missing_ok=True)


def _hosts(cloud: Cloud) -> dict[str, str]:
    fixed = {"account": "accounts.azuredatabricks.net", "azure": "management.azure.com", "graph": "graph.microsoft.com"}
    return fixed | {name: host_of(number) for name, number in cloud.world.site.workspaces}


def _write_tokens(cloud: Cloud, addresses: Addresses, control: str) -> None:
    identities = {
        caller.name: {"principal": caller.principal, "object_id": caller.object_id, "token": token} for token, caller in cloud.world.tokens.items()
    }  # fmt: skip
    content = {
        "identities": identities, "hosts": addresses.hosts, "real_hosts": _hosts(cloud), "proxy": addresses.proxy,
        "authority": str(addresses.authority), "account_id": cloud.world.site.account, "control_token": control, "issuer_key": cloud.world.issuer_key,
    }  # fmt: skip
    addresses.tokens.unlink(missing_ok=True)
    descriptor = os.open(addresses.tokens, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)


def _user_of(authorization: str) -> str:
    """Return the user name of a proxy's basic authorization: the virtual network that a client stands in."""
    try:
        return base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""
