"""Ctrl-C while a program starts: modules are still being imported, and nothing has begun that could be left half done."""

import os
import signal
from types import FrameType

INTERRUPTED = 130
SENTENCE = "interrupted. What was written stays; run the command again to continue."


def end_on_interrupt() -> None:
    """Let Ctrl-C end the process at once with one sentence, until `raise_on_interrupt` is called.

    A process that ignores the signal, as shells start those in the background, goes on ignoring it.
    """
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _end)


def raise_on_interrupt() -> None:
    """Let Ctrl-C raise `KeyboardInterrupt` again, as Python does by itself."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(_signal: int, _frame: FrameType | None) -> None:
    os.write(2, f"error: {SENTENCE}\n".encode())
    os._exit(INTERRUPTED)
