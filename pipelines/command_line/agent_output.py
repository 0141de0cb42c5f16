"""Keeps foreign text from commanding an agent of Azure Pipelines, which obeys every line that holds ``##vso[``.

An error of a service, a plan or a table is printed as it is, so whoever writes it could set variables, add a path or
upload a file. Commands of our own are written with `command`
(learn.microsoft.com/azure/devops/pipelines/scripts/logging-commands).
"""

import os
import re
import sys
from typing import Any, TextIO

ON_AN_AGENT = "TF_BUILD"
"""Set for every step that an agent of Azure Pipelines runs."""
_COMMAND = re.compile(r"##(?=(vso)?\[)", re.IGNORECASE)


class PlainOutput:
    """A stream that writes the marks of an agent's commands apart, so that they stay text."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write a text without commands; the number is that of the text as given."""
        self.stream.write(_COMMAND.sub("# #", text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def print_plainly() -> None:
    """Let both outputs of this process hold no commands, if an agent reads them."""
    if not os.environ.get(ON_AN_AGENT):
        return
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, PlainOutput):
            setattr(sys, name, PlainOutput(stream))


def command(text: str) -> None:
    """Print a command of our own, which the agent obeys."""
    stream = sys.stdout.stream if isinstance(sys.stdout, PlainOutput) else sys.stdout
    stream.write(f"{text}\n")
    stream.flush()
