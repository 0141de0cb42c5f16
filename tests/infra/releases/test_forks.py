"""A company's copy has files of its own, and takes the product's tags without releasing anything."""

import shlex
from fnmatch import fnmatch
from pathlib import Path

import pytest

from infra.commands.review.judge import last_release
from infra.config import pipeline_names
from tests.documented_commands import lines_of
from tests.infra.releases.copies import ROOT, git, own_patterns, previous_release, previous_version


def test_the_tags_of_the_product_start_no_release_and_judge_nothing_in_a_copy(tmp_path: Path) -> None:
    """The documented lines, in a copy whose owner then pushes every tag that he has: none is a release tag."""
    product, copy, origin = tmp_path / "product", tmp_path / "copy", tmp_path / "origin"
    for folder in (product, copy):
        git(tmp_path, "init", "-q", str(folder))
    git(product, "commit", "-q", "--allow-empty", "-m", "A version")
    git(product, "tag", "--annotate", "--message", "Version 0.2.0", "v0.2.0")
    git(tmp_path, "init", "-q", "--bare", str(origin))
    git(copy, "remote", "add", "origin", str(origin))
    for _, line in lines_of("tests/infra/releases/test_forks.py"):
        git(copy, *shlex.split(line.replace("ADDRESS", str(product)))[1:])
    git(copy, "fetch", "-q", "product")
    git(copy, "push", "-q", "--tags", "origin", "HEAD")
    pushed = git(origin, "tag", "--list").split()
    assert pushed == ["product/v0.2.0"]
    assert not [tag for tag in pushed if fnmatch(f"refs/tags/{tag}", pipeline_names.RELEASE_TAGS)]
    assert last_release(copy / "none", copy) is None


def test_no_version_writes_into_a_file_of_the_company() -> None:
    """Since the version before; it would be a conflict in every copy. Before the first version nobody has a copy."""
    before = previous_version()
    if before is None:
        pytest.skip("no version is below this commit")
    assert git(ROOT, "diff", "--name-only", before, "HEAD", "--", *own_patterns()) == ""


def test_the_page_names_files_that_exist() -> None:
    """Each is a place in this repository."""
    assert own_patterns()
    assert [one for one in own_patterns() if not git(ROOT, "ls-files", "--", one)] == []


def test_the_release_before_is_the_newest_version_below_or_an_earlier_merge(tmp_path: Path) -> None:
    """Not a tag of this commit, none that is no version, and the highest number, not the last in the alphabet."""
    git(tmp_path, "init", "-q")
    for number in range(3):
        git(tmp_path, "commit", "-q", "--allow-empty", "-m", f"{number}")
    assert previous_release(tmp_path, 3) is None
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "one more")
    assert previous_release(tmp_path, 3) == git(tmp_path, "rev-parse", "HEAD~3").strip()
    for tag in ("v0.9.0", "v0.10.0", "v1", "product/v3.0.0"):
        git(tmp_path, "tag", "--annotate", "--message", tag, tag, "HEAD~1")
    git(tmp_path, "tag", "v2.0.0")
    assert previous_release(tmp_path, 3) == "v0.10.0"


def test_a_clone_without_tags_knows_the_version_before(tmp_path: Path) -> None:
    """The newest commit at which everything that had changed was under the version that it stated: what its tag is set on."""
    git(tmp_path, "init", "-q")

    def states(number: str, *sections: str) -> str:
        Path(tmp_path, "pyproject.toml").write_text(f'[project]\nversion = "{number}"\n')
        Path(tmp_path, "CHANGELOG.md").write_text("\n\n".join(("# Changes", "## Unreleased", *sections)) + "\n")
        git(tmp_path, "add", ".")
        git(tmp_path, "commit", "-q", "-m", number)
        return git(tmp_path, "rev-parse", "HEAD").strip()

    first = "## 0.1.0 (2026-11-28)"
    states("0.1.0", "- Begun.")
    states("0.1.0", first, "- Begun.")
    assert previous_version(tmp_path) is None
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "The last before the tag")
    last = git(tmp_path, "rev-parse", "HEAD").strip()
    states("0.1.0", "- A table has a column more.", first, "- Begun.")
    assert previous_version(tmp_path) == previous_release(tmp_path) == last
    second = states("0.2.0", "## 0.2.0 (2026-11-29)", "- A table has a column more.", first, "- Begun.")
    assert previous_version(tmp_path) == last
    states("0.2.0", "- Another.", "## 0.2.0 (2026-11-29)", "- A table has a column more.", first, "- Begun.")
    assert previous_version(tmp_path) == second
