"""Checks a command of a step: its program exists, and the program's own parser accepts its options."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

from infra import __main__ as infra_command_line
from infra.build.release import ROOT
from ml.spec.errors import RequestError
from pipelines import __main__ as pipelines_command_line
from pipelines.command_line.program import parsed

PYTHON = ".venv/bin/python"
SCRIPTS = ROOT / ".azuredevops"
SHELL = {"cmp", "curl", "echo", "java", "grep", "mkdir", "git", "sha256sum"}
"""Programs that every agent and laptop has."""
TOOLS = {"ruff": ["check", "format"], "mypy": [], "lint-imports": [], "pytest": []}
"""What the requirements install, with its subcommands."""


class CommandError(ValueError):
    """The command would not be understood; the message holds it and says why."""


def check(text: str) -> None:
    """Check every command of a step's text.

    Raises
    ------
    CommandError
        If a program, a script, a target, a command or an option does not exist.
    """
    for line in filter(None, text.split("\n")):
        for part in re.split(r"\s*(?:\|\||&&|\||;)\s*", line):
            _check_words(shlex.split(part.partition(" > ")[0]), part)


def python_commands(script: Path) -> Iterator[str]:
    """Yield the commands of ours that a shell script runs, with words in place of its variables."""
    text = script.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        found = re.search(rf"{re.escape(PYTHON)} -m .*?(?= \|\|? |\)$|$)", line)
        if found:
            command = re.sub(r'"\$\(.*?\)"', "word", found.group())
            command = re.sub(r'"\$(@|\{\w+\[@\]\})"', "", command).replace('"$environment"', "dev")
            yield re.sub(r'"\$\w+"', "word", command)


def _check_words(words: list[str], text: str) -> None:
    program, *rest = words
    if program.startswith(".azuredevops/"):
        _check_script(program, rest, text)
    elif program == PYTHON:
        _check_python(rest, text)
    elif program == "make":
        _check_make(rest, text)
    elif program.startswith(".venv/bin/"):
        _check_tool(program.removeprefix(".venv/bin/"), rest, text)
    elif program not in SHELL:
        raise CommandError(f"{text}: {program} is not among the programs that every agent has.")


def _check_script(program: str, rest: list[str], text: str) -> None:
    script = ROOT / program
    if not script.is_file() or not script.stat().st_mode & 0o100:
        raise CommandError(f"{text}: {program} does not exist or cannot be run.")
    if script.name == "output.sh":
        _check_words(rest[1:], text)
    for command in python_commands(script):
        _check_words(shlex.split(command), command)


def _check_python(rest: list[str], text: str) -> None:
    if rest[:1] != ["-m"] or rest[1] not in ("infra", "pipelines"):
        raise CommandError(f"{text}: only the command lines infra and pipelines are run with python -m.")
    try:
        parsed({"infra": infra_command_line, "pipelines": pipelines_command_line}[rest[1]].PROGRAM, rest[2:])
    except RequestError as error:
        raise CommandError(f"{text}: {error}") from error


def _check_make(rest: list[str], text: str) -> None:
    done = subprocess.run(["make", "-n", *rest], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CommandError(f"{text}: {done.stderr}")


def _check_tool(tool: str, rest: list[str], text: str) -> None:
    if tool not in TOOLS or not (ROOT / ".venv" / "bin" / tool).exists():
        raise CommandError(f"{text}: {tool} is not a tool of the requirements.")
    if TOOLS[tool] and rest[0] not in TOOLS[tool]:
        raise CommandError(f"{text}: {tool} has no command {rest[0]}.")
    missing = [word for word in rest if "/" in word and not (ROOT / word).exists()]
    if missing:
        raise CommandError(f"{text}: there is no {', '.join(missing)}.")
