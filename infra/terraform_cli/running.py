"""Runs a program to its end: its output goes to files, so that it needs neither a reader nor the process that started it.

A pipe breaks when its reader ends, and a program that writes into it is then killed: Terraform would leave what it was
creating out of its state. Into a file it writes on and ends as if nothing had happened.
"""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from infra.terraform_cli.interruption import signals_held

SECONDS_BETWEEN_LOOKS = 0.1
TRACKED = "VSTS_PROCESS_LOOKUP_ID"
"""An agent of Azure Pipelines ends every process with this variable once a job is over, however much it is doing."""


def run_to_the_end(
    words: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    what: str,
    wait: bool,
    log: Path | None = None,
    kept_open: Sequence[int] = (),
    on_line: Callable[[str], None] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program in a session of its own and wait for it, also after a signal.

    Parameters
    ----------
    what
        What it does, as `HeldSignals.forwarded_to` says it.
    wait
        Whether it is waited for however long it takes after a signal. It then also outlives this process.
    log
        The file for its output, and with the ending ``.errors`` that of its errors; None for temporary files.
    kept_open
        File descriptors that the program shall hold open while it runs.
    on_line
        Called with every line of its standard output; not any more once that fails for lack of a reader.

    Raises
    ------
    StoppedBySignalError
        If a signal has arrived: before the start, or, unless a block around it holds the signals, by the end.
    """
    with ExitStack() as opened:
        output, errors = (opened.enter_context(file) for file in _files(log))
        with signals_held() as held:
            held.raise_if_received()
            with subprocess.Popen(  # noqa: S603 -- our own arguments, no shell
                list(words), cwd=folder, env={n: v for n, v in environment.items() if not (wait and n == TRACKED)},
                stdin=subprocess.DEVNULL, stdout=output, stderr=errors, start_new_session=True, pass_fds=kept_open,
            ) as process, held.forwarded_to(process, what, wait=wait):  # fmt: skip
                _follow(process, output.fileno(), on_line)
        if process.returncode != 0 or held.over:
            held.raise_if_received()
        return subprocess.CompletedProcess(
            list(words), process.returncode, _read(output.fileno()), _read(errors.fileno())
        )


def _files(log: Path | None) -> Iterator[IO[bytes]]:
    if log is None:
        return iter((tempfile.TemporaryFile(), tempfile.TemporaryFile()))
    return iter((log.open("w+b"), log.with_name(f"{log.name}.errors").open("w+b")))


def _follow(process: "subprocess.Popen[bytes]", output: int, on_line: Callable[[str], None] | None) -> None:
    """Wait for the end of a program and pass its lines on."""
    at, ended = 0, False
    while on_line is not None and not ended:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(SECONDS_BETWEEN_LOOKS)
            ended = True
        found = _bytes(output, at)
        whole = found if ended else found[: found.rfind(b"\n") + 1]
        at += len(whole)
        try:
            for line in whole.decode(errors="replace").split("\n"):
                if line.strip():
                    on_line(line.rstrip())
        except OSError:
            on_line = None
    process.wait()


def _read(file: int) -> str:
    return _bytes(file, 0).decode(errors="replace")


def _bytes(file: int, at: int) -> bytes:
    """Return what a file holds from an offset on, without moving the offset that it shares with the program."""
    return os.pread(file, max(os.fstat(file).st_size - at, 0), at)
