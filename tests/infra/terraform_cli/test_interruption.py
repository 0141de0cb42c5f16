"""Signals are forwarded to a running program once and waited for; the program needs nobody who reads its output."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.terraform_cli import interruption, plans
from infra.terraform_cli.interruption import SIGNALS, StoppedBySignalError, signals_held
from infra.terraform_cli.running import TRACKED, run_to_the_end

ROOT = Path(__file__).parents[3]
WORKER = """
import os, pathlib, signal, sys, time
got = []
signal.signal(signal.SIGINT, lambda *_: got.append(1))
for other in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(other, lambda *_: got.append(9))
print("ready", os.getsid(0) == os.getpid(), flush=True)
ends = time.monotonic() + float(sys.argv[1])
while time.monotonic() < ends and not (got and pathlib.Path("all-sent").exists()):
    time.sleep(0.01)
if got:
    time.sleep(0.5)
print("got", got, flush=True)
sys.exit(int(bool(got)))
"""
"""Works for some seconds however often it is interrupted, and prints its interrupts; other signals count as 9.

It ends half a second after its interrupt once all signals have been sent: its folder then has a file `all-sent`.
"""
LONG = 120.0
"""Seconds that are never reached: the signals end the program before, however slow the machine is."""


@pytest.fixture(autouse=True)
def unharmed() -> Iterator[None]:
    """Let a signal that is not held fail the test and not end the run; afterwards every handler is the one from before."""
    outside = signal.signal(signal.SIGTERM, lambda *_: None), signal.signal(signal.SIGHUP, lambda *_: None)
    before = [signal.getsignal(number) for number in SIGNALS]
    yield
    assert [signal.getsignal(number) for number in SIGNALS] == before
    for number, handler in zip((signal.SIGTERM, signal.SIGHUP), outside, strict=True):
        signal.signal(number, handler)


def run(folder: Path, seconds: float, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run the worker to its end."""
    given: dict[str, Any] = {"what": "the worker", "wait": True, **options}
    command = [sys.executable, "-c", WORKER, str(seconds)]
    return run_to_the_end(command, folder=folder, environment=dict(os.environ), **given)


def sending(folder: Path, *numbers: signal.Signals) -> Callable[[str], None]:
    """Return what sends these signals to this process, a moment apart, once the worker is ready, then the file that says so."""

    def send() -> None:
        for number in numbers:
            os.kill(os.getpid(), number)
            time.sleep(0.2)
        (folder / "all-sent").touch()

    return lambda line: threading.Thread(target=send).start() if line.startswith("ready") else None


@pytest.mark.parametrize("numbers", [(n,) for n in SIGNALS] + [(signal.SIGTERM, signal.SIGINT, signal.SIGHUP)])
def test_the_first_signal_is_forwarded_as_one_interrupt_and_every_signal_is_answered(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], numbers: tuple[signal.Signals, ...]
) -> None:
    """The program is waited for to its own end, and the exit code is 128 and the number of the first signal."""
    lines: list[str] = []
    send = sending(tmp_path, *numbers)
    with pytest.raises(StoppedBySignalError) as interrupted:
        run(tmp_path, LONG, on_line=lambda line: (lines.append(line), send(line)))
    assert lines == ["ready True", "got [1]"]
    assert (interrupted.value.number, interrupted.value.exit_code) == (numbers[0], 128 + numbers[0])
    said = capfd.readouterr().err.splitlines()
    assert said[0] == f"received {numbers[0].name}: waiting for the worker to end."
    assert said[1:] == [
        f"received {n.name} after {numbers[0].name}: waiting for the worker to end; another signal does not speed it up."
        for n in numbers[1:]
    ]


def test_a_run_that_changes_nothing_is_ended_when_it_does_not_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """With the programs that it has started itself."""
    monkeypatch.setattr(interruption, "PATIENCE_SECONDS", 0.3)
    lines: list[str] = []
    (elsewhere := tmp_path / "elsewhere").mkdir()
    send = sending(elsewhere, signal.SIGTERM)
    with pytest.raises(StoppedBySignalError):
        run(tmp_path, LONG, wait=False, on_line=lambda line: (lines.append(line), send(line)))
    assert lines == ["ready True"], "it did not get to its own end"
    assert "waiting for at most 0.3 seconds for the worker to end." in capfd.readouterr().err


def test_within_a_block_a_signal_stops_what_comes_after_it(tmp_path: Path) -> None:
    """What runs while it arrives and succeeds all the same counts; the next program does not start."""
    with signals_held() as held:
        os.kill(os.getpid(), signal.SIGHUP)
        with pytest.raises(StoppedBySignalError):
            run(tmp_path, 0.0)
    assert held.number is signal.SIGHUP
    assert run(tmp_path, 0.0).stdout == "ready True\ngot []\n"


def test_a_signal_that_is_ignored_stays_ignored(tmp_path: Path) -> None:
    """As after `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert "got []" in run(tmp_path, 0.5, on_line=sending(tmp_path, signal.SIGHUP)).stdout
    finally:
        signal.signal(signal.SIGHUP, before)


def test_programs_in_other_threads_get_the_signal_of_the_main_thread(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Several stacks are planned at once: each program gets its one interrupt, and none starts after it."""
    started: list[int] = []

    def step(item: int) -> None:
        started.append(item)
        folder = tmp_path / str(item)
        folder.mkdir()
        if item:
            (folder / "all-sent").touch()
        run(
            folder,
            LONG,
            on_line=sending(folder, signal.SIGINT) if item == 0 else None,
            log=tmp_path / f"{item}.log",
        )

    with pytest.raises(StoppedBySignalError):
        plans.all_at_once(range(8), step)
    logs = [path.read_text(encoding="utf-8") for path in tmp_path.glob("*.log")]
    assert [text for text in logs if text.endswith("got [1]\n")]
    assert not [text for text in logs if "got [1, 1]" in text or "got []" in text]
    assert capfd.readouterr().err.count("received SIGINT") == 1


def test_a_program_goes_on_without_a_reader_and_without_the_mark_of_an_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads the lines may end; an agent ends what bears its mark, but not what is being changed."""
    monkeypatch.setenv(TRACKED, "vsts_1")

    def gone(line: str) -> None:
        raise BrokenPipeError(32, line)

    assert run(tmp_path, 0.3, on_line=gone).stdout.endswith("got []\n")
    words = [sys.executable, "-c", f"import os; print(os.environ.get({TRACKED!r}))"]
    for wait, printed in ((True, "None\n"), (False, "vsts_1\n")):
        done = run_to_the_end(words, folder=tmp_path, environment=dict(os.environ), what="", wait=wait)
        assert done.stdout == printed


def test_a_program_outlives_the_process_that_started_it_and_its_output_is_kept(tmp_path: Path) -> None:
    """The process is killed; the program writes on and ends by itself."""
    starter = f"""
        import os, pathlib, signal
        from infra.terraform_cli.running import run_to_the_end
        run_to_the_end(
            [{sys.executable!r}, "-c", {WORKER!r}, "4"], folder=pathlib.Path({str(tmp_path)!r}), what="", wait=True,
            environment=dict(os.environ), log=pathlib.Path({str(tmp_path / "log")!r}),
            on_line=lambda line: os.kill(os.getpid(), signal.SIGKILL),
        )
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(starter)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert "got" not in (tmp_path / "log").read_text(encoding="utf-8")
    ends = time.monotonic() + 60
    while not (text := (tmp_path / "log").read_text(encoding="utf-8")).endswith("got []\n"):
        assert time.monotonic() < ends, text
        time.sleep(0.05)
