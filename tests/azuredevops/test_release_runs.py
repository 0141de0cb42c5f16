"""What would run for a tag and at night: approved, broken, cancelled, or with something found."""

import pytest

from pipelines.declarations.environment import ENVIRONMENTS
from tests.azuredevops.conftest import Pipelines
from tests.azuredevops.pipeline_runs import commands_of
from tests.azuredevops.scenarios import jobs, night, ran, release, texts


def test_a_tag_shows_the_plan_and_applies_exactly_it(pipelines: Pipelines) -> None:
    """The hash comes from what was shown before the approval."""
    stages = release(pipelines)
    assert jobs(stages["review"]) == {"plan": "Succeeded"}
    assert jobs(stages["prod"]) == {
        "apply": "Succeeded",
        "smoke": "Succeeded",
        "go_back": "Skipped",
        "released": "Succeeded",
    }
    shown = texts(stages, "review")
    assert "output.sh sha256,wheel .venv/bin/python -m infra kept build/plan" in shown
    assert shown.index("output.sh sha256 .venv/bin/python -m infra wheel\n") < shown.index(
        "cmp dist/*.whl build/wheel/*.whl"
    )
    told = texts(stages, "prod")
    assert "infra apply prod --plan build/plan --sha256 3c --maximum-age 24h" in told
    assert "smoke.sh prod the.whl" in told
    assert "infra plan" not in told
    assert "infra rollback" not in told
    assert "##vso[build.addbuildtag]released" in told


def test_a_release_that_moves_no_wheel_goes_the_same_way(pipelines: Pipelines) -> None:
    """A change of the network alone. The stacks are made with the wheel that was tried, and no job is asked for it."""
    stages = release(pipelines, wheel="none")
    assert jobs(stages["prod"])["released"] == "Succeeded"
    told = texts(stages, "prod")
    assert 'sha256sum dist/*.whl | grep "^1a "' in told
    assert "smoke.sh prod none" in told


def test_a_release_that_moved_no_wheel_is_not_taken_back(pipelines: Pipelines) -> None:
    """Going back would be refused: no job is other than it was. The run fails and a person looks."""
    stages = release(pipelines, wheel="none", failing=("prod.smoke.Smoke",), smoke="broken")
    assert jobs(stages["prod"]) == {
        "apply": "Succeeded",
        "smoke": "Failed",
        "go_back": "Skipped",
        "released": "Skipped",
    }


def test_a_release_that_nobody_approves_in_time_is_not_noted_as_made(pipelines: Pipelines) -> None:
    """The service takes such a run for one that succeeded; main looks for the mark."""
    stages = release(pipelines, timed_out=True)
    assert ran(stages) == ["review"]
    assert "addbuildtag" not in "".join(step.text for _, step in commands_of(stages))


def test_a_smoke_test_that_does_not_hold_takes_prod_back(pipelines: Pipelines) -> None:
    """To wheel and jobs of the release before; the run fails, and main does not take the release for made."""
    stages = release(pipelines, failing=("prod.smoke.Smoke",), smoke="broken")
    assert jobs(stages["prod"]) == {
        "apply": "Succeeded",
        "smoke": "Failed",
        "go_back": "Succeeded",
        "released": "Skipped",
    }
    assert "infra rollback prod" in texts(stages, "prod")
    assert stages["prod"].result == "Failed"


def test_a_workspace_that_could_not_be_asked_takes_nothing_back(pipelines: Pipelines) -> None:
    """An error deploys nothing, and a rollback is a deployment. The run fails."""
    stages = release(pipelines, failing=("prod.smoke.Smoke",), smoke="unknown")
    assert jobs(stages["prod"]) == {
        "apply": "Succeeded",
        "smoke": "Failed",
        "go_back": "Skipped",
        "released": "Skipped",
    }


def test_a_set_up_that_failed_before_the_smoke_test_takes_nothing_back(pipelines: Pipelines) -> None:
    """Nothing is known of the release then."""
    stages = release(pipelines, failing=("prod.smoke.Install the locked requirements",))
    assert jobs(stages["prod"])["go_back"] == "Skipped"
    assert stages["prod"].result == "Failed"


@pytest.mark.parametrize("step", ["Hold the wheel to its hash", "Take plan-prod", "Apply plan $(planSha256)"])
def test_a_plan_that_was_not_applied_is_neither_proven_nor_taken_back(pipelines: Pipelines, step: str) -> None:
    """Refused, or failed half-way: a person looks."""
    stages = release(pipelines, failing=(f"prod.apply.{step}",))
    assert jobs(stages["prod"]) == {
        "apply": "Failed",
        "smoke": "Skipped",
        "go_back": "Skipped",
        "released": "Skipped",
    }


@pytest.mark.parametrize("step", ["Take plan-prod", "What would be done to prod", "Build the wheel again",
                                  "Compare it with the one that was tried"])  # fmt: skip
def test_a_commit_that_main_has_not_tried_never_reaches_the_approval(pipelines: Pipelines, step: str) -> None:
    """There is no plan of it, or it is not what it says."""
    assert ran(release(pipelines, failing=(f"review.plan.{step}",))) == ["review"]


def test_a_release_that_is_cancelled_is_not_noted_as_made(pipelines: Pipelines) -> None:
    """Whether during the apply or during the smoke test."""
    for job in ("prod.apply", "prod.smoke"):
        stages = release(pipelines, cancelled_in=job)
        assert jobs(stages["prod"])["released"] == "Skipped"
        assert jobs(stages["prod"])["go_back"] == "Skipped"
        assert stages["prod"].result == "Canceled"


def test_a_night_looks_everywhere(pipelines: Pipelines) -> None:
    """Drift of all places, status of all environments, waivers, dependencies."""
    stages = night(pipelines)
    assert all(stage.result == "Succeeded" for stage in stages.values())
    told = "\n".join(texts(stages, name) for name in stages)
    for place in ("account", *ENVIRONMENTS):
        assert f"infra drift {place}" in told
    for environment in ENVIRONMENTS:
        assert f"pipelines status --env {environment} --remote" in told
    assert "infra waivers --within 14d" in told
    assert "make audit" in told


@pytest.mark.parametrize("failing", ["drift_dev.drift.Drift", "status_prod.status.Status", "audit.audit.Audit",
                                     "waivers.waivers.Waivers"])  # fmt: skip
def test_what_is_found_in_one_place_keeps_nobody_from_looking_in_another(pipelines: Pipelines, failing: str) -> None:
    """Every stage but the failed one succeeds."""
    stages = night(pipelines, failing=failing)
    assert [name for name, stage in stages.items() if stage.result != "Succeeded"] == [failing.partition(".")[0]]


def test_a_place_that_is_not_connected_is_not_looked_at(pipelines: Pipelines) -> None:
    """There is nothing yet that could drift."""
    stages = night(pipelines, without=("prod", "account"))
    assert [name for name, stage in stages.items() if stage.result == "Skipped"] == [
        "drift_account", "drift_prod", "status_prod",
    ]  # fmt: skip


def test_a_workspace_is_found_by_the_resource_id_that_its_platform_stack_gives_it(pipelines: Pipelines) -> None:
    """The Databricks SDK asks Azure for its address."""
    stages = night(pipelines)
    (step,) = [step for where, step in commands_of(stages) if where == "status_dev.status" and "status" in step.text]
    assert step.env == {
        "DATABRICKS_AZURE_RESOURCE_ID": "/subscriptions/5a0b1c2d-3e4f-4a5b-8c6d-7e8f90a1b2c3/resourceGroups/rg-mrd-dev"
        "/providers/Microsoft.Databricks/workspaces/dbw-mrd-dev"
    }
