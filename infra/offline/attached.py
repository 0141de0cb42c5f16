"""The running generic providers that Terraform attaches to: one process for the same schemas, for any number of runs.

Terraform would start a provider for every walk of every command, some fifty times to plan one environment. With the
address of a running one (``TF_REATTACH_PROVIDERS``, meant for a provider under a debugger) it starts and stops none. The
processes end with the process that started them in any case, because their standard input is then closed. A Terraform
that outlives that process holds the input open, so that it can finish what it has begun.
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
    """A generic provider did not start; the message has its output."""


@dataclass(frozen=True, kw_only=True)
class Listening:
    """A provider's process and the socket that it listens on."""

    process: "subprocess.Popen[str]"
    socket: str


_listening: dict[str, Listening] = {}
_starting = threading.Lock()


def reattachment(schemas: Mapping[str, Path]) -> str:
    """Return the addresses of the providers in Terraform's format; a provider that does not run yet is started.

    Parameters
    ----------
    schemas
        Address of each provider, as ``host/namespace/type``, to the file with its schemas.

    Raises
    ------
    ProviderError
        If a provider does not start.
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


def until_closed() -> tuple[int, ...]:
    """Return the file descriptors that keep the providers running as long as any process holds them open."""
    return tuple(one.process.stdin.fileno() for one in _listening.values() if one.process.stdin)


def _listening_for(file: Path) -> Listening:
    key = hashlib.sha256(file.read_bytes()).hexdigest()
    with _starting:
        running = _listening.get(key)
        if running is None or running.process.poll() is not None:
            running = _listening[key] = _start(file)
    return running


def _start(file: Path) -> Listening:
    root = Path(__file__).resolve().parents[2]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
        process = subprocess.Popen(  # noqa: S603 # our own module
            [sys.executable, "-m", "infra.offline.provider", str(file)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
            env={**os.environ, "PYTHONPATH": str(root)},
            start_new_session=True,  # Ctrl-C is for Terraform, which asks the provider to stop
        )  # fmt: skip
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            process.wait()
            errors.seek(0)
            last = ["no output", *errors.read().splitlines()][-1]
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
