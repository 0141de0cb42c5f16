"""What receivers of others take: Azure Monitor's envelopes, and MLflow's own endpoint with the store of a local environment."""

import functools
import gzip
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from pipelines.declarations.environment import environment
from pipelines.lakehouse.engines.choice import local_stores
from pipelines.lakehouse.registry.models import Models
from pipelines.telemetry import exporters
from pipelines.telemetry.attributes import JOB, TABLE, VERSION_READ
from pipelines.telemetry.instruments import TASK_SECONDS
from pipelines.telemetry.recording import measure, span, trace_id
from pipelines.telemetry.run import traced_run
from pipelines.telemetry.settings import CONNECTION, CREDENTIAL, SWITCH
from tests.documented_commands import lines_of
from tests.pipelines.telemetry.received import receiver

VALUE = "planted-value-31415"


def record_a_run(folder: Path) -> str:
    """Record a run with a span of a table, a metric and an error; return its trace."""
    said: list[str] = []
    with traced_run(
        environment="dev", engine="embedded", folder=folder, commit=lambda: "abc", job="trips.features", run_id="r1",
        first=True, say=said.append,
    ) as job_span:  # fmt: skip
        found = trace_id()
        with span("read trips_bronze.trips", {TABLE: "trips_bronze.trips", VERSION_READ: 3}):
            measure(TASK_SECONDS, 2.5, {JOB: "trips.features"})
        job_span.failed(ValueError(VALUE))
    assert found is not None
    assert said == []
    return found


def test_azure_monitor_gets_envelopes_of_one_operation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its exporter runs as it is, but for the sign-in, which takes Entra ID; no message of an error is in what it sends."""
    with receiver(answer=b'{"itemsReceived": 1, "itemsAccepted": 1, "errors": []}') as received:
        connection = f"InstrumentationKey={'0' * 8}-0000-0000-0000-{'0' * 12};IngestionEndpoint={received.address}/"
        monkeypatch.setenv("MLOPS_TELEMETRY", "azure_monitor")
        monkeypatch.setenv(CONNECTION, connection)
        monkeypatch.setattr(exporters, "_entra", lambda: None)
        trace = record_a_run(tmp_path)
    bodies = [gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body for _, body in received.bodies]
    sent: list[dict[str, Any]] = [one for body in bodies for one in json.loads(body)]
    kinds = {one["data"]["baseType"] for one in sent}
    assert kinds == {"RemoteDependencyData", "MessageData", "MetricData"}
    traced = [one for one in sent if one["data"]["baseType"] == "RemoteDependencyData"]
    assert {one["tags"]["ai.operation.id"] for one in traced} == {trace}
    (read,) = [one for one in traced if one["data"]["baseData"]["name"] == "read trips_bronze.trips"]
    assert read["data"]["baseData"]["properties"]["mlops.table.version_read"] == "3"
    assert VALUE.encode() not in b"".join(bodies)


def test_a_credential_that_the_runtime_does_not_give_leaves_telemetry_off_and_the_run_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stacks give every job the name of one; whatever the runtime raises is a line of the run, and nothing more."""
    monkeypatch.setenv(SWITCH, "azure_monitor")
    monkeypatch.setenv(CONNECTION, f"InstrumentationKey={'0' * 8}-0000-0000-0000-{'0' * 12}")
    monkeypatch.setenv(CREDENTIAL, "cred-mrd-dev-telemetry")
    said: list[str] = []
    with traced_run(
        environment="dev", engine="embedded", folder=tmp_path, commit=lambda: "abc", job="trips.features", run_id="r2",
        first=True, say=said.append,
    ):  # fmt: skip
        assert trace_id() is None
    assert len(said) == 1
    assert said[0].startswith("telemetry stays off: ")
    assert "the service credential 'cred-mrd-dev-telemetry' cannot be used here" in said[0]


@pytest.mark.proof
def test_mlflow_takes_a_trace_into_the_store_of_a_local_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the variables of the page, through its endpoint for OTLP (https://mlflow.org/docs/latest/genai/tracing/opentelemetry/ingest), by the id of the run."""
    stores = local_stores("dev", tmp_path)
    with Models(environment=environment("dev"), stores=stores).start_run("trips", name="any") as run:
        experiment = run.experiment_id
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", stores.tracking, "--registry-store-uri",
               stores.registry, "--port", address.rpartition(":")[2], "--workers", "1"]  # fmt: skip
    server = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{address}/health")  # noqa: S310 - loopback
                break
            except OSError:
                time.sleep(0.5)
        for _, line in lines_of("tests/pipelines/telemetry/test_receivers.py"):
            name, value = line.removeprefix("export ").split("=", 1)
            here = {"http://127.0.0.1:5000": address, "experiment-id=1": f"experiment-id={experiment}"}
            monkeypatch.setenv(name, functools.reduce(lambda text, one: text.replace(*one), here.items(), value))
        monkeypatch.setattr("pipelines.telemetry.providers.END_SECONDS", 30.0)
        monkeypatch.setattr("pipelines.telemetry.providers.RUN_SECONDS", 30.0)
        trace = record_a_run(tmp_path)
        (kept,) = MlflowClient(address).search_traces(locations=[experiment])
        assert kept.info.trace_id == f"tr-{trace}"
        assert {one.name for one in kept.data.spans} == {"job trips.features", "read trips_bronze.trips"}
        assert VALUE not in str([one.to_dict() for one in kept.data.spans])
    finally:
        os.killpg(server.pid, 15)
        server.wait(20)
