"""Programs of others understand what pages and messages name of them: each that is installed is asked for its help."""

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from infra.rehearsal.real_az import find_az
from tests.documented_commands import ROOT
from tests.other_programs import COMMANDS, OtherCommandError, check

ASKED = {
    "curl": ("curl", "--help", "all"), "git": ("git", "-h"), "npm": ("npm", "--help"), "terraform": ("terraform", "-help"),
}  # fmt: skip
"""How a program is asked that does not answer to ``--help`` on the standard output."""


def program_of(name: str) -> str | None:
    """Return the installed program of a command; None if there is none."""
    program = name.split()[0]
    if program == "az":
        real = find_az()
        return str(real) if real else None
    places = [str(ROOT / ".venv" / "bin"), str(ROOT / "node_modules" / ".bin")]
    wanted = "cdktf" if program == "npx" else program
    return next(filter(None, (shutil.which(wanted, path=path) for path in (None, *places))), None)


@cache
def help_of(name: str) -> str:
    """Return what the installed program says of a command; empty if it knows none of that name."""
    program, *words = name.split()
    (_, *asks) = ASKED.get(program, ("", "--help"))
    named = words[1:] if program == "npx" else words
    done = subprocess.run(
        [program_of(name) or "", *named, *asks], capture_output=True, text=True, check=False, timeout=120
    )
    text = f"{done.stdout}\n{done.stderr}"
    return "" if re.search(r"is not a git command|unknown command|no command named|misspelled", text) else text


def requires(name: str) -> str:
    """Return why a command cannot be asked for its help; empty if it can."""
    if program_of(name) is None:
        return f"`{name.split()[0]}` is not installed"
    extension = COMMANDS[name].extension
    if extension and not (Path.home() / ".azure" / "cliextensions" / extension).exists():
        return f"the extension {extension} is not installed"
    return ""


@pytest.mark.proof
@pytest.mark.parametrize("name", COMMANDS)
def test_the_program_has_the_command_with_its_options(name: str) -> None:
    """Every option of the table is in the help of the installed program, under the command's own name."""
    if why := requires(name):
        pytest.skip(why)
    said = help_of(name)
    assert said, f"{name} is no command of the installed program"
    known = COMMANDS[name]
    missing = [option for option in known.valued | known.flags if not re.search(rf"{option}(?![\w-])", _plain(said))]
    assert missing == []


def _plain(text: str) -> str:
    """Return a help in which an option and its opposite are two words: git writes ``--[no-]tags``."""
    return re.sub(r"--\[no-\]([\w-]+)", r"--\1 --no-\1", text)


@pytest.mark.proof
@pytest.mark.parametrize("program", ["git", "terraform", "curl"])
def test_an_option_that_a_program_does_not_have_is_found(program: str) -> None:
    """The comparison above does not pass on anything."""
    name = next(name for name in COMMANDS if name.startswith(program))
    if why := requires(name):
        pytest.skip(why)
    assert "--no-such-option" not in help_of(name)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("az login --tenent ID", "az login has no option --tenent"),
        ("az logon", "no such command"),
        ("git merge", "takes 1 to 1 arguments, not 0"),
        ("terraform -chdir=a import x", "takes 2 to 2 arguments, not 1"),
        ("az account set --subscription", "--subscription has no value"),
        ("export A B", "takes one NAME=VALUE"),
    ],
)
def test_a_command_that_its_program_does_not_understand_is_refused(line: str, why: str) -> None:
    """With the command, and what is wrong with it."""
    with pytest.raises(OtherCommandError, match=why):
        check(line.split())


def test_a_command_that_is_only_named_needs_no_arguments() -> None:
    """But its options have to exist."""
    check(["terraform", "import"], whole=False)
    with pytest.raises(OtherCommandError, match="no option --forse"):
        check(["git", "push", "--forse"], whole=False)
