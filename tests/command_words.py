"""Whether the words of a command are understood by the program that they name: ours by its own parser, others by the table of their help."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from infra.__main__ import PROGRAM as INFRA
from ml.spec.errors import RequestError
from pipelines.__main__ import PROGRAM as PIPELINES
from pipelines.command_line.program import Program, _group, parsed
from pipelines.declarations.mistakes import unknown
from tests import other_programs

HOLE = "VALUE"
"""What stands for the part of a message that is known only when it is printed."""
EXAMPLES = {
    "ENV": "prod", "USE_CASE": "flight_delay", "DAY": "2013-02-01", "STACK": "dev-workspace", "JOB": "flight_delay.features",
    "TASK": "ingest", "NAME": "flight_delay",
}  # fmt: skip
"""What stands for a word that the reader puts in, where not every word would be understood."""
PROGRAMS = "|".join(["infra", "pipelines", "mlops", *sorted(other_programs.PROGRAMS), "make"])
MARKED = re.compile(rf"`((?:\.venv/bin/)?(?:python -m )?(?:{PROGRAMS}) [^`\n]+)`")
"""A command within a sentence: between marks."""
LINE = re.compile(r"^ *((?:\.venv/bin/)?(?:python -m (?:infra|pipelines)|mlops) \S.*?)(?: {3,}.*)?$", re.MULTILINE)
"""A command on a line of its own, with or without what it does after blanks."""
START = re.compile(r"^(?:\.venv/bin/)?(?:python -m )?")


class CommandWordsError(ValueError):
    """The program would not understand the words; the message holds them and says why."""


def require_understood(command: str) -> None:
    """Check a command that a message or a sentence names: its program, its command and every option exist.

    Words that it needs may be left out, and words in capitals stand for what the reader puts in.

    Raises
    ------
    CommandWordsError
        If the program would refuse the rest.
    """
    words = [EXAMPLES.get(word, word) for word in shlex.split(re.sub(r"\bENV\b", "prod", command))]
    words[0] = START.sub("", words[0])
    if words[:2] == ["python", "-m"] or words[0] == "":
        words = words[2:]
    try:
        if words[0] == "make":
            _require_target(words[1])
        elif words[0] in other_programs.PROGRAMS:
            other_programs.check(words, whole=False)
        else:
            _require_ours(*_program(words))
    except (RequestError, other_programs.OtherCommandError) as refused:
        raise CommandWordsError(f"{command}: {refused}") from refused


def _program(words: list[str]) -> tuple[Program, list[str]]:
    if words[:2] == ["mlops", "infra"]:
        return INFRA, words[2:]
    return INFRA if words[0] == "infra" else PIPELINES, words[1:]


def _require_ours(program: Program, words: list[str]) -> None:
    if not words or words[0] in ("--help", "--version", "--install-completion"):
        return
    if any(HOLE in word or word.isupper() for word in words):
        _require_options(program, words)
        return
    try:
        parsed(program, words)
    except RequestError as refused:
        if not re.search(r"^missing |requires an argument", str(refused)):
            raise
        _require_options(program, words)


def _require_options(program: Program, words: list[str]) -> None:
    name, *rest = words
    command = _group(program, own_options=False).get_command(None, name)
    if command is None:
        raise RequestError(unknown("command", name, program.commands))
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    for option in (word.partition("=")[0] for word in rest if word.startswith("--")):
        if option not in known:
            raise RequestError(unknown("option", option, sorted(known)))


def _require_target(target: str) -> None:
    makefile = (Path(__file__).parent.parent / "Makefile").read_text(encoding="utf-8")
    if not re.search(rf"^{re.escape(target)}:|^\$\(VENV\){re.escape(target.removeprefix('.venv'))}:", makefile, re.MULTILINE):  # fmt: skip
        raise RequestError(f"the Makefile has no target {target}")


def printed_commands(file: Path) -> Iterator[tuple[int, str]]:
    """Yield line and text of each command in the string literals of a module that can be printed: no docstring."""
    for line, text in _literals(ast.parse(file.read_text(encoding="utf-8"))):
        for found in (*MARKED.finditer(text), *LINE.finditer(text)):
            yield line, re.sub(r"\{\w+\}", HOLE, found[1])


def named_commands(text: str) -> list[str]:
    """Return the commands of our two programs that the sentences of a page name."""
    outside = re.sub(r"^ *```.*?^ *```\n?", "", text, flags=re.DOTALL | re.MULTILINE)
    return [found[1] for found in MARKED.finditer(outside)]


def _literals(tree: ast.Module) -> Iterator[tuple[int, str]]:
    skipped = set[int]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(id(node.value))  # a docstring
        elif isinstance(node, ast.JoinedStr):
            skipped |= {id(part) for part in ast.walk(node) if part is not node}
    for node in ast.walk(tree):
        if id(node) not in skipped and (text := _text(node)):
            yield getattr(node, "lineno", 0), text


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else HOLE for part in node.values)
    return ""
