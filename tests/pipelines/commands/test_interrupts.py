"""Signals end both programs with one sentence and their exit code, at any moment: real processes, real signals."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from deltalake import DeltaTable

from pipelines.command_line.interrupts import SENTENCE, SIGNALS
from pipelines.command_line.version import version_number
from pipelines.execution.locks import held

ROOT = Path(__file__).parents[3]
CALLS = {
    "infra": ["-m", "infra", "synth", "--out", "{folder}/out"],
    "pipelines": [
        "-m",
        "pipelines",
        "run",
        "air_time.features",
        "--root",
        "{folder}/root",
        "--param",
        "until=2013-03-01",
    ],
}


@pytest.fixture(autouse=True)
def _signals_reach_children() -> Iterator[None]:
    """A suite that runs in the background ignores the signals, and its children would inherit that."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def started(*words: str) -> "subprocess.Popen[str]":
    """Return a process in a session of its own."""
    return subprocess.Popen(
        [sys.executable, *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


def wait_for_handlers(process: "subprocess.Popen[str]") -> None:
    """Wait until the program has set its handlers: before that the interpreter itself is starting."""
    status, until = Path("/proc", str(process.pid), "status"), time.monotonic() + 60
    while status.exists() and time.monotonic() < until:
        (caught,) = (line.split()[1] for line in status.read_text().splitlines() if line.startswith("SigCgt"))
        if int(caught, 16) >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.01)


def ended(process: "subprocess.Popen[str]", number: int) -> str:
    """Send a signal to all processes of a program, as a terminal does; return what it said on standard error."""
    os.killpg(process.pid, number)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "Traceback" not in complaint
    return complaint


@pytest.mark.parametrize(
    ("program", "after", "number"),
    [
        *((program, after, signal.SIGINT) for program in CALLS for after in (0.3, 1.0, 2.5)),
        ("pipelines", 1.7, signal.SIGTERM),
        ("pipelines", 2.8, signal.SIGHUP),
        ("pipelines", 2.2, signal.SIGINT),
        ("infra", 1.5, signal.SIGTERM),
    ],
)
def test_a_signal_is_one_sentence_and_its_exit_code(
    program: str, after: float, number: signal.Signals, tmp_path: Path
) -> None:
    """At any moment; what is waited for is said before that sentence where the end takes longer."""
    process = started(*(word.format(folder=tmp_path) for word in CALLS[program]))
    wait_for_handlers(process)
    time.sleep(after)
    lines = ended(process, number).splitlines()
    assert lines[-1] == f"error: {SENTENCE}"
    assert [line for line in lines[:-1] if not line.startswith("interrupted: waiting for ")] == []


@pytest.mark.parametrize("number", SIGNALS)
def test_an_interrupted_run_is_recorded_as_interrupted(number: signal.Signals, tmp_path: Path) -> None:
    """Its record, made at its beginning, says so in the end; no row says that it is still running."""
    process = started(*(word.format(folder=tmp_path) for word in CALLS["pipelines"]))
    runs = tmp_path / "root" / "dev" / "tables" / "air_time_monitoring" / "runs"
    until = time.monotonic() + 60
    while not list(runs.glob("_delta_log/*1.json")) and time.monotonic() < until:
        time.sleep(0.02)
    ended(process, number)
    rows = DeltaTable(runs).to_pyarrow_table().to_pylist()
    assert {(row["task"], row["attempt"], row["state"]) for row in rows} == {("ingest", 1, "interrupted")}
    assert rows[0]["error"] == "interrupted"
    assert held(tmp_path / "root" / "dev", "air_time.features") is None


@pytest.mark.parametrize(
    ("number", "everybody"),
    [
        (signal.SIGINT, True),
        (signal.SIGINT, False),
        (signal.SIGTERM, True),
        (signal.SIGHUP, True),
        (signal.SIGKILL, False),
    ],
)
def test_the_demonstration_leaves_no_process_behind(number: signal.Signals, *, everybody: bool, tmp_path: Path) -> None:
    """Its second process ends with it: a terminal tells both, `kill` one, and a lost one can say nothing."""
    root = tmp_path / "demo"
    process = started("-m", "pipelines", "demo", "--root", str(root))
    until = time.monotonic() + 120
    while not (root / "dev").exists() and time.monotonic() < until:  # the second process begins with dev
        time.sleep(0.1)
    (os.killpg if everybody else os.kill)(process.pid, number)
    try:
        process.communicate(timeout=60)  # as long as one lives that could write
        assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)
        until = time.monotonic() + 10
        while _lives(process.pid) and time.monotonic() < until:
            time.sleep(0.1)
        assert not _lives(process.pid), "a process of the demonstration lives on"
    finally:
        if _lives(process.pid):
            os.killpg(process.pid, signal.SIGKILL)


def _lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("how", ["compute", "swallow"])
def test_a_command_that_does_not_stop_is_ended_after_its_record(how: str, tmp_path: Path) -> None:
    """First it says what is waited for; a second signal changes nothing."""
    process = started("-m", "tests.pipelines.commands.stubborn_program", how, str(tmp_path / "record"))
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "working\n"
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    assert process.stderr.readline() == "interrupted: waiting for task 'train' to stop; it ends within 5 seconds.\n"
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=60)
    assert (process.returncode, complaint) == (143, f"error: {SENTENCE}\n")
    assert (tmp_path / "record").read_text() == "interrupted"


def test_what_must_not_be_left_half_done_is_waited_for(tmp_path: Path) -> None:
    """However long it takes; the sentence says so at once, and the command then ends as interrupted."""
    process = started("-m", "tests.pipelines.commands.stubborn_program", "shield", str(tmp_path / "record"))
    assert process.stdout is not None
    assert process.stdout.readline() == "working\n"
    time.sleep(0.3)
    complaint = ended(process, signal.SIGTERM)
    assert complaint == f"interrupted: waiting for staging to be restored.\nerror: {SENTENCE}\n"
    assert (tmp_path / "record").read_text() == "restored"


def test_an_object_that_was_being_made_says_nothing(tmp_path: Path) -> None:
    """Its destructor misses what the interrupted constructor never gave it; a person reads one sentence."""
    process = started("-m", "tests.pipelines.commands.stubborn_program", "make", str(tmp_path / "record"))
    assert process.stdout is not None
    assert process.stdout.readline() == "working\n"
    time.sleep(0.3)
    assert ended(process, signal.SIGINT) == f"error: {SENTENCE}\n"


def test_a_signal_that_is_ignored_stays_ignored(tmp_path: Path) -> None:
    """As after `nohup`: the hang-up of the terminal ends nothing."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    process = started(*(word.format(folder=tmp_path) for word in CALLS["infra"]))
    wait_for_handlers(process)
    os.killpg(process.pid, signal.SIGHUP)
    time.sleep(0.5)
    assert process.poll() is None
    ended(process, signal.SIGINT)


def test_the_command_mlops_runs_both_programs(tmp_path: Path) -> None:
    """`mlops` runs pipelines and `mlops infra` runs infra, with the interpreter beside it, from any folder."""
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    python = tmp_path / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    for room in ("ml", "pipelines", "infra", "pyproject.toml"):
        (tmp_path / room).symlink_to(ROOT / room)
    command = tmp_path / ".venv" / "bin" / "mlops"
    command.write_bytes((ROOT / "pipelines" / "command_line" / "mlops.sh").read_bytes())
    command.chmod(0o755)
    for words, said in (
        (["--version"], f"mlops {version_number()}"),
        (["list", "--markdown"], "| `features` |"),
        (["infra", "--help"], "Usage: mlops infra"),
    ):
        done = subprocess.run([command, *words], cwd="/", capture_output=True, text=True, check=True)
        assert said in done.stdout
    wrong = subprocess.run([command, "infra", "synht"], cwd="/", capture_output=True, text=True, check=False)
    assert (wrong.returncode, "did you mean 'synth'?" in wrong.stderr) == (2, True)
