"""A version is made once, above the one before, with what has changed; its tag is on the commit that states it."""

import datetime as dt
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.build.release import ROOT
from infra.build.versioning import new_version, stated_version, tag_mistakes, unreleased
from tests.documented_commands import lines_of

PROJECT = '[build-system]\nrequires = ["hatchling==1.27.0"]\n\n[project]\nname = "x"\nversion = "0.9.3"\n'
CHANGES = "# Changes\n\n## Unreleased\n\n- The door is green.\n\n## 0.9.3\n\nThe first.\n"
TODAY = dt.date(2026, 12, 1)


def test_a_version_moves_the_unreleased_changes_into_its_section() -> None:
    """The number is in pyproject.toml once, the section has the day, and the next changes have a place."""
    made = new_version("0.10.0", project=PROJECT, changes=CHANGES, tags=("v0.9.3",), today=TODAY)
    assert (made.mistakes, made.tag) == ((), "v0.10.0")
    assert made.project == PROJECT.replace("0.9.3", "0.10.0")
    assert made.changes == CHANGES.replace("## Unreleased\n", "## Unreleased\n\n## 0.10.0 (2026-12-01)\n")
    assert unreleased(made.changes) == ""
    assert tag_mistakes(made.tag, project=made.project, changes=made.changes) == ()


@pytest.mark.parametrize(
    ("number", "changes", "tags", "said"),
    [
        ("0.9.3", CHANGES, (), ["state a higher one"]),
        ("0.9.10", CHANGES.replace("- The door is green.\n", ""), ("v0.9.10",), ["the tag v0.9.10 exists", "says nothing under Unreleased"]),
        ("1.0", CHANGES, (), ["MAJOR.MINOR.PATCH"]), ("1.02.0", CHANGES, (), ["MAJOR.MINOR.PATCH"]), ("v1.0.0", CHANGES, (), ["MAJOR.MINOR.PATCH"]),
    ],
)  # fmt: skip
def test_what_is_no_new_version_is_refused_with_every_reason(
    number: str, changes: str, tags: tuple[str, ...], said: list[str]
) -> None:
    """And nothing is changed; 0.9.10 is above 0.9.3, because numbers are compared and not letters."""
    made = new_version(number, project=PROJECT, changes=changes, tags=tags, today=TODAY)
    assert len(made.mistakes) == len(said)
    assert all(words in mistake for words, mistake in zip(said, made.mistakes, strict=True))
    assert (made.project, made.changes) == (PROJECT, changes)


def test_a_tag_on_another_version_is_named() -> None:
    """By what its commit states, in both files."""
    assert tag_mistakes("v1.0.0", project=PROJECT, changes=CHANGES) == (
        "the tag v1.0.0 is on a commit whose pyproject.toml states 0.9.3",
        "the tag v1.0.0 is on a commit whose CHANGELOG.md has no section 1.0.0 with its day",
        "the tag v1.0.0 is on a commit whose CHANGELOG.md has changes under Unreleased",
    )


def test_the_documented_way_releases_a_version(tmp_path: Path) -> None:
    """In a clone: the command writes both files, its printed commands tag the commit, and `--version` says both."""
    clone, origin = tmp_path / "clone", tmp_path / "origin"
    git(tmp_path, "clone", "--quiet", "--bare", str(ROOT), str(origin))
    git(tmp_path, "clone", "--quiet", str(origin), str(clone))
    for folder in ("infra", "pipelines", "ml"):  # what is being tested may not be committed yet
        shutil.copytree(ROOT / folder, clone / folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    noted = changes.replace("## Unreleased\n", "## Unreleased\n\n- The door is green.\n", 1)
    (clone / "CHANGELOG.md").write_text(noted, encoding="utf-8")
    before = stated_version((clone / "pyproject.toml").read_text(encoding="utf-8"))
    number = f"{int(before.partition('.')[0]) + 1}.0.0"
    assert python(clone, "infra", "version", before).returncode == 2
    asked, *printed = (line.replace("0.2.0", number) for _, line in lines_of("tests/infra/build/test_versioning.py"))
    assert asked == f".venv/bin/mlops infra version {number}"
    said = python(clone, "infra", "version", number)
    assert said.returncode == 0, said.stderr
    assert said.stdout.splitlines()[1:] == printed
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--message", f"Version {number}")
    for command in said.stdout.splitlines()[1:]:
        git(
            clone,
            *[word.strip('"') for word in command.replace(f'"Version {number}"', f"Version-{number}").split()[1:]],
        )
    assert f"v{number}" in git(origin, "tag", "--list").split()
    commit = git(clone, "rev-parse", "--short=12", f"v{number}^{{commit}}").strip()
    assert python(clone, "pipelines", "--version").stdout == f"python -m pipelines {number} (source tree, commit {commit})\n"  # fmt: skip


def git(folder: Path, *words: str) -> str:
    """Run git in a folder and return what it printed."""
    own = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    return subprocess.run(["git", *own, *words], cwd=folder, capture_output=True, text=True, check=True).stdout


def python(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the clone."""
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(folder), "HOME": str(folder)}
    return subprocess.run([sys.executable, "-m", *words], cwd=folder, env=environment, capture_output=True, text=True, check=False)  # fmt: skip
