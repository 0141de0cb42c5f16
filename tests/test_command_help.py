"""The help of every command of both programs: a sentence, examples that the command accepts, and nothing of this machine."""

import importlib
import re
import shlex
from pathlib import Path

import pytest

from infra.__main__ import PROGRAM as INFRA
from pipelines.__main__ import PROGRAM as PIPELINES
from pipelines.command_line.program import Program, parsed, run_program

ROOT = Path(__file__).parent.parent
ALL = [
    pytest.param(program, name, id=f"{program.name.rpartition(' ')[2]} {name}")
    for program in (PIPELINES, INFRA)
    for name in program.commands
]


def help_of(program: Program, name: str) -> str:
    """What a command says of itself before its options."""
    return importlib.import_module(program.commands[name].module).__doc__ or ""


@pytest.mark.parametrize(("program", "name"), ALL)
def test_the_help_of_a_command_is_a_sentence_and_examples(program: Program, name: str) -> None:
    """The first line says what the command does; each example is one that the command accepts."""
    first, _, rest = help_of(program, name).partition("\n\n")
    assert re.match(r"[A-Z][a-z]+ ", first)
    assert first.endswith(".")
    examples = [line.strip() for line in rest.splitlines() if line.startswith(f"  {program.name} ")]
    assert any(f"{program.name} {name}" in example for example in examples)
    for example in examples:
        parsed(program, shlex.split(example.removeprefix(program.name)))


@pytest.mark.parametrize(("program", "name"), ALL)
def test_the_help_of_a_command_names_no_folder_of_this_machine(
    program: Program, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A default is what a reader can type, whoever installed the program, and wherever."""
    assert run_program(program, [name, "--help"]) == 0
    said = re.sub(r"\s", "", capsys.readouterr().out)
    assert str(ROOT) not in said
    assert str(Path.home()) not in said
