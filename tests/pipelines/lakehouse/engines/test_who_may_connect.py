"""No server of an engine serves another user of the machine: an adversary tries every socket that the engines have."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from pipelines.lakehouse.engines import embedded, other_users
from pipelines.lakehouse.engines.channel import connect
from pipelines.lakehouse.engines.other_users import ACCEPTED, refuse_other_users
from pipelines.lakehouse.engines.private_door import LOOPBACK, PrivateDoor, owner_of_listener
from pipelines.lakehouse.engines.unavailable import EngineUnavailableError

STRANGER = 65_534
"""The user number of ``nobody``, who owns nothing here."""
PREFACE = "PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n"
ADVERSARY = f"""
import json, os, socket, sys
sockets, user = json.loads(sys.argv[1])
if user != os.geteuid():
    os.setgroups([]), os.setgid(user), os.setuid(user)
answers = []
for family, where in sockets:
    caller = socket.socket(socket.AF_UNIX if family == "unix" else socket.AF_INET)
    caller.settimeout(1)
    try:
        caller.connect("\\0" + where if family == "unix" else tuple(where))
        caller.sendall(b"{PREFACE}" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        answers.append(bool(caller.recv(1)))
    except OSError:
        answers.append(False)
print(json.dumps(answers))
"""
"""Says of each socket whether a server of HTTP/2 answered."""

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux closes sockets of a process by a filter")


def tried(sockets: list[tuple[str, Any]], user: int) -> list[bool]:
    """Return which sockets answered to a process of a user."""
    said = subprocess.run(
        [sys.executable, "-I", "-c", ADVERSARY, json.dumps([sockets, user])], capture_output=True, text=True, timeout=60,
        check=True,
    )  # fmt: skip
    answers: list[bool] = json.loads(said.stdout)
    return answers


def sockets_of(process: int) -> list[tuple[str, Any]]:
    """Return every listening socket of a process, as the kernel lists them."""
    inodes = set()
    for link in Path(f"/proc/{process}/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            inodes.add(str(link.readlink()))
    found: list[tuple[str, Any]] = []
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        row = line.split()
        if row[3] == "0A" and f"socket:[{row[9]}]" in inodes:
            found.append(("tcp", [LOOPBACK, int(row[1].partition(":")[2], 16)]))
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        row = line.split()
        if f"socket:[{row[6]}]" in inodes and row[3] == "00010000" and "@lakehouse-" in line:
            found.append(("unix", row[7][1:]))
    return found


@pytest.fixture
def busy(embedded_spark: SparkSession) -> Iterator[SparkSession]:
    """The session of the embedded engine while queries run on it."""
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            embedded_spark.range(1_000).selectExpr("sum(id)").collect()

    worker = threading.Thread(target=work)
    worker.start()
    yield embedded_spark
    done.set()
    worker.join()


@needs_linux
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user to try it")
def test_another_user_reaches_no_socket_of_the_embedded_engine(busy: SparkSession) -> None:
    """While a job runs, its TCP port is silent and its Unix socket hangs up; an open server beside it answers."""
    sockets = sockets_of(os.getpid())
    assert {family for family, _ in sockets} == {"tcp", "unix"}
    assert tried(sockets, STRANGER) == [False] * len(sockets)
    assert busy.range(3).count() == 3
    with socket.create_server((LOOPBACK, 0)) as openly:
        threading.Thread(target=lambda: openly.accept()[0].sendall(b"answer"), daemon=True).start()
        assert tried([("tcp", list(openly.getsockname()))], STRANGER) == [True]


@needs_linux
def test_the_same_user_reaches_the_embedded_engine_by_its_unix_socket_alone(busy: SparkSession) -> None:
    """The port drops whatever does not come through the socket."""
    sockets = sockets_of(os.getpid())
    answers = tried(sockets, os.geteuid())
    assert [family for (family, _), answer in zip(sockets, answers, strict=True) if answer] == ["unix"]
    assert busy.range(3).count() == 3


@needs_linux
def test_a_connection_made_before_the_door_was_closed_ends_the_start() -> None:
    """Whoever was quicker than the filter is not served."""
    with (
        socket.create_server((LOOPBACK, 0)) as server,
        socket.create_connection(server.getsockname()),
        pytest.raises(EngineUnavailableError, match="another process connected to it before it was closed"),
    ):
        PrivateDoor(server.getsockname())


@needs_linux
def test_a_large_result_and_many_callers_go_through_the_door() -> None:
    """Bytes arrive complete and in order, both ways, on several connections at once."""
    with socket.create_server((LOOPBACK, 0)) as server:
        door = PrivateDoor(server.getsockname())
        sent = os.urandom(3_000_000)

        def echo(caller: socket.socket) -> None:
            while found := caller.recv(65_536):
                caller.sendall(found)

        def serve() -> None:
            for _ in range(3):
                threading.Thread(target=echo, args=(server.accept()[0],), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        callers = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        for caller in callers:
            caller.connect("\0" + door.target.removeprefix("unix-abstract:"))
            threading.Thread(target=caller.sendall, args=(sent,), daemon=True).start()
        for caller in callers:
            assert caller.recv(len(sent), socket.MSG_WAITALL) == sent
        callers[0].close()
        callers[1].sendall(b"still open")
        assert callers[1].recv(10, socket.MSG_WAITALL) == b"still open"
        door.close()
        with pytest.raises(OSError, match="refused"), socket.socket(socket.AF_UNIX) as late:
            late.connect("\0" + door.target.removeprefix("unix-abstract:"))


def test_where_a_server_cannot_be_closed_other_people_stop_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence names them, what to do instead, and how to accept it; services of the system are no people."""
    monkeypatch.delenv(ACCEPTED, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(other_users, "_running_users", lambda: {0, 33, 65_534, os.geteuid()})
    refuse_other_users("no filters")
    monkeypatch.setattr(other_users, "_running_users", lambda: {0, 1_001, 1_002})
    with pytest.raises(
        EngineUnavailableError, match=r"\(no filters\), and processes of user 1001, 1002 run on this machine"
    ):
        refuse_other_users("no filters")
    monkeypatch.setenv(ACCEPTED, "1")
    refuse_other_users("no filters")


def test_the_users_of_running_processes_are_found() -> None:
    """At least one's own."""
    assert os.geteuid() in other_users._running_users()


def test_an_engine_that_cannot_be_closed_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server is left behind for those who were the reason; alone on a machine it is used as it is."""
    stopped = []

    class Server:
        listening_address = (LOOPBACK, 1)

        def stop(self) -> None:
            stopped.append(True)

    monkeypatch.setattr(other_users, "_running_users", lambda: {0, 1_001})
    monkeypatch.delenv(ACCEPTED, raising=False)
    with pytest.raises(EngineUnavailableError, match="cannot be closed to other users here"):
        embedded._closed(Server())
    assert stopped == [True]
    monkeypatch.setattr(other_users, "_running_users", lambda: {0})
    assert embedded._closed(Server()) == (None, f"{LOOPBACK}:1")


@pytest.mark.jvm
@needs_linux
def test_jvm_spark_refuses_a_client_without_its_token(jvm_spark: SparkSession) -> None:
    """Another token is refused too; its own session works."""
    target = jvm_spark.client.host
    for token in (None, "another"):
        with pytest.raises(Exception, match=r"UNAUTHENTICATED|Unauthenticated|token|authentication"):
            connect(target, token=token).range(1).count()
    assert jvm_spark.range(3).count() == 3
    assert owner_of_listener((LOOPBACK, int(target.rpartition(":")[2]))) == os.geteuid()


@pytest.mark.skipif(not Path("/proc/net/tcp6").exists(), reason="IPv6 is switched off")
def test_the_owner_of_a_listener_for_both_kinds_of_addresses_is_known() -> None:
    """As the server on the JVM listens: the kernel lists such a socket elsewhere."""
    with socket.socket(socket.AF_INET6) as listener:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind((f"::ffff:{LOOPBACK}", 0))
        listener.listen()
        assert owner_of_listener((LOOPBACK, listener.getsockname()[1])) == os.geteuid()
