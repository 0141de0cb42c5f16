"""Requests to an endpoint as spans and metrics: what was asked for and how it ended, and nothing of what it was about."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.serving.application import Application
from pipelines.serving.limits import Limits
from pipelines.serving.scorer import Scorer
from pipelines.serving.versions import Followed, Loaded
from pipelines.telemetry.recording import flush
from pipelines.telemetry.run import traced_endpoint
from tests.pipelines.scoring.declared_trips import FUNCTION
from tests.pipelines.telemetry.received import metrics, spans, written

VALUE, TOKEN = "planted-value-31415", "planted-token-27182"
ROW = {"trip": VALUE, "asked_at": "2013-02-01T12:00:00Z", "origin": VALUE, "line": 2}


class OneVersion:
    """A registry with version 7 behind the alias."""

    def current(self) -> int | None:
        """The version behind the alias."""
        return 7

    def load(self, number: int) -> Loaded:
        """That version."""
        return Loaded(number=number, function=FUNCTION, model=None, how="the estimator itself")


def answered(rows: pa.Table) -> pa.Table:
    """What was asked, as answered by version 7."""
    return rows.append_column("model_version", pa.array([7] * rows.num_rows, pa.int64()))


@pytest.fixture
def application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Application]:
    """An endpoint that answers with what was asked, recorded in files."""
    monkeypatch.setenv("MLOPS_TELEMETRY", "file")
    followed, limits = Followed(OneVersion(), print), Limits(deadline_seconds=60)
    followed.look()
    scorer = Scorer(lambda asked: [answered(rows) for _, rows in asked], limits)
    scorer.start()
    with traced_endpoint(
        "trips", environment="dev", engine="embedded", folder=tmp_path, commit=lambda: "abc", say=print
    ):
        yield Application(scorer, followed, token=TOKEN, limits=limits, facts=dict)
    scorer.stop(5)


def ask(
    application: Application, path: str, *, method: str = "POST", headers: Mapping[str, str] | None = None
) -> int:  # fmt: skip
    """Ask once and return the status."""
    sent: list[dict[str, Any]] = []
    given = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json", **(headers or {})}
    scope = {"type": "http", "method": method, "path": path,
             "headers": [(name.encode(), value.encode()) for name, value in given.items()]}  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": json.dumps({"instances": [ROW]}).encode(), "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(application(scope, receive, send))
    return int(sent[0]["status"])


def test_a_request_is_a_span_with_route_status_rows_and_version(application: Application, tmp_path: Path) -> None:
    """It belongs to the trace of its sender; latency and queue are measured; what it holds stays here."""
    theirs = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01", "tracestate": f"vendor={VALUE}", "x-request-id": VALUE}
    assert ask(application, "/invocations", headers=theirs) == 200
    assert ask(application, f"/{VALUE}", method=VALUE) == 404
    assert ask(application, "/ping", method="GET", headers={"authorization": f"Bearer {VALUE}"}) == 401
    flush()
    asked, unknown, refused = sorted(spans(tmp_path), key=lambda one: int(one["startTimeUnixNano"]))
    assert (asked["name"], asked["traceId"], asked["parentSpanId"]) == ("POST /invocations", "ab" * 16, "cd" * 8)
    assert asked["attributes"] == {
        "http.request.method": "POST", "http.route": "/invocations", "http.response.status_code": "200", "mlops.rows": "1",
        "mlops.model.version": "7",
    }  # fmt: skip
    assert (unknown["name"], unknown["attributes"]) == (
        "_OTHER", {"http.request.method": "_OTHER", "http.response.status_code": "404"}
    )  # fmt: skip
    assert refused["attributes"]["http.response.status_code"] == "401"
    measured = metrics(tmp_path)
    assert {point["attributes"]["http.response.status_code"]: point["count"]
            for point in measured["http.server.request.duration"]} == {"200": "1", "404": "1", "401": "1"}  # fmt: skip
    assert [point["asInt"] for point in measured["mlops.serving.waiting"]] == ["0"]
    assert VALUE.encode() not in written(tmp_path)
    assert TOKEN.encode() not in written(tmp_path)
