"""Judging a tree by the checks, ceilings and waivers of another commit: those of the branch that it is to be merged into.

The tree's stacks, settings and declarations are what is judged; everything that judges is the other commit's. It protects
against changes that weaken their own judge by mistake. Against others a branch policy helps, which this repository cannot
be: see docs/delivery.md.
"""

import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ml.spec.errors import NotPossibleError

JUDGES = (
    "infra/checks", "infra/graph", "infra/ceilings.yaml", "infra/waivers.yaml", "infra/config/ceilings.py",
    "infra/config/settings_ceilings.py",
)  # fmt: skip
"""Everything that decides whether a finding is one, and whether it is excused."""
ROOMS = ("infra", "pipelines", "ml")


class JudgeError(NotPossibleError):
    """The other commit cannot judge; the message has the cause and the remedy."""


@contextmanager
def judged_tree(commit: str, root: Path) -> Iterator[Path]:
    """Give a copy of a tree in which everything that judges is another commit's; it is removed at the end of the block.

    Raises
    ------
    JudgeError
        If the repository lacks the commit, or the commit has no ceilings yet.
    """
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder).resolve()
        for room in ROOMS:
            shutil.copytree(root / room, tree / room, ignore=shutil.ignore_patterns("__pycache__"))
        for path in JUDGES:
            shutil.rmtree(tree / path, ignore_errors=True)
            (tree / path).unlink(missing_ok=True)
        done = subprocess.run(["git", "archive", commit, "--", *JUDGES], cwd=root, capture_output=True, check=False)  # noqa: S603, S607 -- git, our arguments
        if done.returncode != 0:
            raise JudgeError(
                f"commit {commit} cannot judge this tree: {done.stderr.decode().strip()} Fetch the whole history; a commit "
                "from before there were ceilings judges nothing."
            )
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
            archive.extractall(tree, filter="data")
        yield tree


def judge(commit: str, root: Path, arguments: Sequence[str]) -> int:
    """Run ``check`` on a tree with the checks, ceilings and waivers of a commit, and return its exit code.

    Parameters
    ----------
    arguments
        Those of ``check``, with absolute paths.
    """
    with judged_tree(commit, root) as tree:
        command = [sys.executable, "-m", "infra", "check", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(tree)}
        return subprocess.run(command, cwd=tree, env=environment, check=False).returncode  # noqa: S603 -- our own command
