"""A program that is hard to interrupt: ``compute``, ``swallow``, ``shield`` or ``make``.

Its second argument is the file of the record.
"""

import sys
import time
from pathlib import Path

from pipelines.command_line.interrupts import doing, end_on_interrupt, last_words, uninterrupted

end_on_interrupt()

import numpy as np  # noqa: E402 -- as in the product, what takes long is imported later
import typer  # noqa: E402 - after the signals are set

from pipelines.command_line.program import Command, Program, end_process, run_program  # noqa: E402 - after the signals are set

SHIELDED_SECONDS = 6.0


class Slow:
    """An object that takes long to make, and whose destructor counts on its having been made."""

    def __init__(self) -> None:
        _tell()
        time.sleep(60)
        self.file = Path()

    def __del__(self) -> None:
        self.file.exists()


def run(how: str = typer.Argument(), file: Path = typer.Argument()) -> int:  # noqa: B008 -- typer's interface
    """Work until it is ended."""
    large = np.random.default_rng(0).normal(size=(2_500, 2_500))
    with last_words(lambda: file.write_text("interrupted") and None), doing("task 'train'"):
        if how == "compute":
            _tell()
        while how == "compute":  # outside of Python, where no handler of a signal runs
            np.linalg.eigvals(large)
        if how == "make":
            Slow()
        while how == "swallow":
            try:
                _tell()
                time.sleep(60)
            except KeyboardInterrupt:
                continue
    with uninterrupted("staging to be restored"):
        _tell()
        end = time.monotonic() + SHIELDED_SECONDS
        while time.monotonic() < end:
            time.sleep(0.1)
        file.write_text("restored")
    return 0


def _tell() -> None:
    """Say that a signal from now on arrives where this program is hard to interrupt."""
    print("working", flush=True)


if __name__ == "__main__":
    commands = {"work": Command(module="tests.pipelines.commands.stubborn_program", help="work", topic="Work")}
    program = Program(name="stubborn", description="", commands=commands)
    end_process(run_program(program, ["work", *sys.argv[1:]]))
