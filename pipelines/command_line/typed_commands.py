"""How typer reads the commands of a program: each from the typed arguments of its function ``run``, when it is called.

Options that repeat although they take one value, and options without a text, are refused: an empty variable of a
shell or a pipeline must not widen what a command does.
"""

import itertools
import re
from collections import Counter
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from ml.spec.errors import RequestError
from pipelines.command_line.interrupts import raise_on_interrupt
from pipelines.declarations.mistakes import unknown

if TYPE_CHECKING:
    from pipelines.command_line.program import Program

UsageError = typer.TyperException
HELP_OPTIONS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class QuickHelp:
    """Gives the option ``--help`` a default: without one, typer loads pydantic to convert no value."""

    def get_help_option(self, ctx: Any) -> Any:
        """Return the option."""
        option = super().get_help_option(ctx)  # type: ignore[misc] # of the command or group that it is mixed into
        if option is not None:
            option.default = False
        return option


class StrictCommand(QuickHelp, TyperCommand):
    """A command that refuses repeated and empty options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse as typer does, after looking at how often each option is given, and with what."""
        if ctx.resilient_parsing:
            return list(super().parse_args(ctx, args))
        values, _, order = self.make_parser(ctx).parse_args(args=list(args))
        mistakes = []
        for parameter, times in Counter(order).items():
            option = (parameter.opts or [parameter.name])[0]
            if (
                times > 1
                and not parameter.multiple
                and option.startswith("-")
                and not getattr(parameter, "is_flag", False)
            ):
                mistakes.append(f"{option} is given {times} times: give it once.")
        for parameter in dict.fromkeys(order):
            given = values.get(parameter.name)
            texts = given if isinstance(given, list) else [given]
            if any(isinstance(text, str) and not text.strip() for text in texts):
                option = parameter.opts[0] if parameter.opts[0].startswith("-") else str(parameter.metavar)
                mistakes.append(f"{option} is empty: give a value, or leave it out.")
        if mistakes:
            raise RequestError(" ".join(mistakes), remedy=f"See: {ctx.command_path} --help")
        return list(super().parse_args(ctx, args))


class LazyGroup(QuickHelp, TyperGroup):
    """The commands of a program; a module is imported when its command is called or asked for help.

    Parameters
    ----------
    load
        Returns the module of a command by the command's name.
    own_options
        Whether the call may use options of the program itself, before a command; reading them takes typer long.
    """

    def __init__(self, program: "Program", *, load: Callable[[str], ModuleType], own_options: bool) -> None:
        app = typer.Typer(add_completion=own_options, rich_markup_mode=None, pretty_exceptions_enable=False)
        app.callback()(_options_of_the_program)
        app.command("unused", hidden=True)(lambda: None)
        frame = get_command(app)
        super().__init__(
            name=program.name, params=frame.params, callback=frame.callback, help=program.description,
            epilog=raw("\n".join(["Examples:", *(f"  {line}" for line in program.examples)])) if program.examples else None,
            context_settings=HELP_OPTIONS, rich_markup_mode=None, no_args_is_help=False,
        )  # fmt: skip
        self._program, self._load = program, load
        self._made: dict[str, TyperCommand] = {}

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 -- typer's interface
        """Return the names in the order of the table."""
        return list(self._program.commands)

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | None:  # noqa: ARG002 -- typer's interface
        """Import the command's module and make the command; None for a name that is none."""
        if cmd_name not in self._program.commands:
            return None
        if cmd_name not in self._made:
            self._made[cmd_name] = typed_command(cmd_name, self._load(cmd_name))
        return self._made[cmd_name]

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 -- typer's interface
        """Write names and help from the table by topic, in one column, without importing a command."""
        lines: dict[str, list[tuple[str, str]]] = {}
        width = max(map(len, self._program.commands))
        for name, command in self._program.commands.items():
            lines.setdefault(command.topic, []).append((name.ljust(width), command.help))
        for topic, commands in lines.items():
            with formatter.section(topic):
                formatter.write_dl(commands)


def typed_command(name: str, module: ModuleType) -> TyperCommand:
    """Return the command that a module's function ``run`` is."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    epilog = getattr(module, "EPILOG", None)
    app.command(
        name, cls=StrictCommand, help=raw(module.__doc__ or ""), epilog=raw(epilog) if epilog else None,
        context_settings=HELP_OPTIONS,
    )(module.run)  # fmt: skip
    command = get_command(app)
    if not isinstance(command, TyperCommand):
        raise TypeError(f"{module.__name__}.run is no command")
    command.params += [parameter for parameter in get_command(_debug_app()).params if parameter.name == "debug"]
    command.callback = _without_debug(command.callback)
    return command


def explained(mistake: typer.TyperException, program: "Program", given: Sequence[str]) -> str:
    """Return the sentence for a mistake in the words of a call, with the near miss and where the help is."""
    context = getattr(mistake, "ctx", None)
    named = " ".join([program.name, *(word for word in given[:1] if word in program.commands)])
    path = context.command_path if context is not None else named
    text = mistake.format_message().rstrip(".")
    found = re.fullmatch(r"No such command '(.*)'(\..*)?", text, re.DOTALL)
    if found:
        return unknown("command", found[1], program.commands)
    parameter = getattr(mistake, "param", None)
    values = [value for option, value in itertools.pairwise(given) if option in getattr(parameter, "opts", ())]
    # The words of the library that converts values.
    text = text.replace(": Value error, ", ": ")
    text = re.sub(r"Input should be a valid integer, unable to parse .*", "give a whole number", text)
    if values and text.startswith("Invalid value") and repr(values[-1]) not in text:
        text = f"{text}; it is {values[-1]!r}"
    option = getattr(mistake, "option_name", None)
    if option is not None and context is not None:
        known = [name for parameter in context.command.params for name in parameter.opts if name.startswith("--")]
        text = unknown("option", option, known).rstrip(".")
    return f"{text[:1].lower()}{text[1:]}. See: {path} --help"


def raw(text: str) -> str:
    """Return a text whose indented paragraphs typer prints as they are: it looks for a mark, a backspace."""
    paragraphs = re.split(r"\n\s*\n", text.strip())
    return "\n\n".join(
        f"\b\n{paragraph}" if re.search(r"^ {2}|^[-=]{3}", paragraph, re.MULTILINE) else paragraph
        for paragraph in paragraphs
    )


def _options_of_the_program(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Hold the options that stand before a command; ``--version`` is answered before typer is loaded."""


def _debug_app() -> typer.Typer:
    app = typer.Typer(add_completion=False, rich_markup_mode=None)

    @app.command()
    def run(debug: Annotated[bool, typer.Option("--debug", help="Print the traceback of an error.")] = False) -> None:
        del debug

    return app


def _without_debug(callback: Callable[..., Any] | None) -> Callable[..., Any]:
    """Return the command's function, called without ``--debug``, which is the program's, and open to interrupts."""

    def called(**arguments: Any) -> Any:
        arguments.pop("debug", None)
        raise_on_interrupt()
        return callback(**arguments) if callback is not None else 0

    return called
