"""The branches of the Git repository: what a deployed branch is called after one, and which deployed branches nobody needs any more."""

import re
import subprocess
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.build.release import ROOT
from infra.config.pipeline_names import BRANCH as MAIN
from ml.spec.errors import NotPossibleError, RequestError

HEADS, REMOTE = "refs/heads/", "refs/remotes/origin/"
FETCHED = f"+{HEADS}*:{REMOTE}*"
"""What a clone of all branches fetches."""
BEFORE_A_DIGIT = "b"


class GitBranchesError(NotPossibleError):
    """The branches of the repository cannot be known from this clone; the message has the cause and the remedy."""


@dataclass(frozen=True, kw_only=True)
class GitBranches:
    """The branches of the repository, as ``refs/heads/...``.

    Attributes
    ----------
    heads
        All of them.
    merged
        Those that have nothing which main lacks.
    """

    heads: frozenset[str]
    merged: frozenset[str]


def name_after(ref: str) -> str:
    """Return what the deployed branch of a Git branch is called: ``new_gate`` of ``refs/heads/new-gate``.

    Every character that a schema cannot have becomes ``_``, and a name that would begin with a digit gets a ``b`` before it.

    Raises
    ------
    RequestError
        If it is no branch, or the one that all others are merged into.
    """
    if not ref.startswith(HEADS) or ref == MAIN:
        what = "is what branches are merged into" if ref == MAIN else f"is no branch: it does not begin with {HEADS}"
        raise RequestError(f"--git-branch {ref!r} {what}. Name one such as {HEADS}new-gate.")
    found = re.sub(r"[^a-z0-9]+", "_", ref.removeprefix(HEADS).lower()).strip("_")
    return f"{BEFORE_A_DIGIT}{found}" if found[:1].isdigit() else found


def namesakes(ref: str, branches: GitBranches) -> tuple[str, ...]:
    """Return the other Git branches whose deployed branch would have the same name."""
    return tuple(sorted(one for one in branches.heads - {ref, MAIN} if name_after(one) == name_after(ref)))


def not_needed(deployed: Collection[str], branches: GitBranches) -> Mapping[str, str]:
    """Return the deployed branches that are to be removed, each with the reason.

    Parameters
    ----------
    deployed
        The names of deployed branches. One that was named by hand after no Git branch has none, and goes too.
    branches
        What is in the repository.
    """
    after: dict[str, list[str]] = {}
    for ref in sorted(branches.heads - {MAIN}):
        after.setdefault(name_after(ref), []).append(ref)
    found = {}
    for name in deployed:
        refs = after.get(name, [])
        if not refs:
            found[name] = "no Git branch of the repository has its name"
        elif all(ref in branches.merged for ref in refs):
            found[name] = f"{', '.join(refs)} has nothing that {MAIN} lacks"
    return found


def git_branches(root: Path = ROOT) -> GitBranches:
    """Return the branches of the repository that a clone was made of, as of its last fetch.

    Raises
    ------
    GitBranchesError
        If the clone does not have all of them: one that is only missing here would be taken for deleted.
    """
    if _git(root, "rev-parse", "--is-shallow-repository") != "false":
        raise GitBranchesError(f"{root} does not have the whole history: fetch it with `git fetch --unshallow origin`.")
    if f"remote.origin.fetch={FETCHED}" not in _git(root, "config", "--list").splitlines():
        raise GitBranchesError(f"{root} fetches a part of the branches: `git config remote.origin.fetch '{FETCHED}'`.")
    main = f"{REMOTE}{MAIN.removeprefix(HEADS)}"
    heads = _refs(root)
    if MAIN not in heads:
        raise GitBranchesError(f"{root} does not know {main}: fetch all branches with `git fetch --prune origin`.")
    return GitBranches(heads=heads, merged=_refs(root, "--merged", main))


def _refs(root: Path, *options: str) -> frozenset[str]:
    listed = _git(root, "for-each-ref", "--format=%(refname)", *options, REMOTE)
    names = (line.removeprefix(REMOTE) for line in listed.splitlines())
    return frozenset(f"{HEADS}{name}" for name in names if name != "HEAD")


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)  # noqa: S603, S607 # git from the path, our own words
    if done.returncode != 0:
        raise GitBranchesError(f"git {words[0]} failed in {root}: {done.stderr.strip()}")
    return done.stdout.strip()
