"""One run of a job at a time in an environment: real processes that hold, die, stop and come back."""

import getpass
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipelines.execution.locks import LockHeldError, LockLostError, Timing, held, hold
from pipelines.lakehouse.lakehouse import Lakehouse
from pipelines.use_cases.air_time.declaration import USE_CASE as AIR_TIME
from tests.pipelines.execution.lock_holder import JOB

ROOT = Path(__file__).parents[3]


class Process:
    """A process of `lock_holder`."""

    def __init__(self, folder: Path, run_id: str, lost_after: float) -> None:
        words = ["-m", "tests.pipelines.execution.lock_holder", str(folder), run_id, str(lost_after)]
        self._process = subprocess.Popen(
            [sys.executable, *words], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.pid = self._process.pid

    def said(self) -> str:
        """Its next line."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def order(self, words: str) -> None:
        """Give it a command."""
        assert self._process.stdin is not None
        self._process.stdin.write(words + "\n")
        self._process.stdin.flush()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def end(self) -> None:
        """Kill it, whatever it does."""
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Start a process that wants the lock of the job in a folder of the test."""
    started: list[Process] = []

    def process(run_id: str, *, lost_after: float = 60.0) -> Process:
        started.append(Process(tmp_path, run_id, lost_after))
        return started[-1]

    yield process
    for one in started:
        one.end()


def test_a_sign_of_life_that_a_disk_refuses_is_followed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A holder whose heart had stopped would lose its job to another run although it goes on."""
    real, calls, beating = os.utime, [], threading.Event()

    def refused_at_first(*arguments: int) -> None:
        calls.append(arguments)
        if len(calls) < 3:
            raise OSError(5, "the disk does not answer")
        real(*arguments)
        beating.set()

    monkeypatch.setattr(os, "utime", refused_at_first)
    with hold(tmp_path, JOB, environment="dev", run_id="r1", timing=Timing(beat=0.01)):
        assert beating.wait(30)


def test_the_second_run_is_refused_at_once_and_reads_who_holds_the_lock(
    start: Callable[..., Process], tmp_path: Path
) -> None:
    """The sentence names user, machine, process, run, beginning and last sign of life, and the remedy."""
    first = start("r1")
    assert first.said() == "held with token 1"
    with pytest.raises(LockHeldError) as refused, hold(tmp_path, JOB, environment="dev", run_id="r2"):
        pass
    said = str(refused.value)
    assert f"{getpass.getuser()} on {socket.gethostname()} (process {first.pid}, run r1, since 20" in said
    assert re.search(r"last sign of life \d+ s ago", said)
    assert said.endswith("Nothing was started. Wait until that run has ended, or end its process.")
    assert (refused.value.exit_code, refused.value.retry_helps) == (1, False)


def test_the_lock_is_free_after_the_run_and_the_token_grows(start: Callable[..., Process], tmp_path: Path) -> None:
    """Whoever looks at it sees the holder while there is one."""
    first = start("r1")
    assert first.said() == "held with token 1"
    found = held(tmp_path, JOB)
    assert found is not None
    assert (found.holder.run_id, found.holder.pid, found.silent < 60) == ("r1", first.pid, True)
    first.order("end")
    assert first.said() == ""
    assert held(tmp_path, JOB) is None
    with hold(tmp_path, JOB, environment="dev", run_id="r2") as lock:
        assert lock.holder.token == 2


def test_a_killed_holder_does_not_keep_the_lock(start: Callable[..., Process]) -> None:
    """Killed beside a write, and killed in the middle of one."""
    for number, order in enumerate(("write", "slow"), start=1):
        holder = start(f"r{number}")
        assert holder.said() == f"held with token {number}"
        holder.order(f"{order} /dev/null 60")
        assert holder.said() == "writing"
        holder.end()
    assert start("r3").said() == "held with token 3"


def test_a_stopped_holder_is_replaced_and_cannot_write_when_it_goes_on(
    start: Callable[..., Process], tmp_path: Path
) -> None:
    """Not before the stated time; afterwards its write is refused, and it reads who took over."""
    paused, file = start("r1", lost_after=1.0), tmp_path / "written"
    assert paused.said() == "held with token 1"
    paused.signal(signal.SIGSTOP)
    assert "is running in 'dev' already" in start("r2", lost_after=60.0).said()
    time.sleep(1.2)
    third = start("r3", lost_after=1.0)
    assert third.said() == "held with token 2"
    paused.signal(signal.SIGCONT)
    paused.order(f"write {file}")
    said = paused.said()
    assert said.startswith("refused: this run of trial.nightly was paused and its lock is lost")
    assert f"(process {third.pid}, run r3, since" in said
    assert not file.exists()
    third.order(f"write {file}")
    assert [third.said(), third.said()] == ["writing", "written"]
    assert file.read_text() == "r3"


def test_a_holder_that_stops_in_the_middle_of_a_write_is_not_replaced(
    start: Callable[..., Process], tmp_path: Path
) -> None:
    """When it goes on it finishes the write."""
    paused, file = start("r1", lost_after=0.5), tmp_path / "written"
    assert paused.said() == "held with token 1"
    paused.order(f"slow {file} 3")
    assert paused.said() == "writing"
    paused.signal(signal.SIGSTOP)
    time.sleep(0.8)
    assert "(process" in (said := start("r2", lost_after=0.5).said())
    assert said.startswith("refused: trial.nightly is running")
    assert not file.exists()
    paused.signal(signal.SIGCONT)
    assert paused.said() == "written"
    assert file.read_text() == "r1"


def test_of_many_that_start_at_once_one_holds_the_lock(start: Callable[..., Process]) -> None:
    """The others are refused."""
    said = [process.said() for process in [start(f"r{number}") for number in range(6)]]
    assert sum(line.startswith("held") for line in said) == 1
    assert sum(line.startswith("refused: trial.nightly is running in 'dev' already") for line in said) == 5


def test_the_same_run_holds_its_lock_twice_and_another_of_this_process_does_not(tmp_path: Path) -> None:
    """A write inside of a write is one write; a second thread waits for it."""
    order: list[str] = []
    with hold(tmp_path, JOB, environment="dev", run_id="r1") as lock:
        with hold(tmp_path, JOB, environment="dev", run_id="r1") as again:
            assert again is lock
        with pytest.raises(LockHeldError), hold(tmp_path, JOB, environment="dev", run_id="r2"):
            pass

        def other() -> None:
            with lock.writing():
                order.append("second")

        thread = threading.Thread(target=other)
        with lock.writing(), lock.writing():
            thread.start()
            time.sleep(0.1)
            order.append("first")
        thread.join()
    assert order == ["first", "second"]


def test_a_run_that_lost_its_lock_changes_neither_tables_nor_registry(embedded_lakehouse: Lakehouse) -> None:
    """Both stores refuse through the same guard; what only reads goes on."""
    folder = embedded_lakehouse.folder
    assert folder is not None
    runs = AIR_TIME.table("runs")
    with hold(folder, JOB, environment="dev", run_id="r1", timing=Timing(beat=60, lost_after=0)) as lost:
        with embedded_lakehouse.guard.under(lost.writing):
            embedded_lakehouse.tables.create(runs)
            embedded_lakehouse.models.set_tags  # noqa: B018 -- the registry is opened while the lock is held
            file = folder / "locks" / f"{JOB}.lock"
            file.replace(file.with_name("another"))
            with pytest.raises(LockLostError, match="was removed"):
                embedded_lakehouse.tables.create(AIR_TIME.table("ingests"))
            with (
                pytest.raises(LockLostError),
                embedded_lakehouse.models.start_run("air_time", name="late"),
            ):
                pass
            assert embedded_lakehouse.tables.version(runs) == 0
            assert embedded_lakehouse.models.versions(AIR_TIME.model) == ()
        embedded_lakehouse.tables.create(AIR_TIME.table("ingests"))


def test_a_command_whose_job_is_running_writes_nothing(tmp_path: Path) -> None:
    """Exit code 1, one sentence, and the environment's folder has no table."""
    words = ["run", "air_time.features", "--root", str(tmp_path), "--param", "until=2013-01-02"]
    with hold(tmp_path / "dev", "air_time.features", environment="dev", run_id="r1"):
        done = subprocess.run(
            [sys.executable, "-m", "pipelines", *words], cwd=ROOT, capture_output=True, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr.startswith("error: air_time.features is running in 'dev' already: ")
    assert f"(process {os.getpid()}, run r1, since" in done.stderr
    assert not (tmp_path / "dev" / "tables").exists()
