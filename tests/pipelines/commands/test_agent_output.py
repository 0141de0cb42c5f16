"""An agent of Azure Pipelines obeys the pipelines' own commands and none that stand in foreign text."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOREIGN = "##vso[task.setvariable variable=release]broken"


def printed(text: str, *, agent: bool, stream: str = "stdout") -> str:
    """Return what a process prints of a text, after `print_plainly`."""
    code = (
        "import sys; from pipelines.command_line.agent_output import print_plainly\n"
        f"print_plainly(); print({text!r}, file=sys.{stream})"
    )
    environment = {name: value for name, value in os.environ.items() if name != "TF_BUILD"}
    if agent:
        environment["TF_BUILD"] = "True"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return str(getattr(done, stream)).rstrip("\n")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("text", [FOREIGN, f"the run says {FOREIGN}", "##VSO[x]", "##[error]x"])
def test_a_command_in_foreign_text_stays_text_on_an_agent(text: str, stream: str) -> None:
    """On both outputs, in the middle of a line and in capitals."""
    shown = printed(text, agent=True, stream=stream)
    assert "##" not in shown
    assert shown.replace("# #", "##") == text


def test_other_text_and_other_machines_print_as_they_are() -> None:
    """A heading of a page is no command, and a laptop has no agent."""
    assert printed("## What changes", agent=True) == "## What changes"
    assert printed(FOREIGN, agent=False) == FOREIGN


def test_an_error_of_a_command_cannot_command_the_agent() -> None:
    """The real program repeats a wrong argument in its message."""
    done = subprocess.run(
        [sys.executable, "-m", "pipelines", FOREIGN],
        cwd=ROOT, env={**os.environ, "TF_BUILD": "True"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "vso[task.setvariable" in done.stdout + done.stderr
    assert "##vso" not in done.stdout + done.stderr


def test_the_commands_of_our_own_are_obeyed() -> None:
    """`infra affected` sets output variables."""
    done = subprocess.run(
        [sys.executable, "-m", "infra", "affected", "--set-variables"],
        cwd=ROOT, env={**os.environ, "TF_BUILD": "True"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "##vso[task.setvariable variable=stacks_dev;isOutput=true]" in done.stdout
