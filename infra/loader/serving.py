"""One process that has loaded the SDK once and divides itself for every provider that Terraform starts."""

import json
import os
import signal
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path


def main(address: str) -> int:
    """Serve requests of `launcher` until standard input is closed."""
    import databricks.sdk.core  # loaded before the first division: it takes seconds

    from infra.loader import plugin

    _ = databricks.sdk.core, plugin
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    Path(address).chmod(0o600)
    listening.listen()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    parent = os.getpid()
    if os.fork() == 0:
        _end_with(parent, listening)
    while True:
        try:
            asking, _ = listening.accept()
        except OSError:
            return 0
        if os.fork() == 0:
            listening.close()
            _provide(asking)
        asking.close()


def _end_with(parent: int, listening: socket.socket) -> None:
    """End the serving process once standard input is closed: then nobody starts a provider any more."""
    listening.close()
    sys.stdin.read()
    with suppress(ProcessLookupError):
        os.kill(parent, signal.SIGTERM)
    os._exit(0)


def _provide(asking: socket.socket) -> None:
    """Be one provider, with the environment of who asks, until Terraform or the launcher ends."""
    from infra.loader.plugin import serve_plugin

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    first, descriptors, _, _ = socket.recv_fds(asking, 8, 2)
    size, content = int.from_bytes(first, "big"), b""
    while len(content) < size:
        content += asking.recv(size - len(content))
    wanted = json.loads(content)
    os.environ.clear()
    os.environ.update(wanted["environment"])
    os.chdir(wanted["folder"])
    os.dup2(descriptors[1], 2)
    ended = threading.Event()
    threading.Thread(target=_watch, args=(asking, ended), daemon=True).start()
    try:
        serve_plugin(Path(wanted["schemas"]), descriptors[0], ended)
    finally:
        os._exit(0)


def _watch(asking: socket.socket, ended: threading.Event) -> None:
    asking.recv(1)
    ended.set()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
