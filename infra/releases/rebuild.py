"""Rebuilds an earlier commit in a checkout of its own: its wheel, and its stacks as its own code synthesizes them."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.build.reproducible_wheel import build_wheel
from infra.constructs.release import Release
from infra.releases.record import ReleaseRecord
from infra.terraform_cli.synthesized import SynthesizedStack, read_stacks
from ml.spec.errors import NotPossibleError


class RebuildError(NotPossibleError):
    """An earlier commit cannot be checked out or synthesized; the message has the cause and the remedy."""


@contextmanager
def checked_out(commit: str, root: Path) -> Iterator[Path]:
    """Check a commit out into a temporary folder, which is removed at the end of the block.

    Raises
    ------
    RebuildError
        If the repository does not contain the commit.
    """
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder).resolve() / "tree"
        done = _git(root, "worktree", "add", "--quiet", "--detach", str(tree), commit)
        if done.returncode != 0:
            raise RebuildError(
                f"commit {commit} cannot be checked out: {done.stderr.strip()} A shallow clone lacks it: fetch the whole "
                "history."
            )
        try:
            yield tree
        finally:
            _git(root, "worktree", "remove", "--force", str(tree))


def commit_of(name: str, root: Path) -> str:
    """Return the full hash of a commit from any name that git knows: a hash, its beginning, a tag, ``HEAD``.

    Raises
    ------
    RebuildError
        If the repository does not contain it.
    """
    done = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if done.returncode != 0:
        raise RebuildError(f"{name!r} names no commit of this repository: fetch the whole history, or name another.")
    return done.stdout.strip()


def merge_base(root: Path, *names: str) -> str:
    """Return the merge base of the tree and the first of the named branches that exists.

    Raises
    ------
    RebuildError
        If none of them exists or shares a commit with the tree.
    """
    for name in names:
        done = _git(root, "merge-base", "HEAD", name)
        if done.returncode == 0:
            return done.stdout.strip()
    raise RebuildError(
        f"the tree shares no commit with {' or '.join(names)}: fetch the whole history, or name another commit (`review --base`, "
        "`check --judged-by`)."
    )


def synthesize_checkout(tree: Path, states: Path) -> dict[str, SynthesizedStack]:
    """Synthesize a checked-out tree with its own code and settings, into the tree.

    Parameters
    ----------
    states
        The folder of local states; the stacks of the tree would otherwise look for them in the tree.

    Raises
    ------
    RebuildError
        If its code does not synthesize.
    """
    out = tree / "cdktf.out"
    done = in_checkout(tree, "synth", "--out", str(out))
    if done.returncode != 0:
        raise RebuildError(f"the stacks of the earlier commit cannot be synthesized: {done.stderr.strip()}")
    return read_with_states(out, states)


def read_with_states(out: Path, states: Path) -> dict[str, SynthesizedStack]:
    """Read synthesized stacks whose local states are in another folder than their own tree; their files are changed."""
    for file in out.glob("stacks/*/cdk.tf.json"):
        text = file.read_text(encoding="utf-8")
        file.write_text(
            text.replace(LOCAL_STATE, json.dumps(states.resolve().as_posix())[:-1] + "/terraform."), "utf-8"
        )
    return read_stacks(out)


def in_checkout(tree: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of `infra` in a checked-out tree, with the code and settings of that commit."""
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    command = [sys.executable, "-m", "infra", *words]
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 # our own command


LOCAL_STATE = '"../../../terraform.'
"""The beginning of the path of a local state in the JSON of a stack (see `infra.synthesis.stack.RemoteState`)."""


def rebuild_wheel(tree: Path, record: ReleaseRecord) -> Release:
    """Build the wheel of a recorded release again and check that it has the same bytes.

    Raises
    ------
    RebuildError
        If its bytes differ from those that were released.
    WheelBuildError
        If it cannot be built.
    """
    release = build_wheel(tree)
    if release.sha256 != record.wheel_sha256:
        raise RebuildError(
            f"the wheel of commit {record.commit[:12]} has sha256 {release.sha256} when it is built here, the one that was "
            f"released had {record.wheel_sha256}: nothing was changed. Build with the Python and uv of the pipeline."
        )
    return release


def _git(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)  # noqa: S603, S607 # git, our arguments
