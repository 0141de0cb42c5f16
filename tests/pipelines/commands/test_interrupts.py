"""Ctrl-C ends both programs with one sentence and exit code 130, also during start-up: real processes, real signals."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.command_line.interrupts import SENTENCE

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
def _interrupts_reach_children() -> Iterator[None]:
    """A suite that runs in the background ignores the signal, and its children would inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("program", CALLS)
@pytest.mark.parametrize("after", [0.3, 1.0, 2.5])
def test_ctrl_c_is_one_sentence_and_exit_code_130(program: str, after: float, tmp_path: Path) -> None:
    """The signal goes to all processes of the program, as a terminal sends it."""
    words = [word.format(folder=tmp_path) for word in CALLS[program]]
    running = subprocess.Popen(
        [sys.executable, *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    time.sleep(after)
    os.killpg(running.pid, signal.SIGINT)
    _, complaint = running.communicate(timeout=60)
    assert running.returncode == 130
    assert complaint == f"error: {SENTENCE}\n"


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
        (["--version"], "mlops 0.1.0"),
        (["list", "--markdown"], "| `air_time.features` |"),
        (["infra", "--help"], "Usage: mlops infra"),
    ):
        done = subprocess.run([command, *words], cwd="/", capture_output=True, text=True, check=True)
        assert said in done.stdout
    wrong = subprocess.run([command, "infra", "synht"], cwd="/", capture_output=True, text=True, check=False)
    assert (wrong.returncode, "did you mean 'synth'?" in wrong.stderr) == (2, True)
