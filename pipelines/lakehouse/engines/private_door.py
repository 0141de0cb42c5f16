"""Lets only this user's processes reach a server that listens on loopback: a socket filter, and a Unix socket in front.

Sail listens on TCP only and asks for no token, so every user of the machine could run code as the owner of a job. The
kernel therefore drops each packet to its listening socket except those of one connection: the one from the
Unix socket, whose peer's user is checked. The listening socket is this process's own, so that takes no rights.
"""

import ctypes
import os
import secrets
import socket
import stat
import struct
import sys
import threading
from contextlib import suppress
from pathlib import Path

from pipelines.lakehouse.engines.unavailable import EngineUnavailableError

Address = tuple[str, int]
"""Host and port."""

LOOPBACK = "127.0.0.1"
SO_ATTACH_FILTER = 26
CHUNK = 1 << 20
CONNECTIONS = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
MAPPED = "0000000000000000FFFF0000"
"""How the second file begins an address of the first: a Java server listens with sockets for both."""
LISTENING = "0A"

# Classic BPF: how `linux/filter.h` encodes an instruction. A TCP socket's filter sees the packet from the TCP header on.
LOAD_HALF, LOAD_WORD, JUMP_IF_EQUAL, RETURN = 0x28, 0x20, 0x15, 0x06
SOURCE_PORT, SOURCE_ADDRESS = 0, -0x100000 + 12  # the second from the start of the IP header
WHOLE, NOTHING = 0xFFFFFFFF, 0


class PrivateDoor:
    """The one way to a server of this process.

    Parameters
    ----------
    address
        Where the server listens: a moment ago, since whoever connects before is not kept out.

    Attributes
    ----------
    target
        What gRPC calls the Unix socket. Its name is in no folder, so no file is left and no path is too long.

    Raises
    ------
    OSError
        If this machine cannot do it.
    EngineUnavailableError
        If another process has connected meanwhile.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._listener = _listener(address)
        self._one_at_a_time = threading.Lock()
        self._admit(None)
        if _is_connected(address):
            raise EngineUnavailableError(
                "engine 'embedded': another process connected to it before it was closed to others: start again, and look for "
                "a program that tries every port of this machine."
            )
        name = f"lakehouse-{secrets.token_hex(16)}"
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(f"\0{name}")
        self._door.listen()
        self.target = f"unix-abstract:{name}"
        threading.Thread(target=self._serve, name="private door", daemon=True).start()

    def close(self) -> None:
        """Let nobody in any more; connections that are open stay so."""
        with suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)  # ends the wait in the other thread, which `close` does not
        self._door.close()

    def _serve(self) -> None:
        while True:
            try:
                caller, _ = self._door.accept()
            except OSError:  # closed
                return
            if _user_of(caller) != os.geteuid():
                caller.close()
                continue
            server = self._connect()
            threading.Thread(target=self._carry, args=(server, caller, True), daemon=True).start()
            threading.Thread(target=self._carry, args=(caller, server, False), daemon=True).start()

    def _connect(self) -> socket.socket:
        server = socket.socket()
        server.bind((LOOPBACK, 0))  # from now on nobody else has this port
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._one_at_a_time:
            self._admit(server.getsockname()[1])
            server.connect(self._address)
        return server

    def _carry(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        buffer = bytearray(CHUNK)
        view = memoryview(buffer)
        with suppress(OSError):  # one side is gone: so is the other, below
            while count := source.recv_into(buffer):
                sink.sendall(view[:count])
        if is_answer:  # the port is about to become free: for nobody
            with self._one_at_a_time:
                self._admit(None)
        for end in (source, sink):
            with suppress(OSError):  # it was gone already
                end.shutdown(socket.SHUT_RDWR)

    def _admit(self, port: int | None) -> None:
        """Let the kernel drop what does not come from a port of this process; None drops all."""
        program = [(RETURN, 0, 0, NOTHING)]
        if port is not None:
            ours = int.from_bytes(socket.inet_aton(LOOPBACK))
            program = [
                (LOAD_HALF, 0, 0, SOURCE_PORT),
                (JUMP_IF_EQUAL, 0, 3, port),
                (LOAD_WORD, 0, 0, SOURCE_ADDRESS & WHOLE),
                (JUMP_IF_EQUAL, 0, 1, ours),
                (RETURN, 0, 0, WHOLE),
                (RETURN, 0, 0, NOTHING),
            ]
        code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
        pointer = struct.pack("HP", len(program), ctypes.addressof(code))
        self._listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, pointer)


def owner_of_listener(address: Address) -> int | None:
    """Return the number of the user whose process listens on an address; None if nobody does."""
    return next((int(row[7]) for row in _rows(address) if row[3] == LISTENING), None)


def _listener(address: Address) -> socket.socket:
    """Return this process's own listening socket, which the server keeps to itself."""
    if sys.platform != "linux":
        raise OSError("only Linux has such filters")
    for number in sorted((int(entry.name) for entry in Path("/proc/self/fd").iterdir()), reverse=True):
        try:
            if not stat.S_ISSOCK(os.fstat(number).st_mode):
                continue
            found = socket.socket(fileno=os.dup(number))
        except OSError:  # closed meanwhile
            continue
        if found.family == socket.AF_INET and _is_listening(found) and found.getsockname() == address:
            return found
        found.close()
    raise OSError("the listening socket was not found")


def _is_listening(found: socket.socket) -> bool:
    return bool(found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _is_connected(address: Address) -> bool:
    """Whether somebody has a connection to the address, or had one a moment ago."""
    return any(row[3] != LISTENING for row in _rows(address))


def _rows(address: Address) -> list[list[str]]:
    """Return the kernel's sockets of a local address: the fourth field is the state, the eighth the user."""
    host, port = address
    local = f"{int.from_bytes(socket.inet_aton(host), sys.byteorder):08X}:{port:04X}"
    files = [file for file in CONNECTIONS if file.exists()]  # the second is missing where IPv6 is switched off
    rows = [line.split() for file in files for line in file.read_text(encoding="ascii").splitlines()[1:]]
    return [row for row in rows if row[1].removeprefix(MAPPED) == local]


def _user_of(caller: socket.socket) -> int:
    _, user, _ = struct.unpack("3i", caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return int(user)
