"""The printed lines of a command that changes an environment: it goes on where nobody can read them any more."""

import os
import sys


def say(line: str) -> None:
    """Print a line at once; once nothing can be printed, for lack of a reader or of a disk's space, print nothing."""
    try:
        print(line, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
