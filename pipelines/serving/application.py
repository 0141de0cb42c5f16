"""The endpoint's ASGI application: MLflow's scoring protocol, behind a token.

``POST /invocations`` answers requests, ``GET /ping`` says whether it can, ``GET /version`` which version does and why others do
not. Every path needs the token. 400: the body is wrong, and how. 413: too large. 415: not JSON. 429: too many wait; 503: waited
too long, or nothing to answer with; both say when to ask again.
"""

import asyncio
import hmac
import json
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pyarrow as pa

from ml.spec.errors import LakehouseError, sentence_of
from pipelines.scoring.function import MODEL_VERSION as MODEL_VERSION_COLUMN
from pipelines.scoring.function import InputsError
from pipelines.scoring.online import StoreError
from pipelines.scoring.protocol import BadRequestError, answer_body, asked_rows
from pipelines.serving.limits import Limits
from pipelines.serving.scorer import OverloadedError, Scorer, TooLateError
from pipelines.serving.versions import Followed, NotServedError
from pipelines.telemetry.attributes import METHOD, MODEL_VERSION, ROUTE, ROWS, STATUS, Attribute
from pipelines.telemetry.instruments import LATENCY, QUEUE
from pipelines.telemetry.recording import Noted, measure, span

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
LONGEST_ID = 100
ROUTES = {"/invocations": "POST", "/ping": "GET", "/version": "GET"}
JSON = "application/json"


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What is sent back."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class TooLargeError(LakehouseError):
    """A body of more bytes than are allowed."""


class Application:
    """The ASGI application of one use case's endpoint."""

    def __init__(
        self, scorer: Scorer, followed: Followed, *, token: str, limits: Limits, facts: Callable[[], Any]
    ) -> None:
        self._scorer = scorer
        self._followed = followed
        self._token = token.encode()
        self._limits = limits
        self._facts = facts

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request of HTTP."""
        if scope["type"] != "http":
            raise RuntimeError(f"{scope['type']} is not served")  # what uvicorn takes as: this kind is not supported
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        facts, begun = _facts(scope["method"], scope["path"]), time.monotonic()
        # Of the sender's trace only its ids are taken: its state is free text.
        parent = {"traceparent": headers.get("traceparent", "")}
        with span(f"{facts[METHOD]} {facts[ROUTE] or ''}".rstrip(), facts, parent=parent) as noted:
            reply = await self._reply(scope["method"], scope["path"], headers, receive, noted)
            noted.set(STATUS, reply.status)
        measure(LATENCY, time.monotonic() - begun, {**facts, STATUS: reply.status})
        shown = [(name.encode(), value.encode()) for name, value in
                 {"content-type": JSON, "content-length": str(len(reply.body)), **reply.headers}.items()]  # fmt: skip
        await send({"type": "http.response.start", "status": reply.status, "headers": shown})
        await send({"type": "http.response.body", "body": reply.body})

    async def _reply(
        self, method: str, path: str, headers: Mapping[str, str], receive: Receive, noted: Noted
    ) -> Reply:  # fmt: skip
        given = headers.get("authorization", "").removeprefix("Bearer ").encode()
        if not hmac.compare_digest(given, self._token):
            return _error(401, "the token is missing or wrong: send the header Authorization: Bearer TOKEN.",
                          {"www-authenticate": "Bearer"})  # fmt: skip
        if path not in ROUTES:
            return _error(404, f"there is no {path}; ask {', '.join(ROUTES)}.")
        if method != ROUTES[path]:
            return _error(405, f"{path} takes {ROUTES[path]}, not {method}.", {"allow": ROUTES[path]})
        if path != "/invocations":
            return self._state(path)
        if headers.get("content-type", JSON).partition(";")[0].strip() != JSON:
            return _error(415, f"the body is {headers['content-type']}; send {JSON}.")
        return await self._invocations(headers, receive, noted)

    def _state(self, path: str) -> Reply:
        try:
            loaded = self._followed.loaded
        except NotServedError as error:
            return _error(503, str(error), {"retry-after": "1"})
        if path == "/ping":
            return Reply(status=200, body=b"{}", headers={})
        refused = {str(number): reason for number, reason in self._followed.refused.items()}
        found = {"version": loaded.number, "model": loaded.function.name, "by": loaded.how, "refused": refused,
                 "waiting": self._scorer.waiting, **self._facts()}  # fmt: skip
        return Reply(status=200, body=json.dumps(found).encode(), headers={})

    async def _invocations(self, headers: Mapping[str, str], receive: Receive, noted: Noted) -> Reply:
        request_id = headers.get("x-request-id", "")[:LONGEST_ID] or uuid4().hex
        said = {"x-request-id": request_id}
        try:
            measure(QUEUE, self._scorer.waiting)
            body = await _body(receive, self._limits.body_bytes)
            rows = asked_rows(body, self._followed.loaded.function, most_rows=self._limits.rows)
            answers: pa.Table = await asyncio.wrap_future(self._scorer.submit(request_id, rows))
            noted.set(ROWS, answers.num_rows)
            versions = set(answers.column(MODEL_VERSION_COLUMN).to_pylist())
            if len(versions) == 1:  # during a rollout the rows of a body may be answered by two
                noted.set(MODEL_VERSION, versions.pop())
        except (BadRequestError, InputsError) as error:
            return _error(400, str(error), said)
        except TooLargeError as error:
            return _error(413, str(error), said)
        except OverloadedError as error:
            return _error(429, str(error), {**said, "retry-after": str(self._scorer.retry_after)})
        except (TooLateError, NotServedError, StoreError) as error:
            return _error(503, str(error), {**said, "retry-after": str(self._scorer.retry_after)})
        except Exception as error:  # noqa: BLE001 - whatever fails is answered, and said without what the server is made of
            noted.failed(error)
            return _error(500, f"the request could not be answered: {sentence_of(error)}", said)
        return Reply(status=200, body=answer_body(answers), headers=said)


def _facts(method: str, path: str) -> dict[Attribute, str | None]:
    """Return what is recorded of a request's head: a path or a method that is not served may hold anything."""
    return {METHOD: method if method in ROUTES.values() else "_OTHER", ROUTE: path if path in ROUTES else None}


async def _body(receive: Receive, most: int) -> bytes:
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequestError("the connection ended before the body did.")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most:
            raise TooLargeError(f"the body is larger than {most:,} bytes; ask for fewer rows at once.")
        if not message.get("more_body"):
            return b"".join(parts)


def _error(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Reply:
    body = {"error_code": "BAD_REQUEST" if status < 500 else "INTERNAL_ERROR", "message": sentence}
    return Reply(status=status, body=json.dumps(body).encode(), headers=headers or {})
