"""A branch is deployed into dev on request, with what a pull request may do, and removed once its Git branch is gone."""

from infra.azure_pipelines.played import Scenario, StageRun
from infra.azure_pipelines.runs import play
from infra.azure_pipelines.templates import expand
from tests.azuredevops.conftest import FOLDER, Pipelines
from tests.azuredevops.scenarios import EVERYTHING, PREDEFINED, jobs, night, outputs, ran, texts

REF = "refs/heads/new-gate"


def branch(*, remove: bool = False, failing: str = "", connected: bool = True) -> dict[str, StageRun]:
    """Play the pipeline `branch` as a person starts it on a Git branch."""
    without = () if connected else ("dev",)
    scenario = Scenario(
        variables={**PREDEFINED, "Build.Reason": "Manual", "Build.SourceBranch": REF, "Build.SourceBranchName": "new-gate"},
        outputs={"build.build.affected": outputs(EVERYTHING, without=without), "build.build.wheel": {"sha256": "1a"}},
        failing=frozenset({failing} if failing else ()),
    )  # fmt: skip
    return play(expand(FOLDER / "branch.yml", remove=remove), scenario)


def test_the_branch_is_proven_without_an_identity_and_then_deployed_as_it_is_called_in_git() -> None:
    """Checks, ceilings and waivers of main judge it first; the plan that is applied is of the wheel that was built there."""
    stages = branch()
    assert ran(stages) == ["build", "branch"]
    assert "infra check --skip-checkov --judged-by origin/main" in texts(stages, "build")
    assert '--git-branch "$BUILD_SOURCEBRANCH" --offline' in texts(stages, "build")
    assert "--apply" not in texts(stages, "build")
    assert 'grep "^1a "' in texts(stages, "branch")
    assert 'infra branch --env dev --git-branch "$BUILD_SOURCEBRANCH" --apply' in texts(stages, "branch")


def test_what_is_found_keeps_the_branch_from_being_deployed() -> None:
    """In its build, before anything signs in."""
    for step in ("Check against the policy of main", "Plan the branch offline"):
        stages = branch(failing=f"build.build.{step}")
        assert ran(stages) == ["build"]


def test_removing_asks_nothing_of_the_code() -> None:
    """A branch whose checks fail can be removed."""
    stages = branch(remove=True)
    assert "infra check" not in texts(stages, "build")
    assert '--git-branch "$BUILD_SOURCEBRANCH" --remove --apply' in texts(stages, "branch")
    assert not any("--git-branch" in line and "--remove" not in line for line in texts(stages, "branch").splitlines())


def test_nothing_is_deployed_where_dev_is_not_connected() -> None:
    """As everywhere."""
    assert ran(branch(connected=False)) == ["build"]


def test_the_run_of_a_branch_stands_in_no_environment_and_signs_in_as_dev_alone(pipelines: Pipelines) -> None:
    """Dev's environment admits main alone; what a pull request can reach is what a branch can."""
    said = str(pipelines["branch"])
    assert "lakehouse-dev" in said
    assert not any(f"lakehouse-{place}" in said for place in ("account", "staging", "prod"))
    assert "'environment'" not in said


def test_the_night_removes_branches_with_the_code_of_main_and_whatever_else_fails(pipelines: Pipelines) -> None:
    """Where dev is connected."""
    stages = night(pipelines, failing="drift_dev.drift.Drift")
    assert jobs(stages["branches"]) == {"remove": "Succeeded"}
    assert "infra branch --env dev --gone --apply" in texts(stages, "branches")
    assert "branches" not in ran(night(pipelines, without=("dev",)))
