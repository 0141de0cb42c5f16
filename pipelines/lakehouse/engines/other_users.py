"""Refuses to start a server that cannot be closed to other users, on a machine that has some."""

import os
import subprocess
import sys

from pipelines.lakehouse.engines.unavailable import EngineUnavailableError

ACCEPTED = "LAKEHOUSE_ACCEPT_OTHER_USERS"
"""The environment variable by which the owner of a machine accepts it; its value is ``1``."""
FIRST_PERSON = {"darwin": 500, "linux": 1000}
"""The lowest user number that a system gives to a person; below are its own services."""
NOBODY = 65_534


def refuse_other_users(reason: str) -> None:
    """Raise an error if another person's process runs on this machine, unless that was accepted.

    Parameters
    ----------
    reason
        Why the server cannot be closed to them.

    Raises
    ------
    EngineUnavailableError
        With the users' numbers and what to do.
    """
    first = FIRST_PERSON.get(sys.platform)
    if first is None or os.environ.get(ACCEPTED) == "1":  # elsewhere processes have no user numbers
        return
    others = sorted(user for user in _running_users() if first <= user < NOBODY and user != os.geteuid())
    if others:
        raise EngineUnavailableError(
            f"engine 'embedded' cannot be closed to other users here ({reason}), and processes of user "
            f"{', '.join(map(str, others))} run on this machine, who could run code as you: use --engine spark, which asks for "
            f"a token, a machine or container of your own, or accept it with {ACCEPTED}=1."
        )


def _running_users() -> set[int]:
    listed = subprocess.run(["ps", "-A", "-o", "uid="], capture_output=True, text=True, check=False)  # noqa: S607 - on PATH
    return {int(word) for word in listed.stdout.split()}
