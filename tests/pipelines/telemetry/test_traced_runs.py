"""A run that is traced: its spans, what is recorded of it, what never leaves, and receivers that do not answer."""

import datetime as dt
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from ml.spec.errors import RequestError
from pipelines.declarations.job import Job, Task
from pipelines.execution import runner
from pipelines.execution.context import Context, TaskResult
from pipelines.execution.jobs import Watcher, run_and_record
from pipelines.execution.run_history import row_of
from pipelines.lakehouse.lakehouse import Lakehouse
from pipelines.telemetry import providers
from pipelines.telemetry.attributes import ATTRIBUTES
from pipelines.telemetry.recording import flush, span, trace_id
from pipelines.telemetry.run import traced_run
from pipelines.use_cases.air_time.declaration import USE_CASE as AIR_TIME
from pipelines.use_cases.flight_delay.declaration import USE_CASE as FLIGHT_DELAY
from tests.pipelines.flight_files import write_all
from tests.pipelines.telemetry.received import events, metrics, receiver, spans, written

ROOT = Path(__file__).parents[3]
VALUE, TOKEN = "planted-value-31415", "planted-token-27182"
RUNS = AIR_TIME.table("runs")
FIRST = Task(key="first", entry="tests:work", description="", retries=1)
SECOND = Task(key="second", entry="tests:work", description="", after=(FIRST,))
NIGHTLY = Job(use_case="air_time", name="nightly", description="", tasks=(FIRST, SECOND))
ERRORS: list[Exception] = []


def work(context: Context) -> TaskResult:
    """Read and write a table, then raise what is planned."""
    context.lakehouse.tables.read(RUNS)
    if ERRORS:
        raise ERRORS.pop(0)
    context.say(f"a line for a person that quotes {VALUE}")
    return TaskResult(rows=3, values={"found": VALUE})


@pytest.fixture
def nightly(monkeypatch: pytest.MonkeyPatch) -> Job:
    """A job of two tasks, of which the first may be repeated."""
    ERRORS.clear()
    monkeypatch.setattr(runner, "load", lambda _entry: work)
    return NIGHTLY


@pytest.fixture
def to_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Telemetry goes to files."""
    monkeypatch.setenv("MLOPS_TELEMETRY", "file")


def folder_of(lakehouse: Lakehouse) -> Path:
    """The folder of a local environment."""
    assert lakehouse.folder is not None
    return lakehouse.folder


def by_name(found: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Spans by their names."""
    return {name: [one for one in found if one["name"] == name] for name in {one["name"] for one in found}}


@pytest.mark.usefixtures("to_files")
def test_a_run_is_one_trace_of_tasks_attempts_and_tables(nightly: Job, embedded_lakehouse: Lakehouse) -> None:
    """Each below the other; the failed attempt has the class of its error, where it arose, and no message."""
    ERRORS.append(OSError(f"the disk is full at {VALUE}"))
    done = run_and_record(embedded_lakehouse, nightly, {}, run_id="r1")
    found = by_name(spans(folder_of(embedded_lakehouse)))
    assert done.succeeded
    assert {one["traceId"] for group in found.values() for one in group} == {done.trace_id}
    (job,), (first,), attempts = found["job air_time.nightly"], found["task first"], found["attempt"]
    assert "parentSpanId" not in job
    assert first["parentSpanId"] == job["spanId"]
    assert job["attributes"] == {
        "mlops.job.name": "air_time.nightly", "mlops.run.id": "r1", "mlops.state": "succeeded"
    }  # fmt: skip
    failed, repeated, _ = sorted(attempts, key=lambda one: int(one["startTimeUnixNano"]))
    assert failed["parentSpanId"] == repeated["parentSpanId"] == first["spanId"]
    assert failed["status"] == {"code": 2}
    assert failed["attributes"]["error.type"] == "builtins.OSError"
    assert failed["attributes"]["code.function.name"] == "pipelines.execution.runner.run_task"
    assert (repeated["attributes"]["mlops.state"], repeated["attributes"]["mlops.rows"]) == ("succeeded", "3")
    reads = [one for one in found[f"read {RUNS.address}"] if one["parentSpanId"] == repeated["spanId"]]
    assert [one["attributes"]["mlops.table.version_read"] for one in reads] == ["1"]
    (last,) = [one for one in found[f"merge {RUNS.address}"] if one["attributes"]["mlops.table.version_written"] == "2"]
    assert (last["attributes"]["mlops.rows"], last["parentSpanId"]) == ("3", job["spanId"])


@pytest.mark.usefixtures("to_files")
def test_events_and_metrics_are_those_of_the_run(nightly: Job, embedded_lakehouse: Lakehouse) -> None:
    """Events have the trace; metrics are split as declared."""
    ERRORS.append(OSError("full"))
    done = run_and_record(embedded_lakehouse, nightly, {})
    happened = events(folder_of(embedded_lakehouse))
    assert [one["eventName"] for one in happened] == ["mlops.run.begun", "mlops.task.failed", "mlops.run.ended"]
    assert {one["traceId"] for one in happened} == {done.trace_id}
    measured = metrics(folder_of(embedded_lakehouse))
    assert {(p["attributes"]["mlops.task.key"], p["attributes"]["mlops.state"], p["count"])
            for p in measured["mlops.task.duration"]} == {
        ("first", "failed", "1"), ("first", "succeeded", "1"), ("second", "succeeded", "1")
    }  # fmt: skip
    (failed,) = measured["mlops.task.errors"]
    assert (failed["asInt"], failed["attributes"]["error.type"]) == ("1", "builtins.OSError")
    assert sum(int(point["asInt"]) for point in measured["mlops.table.rows"]) == 4


@pytest.mark.usefixtures("to_files")
def test_the_trace_is_recorded_when_the_run_begins_and_said_with_every_error(
    nightly: Job, embedded_lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of the same id goes on with the same trace, below the span of its job."""
    monkeypatch.setattr(runner, "run_task", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt) as raised:
        run_and_record(embedded_lakehouse, nightly, {}, run_id="r1")
    (row,) = embedded_lakehouse.tables.read(RUNS).toArrow().to_pylist()
    assert raised.value.__notes__ == [f"trace {row['trace_id']}"]
    monkeypatch.undo()
    monkeypatch.setenv("MLOPS_TELEMETRY", "file")
    monkeypatch.setattr(runner, "load", lambda _entry: work)
    done = run_and_record(embedded_lakehouse, nightly, {}, run_id="r1")
    assert done.trace_id == row["trace_id"]
    found = by_name(spans(folder_of(embedded_lakehouse)))
    (job,), (part,) = found["job air_time.nightly"], found["part of job air_time.nightly"]
    assert (part["traceId"], part["parentSpanId"]) == (job["traceId"], job["spanId"])


def test_no_row_and_no_secret_leaves(
    embedded_lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A real job over rows with a planted value, kept and quarantined, and with planted tokens: no exported byte has them."""
    deliveries = tmp_path / "deliveries"
    deliveries.mkdir()
    write_all(deliveries, {"tailnum": VALUE}, {"flight": "101", "origin": VALUE}, {"flight": "102", "distance": VALUE})
    with receiver() as received:
        monkeypatch.setenv("MLOPS_TELEMETRY", "file,otlp")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", received.address)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"authorization=Bearer {TOKEN}")
        for name in ("MLOPS_SERVE_TOKEN", "DATABRICKS_TOKEN", "OTEL_RESOURCE_ATTRIBUTES"):
            monkeypatch.setenv(name, f"key={TOKEN}")
        done = run_and_record(
            embedded_lakehouse, FLIGHT_DELAY.job("features"), {"location": str(deliveries), "until": "2013-02-01"},
            now=dt.datetime(2013, 2, 1, tzinfo=dt.UTC), only=["ingest"],
        )  # fmt: skip
    found = by_name(spans(folder_of(embedded_lakehouse)))
    assert VALUE in str(done.last["ingest"].error)  # too many rows are quarantined, and the error quotes one
    assert {path for path, _ in received.bodies} == {"/v1/traces", "/v1/metrics", "/v1/logs"}
    assert b"mlops.job.name" in received.everything()
    (quarantined,) = metrics(folder_of(embedded_lakehouse))["mlops.source.quarantined"]
    assert (quarantined["asInt"], quarantined["attributes"]) == ("2", {"mlops.source.name": "schedule"})
    quarantine = embedded_lakehouse.tables.read(FLIGHT_DELAY.table("quarantine")).toArrow().to_pylist()
    assert VALUE in str(quarantine)  # the planted value was in what the job handled
    for exported in (written(folder_of(embedded_lakehouse)), received.everything()):
        assert VALUE.encode() not in exported
        assert TOKEN.encode() not in exported
    names = {name for group in found.values() for one in group for name in one["attributes"]}
    assert names <= {attribute.name for attribute in ATTRIBUTES}


@pytest.mark.usefixtures("to_files")
def test_a_message_that_quotes_a_value_does_not_leave(nightly: Job, embedded_lakehouse: Lakehouse) -> None:
    """Neither of a failed task, nor of the run that it ends, nor of a table that refuses rows."""
    ERRORS.extend([ValueError(f"{VALUE} is none of a, b"), ValueError(VALUE)])
    assert not run_and_record(embedded_lakehouse, nightly, {}).succeeded
    with (
        pytest.raises(ValueError, match=VALUE),
        traced_run(environment="dev", engine="embedded", folder=embedded_lakehouse.folder, commit=lambda: VALUE + " ",
                   job="a.b", run_id="r2", first=True, say=print),
        span("task x"),
    ):  # fmt: skip
        raise ValueError(VALUE)
    exported = written(folder_of(embedded_lakehouse))
    assert b"builtins.ValueError" in exported
    assert VALUE.encode() not in exported


def test_a_receiver_that_hangs_fails_no_run_and_is_waited_for_twice_at_most(
    nightly: Job, embedded_lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once after a task, once at the end; then the run says so."""
    monkeypatch.setattr(providers, "FLUSH_SECONDS", 0.2)
    monkeypatch.setattr(providers, "END_SECONDS", 0.4)
    waits: list[float | None] = []

    class Sending(threading.Thread):
        def join(self, timeout: float | None = None) -> None:
            if self.name == "telemetry":
                waits.append(timeout)
            super().join(timeout)

    monkeypatch.setattr(providers.threading, "Thread", Sending)
    said: list[str] = []
    with receiver(hangs=True) as received:
        monkeypatch.setenv("MLOPS_TELEMETRY", "otlp")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", received.address)
        watcher = Watcher(say=said.append, finished=lambda _run: None)
        done = run_and_record(embedded_lakehouse, nightly, {}, watcher=watcher)
    assert done.succeeded
    after_first, after_second, at_end = waits
    assert (after_first, after_second) == (0.2, 0.0)
    assert at_end is not None
    assert 0 < at_end <= 0.4
    assert said[-1].startswith("telemetry: the receiver did not take it within")


def test_a_receiver_that_is_not_there_fails_no_run(
    nightly: Job, embedded_lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nothing but one line says so."""
    monkeypatch.setenv("MLOPS_TELEMETRY", "otlp")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(providers, "FLUSH_SECONDS", 0.2)
    monkeypatch.setattr(providers, "END_SECONDS", 0.3)
    said: list[str] = []
    done = run_and_record(embedded_lakehouse, nightly, {}, watcher=Watcher(say=said.append, finished=lambda _run: None))
    assert done.succeeded
    assert len([line for line in said if line.startswith("telemetry: ")]) == 1
    assert "127.0.0.1:9" not in capfd.readouterr().err


def test_what_a_killed_process_had_done_is_there(tmp_path: Path) -> None:
    """Every task that had ended before; a process is killed without a chance to send."""
    code = f"""
import os, signal
from pathlib import Path
from pipelines.telemetry.recording import flush, span
from pipelines.telemetry.run import traced_run
with traced_run(environment="dev", engine="embedded", folder=Path({str(tmp_path)!r}), commit=lambda: "abc", job="a.b",
                run_id="r1", first=True, say=print):
    with span("task first"):
        pass
    flush()
    with span("task second"):
        os.kill(os.getpid(), signal.SIGKILL)
"""
    environment = {"MLOPS_TELEMETRY": "file", "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    killed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=False)
    assert killed.returncode == -9
    assert [one["name"] for one in spans(tmp_path)] == ["task first"]


@pytest.mark.usefixtures("to_files")
def test_processes_of_one_deployed_run_share_its_trace(tmp_path: Path) -> None:
    """The one that begins it has the span of the job, the others lie below it; other runs have other traces."""
    for run_id, first in (("1", True), ("1", False), ("2", True)):
        with traced_run(
            environment="prod", engine="databricks", folder=tmp_path, commit=lambda: "abc", job="a.b", run_id=run_id,
            first=first, say=print,
        ):  # fmt: skip
            assert trace_id() is not None
    one, part, other = spans(tmp_path)
    assert (part["traceId"], part["parentSpanId"]) == (one["traceId"], one["spanId"])
    assert other["traceId"] != one["traceId"]


def test_an_exporter_that_does_not_exist_is_refused_before_anything_runs(
    nightly: Job, embedded_lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With those that exist."""
    monkeypatch.setenv("MLOPS_TELEMETRY", "file,splunk")
    with pytest.raises(
        RequestError, match="'splunk' is no exporter of telemetry Allowed: off, or one or several of file"
    ):
        run_and_record(embedded_lakehouse, nightly, {})
    assert not embedded_lakehouse.tables.exists(RUNS)


@pytest.mark.parametrize("switch", ["azure_monitor", "file"])
def test_an_exporter_that_lacks_something_leaves_telemetry_off_and_says_so(
    switch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job goes on without it: no connection string, no folder."""
    monkeypatch.setenv("MLOPS_TELEMETRY", switch)
    said: list[str] = []
    with traced_run(
        environment="dev", engine="databricks", folder=None, commit=lambda: "abc", job="a.b", run_id="r", first=True,
        say=said.append,
    ):  # fmt: skip
        assert trace_id() is None
    assert len(said) == 1
    assert said[0].startswith("telemetry stays off: environment variable MLOPS_TELEMETRY: ")


def test_switched_off_nothing_is_loaded_written_or_recorded(
    nightly: Job, embedded_lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where OpenTelemetry's own switch is off."""
    monkeypatch.setenv("MLOPS_TELEMETRY", "file")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    done = run_and_record(embedded_lakehouse, nightly, {})
    assert done.trace_id is None
    assert not (folder_of(embedded_lakehouse) / "telemetry").exists()
    assert row_of(done.attempts[0], as_of=dt.datetime.now(dt.UTC), cause="")["trace_id"] is None
    code = "import sys, pipelines.telemetry.run; assert not [m for m in sys.modules if m.startswith('opentelemetry')]"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    flush()
