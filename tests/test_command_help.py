"""The help of every command of both programs: a sentence, examples that the command accepts, and nothing of this machine."""

import importlib
import re
import shlex
from collections import Counter
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


@pytest.mark.parametrize("program", [PIPELINES, INFRA], ids=["pipelines", "infra"])
def test_the_help_of_a_program_lists_each_command_once_under_what_a_reader_wants(
    program: Program, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No heading holds more than eight commands; each line is plain text, its help in one column for all headings."""
    monkeypatch.setenv("COLUMNS", "200")
    assert run_program(program, ["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    width = max(map(len, program.commands))
    heading, listed = "", {}
    for line in lines:
        if line and not line.startswith(" "):
            heading = line.removesuffix(":")
        for name, command in program.commands.items():
            if line == f"  {name.ljust(width)}  {command.help}":
                assert name not in listed
                listed[name] = heading
    assert listed == {name: command.topic for name, command in program.commands.items()}
    assert max(Counter(listed.values()).values()) <= 8


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
