"""One lock per environment and job: who holds it may write, and who lost it can not.

The lock of a job is the file ``locks/<job>.lock`` in the environment's folder, held with ``flock``: the kernel frees it when
its holder dies. It names the holder, and has a number, the token, that grows with each acquisition. A thread of the holder
touches the file every few seconds: its sign of life. If there was none for `Timing.lost_after` seconds although the file is
held, the holder is paused (stopped, or its machine was), and another process may take the job over: it puts a file with a
greater token in the place of the old one.

A second file, ``<job>.lock.write``, is held during every change of the lock and during every write of the holder. So a
holder that is paused in the middle of a write cannot be replaced, and one that is paused elsewhere finds the other token
before its next write, and does not write.
"""

import dataclasses
import datetime as dt
import fcntl
import getpass
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ml.spec.errors import LakehouseError

WRITE_WAIT_SECONDS = 1.0
"""How long a newcomer waits for another one's change of the lock; a write of the holder may take longer."""
POLL_SECONDS = 0.01


class LockHeldError(LakehouseError):
    """A job that somebody runs already in this environment; nothing was started."""


class LockLostError(LakehouseError):
    """A run that was paused so long that another one took its job over; it must not write any more."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Seconds between two signs of life, and without one until a job may be taken over."""

    beat: float = 5.0
    lost_after: float = 60.0


@dataclass(frozen=True, kw_only=True)
class LockHolder:
    """Who holds a lock, as its file says."""

    job: str
    user: str
    host: str
    pid: int
    run_id: str
    since: str
    token: int

    def __str__(self) -> str:
        return f"{self.user} on {self.host} (process {self.pid}, run {self.run_id}, since {self.since})"


@dataclass(frozen=True, kw_only=True)
class Held:
    """A lock that is held: by whom, and how many seconds ago there was a sign of life."""

    holder: LockHolder
    silent: float


@dataclass(frozen=True, kw_only=True)
class Fence:
    """What a write of a lock's holder passes, also in another process that writes in its name; it can be pickled.

    Attributes
    ----------
    inode
        Of the lock's file; another number says that another run took the job over.
    """

    file: Path
    inode: int
    holder: LockHolder

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Check that the lock is still this run's, and keep it from being taken over until the block ends.

        Raises
        ------
        LockLostError
            If another run took the job over; nothing was written.
        """
        with _flocked(_write_file(self.file), wait=None):
            self._require()
            yield

    def _require(self) -> None:
        with suppress(FileNotFoundError):
            if self.file.stat().st_ino == self.inode:
                return
        other = _read(self.file)
        raise LockLostError(
            f"this run of {self.holder.job} was paused and its lock is lost: "
            + (f"{other} took the job over" if other else f"{self.file} was removed")
            + f". Run {self.holder.run_id} has stopped writing; what it wrote before is complete.",
            remedy="Look at the run that took over, and run the job again if that one failed.",
        )


class JobLock:
    """A lock that this process holds; `hold` makes it."""

    def __init__(self, file: Path, holder: LockHolder, descriptor: int, timing: Timing) -> None:
        self.holder = holder
        self.fence = Fence(file=file, inode=os.fstat(descriptor).st_ino, holder=holder)
        self._descriptor, self._timing = descriptor, timing
        self._writing, self._depth = threading.RLock(), 0
        self._ended = threading.Event()
        self._heart = threading.Thread(target=self._beat, name=f"heartbeat of {holder.job}", daemon=True)
        self._heart.start()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Pass the fence; a write inside of a write has passed it.

        Raises
        ------
        LockLostError
            If another run took the job over; nothing was written.
        """
        with self._writing:
            if self._depth:
                yield
                return
            self._depth += 1
            try:
                with self.fence.writing():
                    yield
            finally:
                self._depth -= 1

    def release(self) -> None:
        """Let the next run begin."""
        self._ended.set()
        self._heart.join()
        os.close(self._descriptor)

    def _beat(self) -> None:
        while not self._ended.wait(self._timing.beat):
            with suppress(OSError):  # of a disk that answers again: one sign of life that is missing ends nobody
                os.utime(self._descriptor)


_OWN: dict[Path, JobLock] = {}
"""The locks that this process holds, by their file."""


@contextmanager
def hold(folder: Path, job: str, *, environment: str, run_id: str, timing: Timing | None = None) -> Iterator[JobLock]:
    """Hold the lock of a job while the block runs; a run that holds it already goes on with the same one.

    Parameters
    ----------
    folder
        The environment's.
    job
        The job's address.

    Raises
    ------
    LockHeldError
        If another run holds it, with who that is; nothing was changed.
    """
    file = folder.resolve() / "locks" / f"{job}.lock"
    if file in _OWN and _OWN[file].holder.run_id == run_id:
        yield _OWN[file]
        return
    lock = _acquire(file, _myself(job, run_id), environment, timing or Timing())
    _OWN[file] = lock
    try:
        yield lock
    finally:
        del _OWN[file]
        lock.release()


def held(folder: Path, job: str) -> Held | None:
    """Return who holds the lock of a job in an environment's folder; None if nobody does."""
    file = folder.resolve() / "locks" / f"{job}.lock"
    holder = _read(file)
    if holder is None:
        return None
    if not os.access(file, os.W_OK):  # a reader may not lock: then the last sign of life decides
        return Held(holder=holder, silent=_silent(file)) if _silent(file) < Timing().lost_after else None
    try:
        with _flocked(_write_file(file), wait=WRITE_WAIT_SECONDS):
            descriptor = os.open(file, os.O_RDWR)
            try:
                return None if _flock(descriptor) else Held(holder=holder, silent=_silent(file))
            finally:
                os.close(descriptor)
    except BlockingIOError:
        return Held(holder=holder, silent=_silent(file))


def all_held(folder: Path) -> tuple[Held, ...]:
    """Return the locks of an environment that are held."""
    files = sorted((folder.resolve() / "locks").glob("*.lock"))
    return tuple(found for file in files if (found := held(folder, file.stem)) is not None)


def alive_in(folder: Path | None) -> set[str]:
    """Return the ids of the runs that go on in a local environment; of none where it has no folder."""
    return set() if folder is None else {one.holder.run_id for one in all_held(folder)}


def _acquire(file: Path, holder: LockHolder, environment: str, timing: Timing) -> JobLock:
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _flocked(_write_file(file), wait=WRITE_WAIT_SECONDS):
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                if not _flock(descriptor) and _silent(file) <= timing.lost_after:
                    raise LockHeldError(**_refusal(file, holder, environment))
                earlier = _read(file)
                own = dataclasses.replace(holder, token=earlier.token + 1 if earlier else 1)
                return JobLock(file, own, _installed(file, own), timing)
            finally:
                os.close(descriptor)
    except BlockingIOError as error:
        raise LockHeldError(**_refusal(file, holder, environment)) from error


def _installed(file: Path, holder: LockHolder) -> int:
    """Put a new file, locked by this process, in the place of the old one; return its descriptor."""
    new = file.with_name(f"{file.name}.new")
    with suppress(FileNotFoundError):
        new.unlink()  # of one who was killed here
    descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    os.write(descriptor, json.dumps(dataclasses.asdict(holder)).encode())
    if not _flock(descriptor):
        raise LockHeldError(f"{new} is locked by a program that is none of ours: end it.")
    new.replace(file)
    return descriptor


def _refusal(file: Path, wanted: LockHolder, environment: str) -> dict[str, str]:
    holder = _read(file)
    who = f"{holder}, last sign of life {_silent(file):.0f} s ago" if holder else "somebody who has just begun"
    return {
        "what": f"{wanted.job} is running in {environment!r} already: {who}. Nothing was started.",
        "remedy": "Wait until that run has ended, or end its process.",
    }


def _myself(job: str, run_id: str) -> LockHolder:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in some containers
        user = f"user {os.getuid()}"
    since = dt.datetime.now(dt.UTC).isoformat(sep=" ", timespec="seconds")
    return LockHolder(
        job=job, user=user, host=socket.gethostname(), pid=os.getpid(), run_id=run_id, since=since, token=0
    )


def _read(file: Path) -> LockHolder | None:
    """Return what a lock's file says; None if there is none, or it was never held."""
    try:
        found = json.loads(file.read_bytes())
        return LockHolder(**found)
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _silent(file: Path) -> float:
    """Return the seconds since the last sign of life."""
    return max(0.0, time.time() - file.stat().st_mtime)


def _write_file(file: Path) -> Path:
    return file.with_name(f"{file.name}.write")


@contextmanager
def _flocked(file: Path, *, wait: float | None) -> Iterator[None]:
    """Hold a file; `BlockingIOError` if it is not free within so many seconds, None waits for ever."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if wait is None:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        else:
            end = time.monotonic() + wait
            while not _flock(descriptor):
                if time.monotonic() >= end:
                    raise BlockingIOError(f"{file} is held")
                time.sleep(POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _flock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
