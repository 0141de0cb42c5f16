"""Signals while Terraform runs: each is forwarded to Terraform once, answered with a sentence, and waited for.

Terraform stops cleanly after one interrupt: it finishes the changes that it has begun and writes its state. A second
interrupt ends it at once, and what it was creating is then missing from the state. So Terraform runs in a session of its
own, where Ctrl-C of a terminal does not reach it, and gets one interrupt for the first signal, whatever signal that is.
"""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ml.spec.errors import LakehouseError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE_SECONDS = 3.0
"""How long a run that changes nothing may take to stop; after that it is ended."""


class StoppedBySignalError(LakehouseError):
    """A signal has interrupted a command, and the Terraform that it ran has ended.

    Parameters
    ----------
    number
        The signal; the exit code is 128 and its number, as shells count.
    """

    def __init__(self, number: signal.Signals, what: str = "", *, remedy: str = "") -> None:
        super().__init__(what or f"interrupted by {number.name}; Terraform has ended.", remedy=remedy)
        self.number = number
        self.exit_code = 128 + number  # type: ignore[misc] # it depends on the signal, not on the kind of error


class HeldSignals:
    """The signals that arrived since the block began, and the programs that they are forwarded to.

    Attributes
    ----------
    number
        The first signal; None if none has arrived.
    over
        Whether the block has ended.
    """

    def __init__(self, what: str) -> None:
        self.number: signal.Signals | None = None
        self.over = False
        self._what = what
        self._running: dict[int, _Running] = {}

    def raise_if_received(self) -> None:
        """Raise if a signal has arrived.

        Raises
        ------
        StoppedBySignalError
            With the first signal.
        """
        if self.number is not None:
            raise StoppedBySignalError(self.number)

    @contextmanager
    def forwarded_to(self, process: "subprocess.Popen[bytes]", what: str, *, wait: bool) -> Iterator[None]:
        """Forward signals to a program while the block runs.

        Parameters
        ----------
        what
            What it does, for the sentence: "Terraform, which applies dev-workspace,".
        wait
            Whether it is waited for as long as it takes; otherwise it is ended after `PATIENCE_SECONDS`.
        """
        running = self._running[process.pid] = _Running(process, what, wait=wait)
        try:
            if self.number is not None:  # it arrived while the program was being started
                running.interrupt()
            yield
        finally:
            del self._running[process.pid]
            running.ended()

    def receive(self, number: int, _frame: FrameType | None = None) -> None:
        """Note a signal, say what is waited for, and forward the first one."""
        again = self.number is not None
        self.number = self.number or signal.Signals(number)
        running = list(self._running.values())
        awaited = " and ".join(one.what for one in running) or self._what
        ends = "" if any(one.wait for one in running) or not running else f" for at most {PATIENCE_SECONDS:g} seconds"
        _say(
            f"received {signal.Signals(number).name}{' after ' + self.number.name if again else ''}: waiting{ends} for "
            f"{awaited} to end{'; another signal does not speed it up' if again else ''}."
        )
        for one in running:
            one.interrupt()


class _Running:
    """A program that signals are forwarded to."""

    def __init__(self, process: "subprocess.Popen[bytes]", what: str, *, wait: bool) -> None:
        self.what, self.wait = what, wait
        self._process = process
        self._told: dict[str, object] = {}
        self._end = threading.Timer(PATIENCE_SECONDS, self._kill)
        self._end.daemon = True

    def interrupt(self) -> None:
        """Send the one interrupt; later calls do nothing, also from another thread."""
        me = object()
        if self._told.setdefault("interrupted", me) is me:
            self._process.send_signal(signal.SIGINT)
            if not self.wait:
                self._end.start()

    def ended(self) -> None:
        """Do not end it any more: it has ended."""
        self._end.cancel()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # with its providers, which are in its session


_current: HeldSignals | None = None


@contextmanager
def signals_held(what: str = "Terraform") -> Iterator[HeldSignals]:
    """Hold back SIGINT, SIGTERM and SIGHUP until the end of the block; a block within another is part of it.

    What the block runs by `forwarded_to` gets one interrupt. A signal that the process ignores is still ignored, as after
    ``nohup``. Outside of the main thread nothing can be held that the main thread does not hold already.

    Parameters
    ----------
    what
        What is waited for while no program runs.
    """
    global _current  # handlers of signals belong to the process
    if _current is not None:
        yield _current
        return
    held = HeldSignals(what)
    if threading.current_thread() is not threading.main_thread():
        yield held
        return
    before = {n: handler for n in SIGNALS if (handler := signal.getsignal(n)) not in (signal.SIG_IGN, None)}
    _current = held
    for number in before:
        signal.signal(number, held.receive)
    try:
        yield held
    finally:
        _current, held.over = None, True
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(sentence: str) -> None:
    # Written at once and past every buffer; whoever would read it may be gone.
    with contextlib.suppress(OSError):
        os.write(2, f"{sentence}\n".encode())
