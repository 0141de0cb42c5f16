"""An endpoint answers by MLflow's protocol, follows the alias, refuses what it cannot bear, and loses no answer."""

import asyncio
import gc
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from pipelines.declarations.answers import ANSWER_ID
from pipelines.declarations.asset import Layer, Table, column, key
from pipelines.online.publishing import publish
from pipelines.serving.answering import Answering
from pipelines.serving.application import Application
from pipelines.serving.journal import Journal, carry
from pipelines.serving.limits import Limits
from pipelines.serving.scorer import OverloadedError, Scorer
from pipelines.serving.server import TURN_SECONDS, for_short_requests, listening_socket
from pipelines.serving.versions import Followed, Loaded
from tests.pipelines.online_store import empty_store, started
from tests.pipelines.scoring.declared_trips import FUNCTION, HOUR, NOON, fitted

TOKEN = "a-token-for-tests"  # noqa: S105 - of nothing
ROW = {"trip": "t1", "asked_at": "2013-02-01T12:00:00Z", "origin": "a", "line": 2}
LIMITS = Limits(waiting=4, deadline_seconds=0.5, rows=10, body_bytes=2_000)
PATIENT = replace(LIMITS, deadline_seconds=60)
"""For tests that are not about it: the machine may be busy."""
ANSWERS = Table(
    use_case="trips", layer=Layer.INFERENCE, name="answers", comment="answers",
    columns=(
        key(ANSWER_ID), key("answered_at", "timestamp"), key("request"), column("feature_ages", "string"), key("request_key"),
        key("model_version", "bigint"), key("prediction_at", "timestamp"), key("score", "double"),
        column("place_mean", "double"), column("decision", "boolean"),
    ),
    primary_key=(ANSWER_ID,),
)  # fmt: skip


class Versions:
    """A registry in memory: the version behind the alias, and how each loads."""

    def __init__(self, model: Any) -> None:
        self.number: int | None = 1
        self.model = model
        self.function = FUNCTION
        self.broken: set[int] = set()

    def current(self) -> int | None:
        """The version behind the alias."""
        if self.number == 99:
            raise ConnectionError("the registry is away")
        return self.number

    def load(self, number: int) -> Loaded:
        """A version; a broken one raises."""
        if number in self.broken:
            raise ValueError("its files are torn")
        return Loaded(number=number, function=self.function, model=self.model, how="the estimator itself")


class Stored:
    """A feature table whose newest rows these are."""

    def __init__(self, rows: pa.Table) -> None:
        self._rows = rows

    def newest(self, *_: Any) -> pa.Table:
        """All of them."""
        return self._rows


class Endpoint(SimpleNamespace):
    """The application and what is behind it."""

    application: Application
    versions: Versions
    followed: Followed
    journal: Journal
    folder: Path
    said: list[str]

    def ask(self, path: str = "/invocations", *, method: str = "POST", headers: Mapping[str, str] | None = None,
            body: Any = None) -> tuple[int, Any, dict[str, str]]:  # fmt: skip
        """One request and its answer: status, content, headers."""
        return asyncio.run(ask(self.application, path, method, headers, body))

    def kept(self) -> list[dict[str, Any]]:
        """What the journal brings into the table."""
        found: list[dict[str, Any]] = []
        self.journal.close_segment()
        carry(self.journal, lambda rows, _: found.extend(rows.to_pylist()))
        return found


async def ask(
    application: Application, path: str = "/invocations", method: str = "POST", headers: Mapping[str, str] | None = None,
    body: Any = None,
) -> tuple[int, Any, dict[str, str]]:  # fmt: skip
    """One request as a server hands it on."""
    sent: list[dict[str, Any]] = []
    given = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json", **(headers or {})}
    content = json.dumps({"instances": [ROW]} if body is None else body).encode()
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [(n.encode(), v.encode()) for n, v in given.items()],
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await application(scope, receive, send)
    headers_sent = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], json.loads(sent[1]["body"]), headers_sent


@pytest.fixture(scope="module")
def model() -> Any:
    """A fitted model."""
    return fitted()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A store to which one place and no line was published."""
    for opened in started(tmp_path_factory.mktemp("store")):
        with empty_store(opened, "trips_features") as connection:
            for lookup in FUNCTION.lookups:
                known = {"place": "a", "known_at": NOON - 2 * HOUR, "mean": 1.5, "kind": "b"}
                rows = [known] if "mean" in lookup.kinds else []
                schema = pa.schema([(n, {"string": pa.string(), "timestamp": pa.timestamp("us", "UTC"), "double": pa.float64(),
                                         "int": pa.int32(), "bigint": pa.int64()}[k]) for n, k in lookup.kinds.items()])  # fmt: skip
                found = pa.Table.from_pylist(rows, schema=schema)
                stored = Stored(found)
                publish(connection, lookup, stored, changes={"a": NOON}, until=NOON)
        yield opened


@pytest.fixture
def endpoint(store: str, model: Any, tmp_path: Path) -> Iterator[Endpoint]:
    """An endpoint that answers with version 1."""
    said: list[str] = []
    versions, journal = Versions(model), Journal(tmp_path / "journal")
    followed = Followed(versions, said.append)
    assert followed.look()
    scorer = Scorer(Answering(followed, store=store, table=ANSWERS, journal=journal), PATIENT)
    scorer.start()
    application = Application(scorer, followed, token=TOKEN, limits=LIMITS, facts=lambda: {"features": "fresh"})
    yield Endpoint(
        application=application, versions=versions, followed=followed, journal=journal, scorer=scorer, said=said,
        folder=tmp_path / "journal",
    )  # fmt: skip
    scorer.stop(60)


def test_a_request_is_answered_with_score_version_and_ages_and_kept_with_them(endpoint: Endpoint) -> None:
    """The row of the table holds what was asked, what was found, and what was answered."""
    status, answer, headers = endpoint.ask(headers={"x-request-id": "r1"})
    (predicted,) = answer["predictions"]
    assert (status, headers["x-request-id"], headers["content-type"]) == (200, "r1", "application/json")
    assert (predicted["request_key"], predicted["model_version"], predicted["places_age_hours"]) == ("t1", 1, 2.0)
    assert predicted["lines_age_hours"] is None
    assert 0 < predicted["score"] < 1
    (kept,) = endpoint.kept()
    assert (kept[ANSWER_ID], kept["request_key"], kept["score"]) == ("r1/0", "t1", predicted["score"])
    assert (kept["place_mean"], json.loads(kept["feature_ages"])["places_age_hours"]) == (1.5, 2.0)
    assert json.loads(kept["request"])["origin"] == "a"
    assert kept["prediction_at"] == NOON


def test_nobody_without_the_token_is_told_anything(endpoint: Endpoint) -> None:
    """Whatever the path is; nothing is scored."""
    for path in ("/invocations", "/ping", "/version", "/nowhere"):
        for wrong in ("", "Bearer", f"Bearer {TOKEN}x", TOKEN[:-1]):
            status, answer, headers = endpoint.ask(path, headers={"authorization": wrong})
            assert (status, headers["www-authenticate"]) == (401, "Bearer")
            assert "the token is missing or wrong" in answer["message"]
    assert endpoint.kept() == []


def test_paths_methods_and_contents_that_are_not_served_are_said(endpoint: Endpoint) -> None:
    """With what is."""
    assert endpoint.ask("/nowhere")[:2][0] == 404
    status, answer, headers = endpoint.ask("/ping")
    assert (status, headers["allow"], answer["message"]) == (405, "GET", "/ping takes GET, not POST.")
    assert endpoint.ask(headers={"content-type": "text/csv"})[0] == 415
    assert endpoint.ask(body={"instances": [{**ROW, "trip": "x" * 3_000}]})[0] == 413
    status, answer, _ = endpoint.ask(body={"instances": [{**ROW, "line": "two"}]})
    assert (status, answer["message"]) == (400, "row 0: 'line' is \"two\"; give a whole number.")


def test_ping_and_version_say_what_answers(endpoint: Endpoint) -> None:
    """And what was refused."""
    assert endpoint.ask("/ping", method="GET")[:2] == (200, {})
    status, found, _ = endpoint.ask("/version", method="GET")
    assert (status, found["version"], found["refused"], found["features"]) == (200, 1, {}, "fresh")


def test_a_promotion_takes_effect_and_a_broken_version_is_not_taken(endpoint: Endpoint) -> None:
    """It is tried once; a registry that is away changes nothing; the next version is taken."""
    endpoint.versions.number = 2
    assert endpoint.followed.look()
    assert endpoint.ask()[1]["predictions"][0]["model_version"] == 2
    endpoint.versions.broken.add(3)
    endpoint.versions.number = 3
    assert not endpoint.followed.look()
    assert not endpoint.followed.look()
    (said,) = [line for line in endpoint.said if "version 3 is not taken" in line]
    assert "its files are torn; version 2 stays" in said
    assert endpoint.ask()[1]["predictions"][0]["model_version"] == 2
    assert "its files are torn" in endpoint.ask("/version", method="GET")[1]["refused"]["3"]
    endpoint.versions.number = 99
    assert not endpoint.followed.look()
    endpoint.versions.number = 4
    assert endpoint.followed.look()
    assert endpoint.ask()[1]["predictions"][0]["model_version"] == 4


def test_a_promotion_asks_the_store_through_the_connection_before(endpoint: Endpoint, store: str) -> None:
    """Unless the new version looks up something else: then through another one, and the one before is closed."""

    def connections() -> set[int]:
        with psycopg.connect(store) as own:
            found = own.execute(
                "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )
            return {row[0] for row in found.fetchall()}

    endpoint.ask()
    before = connections()
    endpoint.versions.number = 2
    assert endpoint.followed.look()
    assert endpoint.ask()[1]["predictions"][0]["model_version"] == 2
    assert connections() == before
    shorter = replace(FUNCTION.lookups[0], lookback_hours=1)
    endpoint.versions.function = replace(FUNCTION, lookups=(shorter, FUNCTION.lookups[1]))
    endpoint.versions.number = 3
    assert endpoint.followed.look()
    assert endpoint.ask()[1]["predictions"][0]["places_age_hours"] is None
    until = time.monotonic() + 30
    while len(now := connections()) != len(before) and time.monotonic() < until:
        time.sleep(0.05)
    assert len(now) == len(before)
    assert now != before


def test_while_it_serves_threads_take_short_turns_and_what_was_loaded_is_no_garbage() -> None:
    """Afterwards both are as they were."""
    before = sys.getswitchinterval()
    with for_short_requests():
        assert sys.getswitchinterval() == pytest.approx(TURN_SECONDS)
        assert before > TURN_SECONDS
        assert gc.get_freeze_count() > 0
    assert (sys.getswitchinterval(), gc.get_freeze_count()) == (pytest.approx(before), 0)


def test_without_any_version_there_is_no_answer(endpoint: Endpoint, model: Any) -> None:
    """503, with the reason."""
    versions = Versions(model)
    versions.number = None
    application = Application(endpoint.scorer, Followed(versions, print), token=TOKEN, limits=LIMITS, facts=dict)
    status, answer, headers = asyncio.run(ask(application))
    assert (status, headers["retry-after"]) == (503, "1")
    assert answer["message"].startswith("no version can be served: there is no champion; run the training job")


def test_no_request_fails_during_twenty_promotions_under_load(endpoint: Endpoint) -> None:
    """Each answer is of one version, and each request is kept once."""
    stop, statuses = threading.Event(), []

    def load() -> None:
        while not stop.is_set():
            status, answer, _ = endpoint.ask()
            statuses.append((status, answer["predictions"][0]["model_version"] if status == 200 else answer))

    clients = [threading.Thread(target=load) for _ in range(3)]
    for client in clients:
        client.start()
    for number in range(2, 22):
        endpoint.versions.number = number
        assert endpoint.followed.look()
        time.sleep(0.01)
    stop.set()
    for client in clients:
        client.join()
    assert {status for status, _ in statuses} == {200}
    assert len({version for _, version in statuses}) > 1
    kept = [row[ANSWER_ID] for row in endpoint.kept()]
    assert len(set(kept)) == len(kept) == len(statuses)


class Slow:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.lots: list[int] = []

    def __call__(self, asked: list[tuple[str, pa.Table]]) -> list[pa.Table]:
        """What was asked, once it may."""
        self.go.wait(60)
        self.lots.append(len(asked))
        return [rows for _, rows in asked]


def waiting_rows() -> pa.Table:
    """A request of one row."""
    return pa.table({"a": [1]})


def test_more_than_may_wait_are_sent_away_with_when_to_come_back(endpoint: Endpoint) -> None:
    """429 and Retry-After; those that wait are answered together."""
    slow = Slow()
    scorer = Scorer(slow, PATIENT)
    application = Application(scorer, endpoint.followed, token=TOKEN, limits=LIMITS, facts=dict)
    accepted = [scorer.submit(str(number), waiting_rows()) for number in range(LIMITS.waiting)]
    status, answer, headers = asyncio.run(ask(application))
    assert (status, headers["retry-after"]) == (429, "1")
    assert "4 requests wait already" in answer["message"]
    scorer.start()
    slow.go.set()
    assert [one.result(60).num_rows for one in accepted] == [1] * LIMITS.waiting
    assert slow.lots == [LIMITS.waiting]
    scorer.stop(60)
    with pytest.raises(OverloadedError, match="is being stopped"):
        scorer.submit("late", waiting_rows())


def test_a_request_that_has_waited_too_long_is_not_scored(endpoint: Endpoint) -> None:
    """503: its client has given up."""
    now = [100.0]
    scorer = Scorer(Slow(), LIMITS, clock=lambda: now[0])
    application = Application(scorer, endpoint.followed, token=TOKEN, limits=LIMITS, facts=dict)

    async def late() -> tuple[int, Any, dict[str, str]]:
        asking = asyncio.create_task(ask(application))
        while not scorer.waiting:
            await asyncio.sleep(0.001)
        now[0] += 0.6
        scorer.start()
        return await asking

    status, answer, headers = asyncio.run(late())
    assert (status, answer["message"], "retry-after" in headers) == (
        503,
        "the request has waited 0.6 seconds: ask again.",
        True,
    )
    scorer.stop(60)


def test_stopping_answers_what_was_accepted() -> None:
    """None of those that wait is lost."""
    slow = Slow()
    scorer = Scorer(slow, PATIENT)
    accepted = [scorer.submit(str(number), waiting_rows()) for number in range(3)]
    scorer.start()
    threading.Timer(0.05, slow.go.set).start()
    scorer.stop(60)
    assert [one.done() for one in accepted] == [True] * 3


def test_what_one_request_brings_does_not_fail_the_others() -> None:
    """They are answered one by one where they cannot be answered together."""

    def answer(asked: list[tuple[str, pa.Table]]) -> list[pa.Table]:
        if any(name == "bad" for name, _ in asked):
            raise ValueError("no such thing")
        return [rows for _, rows in asked]

    scorer = Scorer(answer, PATIENT)
    accepted = {name: scorer.submit(name, waiting_rows()) for name in ("a", "bad", "b")}
    scorer.start()
    assert accepted["a"].result(5).num_rows == accepted["b"].result(5).num_rows == 1
    with pytest.raises(ValueError, match="no such thing"):
        accepted["bad"].result(5)
    scorer.stop(60)


def test_a_store_that_is_gone_is_no_answer_and_no_silence(model: Any, tmp_path: Path) -> None:
    """503 with the reason; nothing is scored with features left out."""
    followed = Followed(Versions(model), print)
    followed.look()
    journal = Journal(tmp_path)
    scorer = Scorer(Answering(followed, store="host=/nowhere user=x", table=ANSWERS, journal=journal), PATIENT)
    scorer.start()
    application = Application(scorer, followed, token=TOKEN, limits=LIMITS, facts=dict)
    status, answer, _ = asyncio.run(ask(application))
    assert (status, "the online store does not answer" in answer["message"]) == (503, True)
    assert list(tmp_path.iterdir()) == []
    scorer.stop(60)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_answer_does_not_wait_for_an_acknowledgement(host: str) -> None:
    """On a connection that the endpoint has accepted, small packets are sent at once."""

    async def accepted() -> int:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = writer.get_extra_info("socket")
            found.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        async with await asyncio.start_server(greet, sock=listening_socket(host, 0)) as server:
            _, writer = await asyncio.open_connection(host, server.sockets[0].getsockname()[1])
            at_once = await found
            writer.close()
        return at_once

    assert asyncio.run(accepted())


def test_the_answers_of_a_use_case_have_their_own_table() -> None:
    """With the columns of its predictions that a request has, and none that only a batch has."""
    from pipelines.declarations.answers import answers_table
    from pipelines.declarations.registry import use_case

    declared = use_case("flight_delay")
    table = answers_table(declared)
    names = [one.name for one in table.columns]
    assert table.address == "flight_delay_inference.answers"
    assert {"answer_id", "answered_at", "request", "feature_ages", "score", *declared.inputs} <= set(names)
    assert not {"alias", "batch_id", "hindsight"} & set(names)
