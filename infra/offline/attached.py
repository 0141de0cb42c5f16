"""The generic providers that Terraform attaches to: one process for the same schemas, however many runs use it.

Terraform would start a provider anew for every walk of every command, some fifty times to plan one environment. Told
where one listens already (``TF_REATTACH_PROVIDERS``, meant for a provider under a debugger) it starts none and stops
none. The processes end with the one that started them, however that ends: their standard input is closed then.
"""

import atexit
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.offline.bindings import BindingError

PROTOCOL = 6
SECONDS_TO_END = 10


class ProviderError(BindingError):
    """A generic provider that did not start; the message is what it said."""


@dataclass(frozen=True, kw_only=True)
class Listening:
    """A provider's process and the socket that it listens on."""

    process: "subprocess.Popen[str]"
    socket: str


_listening: dict[str, Listening] = {}
_starting = threading.Lock()


def reattachment(schemas: Mapping[str, Path]) -> str:
    """Return where the providers listen, as Terraform takes it; what does not listen yet is started.

    Parameters
    ----------
    schemas
        Address of each provider, as ``host/namespace/type``, to the file with its schemas.

    Raises
    ------
    ProviderError
        If one does not start.
    """
    found = {address: _listening_for(file) for address, file in schemas.items()}
    return json.dumps(
        {
            address: {
                "Protocol": "grpc",
                "ProtocolVersion": PROTOCOL,
                "Pid": provider.process.pid,
                "Test": True,  # Terraform leaves it running
                "Addr": {"Network": "unix", "String": provider.socket},
            }
            for address, provider in found.items()
        }
    )


def _listening_for(file: Path) -> Listening:
    key = hashlib.sha256(file.read_bytes()).hexdigest()
    with _starting:
        running = _listening.get(key)
        if running is None or running.process.poll() is not None:
            running = _listening[key] = _start(file)
    return running


def _start(file: Path) -> Listening:
    root = Path(__file__).resolve().parents[2]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        process = subprocess.Popen(  # noqa: S603 # our own module
            [sys.executable, "-m", "infra.offline.provider", str(file)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True,
            env={**os.environ, "PYTHONPATH": str(root)},
            start_new_session=True,  # Ctrl-C is for Terraform, which asks the provider to stop
        )  # fmt: skip
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            process.wait()
            said.seek(0)
            last = ["nothing was said", *said.read().splitlines()][-1]
            raise ProviderError(f"the generic provider for {file.stem} did not start: {last}")
    return Listening(process=process, socket=line.strip())


@atexit.register
def _end() -> None:
    for provider in _listening.values():
        if provider.process.stdin:
            provider.process.stdin.close()
    for provider in _listening.values():
        provider.process.wait(SECONDS_TO_END)
    _listening.clear()
