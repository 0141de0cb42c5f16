"""What a deployed branch is called after a Git branch, and which ones nobody needs any more."""

import subprocess
from pathlib import Path

import pytest

from infra.review.git_branches import GitBranches, GitBranchesError, git_branches, name_after, namesakes, not_needed
from ml.spec.errors import RequestError
from pipelines.declarations.branch import branch_name

MAIN = "refs/heads/main"


def heads(*names: str) -> frozenset[str]:
    """Return branches by their whole names."""
    return frozenset(f"refs/heads/{name}" for name in ("main", *names))


@pytest.mark.parametrize(
    ("ref", "name"),
    [
        ("refs/heads/new_gate", "new_gate"),
        ("refs/heads/users/anna/New-Gate", "users_anna_new_gate"),
        ("refs/heads/4711--fix.", "b4711_fix"),
        ("refs/heads/größer", "gr_er"),
    ],
)
def test_the_name_is_one_that_a_schema_can_have(ref: str, name: str) -> None:
    """Whatever Git allows."""
    assert name_after(ref) == name
    assert branch_name("flight_delay", name).endswith(name)


@pytest.mark.parametrize("ref", [MAIN, "refs/pull/7/merge", "refs/tags/v1", "new-gate"])
def test_what_is_no_branch_of_its_own_has_no_name(ref: str) -> None:
    """Main is the original; a pull request's merge and a tag are no branches."""
    with pytest.raises(RequestError, match=r"Name one such as refs/heads/new-gate\."):
        name_after(ref)


def test_two_branches_with_one_name_are_told() -> None:
    """The second one would take the first one's place."""
    branches = GitBranches(heads=heads("new-gate", "new_gate", "other"), merged=frozenset())
    assert namesakes("refs/heads/new-gate", branches) == ("refs/heads/new_gate",)
    assert namesakes("refs/heads/other", branches) == ()


def test_a_branch_goes_with_its_git_branch_or_once_main_has_all_of_it() -> None:
    """One that is worked on stays; of two namesakes one is enough."""
    branches = GitBranches(heads=heads("new-gate", "new_gate", "merged"), merged=heads("merged", "new-gate"))
    found = not_needed(["new_gate", "merged", "gone"], branches)
    assert found == {
        "merged": "refs/heads/merged has nothing that refs/heads/main lacks",
        "gone": "no Git branch of the repository has its name",
    }


def git(folder: Path, *words: str) -> None:
    """Run git."""
    name = ("-c", "user.name=x", "-c", "user.email=x@example.com")
    subprocess.run(["git", *name, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """A repository with a branch that is merged and one that is not."""
    folder = tmp_path / "origin"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch", "main")
    for number in range(2):
        git(folder, "commit", "--quiet", "--allow-empty", "--message", f"{number}")
    git(folder, "branch", "merged", "HEAD~1")
    git(folder, "checkout", "--quiet", "-b", "users/anna/open")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "mine")
    git(folder, "checkout", "--quiet", "main")
    return folder


def test_a_clone_knows_all_branches_and_those_that_are_merged(origin: Path, tmp_path: Path) -> None:
    """A branch that is deleted is gone after the next fetch."""
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(origin), str(clone))
    assert git_branches(clone) == GitBranches(heads=heads("merged", "users/anna/open"), merged=heads("merged"))
    git(origin, "branch", "--delete", "--force", "users/anna/open")
    git(clone, "fetch", "--quiet", "--prune", "origin")
    assert git_branches(clone).heads == heads("merged")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--depth", "1"], "does not have the whole history"),
        (["--branch", "main", "--single-branch"], "fetches a part of the branches"),
    ],
)
def test_a_clone_without_all_branches_decides_nothing(
    origin: Path, tmp_path: Path, options: list[str], said: str
) -> None:
    """What is only missing there would be taken for deleted."""
    git(tmp_path, "clone", "--quiet", *options, f"file://{origin}", "clone")
    with pytest.raises(GitBranchesError, match=said):
        git_branches(tmp_path / "clone")


def test_a_repository_without_main_decides_nothing(origin: Path, tmp_path: Path) -> None:
    """Everything would count as unmerged, and its owner would not learn why."""
    git(origin, "branch", "--move", "main", "trunk")
    git(tmp_path, "clone", "--quiet", str(origin), "clone")
    with pytest.raises(GitBranchesError, match="does not know refs/remotes/origin/main"):
        git_branches(tmp_path / "clone")
