"""A command of `infra` that kills its own process at one point: ``... killed_release PLACE NUMBER before|after WORDS``.

``PLACE`` is one of `PLACES`, ``NUMBER`` counts the calls of it from 1, and ``WORDS`` are those of the command.
"""

import functools
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from infra.__main__ import main
from infra.releases import applying
from infra.releases.ledger import FileLedger
from infra.terraform_cli import running
from infra.terraform_cli.driver import Terraform

PLACES: dict[str, tuple[Any, str]] = {
    "plan": (applying, "read_manifest"),
    "record": (FileLedger, "append"),
    "step": (Terraform, "apply"),
    "terraform": (running, "_follow"),
}
"""The plan is read; a record is appended; a stack is applied; the program that applies it runs (from its start to its end)."""


def kill_at(place: str, number: int, when: str) -> None:
    """Let this process be killed before or after one call."""
    owner, name = PLACES[place]
    call: Callable[..., Any] = getattr(owner, name)
    calls = 0

    @functools.wraps(call)
    def counted(*given: Any, **named: Any) -> Any:
        nonlocal calls
        calls += place != "terraform" or given[0].args[1] == "apply"
        chosen = calls == number and (place != "terraform" or given[0].args[1] == "apply")
        if chosen and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = call(*given, **named)
        if chosen and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, counted)


if __name__ == "__main__":
    kill_at(sys.argv[1], int(sys.argv[2]), sys.argv[3])
    sys.exit(main(sys.argv[4:]))
