"""Judging a tree by the checks, ceilings and waivers of another commit: those of the branch that it is to be merged into.

The tree's stacks, settings and declarations are what is judged; everything that judges is the other commit's. It protects
against changes that weaken their own judge by mistake. Against others a branch policy helps, which this repository cannot
be: see docs/delivery.md.

``@FILE`` names the last release: the file holds its commit. Before the first release, and for the change that brings the first
ceilings, there is nobody else to judge, and the tree's own checks decide; that is said.

This module is not among what judges: it is the tree's own, so that it can change.
"""

import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from ml.spec.errors import NotPossibleError

JUDGES = (
    "infra/checks", "infra/graph", "infra/ceilings.yaml", "infra/waivers.yaml", "infra/config/ceilings.py",
    "infra/config/checks.py", "infra/config/settings_apart.py", "infra/config/settings_ceilings.py",
    "infra/config/settings_groups.py",
)  # fmt: skip
"""Everything that decides whether a finding is one, and whether it is excused."""
CEILINGS = "infra/ceilings.yaml"
"""A commit without it is from before there was a judge."""
RELEASE_TAGS = "v*"
ROOMS = ("infra", "pipelines", "ml")


class JudgeError(NotPossibleError):
    """The other commit cannot judge; the message has the cause and the remedy."""


@contextmanager
def judged_tree(commit: str, root: Path) -> Iterator[Path]:
    """Give a copy of a tree in which everything that judges is another commit's; it is removed at the end of the block.

    Raises
    ------
    JudgeError
        If the repository lacks the commit, or the commit has no ceilings.
    """
    judges = judges_of(commit, root)
    if CEILINGS not in judges:
        raise JudgeError(f"commit {commit} cannot judge this tree: it has no {CEILINGS}; name a later one.")
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder).resolve()
        for room in ROOMS:
            shutil.copytree(root / room, tree / room, ignore=shutil.ignore_patterns("__pycache__"))
        for path in judges:
            shutil.rmtree(tree / path, ignore_errors=True)
            (tree / path).unlink(missing_ok=True)
        with tarfile.open(fileobj=io.BytesIO(_git(root, commit, "archive", commit, "--", *judges))) as archive:
            archive.extractall(tree, filter="data")
        yield tree


def judges_of(commit: str, root: Path) -> tuple[str, ...]:
    """Return which of the places that judge a commit has.

    Raises
    ------
    JudgeError
        If the repository lacks the commit.
    """
    return tuple(_git(root, commit, "ls-tree", "--name-only", commit, "--", *JUDGES).decode().split())


def last_release(file: Path, root: Path) -> str | None:
    """Return the commit of the last release, which a file names; None before the first one.

    Raises
    ------
    JudgeError
        If the file is missing and the history holds a release: its name could not be read, which is no reason to go on.
    """
    named = file.read_text(encoding="utf-8").strip() if file.is_file() else ""
    if named:
        return named
    tags = _git(root, "HEAD", "tag", "--list", RELEASE_TAGS, "--merged", "HEAD").decode().split()
    if tags:
        raise JudgeError(
            f"nobody can judge this tree: {file} does not name the last release, but the history has the release tag {tags[-1]}; "
            "run the step that reads it again or, if no tag was ever released, name the commit that judges."
        )
    return None


def _git(root: Path, commit: str, *words: str) -> bytes:
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, check=False)  # noqa: S603, S607 -- git, our arguments
    if done.returncode != 0:
        raise JudgeError(
            f"commit {commit} cannot judge this tree: {done.stderr.decode().strip()} Fetch the whole history, or name another."
        )
    return done.stdout


def judge(commit: str, root: Path, arguments: Sequence[str]) -> int:
    """Run ``check`` on a tree with the checks, ceilings and waivers of a commit, and return its exit code.

    Parameters
    ----------
    arguments
        Those of ``check``, with absolute paths.

    Raises
    ------
    JudgeError
        If the commit cannot judge: it lacks ceilings, or its checks do not work with the other modules of the tree.
    """
    with judged_tree(commit, root) as tree:
        command = [sys.executable, "-m", "infra", "check", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(tree)}
        code = subprocess.run(command, cwd=tree, env=environment, check=False).returncode  # noqa: S603 -- our own command
        if code:
            _refuse_what_does_not_fit(commit, tree, environment)
        return code


def _refuse_what_does_not_fit(commit: str, tree: Path, environment: Mapping[str, str]) -> None:
    """Tell checks that find something from checks that cannot even be loaded with the tree's other modules."""
    command = [sys.executable, "-c", "import infra.commands.review.check"]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 -- our own command
    if done.returncode:
        raise JudgeError(
            f"the checks of commit {commit} do not work with this tree: {done.stderr.strip().splitlines()[-1]}; keep what "
            "they import, beside what replaces it, until they are no longer the ones that judge."
        )
