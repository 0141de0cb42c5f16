"""SIGINT, SIGTERM and SIGHUP: what a person reads within a second, and an end within five.

While a program starts nothing has begun that could be left half done: a signal ends it at once. Once a command runs, a
signal raises `KeyboardInterrupt` in the main thread, which stops what it does, records that and ends. A thread watches:
it says what is being waited for, and if the main thread does not get to it (it computes outside of Python, or a library
has kept the exception for itself), it writes the record in its place and ends the process.

A signal that the process ignores, as after ``nohup`` or in the background of a shell, is still ignored. While code has
handlers of its own for a signal, that signal is its affair.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = 130
"""The exit code after SIGINT: 128 and the number of the signal, as shells count."""
EXIT_CODES = frozenset(128 + number for number in SIGNALS)
SENTENCE = "interrupted. What was written stays; run the command again to continue."

SILENT_SECONDS = 0.3
"""A command that ends sooner says only that it was interrupted."""
PATIENCE_SECONDS = 2.0
"""How long the main thread has before the watching thread writes the record."""
LIMIT_SECONDS = 4.5
"""How long the process lives at most after a signal."""
STEP_SECONDS = 0.05


class _Interruption:
    """The state of the process: which signal arrived, what is being done, what is to be recorded."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.raised = False
        self.doing: list[str] = []
        self.shields: list[str] = []
        self.gives_way = False
        self.last_words: list[Callable[[], None]] = []


_state = _Interruption()


def end_on_interrupt() -> None:
    """Let a signal end the process at once with one sentence, until `raise_on_interrupt` is called."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


def raise_on_interrupt() -> None:
    """Let a signal raise `KeyboardInterrupt`, and watch that the process ends; only after `end_on_interrupt`."""
    mine = [number for number in SIGNALS if signal.getsignal(number) is _end]
    if not mine:
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(reading,), name="signals", daemon=True).start()
    for number in mine:
        signal.signal(number, _raise)


def end_with_parent() -> None:
    """Let a process that `multiprocessing` has started end with the one that has started it, however that ends.

    Ctrl-C at the terminal reaches both, and ends this one at once: the other one says so.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_follow, name="parent", daemon=True).start()


def received() -> int | None:
    """Return the signal that interrupts the command; None if none has arrived."""
    return _state.number


def exit_code() -> int:
    """Return the exit code of an interrupted program."""
    return 128 + (_state.number or signal.SIGINT)


def stop_if_interrupted() -> None:
    """Raise `KeyboardInterrupt` if a signal has arrived whose exception a library has kept for itself."""
    if _state.number is not None and not _state.shields:
        raise KeyboardInterrupt


@contextmanager
def doing(what: str) -> Iterator[None]:
    """State what is waited for if a signal arrives in this block, for example ``task 'train' of air_time.training``."""
    _state.doing.append(what)
    try:
        yield
    finally:
        _state.doing.remove(what)


@contextmanager
def last_words(record: Callable[[], None]) -> Iterator[None]:
    """Call `record` in the watching thread if this block is interrupted and does not end by itself in time.

    It must do no harm if the block itself records the same.
    """
    _state.last_words.append(record)
    try:
        yield
    finally:
        _state.last_words.remove(record)


@contextmanager
def uninterrupted(what: str, *, gives_way: bool = False) -> Iterator[None]:
    """Finish the block, however long it takes, before a signal ends the command.

    Parameters
    ----------
    what
        What would be left half done, as the sentence after the signal says it: "the restoring of staging".
    gives_way
        Whether a signal within the block ends it, as a second Ctrl-C ends the waiting that a first one began.
    """
    _state.shields.append(what)
    _state.gives_way = gives_way
    already = _state.number is not None
    if already:
        _say(f"waiting for {what}.")
    try:
        yield
    finally:
        _state.shields.remove(what)
        _state.gives_way = False
    if not already:
        stop_if_interrupted()


def end_process(code: int) -> None:
    """End an interrupted process at once, without the clean-up of libraries: it can wait for servers that are gone."""
    if _state.number is not None or code in EXIT_CODES:
        _leave(code)


def _follow() -> None:
    from multiprocessing import parent_process

    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(exit_code())


def _end(number: int, _frame: FrameType | None) -> None:
    _say(f"error: {SENTENCE}")
    os._exit(128 + number)


def _raise(number: int, _frame: FrameType | None) -> None:
    _state.number = _state.number or number
    if _state.shields:
        if _state.gives_way:
            raise KeyboardInterrupt
    elif not _state.raised:  # a second one must not disturb the records
        _state.raised = True
        sys.unraisablehook = _say_nothing
        raise KeyboardInterrupt


def _say_nothing(_error: "sys.UnraisableHookArgs") -> None:
    """Keep silent about an object whose making was interrupted and whose destructor misses what it never got."""


def _watch(pipe: int) -> None:
    while True:
        for number in os.read(pipe, 64):
            if number in SIGNALS and signal.getsignal(number) is _raise:
                _state.number = _state.number or number
                _count_down()


def _count_down() -> None:
    told, recording, spent = False, False, 0.0
    if _state.shields:
        _say(f"interrupted: waiting for {_state.shields[-1]}.")
    before = time.monotonic()
    while spent < LIMIT_SECONDS:
        time.sleep(STEP_SECONDS)
        now = time.monotonic()
        spent, before = spent + (0.0 if _state.shields else now - before), now
        if spent >= SILENT_SECONDS and not told:
            told = True
            what = f"waiting for {_state.doing[-1]} to stop" if _state.doing else "waiting for the command to stop"
            _say(f"interrupted: {what}; it ends within 5 seconds.")
        if spent >= PATIENCE_SECONDS and not recording and _state.last_words:
            recording = True
            threading.Thread(target=_record, daemon=True).start()
    _say(f"error: {SENTENCE}")
    _leave(exit_code())


def _record() -> None:
    for record in tuple(_state.last_words):
        with contextlib.suppress(Exception):  # the process ends in any case
            record()
    if not _state.shields:
        _say(f"error: {SENTENCE}")
        _leave(exit_code())


def _leave(code: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # whoever read it is gone
            stream.flush()
    os._exit(code)


def _say(sentence: str) -> None:
    # Past every buffer; the terminal may be gone.
    with contextlib.suppress(OSError):
        os.write(2, f"{sentence}\n".encode())
