"""A program is a table of commands. A command's module is imported only when the command is called.

Exit codes of both programs; a command's help adds its own:

====  ==============================================================================================
0     done
1     what was requested has failed, or a check found something
2     what was requested cannot be right: names, options, declarations, settings; nothing was started
3     a deployed environment could not be reached or did not answer
129   interrupted by SIGHUP: the terminal was closed
130   interrupted by SIGINT: Ctrl-C
143   interrupted by SIGTERM
====  ==============================================================================================

After one of these signals a sentence says within a second what is waited for, and the process ends within five seconds,
unless Terraform is applying a release, a deployed environment is being restored, or a deployed run is being cancelled
as ``--cancel-on-interrupt`` asks: that is waited for.
"""

import contextlib
import functools
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from ml.spec.errors import LakehouseError, RequestError, sentence_of
from pipelines.command_line import interrupts
from pipelines.command_line.interrupts import EXIT_CODES, INTERRUPTED, SENTENCE
from pipelines.declarations.mistakes import unknown

if TYPE_CHECKING:
    from types import ModuleType

    from pipelines.command_line.typed_commands import LazyGroup

TRACE = "trace"
"""What the note of an error begins with that names the trace of the run in which it arose."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command of a program.

    Attributes
    ----------
    module
        Imported when the command is called. Its function ``run`` has typed arguments and returns the exit code; its
        docstring is the command's help.
    help
        One line for the list of commands.
    topic
        Under which heading the help of the program lists it: what a reader wants to do, for example *Look*.
    bare
        ``MODULE:FUNCTION`` that is called where the command is given without arguments. Neither it nor its module needs the parser,
        whose import takes as long as a short command.
    """

    module: str
    help: str
    topic: str
    bare: str = ""


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program and its commands.

    Attributes
    ----------
    name
        How a person starts it, for example ``python -m pipelines``.
    examples
        Lines for the end of the help.
    """

    name: str
    description: str
    commands: Mapping[str, Command]
    examples: Sequence[str] = ()


def run_program(program: Program, argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; every error becomes one message on standard error.

    Parameters
    ----------
    program
        Which commands there are.
    argv
        The arguments without the program's name; by default those of the process.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    # OpenMP's threads wait by spinning, which takes time from the threads that work. A value set by the user stays.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        return _call(program, given)
    except KeyboardInterrupt:
        _say(SENTENCE)
        return interrupts.exit_code()
    except BrokenPipeError:
        # The reader of the output has ended, for example `head`; nothing more can be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except LakehouseError as error:
        code = interrupts.exit_code() if error.exit_code in EXIT_CODES and interrupts.received() else error.exit_code
        return _failed(f"{error}{_trace_of(error)}", code, given)
    except Exception as error:  # noqa: BLE001 - the one place where an unforeseen error becomes a sentence
        if interrupts.received():  # an engine or a library has made an error of the signal
            _say(SENTENCE)
            return interrupts.exit_code()
        return _unforeseen(error, given)


def _unforeseen(error: Exception, given: Sequence[str]) -> int:
    if isinstance(error, OSError):
        where = f"{error.filename} cannot be used: {error.strerror}" if error.filename else str(error)
        return _failed(where, 2 if error.filename else 1, given)
    return _failed(
        f"unexpected failure in {sentence_of(error)}. Add --debug for the traceback.{_trace_of(error)}", 1, given
    )


def _trace_of(error: Exception) -> str:
    """Return the trace of the run in which an error arose, as it is written after the error's sentence."""
    notes = [note for note in getattr(error, "__notes__", ()) if str(note).startswith(f"{TRACE} ")]
    return f" ({notes[0]})" if notes else ""


def end_process(code: int) -> NoReturn:
    """End the process with an exit code; after an interrupt at once, without the clean-up of libraries, which can wait."""
    interrupts.end_process(code)
    raise SystemExit(code)


def parsed(program: Program, words: Sequence[str]) -> dict[str, Any]:
    """Return the arguments of a call by name, without calling the command.

    Raises
    ------
    RequestError
        If there is no such command, or its words are not understood.
    """
    from pipelines.command_line.typed_commands import UsageError, explained

    group = _group(program, own_options=False)
    try:
        name, *rest = words or ("",)
        command = group.get_command(None, name)
        if command is None:
            raise RequestError(unknown("command", name, program.commands))
        arguments: dict[str, Any] = command.make_context(f"{program.name} {name}", list(rest)).params
    except UsageError as mistake:
        raise RequestError(explained(mistake, program, words)) from mistake
    return arguments


def _call(program: Program, given: list[str]) -> int:
    if given[:1] == ["--version"]:
        from pipelines.command_line.version import version  # slow to load, and needed here alone

        print(f"{program.name} {version()}")
        return 0
    if len(given) == 1 and given[0] in program.commands and program.commands[given[0]].bare:
        return _call_bare(program.commands[given[0]].bare)
    from pipelines.command_line.typed_commands import UsageError, explained

    try:
        code = _group(program, own_options=given[0].startswith("-") if given else True).main(
            given, prog_name=program.name, standalone_mode=False
        )
    except UsageError as mistake:
        raise RequestError(explained(mistake, program, given)) from mistake
    if code == INTERRUPTED:  # typer's answer to Ctrl-C outside of a command's own function
        raise KeyboardInterrupt
    return int(code or 0)


def _call_bare(named: str) -> int:
    module, _, function = named.partition(":")
    interrupts.raise_on_interrupt()
    return int(getattr(importlib.import_module(module), function)())


def _group(program: Program, *, own_options: bool) -> "LazyGroup":
    from pipelines.command_line.typed_commands import LazyGroup

    return LazyGroup(program, load=functools.partial(_load, program), own_options=own_options)


def _load(program: Program, name: str) -> "ModuleType":
    return importlib.import_module(program.commands[name].module)


def _failed(sentence: str, code: int, given: Sequence[str]) -> int:
    if "--debug" in given:
        import traceback

        traceback.print_exc()
    _say(sentence)
    return code


def _say(sentence: str) -> None:
    with contextlib.suppress(OSError):  # after SIGHUP the terminal is gone
        print(f"error: {sentence}", file=sys.stderr)
