"""Copies of this repository as a company keeps them, and the release that they were made from."""

import os
import re
import subprocess
import sys
from pathlib import Path

from infra.build.versioning import VERSION, stated_version, tag_mistakes

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "forks.md"
BACK = 100
"""Merges of the main line between a copy and this release, where no version is known."""
OWN = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")


def git(folder: Path, *words: str) -> str:
    """Run git in a folder as somebody and return what it printed."""
    done = subprocess.run(["git", *OWN, *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"git {words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def python(folder: Path, *words: str) -> str:
    """Run a program of the copy in its folder, with its own code, and return what it printed."""
    variables = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-m", *words]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def previous_version(repository: Path = ROOT) -> str | None:
    """Return the newest version below the commit that is checked out: its tag, or in a clone without tags its commit.

    None if there is none.
    """
    parents = git(repository, "rev-list", "--parents", "--max-count=1", "HEAD").split()[1:]
    reached = {tag for parent in parents for tag in git(repository, "tag", "--list", "v*", "--merged", parent).split()}
    numbers = {tag: found for tag in reached if (found := re.fullmatch(f"v{VERSION.pattern}", tag))}
    tag = max(numbers, key=lambda tag: tuple(map(int, numbers[tag].groups())), default=None)
    return tag or (_version_commit(repository, parents[0]) if parents else None)


def _version_commit(repository: Path, parent: str) -> str | None:
    """Return the newest commit of the main line up to a parent that may have the tag of the version which it states."""
    changed = git(repository, "log", "--first-parent", "--format=%P", parent, "--", "CHANGELOG.md").splitlines()
    for commit in (parent, *(line.split()[0] for line in changed if line)):
        if git(repository, "ls-tree", "--name-only", commit, "CHANGELOG.md"):
            project, changes = (
                git(repository, "show", f"{commit}:{name}") for name in ("pyproject.toml", "CHANGELOG.md")
            )
            if not tag_mistakes(f"v{stated_version(project)}", project=project, changes=changes):
                return commit
    return None


def previous_release(repository: Path = ROOT, back: int = BACK) -> str | None:
    """Return the release before the commit that is checked out: the newest version below it, else an earlier merge of the main line.

    None where the clone is too shallow to know one.
    """
    line = git(repository, "rev-list", "--first-parent", "HEAD").split()
    return previous_version(repository) or (line[back] if len(line) > back else None)


def own_patterns() -> tuple[str, ...]:
    """Return the files that the page gives to the company, without the folders of use cases."""
    (cell,) = re.findall(r"(?m)^\| (`infra/settings/.*?) \|", PAGE.read_text(encoding="utf-8"))
    return tuple(re.findall(r"`([^`]+)`", cell))
