"""A workspace on loopback: answers the real SDK in the shapes of the SDK's own dataclasses, and can fail on demand.

It has no rules of its own about our jobs. A test fills it: deployed jobs, the snapshots that a
run goes through, outputs, models, files; SQL statements and starts can be handed to functions. The requests of
the SDK are recorded in order.
"""

import json
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from databricks.sdk.clock import Clock
from databricks.sdk.service.catalog import ModelVersionInfo, RegisteredModelInfo
from databricks.sdk.service.jobs import Job, Run, RunOutput
from databricks.sdk.service.serving import ServingEndpointDetailed
from databricks.sdk.service.sql import EndpointInfo

from tests.pipelines.remote import loopback_routes
from tests.pipelines.remote.loopback_routes import RefusalError

ENVIRONMENT_VARIABLES = ("DATABRICKS_", "ARM_", "AZURE_", "SYSTEM_", "TF_")
"""Beginnings of the variables by which the SDK finds a workspace and a login."""


@dataclass
class Fault:
    """What goes wrong with the next requests to a path.

    Attributes
    ----------
    path
        A regular expression, searched in the request's method and path.
    seconds
        How long the answer takes; with no `refusal` it is then the right one.
    times
        How many requests are hit.
    """

    path: str
    refusal: RefusalError | None = None
    seconds: float = 0.0
    times: int = 1


class VirtualClock(Clock):
    """Time that passes only by waiting, at once.

    Attributes
    ----------
    waited
        Every wait, in seconds.
    interrupt_at
        The number of the wait in which somebody presses Ctrl-C; 0 for never.
    """

    def __init__(self) -> None:
        self.now = 1_763_000_000.0
        self.waited: list[float] = []
        self.interrupt_at = 0

    def time(self) -> float:
        """Return the present."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.waited.append(seconds)
        self.now += seconds
        if len(self.waited) == self.interrupt_at:
            raise KeyboardInterrupt


StatementResult = tuple[list[tuple[str, str]], list[list[Any]]]
"""The columns of a result (name, type) and its rows."""
Statement = Callable[[str, str], StatementResult]
"""Takes a statement and its catalog, returns its result; raises `RefusalError` for a failed one."""


@dataclass
class Held:
    """What a workspace holds."""

    jobs: list[Job] = field(default_factory=list)
    runs: dict[int, list[Run]] = field(default_factory=dict)
    outputs: dict[int, RunOutput] = field(default_factory=dict)
    catalogs: set[str] = field(default_factory=set)
    models: dict[str, RegisteredModelInfo] = field(default_factory=dict)
    versions: dict[tuple[str, int], ModelVersionInfo] = field(default_factory=dict)
    warehouses: list[EndpointInfo] = field(default_factory=list)
    files: set[str] = field(default_factory=set)
    endpoint: ServingEndpointDetailed | None = None
    gateway: dict[str, Any] | None = None


class LoopbackWorkspace(ThreadingHTTPServer):
    """The server.

    Attributes
    ----------
    asked
        ``METHOD path?query`` of every request, in order.
    sent
        The body of every request that had one, with its path.
    agents
        As what the programs that asked have named themselves (User-Agent).
    page
        Entries of a list per page.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.held = Held()
        self.asked: list[str] = []
        self.agents: set[str] = set()
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.faults: list[Fault] = []
        self.page = 2
        self.routes = loopback_routes.ROUTES
        self.tokens: dict[str, int] = {}
        self.start_job: Callable[[int, dict[str, Any]], int] = lambda _job, _body: 501
        self.statement: Statement = lambda _text, _catalog: ([], [])
        self.results: dict[str, StatementResult] = {}
        self.polls = 0
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def host(self) -> str:
        """The address to give the SDK."""
        return f"http://127.0.0.1:{self.server_port}"

    def bodies(self, path: str) -> list[dict[str, Any]]:
        """Return the bodies that were sent to paths with this end."""
        return [body for sent, body in self.sent if sent.endswith(path)]

    def close(self) -> None:
        """Stop answering."""
        self.shutdown()
        self.server_close()

    def answer(self, method: str, path: str, query: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to one request."""
        for fault in self.faults:
            if fault.times and re.search(fault.path, f"{method} {path}"):
                fault.times -= 1
                time.sleep(fault.seconds)
                if fault.refusal:
                    raise fault.refusal
                break
        for wanted, pattern, call in self.routes:
            found = re.fullmatch(pattern, path)
            if wanted == method and found:
                return call(self, query, body, *found.groups())
        raise RefusalError(404, "ENDPOINT_NOT_FOUND", f"No API found for {method} {path}")

    def paged(self, entries: list[Any], query: Mapping[str, str], name: str) -> dict[str, Any]:
        """Return one page of a list, with the token of the next."""
        start = int(query.get("page_token") or 0)
        shown = {name: [entry.as_dict() for entry in entries[start : start + self.page]]}
        return shown | ({"next_page_token": str(start + self.page)} if start + self.page < len(entries) else {})


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    server: LoopbackWorkspace

    def log_message(self, *_: object) -> None:
        """Keep the test's output."""

    def _handle(self) -> None:
        split = urlsplit(self.path)
        path, query = unquote(split.path), dict(parse_qsl(split.query))
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        self.server.asked.append(f"{self.command} {path}" + (f"?{split.query}" if split.query else ""))
        self.server.agents.add(self.headers["User-Agent"])
        if length:
            self.server.sent.append((path, body))
        try:
            status, answer, headers = 200, self.server.answer(self.command, path, query, body), {}
        except RefusalError as refusal:
            status, headers = refusal.status, refusal.headers
            answer = {"error_code": refusal.code, "message": str(refusal)}
        data = json.dumps(answer).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)
        except ConnectionError:
            """The client has closed the connection after its time limit."""

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _handle  # noqa: N815 - the names that http.server looks for


def point_to(host: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let the SDK's own configuration point to an address, without any other configuration of this machine."""
    for name in [name for name in os.environ if name.startswith(ENVIRONMENT_VARIABLES)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(folder / "no-profiles"))
    monkeypatch.setenv("DATABRICKS_HOST", host)
    monkeypatch.setenv("DATABRICKS_TOKEN", "of-this-test")
