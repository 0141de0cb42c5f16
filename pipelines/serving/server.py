"""Listens and answers over HTTP: the socket of an endpoint and the server behind it, in the main thread or beside other work."""

import gc
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from ml.spec.errors import LakehouseError
from pipelines.serving.application import Application
from pipelines.serving.limits import Limits

if TYPE_CHECKING:
    from uvicorn import Config

BACKLOG = 128
TURN_SECONDS = 0.001
"""How long a thread may go on while another one waits for the interpreter."""


class EndpointError(LakehouseError):
    """An endpoint that cannot be opened."""


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address; port 0 is any that is free.

    Raises
    ------
    EndpointError
        If it is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol said, asyncio sends what is written at once; else an answer waits for an acknowledgement, 40 ms.
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
        found.listen(BACKLOG)  # who asks before the server runs waits, and is not refused
    except OSError as error:
        found.close()
        raise EndpointError(f"{host}:{port} cannot be listened on ({error.strerror}): give another --port.") from error
    return found


def run_server(application: Application, listening: socket.socket, limits: Limits) -> None:
    """Serve until SIGINT or SIGTERM; accepted requests are answered first."""
    import uvicorn

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            """Take the signals and give them back; uvicorn would raise them again, and being told to stop is no error."""

            def stop(number: int, frame: FrameType | None) -> None:
                self.handle_exit(number, frame)

            before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

    with for_short_requests():
        Server(_config(application, limits)).run(sockets=[listening])


@contextmanager
def serving_beside(application: Application, limits: Limits, *, host: str = "127.0.0.1") -> Iterator[int]:
    """Serve in a thread while the block lasts, and give the port; accepted requests are answered before it ends.

    Signals stay the affair of who has them: a signal that ends the block ends the server.
    """
    import uvicorn

    server = uvicorn.Server(_config(application, limits))
    with listening_socket(host, 0) as listening, for_short_requests():
        thread = threading.Thread(target=server.run, args=([listening],), name="server", daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(limits.shutdown_seconds)


def _config(application: Application, limits: Limits) -> "Config":
    import uvicorn

    return uvicorn.Config(
        application,
        log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=limits.shutdown_seconds,
        timeout_keep_alive=limits.keep_alive_seconds,
        server_header=False,
    )  # fmt: skip


@contextmanager
def for_short_requests() -> Iterator[None]:
    """Let no thread hold the interpreter for long, and let the collector of garbage leave out what was loaded before.

    The thread that takes connections otherwise waits 5 ms for the one that scores whenever it has waited for the network, and a
    full collection looks at every object of the libraries: about a tenth of a second in which nobody is answered.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(TURN_SECONDS)
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        sys.setswitchinterval(before)
