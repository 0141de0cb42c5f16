"""The guide to deployed environments: its commands are accepted, and the errors that it quotes are in the code."""

import re
import shlex
from pathlib import Path

import pytest

from pipelines import __main__ as command_line
from pipelines.command_line.program import parsed
from pipelines.commands.run import parameters_of
from pipelines.declarations.environment import environment
from pipelines.declarations.registry import job, use_case
from pipelines.execution.parameters import resolve

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
LINES = [
    line.strip()
    for block in re.findall(r"```bash\n(.*?)```", GUIDE, flags=re.DOTALL)
    for line in block.splitlines()
    if line.strip()
]
OURS = [line for line in LINES if line.startswith(".venv/bin/python -m pipelines ")]


def test_the_guide_has_commands() -> None:
    """The search finds our commands; all others are `export` and `az`."""
    assert len(OURS) > 10
    assert {line.split()[0] for line in LINES if line not in OURS} <= {"export", "az"}


@pytest.mark.parametrize("line", OURS)
def test_every_command_is_accepted_with_its_options(line: str) -> None:
    """The command line parses each command; its names, parameters and tasks exist."""
    words = shlex.split(line)[3:]
    arguments = parsed(command_line.PROGRAM, words)
    assert environment(arguments["env"])
    if words[0] == "run":
        declared = job(arguments["job"])
        assert set(resolve(declared, parameters_of(arguments["parameters"]))) == {p.name for p in declared.parameters}
        assert all(
            declared.task(key) for key in f"{arguments['only'] or ''},{arguments['skip'] or ''}".split(",") if key
        )
        assert arguments["remote"]
    if arguments.get("use_case"):
        assert use_case(arguments["use_case"])


def test_every_error_that_the_guide_quotes_is_in_the_code() -> None:
    """Names of environments, numbers and `…` in a quoted sentence match any value; all other words must be equal."""
    quoted = re.findall(r"^\| ([^|`]+?) \| ", GUIDE.partition("## When a command refuses")[2], flags=re.MULTILINE)[1:]
    code = " ".join(" ".join(path.read_text().split()) for path in (ROOT / "pipelines" / "remote").glob("*.py"))
    said = re.sub(r'" f?"|\{[^{}]*(\{[^{}]*\})*[^{}]*\}|f"', "", code)
    assert len(quoted) > 7
    for cell in quoted:
        for sentence in cell.split(" / "):
            parts = re.split(r"staging's|staging|prod|…|\b\d+\b", sentence)
            for part in (part.strip(" :,'") for part in parts):
                assert re.sub(r"\s+", " ", part) in re.sub(r"\s+", " ", said), f"{part!r} of {sentence!r}"
