"""The whole endpoint on real flights, as a process: its answers are batch's, and a kill loses and doubles none of them."""

import datetime as dt
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable

from pipelines.api import StreamingPolicy
from pipelines.dataframes.scoring import score_requests
from pipelines.dataframes.training_rows import requests, with_inputs
from pipelines.declarations.registry import use_case
from pipelines.execution.context import Context
from pipelines.execution.jobs import run_and_record
from pipelines.lakehouse.lakehouse import open_lakehouse
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.online.local_postgres import local_postgres
from pipelines.scoring.compiled import can_be_compiled
from pipelines.scoring.declared import scoring_function
from pipelines.scoring.kept_libraries import KeptLibraries
from pipelines.scoring.online import OnlineFeatures
from pipelines.serving.source import Registry
from pipelines.tasks.predictions import batch_model as batch_model_module
from pipelines.tasks.predictions.batch_model import batch_model
from pipelines.tasks.predictions.publishing import feature_snapshot
from pipelines.tasks.predictions.streaming import stream
from tests.documented_commands import lines_of
from tests.pipelines.use_case_runs import run_job

FLIGHTS = use_case("flight_delay")
TRAINED = dt.datetime(2013, 2, 19, tzinfo=dt.UTC)
SCORED = dt.datetime(2013, 2, 21, tzinfo=dt.UTC)
PRESENT = dt.datetime(2013, 2, 20, 12, tzinfo=dt.UTC)
"""Of the store: batch and endpoint must agree on requests that fall due then."""

LINES = [line for _, line in lines_of("tests/pipelines/serving/test_served_flights.py")]
(SERVE,) = (line for line in LINES if " serve " in line)
"""The command of the page."""

MADE_OF_A_RUN = {"batch_id", "scored_at", "features_version"}
"""Columns of predictions that say when and by which run they were made."""


class Server:
    """``serve`` as a process, with the words of the page but for the folder, the present and a port that is free."""

    def __init__(self, root: Path, present: dt.datetime | None = None) -> None:
        words = shlex.split(SERVE.removeprefix(".venv/bin/python -m "))
        if present is not None:
            words[words.index("--until") + 1] = present.isoformat()
        self.process = subprocess.Popen(
            [sys.executable, "-m", *words, "--root", str(root), "--port", "0"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            cwd=Path.cwd(), env={**os.environ, "PYTHONPATH": str(Path.cwd()), "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        self.said: list[str] = []
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line)
            if found := re.search(r"answers on (http://\S+); the token is in (\S+)", line):
                self.address, self.token = found[1], Path(found[2]).read_text()
                break
        else:
            raise AssertionError("".join(self.said))
        threading.Thread(target=lambda: self.said.extend(self.process.stdout or ()), daemon=True).start()

    def ask(self, path: str, body: Any = None, request_id: str = "") -> Any:
        """The answer to one request; an error raises."""
        asked = urllib.request.Request(  # noqa: S310 - on loopback
            f"{self.address}{path}", data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", "X-Request-Id": request_id},
        )  # fmt: skip
        with urllib.request.urlopen(asked, timeout=120) as answer:  # noqa: S310 - as above
            return json.loads(answer.read())

    def end(self, number: int) -> int:
        """The exit code after a signal."""
        self.process.send_signal(number)
        return self.process.wait(120)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with a champion, a second version, and the predictions of two days."""
    folder = tmp_path_factory.mktemp("flights")
    with open_lakehouse("dev", root=folder) as lakehouse:
        assert run_job(lakehouse, FLIGHTS, "features", {"until": SCORED.isoformat()}).succeeded
        trained = {"until": TRAINED.isoformat(), "evaluation_days": "21", "sample": "0.2"}
        assert run_job(lakehouse, FLIGHTS, "training", trained).succeeded
        window = {"since": TRAINED.isoformat(), "until": SCORED.isoformat()}
        assert run_job(lakehouse, FLIGHTS, "scoring", window).succeeded
    return folder


@pytest.fixture
def server(root: Path) -> Iterator[Server]:
    """A running endpoint, which is gone afterwards."""
    running = Server(root, PRESENT)
    yield running
    running.process.kill()


def due(root: Path) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """The requests that fall due at the store's instant, and what batch predicted for each."""
    columns = [column.name for column in FLIGHTS.spine.table.columns]
    spine = DeltaTable(str(root / "dev" / "tables" / "flight_delay_bronze" / "schedule")).to_pyarrow_table(
        columns=columns
    )
    predicted = DeltaTable(str(root / "dev" / "tables" / "flight_delay_inference" / "predictions")).to_pyarrow_table()
    asked = [row for row in spine.to_pylist() if row["prediction_at"] == PRESENT]
    plain = [{n: v.isoformat() if isinstance(v, dt.datetime) else v for n, v in row.items()} for row in asked]
    return plain, {row["request_key"]: row["score"] for row in predicted.to_pylist()}


def kept(root: Path) -> list[str]:
    """The ids of the answers in the table."""
    table = DeltaTable(str(root / "dev" / "tables" / "flight_delay_inference" / "answers"))
    return [str(value) for value in table.to_pyarrow_table(columns=["answer_id"]).column(0).to_pylist()]


@pytest.mark.proof
def test_the_endpoint_answers_as_batch_predicted_and_is_killed_without_a_loss(root: Path, server: Server) -> None:
    """To the last digits, which the sums of a linear model round by the size of a batch; every answer that a client was given is in the table once, whatever was sent when it was killed."""
    requests, predicted = due(root)
    answers = server.ask("/invocations", {"dataframe_records": requests})["predictions"]
    assert len(requests) > 5
    expected = {row["flight_id"]: predicted[row["flight_id"]] for row in requests}
    assert {row["request_key"]: row["score"] for row in answers} == pytest.approx(expected, rel=1e-12)
    answered: list[str] = []

    def load(client: int) -> None:
        for number in range(10_000):
            name = f"{client}-{number}"
            try:
                server.ask("/invocations", {"instances": requests[:1]}, name)
            except (OSError, urllib.error.URLError, ValueError):
                return
            answered.append(f"{name}/0")

    clients = [threading.Thread(target=load, args=(number,)) for number in range(3)]
    for client in clients:
        client.start()
    while len(answered) < 20:
        time.sleep(0.05)
    server.end(signal.SIGKILL)
    for client in clients:
        client.join()
    again = Server(root, PRESENT)
    try:
        again.ask("/invocations", {"instances": requests[:1]}, answered[0].partition("/")[0])  # asks a second time
    finally:
        code = again.end(signal.SIGTERM)
    assert (code, any("told to stop" in line for line in again.said)) == (0, True), again.said
    ids = kept(root)
    assert len(set(ids)) == len(ids)
    assert set(answered) <= set(ids)


@pytest.mark.proof
@pytest.mark.skipif(
    shutil.which("curl") is None, reason="the documented lines `curl …` are not run: there is no `curl` on the path"
)
def test_the_endpoint_of_the_page_answers_the_curl_lines_of_the_pages(root: Path, tmp_path: Path) -> None:
    """As written, in the folder of the request, with the token that the page reads and the address that the command has printed."""
    requests, _ = due(root)
    (tmp_path / "request.json").write_text(json.dumps({"dataframe_records": requests}), encoding="utf-8")
    (tmp_path / "lakehouse").symlink_to(root)
    sets = [line for line in LINES if line.startswith("export ")]
    running = Server(root)
    try:
        said = []
        for line in (line for line in LINES if line != SERVE and line not in sets):
            asked = "\n".join([*sets, line.replace("http://127.0.0.1:5001", running.address)])
            given = {"PATH": os.environ["PATH"]}
            done = subprocess.run(
                ["sh", "-c", asked], cwd=tmp_path, env=given, capture_output=True, text=True, check=True
            )
            said.append(json.loads(done.stdout))
    finally:
        code = running.end(signal.SIGTERM)
    (answered,) = (one["predictions"] for one in said if "predictions" in one)
    assert {row["request_key"] for row in answered} == {row["flight_id"] for row in requests}
    assert all(0 < row["score"] < 1 for row in answered)
    assert {row["model_version"] for row in answered} == {one["version"] for one in said if "version" in one}
    assert code == 0


@pytest.mark.proof
def test_the_stream_predicts_as_batch_on_flights_replayed_in_time_order(root: Path, tmp_path: Path) -> None:
    """Delivered, refreshed and scored six hours at a time, row by row: scores, inputs and what is kept beside them."""
    flights = replace(FLIGHTS, streaming=StreamingPolicy())
    with open_lakehouse("dev", root=tmp_path) as own, open_lakehouse("dev", root=root) as trained:
        lakehouse = replace(own, model_stores=trained.model_stores)
        assert run_job(lakehouse, flights, "features", {"until": TRAINED.isoformat()}).succeeded
        end = TRAINED
        while end < SCORED:
            end += dt.timedelta(hours=6)
            assert run_and_record(
                lakehouse, flights.job("features"), {"until": end.isoformat()}, only=["ingest"]
            ).succeeded
            context = Context(lakehouse=lakehouse, use_case=flights, run_id=f"{end}", now=end, say=print)
            stream(context, until=end, alias=CHAMPION, trigger="available_now")
        streamed, batch = (
            {
                row["request_key"]: {name: value for name, value in row.items() if name not in MADE_OF_A_RUN}
                for row in rows
            }
            for rows in (
                one.tables.read(FLIGHTS.table("predictions")).toArrow().to_pylist() for one in (lakehouse, trained)
            )
        )
    assert len(batch) > 500
    assert {
        key: row for key, row in streamed.items() if row["prediction_at"].replace(tzinfo=dt.UTC) >= TRAINED
    } == batch


@pytest.mark.proof
def test_the_store_published_up_to_each_request_gives_the_answers_of_batch(root: Path, tmp_path: Path) -> None:
    """Every request of two days, in the order of time, looked up in the real store as it was then: inputs, what is kept, scores, ages."""
    versions = []
    with open_lakehouse("dev", root=root) as lakehouse, local_postgres(tmp_path) as store:
        context = Context(lakehouse=lakehouse, use_case=FLIGHTS, run_id="replay", now=SCORED, say=print)
        registry = Registry(lakehouse, FLIGHTS, CHAMPION, versions.append, KeptLibraries(tmp_path / "compiled"))
        number = registry.current()
        assert number is not None
        loaded = registry.load(number)
        snapshot = feature_snapshot(context)
        spine = lakehouse.tables.read(FLIGHTS.spine.table).toArrow()
        instants = sorted({at for at in spine.column("prediction_at").to_pylist() if TRAINED <= at < SCORED})
        batch = lakehouse.tables.read(FLIGHTS.table("predictions")).toArrow()
        looked_up, answers = OnlineFeatures(loaded.function, store), []
        asked = [column.name for column in loaded.function.request]
        with psycopg.connect(store, autocommit=True) as connection:
            for at in instants:
                snapshot.publish(connection, until=at)
                rows = spine.filter(pc.equal(spine.column("prediction_at"), at)).select(asked)
                rows = rows.cast(loaded.function.schema())
                answers.append(loaded.function.answer(rows, looked_up.newest(rows), loaded.model, version=number))
        looked_up.close()
    online = {row["request_key"]: row for row in pa.concat_tables(answers).to_pylist()}
    predicted = {row["request_key"]: row for row in batch.to_pylist()}
    assert len(instants) > 20
    assert online.keys() == predicted.keys()
    shared = set(pa.concat_tables(answers).column_names) & set(batch.column_names)
    assert shared >= {*loaded.function.inputs, "score", "model_version"}
    for name in sorted(shared - {"prediction_at"}):
        found, wanted = ([rows[key][name] for key in sorted(rows)] for rows in (online, predicted))
        assert found == (pytest.approx(wanted, rel=1e-12) if name == "score" else wanted), name


@pytest.mark.proof
def test_a_large_batch_is_scored_by_compiled_trees_and_a_small_one_by_the_estimator(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both give every request of two days the same score, and what scored is said; a linear model is left alone."""
    said: list[str] = []
    with open_lakehouse("dev", root=root) as lakehouse:
        context = Context(lakehouse=lakehouse, use_case=FLIGHTS, run_id="batch", now=SCORED, say=said.append)
        models = lakehouse.models
        fitted = {version.number: models.load(version) for version in models.versions(FLIGHTS.model)}
        trees = next(version for version in models.versions(FLIGHTS.model) if can_be_compiled(fitted[version.number]))
        due = requests(context, TRAINED, SCORED)
        rows = with_inputs(context, due, TRAINED, SCORED).toArrow()
        own = fitted[trees.number]
        assert batch_model(context, trees, own, due) is own
        monkeypatch.setattr(batch_model_module, "WORTH_COMPILING", 500)
        found = batch_model(context, trees, own, due)
        assert [*said] == [f"version {trees.number} scores by {said[-1].partition(' scores by ')[2]}"]
        assert "compiled trees, equal to the estimator" in said[-1]
        frame, function = lakehouse.spark.createDataFrame(rows), scoring_function(FLIGHTS)
        scores = [
            dict(score_requests(frame, model, function).select("request_key", "score").toPandas().to_numpy().tolist())
            for model in (own, found)
        ]
        assert scores[0] == scores[1]
        assert len(scores[0]) > 500
        for version in models.versions(FLIGHTS.model):
            if version.number != trees.number and not can_be_compiled(fitted[version.number]):
                assert batch_model(context, version, fitted[version.number], due) is fitted[version.number]


@pytest.mark.proof
def test_promotions_and_a_broken_version_under_load_fail_no_request(root: Path, server: Server) -> None:
    """The alias goes back and forth; then it points to a version whose files were changed, and the one before stays."""
    requests, _ = due(root)
    statuses: list[Any] = []
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            try:
                statuses.append(
                    server.ask("/invocations", {"instances": requests[:1]})["predictions"][0]["model_version"]
                )
            except urllib.error.HTTPError as error:
                statuses.append(error.read())

    def served() -> int:
        return int(server.ask("/version")["version"])

    with open_lakehouse("dev", root=root) as lakehouse:
        versions = lakehouse.models.versions(FLIGHTS.model)
        first = served()
        other = next(version for version in versions if version.number != first)
        client = threading.Thread(target=load)
        client.start()
        for version in (other, next(v for v in versions if v.number == first), other):
            lakehouse.models.set_alias(version, CHAMPION)
            until = time.monotonic() + 120
            while served() != version.number:
                assert time.monotonic() < until, server.said
                time.sleep(0.2)
        broken = next(v for v in versions if v.number == first)
        lakehouse.models.set_tags(broken, {"files_sha256": "0" * 64})
        lakehouse.models.set_alias(broken, CHAMPION)
        until = time.monotonic() + 60
        while not any("is not taken" in line for line in server.said):
            assert time.monotonic() < until, server.said
            time.sleep(0.2)
        stop.set()
        client.join()
    assert served() == other.number
    assert set(statuses) == {first, other.number}
    assert server.end(signal.SIGINT) == 0
