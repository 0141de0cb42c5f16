"""Where the running code comes from: the commit recorded with every model."""

import functools
import importlib.metadata
import subprocess
from pathlib import Path

UNKNOWN = "unknown"


@functools.cache
def git_commit() -> str:
    """Return the commit of the running code: the checkout's, else the one in the installed wheel's version.

    A checkout with changes that are not committed ends in ``-modified``.
    """
    return _of_checkout() or _of_wheel() or UNKNOWN


def _of_checkout() -> str | None:
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    try:
        described = subprocess.run(  # noqa: S603 - a fixed command, no shell
            ["git", "-C", str(root), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=-modified"],  # noqa: S607 - git from the PATH
            capture_output=True, text=True, check=True, timeout=20,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip() or None


def _of_wheel() -> str | None:
    try:
        version = importlib.metadata.version("lakehouse-mlops")
    except importlib.metadata.PackageNotFoundError:
        return None
    _, _, local = version.partition("+")
    return local.removeprefix("g") or None
