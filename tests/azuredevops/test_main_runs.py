"""What the pipeline `main` runs after a merge: for each kind of change, and with each stage failing or cancelled."""

import pytest

from infra.azure_pipelines.played import commands_of, published
from infra.azure_pipelines.templates import expand
from tests.azuredevops.conftest import FOLDER, Pipelines
from tests.azuredevops.scenarios import EVERYTHING, STAGES_OF_MAIN, jobs, main_after, ran, texts


def test_a_change_of_one_use_case_deploys_workspaces_and_runs_its_jobs(pipelines: Pipelines) -> None:
    """The stages of the account and every platform stack are left out; integration runs follow dev and staging."""
    stages = main_after(pipelines, "pipelines/use_cases/flight_delay/features.py")
    assert ran(stages) == [
        "build",
        "dev",
        "dev_integration",
        "staging",
        "staging_integration",
        "plan_prod",
        "went_through",
        "ready",
    ]
    for environment in ("dev", "staging"):
        assert f"deploy.sh {environment} {environment}-workspace" in texts(stages, environment)
        assert f"pipelines integration --env {environment} --remote" in texts(stages, f"{environment}_integration")
    assert "infra plan prod --only prod-workspace --keep build/plan" in texts(stages, "plan_prod")
    assert "platform" not in "".join(step.text for _, step in commands_of(stages))


def test_a_change_of_settings_deploys_and_runs_no_job(pipelines: Pipelines) -> None:
    """The stacks of dev and staging are deployed without an integration run."""
    stages = main_after(pipelines, "infra/settings/dev.yaml")
    assert ran(stages) == [stage for stage in STAGES_OF_MAIN if "integration" not in stage]
    assert "deploy.sh dev dev-platform,dev-workspace" in texts(stages, "dev")
    assert "deploy.sh staging staging-platform,staging-workspace" in texts(stages, "staging")


def test_the_account_s_part_of_an_environment_comes_between_its_platform_and_its_workspace(
    pipelines: Pipelines,
) -> None:
    """Each step with the identity that applies the stack, the middle one from a saved plan, after an approval."""
    stages = main_after(pipelines, "infra/constructs/account/membership.py")
    assert ran(stages) == [
        "build", "dev_platform", "plan_dev_account", "dev_account", "staging_platform", "plan_staging_account",
        "staging_account", "plan_prod_account", "prod_account", "went_through",
    ]  # fmt: skip
    for name in ("dev", "staging"):
        assert f"deploy.sh {name} {name}-platform" in texts(stages, f"{name}_platform")
        assert f"infra plan account --only {name}-account --keep build/plan" in texts(stages, f"plan_{name}_account")
        assert f"infra apply account --plan build/plan --sha256 2b-{name}" in texts(stages, f"{name}_account")


def test_a_change_of_the_network_deploys_platforms_in_order_and_runs_no_job(pipelines: Pipelines) -> None:
    """Dev is deployed before staging, and staging before prod is planned."""
    stages = main_after(pipelines, "infra/constructs/azure/network.py")
    assert ran(stages) == ["build", "dev", "staging", "plan_prod", "went_through", "ready"]
    assert "deploy.sh dev dev-platform" in texts(stages, "dev")
    assert "workspace" not in texts(stages, "staging")


def test_a_change_of_documentation_and_tests_builds_and_deploys_nothing(pipelines: Pipelines) -> None:
    """A run that was started nevertheless builds, and every stage that deploys is skipped."""
    assert ran(main_after(pipelines, "docs/platform.md", "tests/ml/gate/test_decision.py")) == ["build", "went_through"]


def test_a_change_that_affects_everything_runs_every_stage(pipelines: Pipelines) -> None:
    """The account's saved plan is applied first, and the commit is tagged as ready at the end."""
    stages = main_after(pipelines, EVERYTHING)
    assert ran(stages) == STAGES_OF_MAIN
    assert "infra apply account --plan build/plan --sha256 2b --maximum-age 24h" in texts(stages, "account")
    assert jobs(stages["staging_integration"]) == {"run": "Succeeded", "models": "Succeeded"}
    assert "##vso[build.addbuildtag]commit-c0ffee" in texts(stages, "ready")


@pytest.mark.parametrize(
    ("without", "reached"),
    [
        (("account", "staging", "prod"), ["build", "dev", "dev_integration", "went_through"]),
        (("account", "prod"), ["build", "dev", "dev_integration", "staging", "staging_integration", "went_through"]),
        (("account", "dev", "staging", "prod"), ["build", "went_through"]),
    ],
)
def test_main_runs_only_the_stages_of_connected_environments(
    pipelines: Pipelines, without: tuple[str, ...], reached: list[str]
) -> None:
    """The stages of unconnected environments are skipped, and the run is not marked as ready for a release."""
    assert ran(main_after(pipelines, EVERYTHING, without=without)) == reached


def test_the_wheel_is_built_once_and_its_hash_is_checked_in_every_later_stage(pipelines: Pipelines) -> None:
    """Only the first stage builds a wheel; every stage that plans or deploys checks the hash."""
    stages = main_after(pipelines, EVERYTHING)
    built = [where for where, step in commands_of(stages) if "infra wheel" in step.text]
    held = [where for where, step in commands_of(stages) if 'sha256sum dist/*.whl | grep "^1a "' in step.text]
    assert built == ["build.build"]
    assert held == [
        "plan_account.plan", "account.apply",
        "dev_platform.deploy", "plan_dev_account.plan", "dev_account.apply", "dev.deploy",
        "staging_platform.deploy", "plan_staging_account.plan", "staging_account.apply", "staging.deploy",
        "plan_prod_account.plan", "prod_account.apply", "plan_prod.plan",
    ]  # fmt: skip


def test_the_first_run_of_all_goes_on_without_an_earlier_run(pipelines: Pipelines) -> None:
    """The failed download is a warning, and every stage runs."""
    stages = main_after(pipelines, EVERYTHING, failing="build.build.Which commit dev and staging run")
    assert stages["build"].result == "SucceededWithIssues"
    assert ran(stages) == STAGES_OF_MAIN


@pytest.mark.parametrize(
    ("failing", "reached"),
    [
        ("build.build.Check against policy", "build"),
        ("plan_account.plan.Hold the wheel to its hash", "plan_account"),
        ("account.apply.Synthesize the stacks", "account"),
        ("dev_platform.deploy.Deploy $(stacks)", "dev_platform"),
        ("plan_dev_account.plan.Plan $(stacks)", "plan_dev_account"),
        ("dev_account.apply.Synthesize the stacks", "dev_account"),
        ("dev.deploy.Deploy $(stacks)", "dev"),
        ("dev_integration.run.Integration run", "dev_integration"),
        ("staging_account.apply.Synthesize the stacks", "staging_account"),
        ("staging.deploy.Deploy $(stacks)", "staging"),
        ("staging_integration.run.Integration run", "staging_integration"),
        ("staging_integration.models.Gate, monitors and mutants", "staging_integration"),
        ("prod_account.apply.Synthesize the stacks", "prod_account"),
        ("plan_prod.plan.Plan $(stacks)", "plan_prod"),
    ],
)
def test_a_stage_that_failed_is_the_last_one(pipelines: Pipelines, failing: str, reached: str) -> None:
    """No stage runs after the failed one: no later environment is deployed, and no release finds the run."""
    stages = main_after(pipelines, EVERYTHING, failing=failing)
    assert ran(stages) == STAGES_OF_MAIN[: STAGES_OF_MAIN.index(reached) + 1]
    assert stages[reached].result == "Failed"


def test_a_run_whose_jobs_are_run_again_publishes_under_other_names(pipelines: Pipelines) -> None:
    """Nothing is published twice, which the service would refuse."""
    first = main_after(pipelines, EVERYTHING)
    again = main_after(pipelines, EVERYTHING, attempt=2, kept=published(first))
    assert {name: stage.result for name, stage in again.items()} == dict.fromkeys(STAGES_OF_MAIN, "Succeeded")
    parts = {f"plan-{environment}_account-1" for environment in ("dev", "staging", "prod")}
    assert published(first) == {"wheel-1", "plan-account-1", "plan-prod-1", "commit-1", *parts}
    assert not published(first) & published(again)


def test_an_artifact_that_is_published_twice_fails_its_step(pipelines: Pipelines) -> None:
    """So the interpreter would find a name without the attempt."""
    stages = main_after(pipelines, EVERYTHING, kept=frozenset({"plan-prod-1"}))
    assert stages["plan_prod"].result == "Failed"
    assert "went_through" not in ran(stages)


def test_stages_that_end_with_warnings_stop_nothing(pipelines: Pipelines) -> None:
    """Every later stage runs, and a release finds the run."""
    parts = [f"{environment}_account" for environment in ("dev", "staging", "prod")]
    warning = (
        *(f"plan_{part}.plan.Keep the plan" for part in parts), *(f"{part}.apply.Synthesize the stacks" for part in parts),
        "dev_platform.deploy.Deploy $(stacks)", "staging_platform.deploy.Deploy $(stacks)",
        "build.build.Build the wheel", "plan_account.plan.Keep the plan", "account.apply.Synthesize the stacks",
        "dev.deploy.Deploy $(stacks)", "dev_integration.run.Integration run", "staging.deploy.Deploy $(stacks)",
        "staging_integration.models.Gate, monitors and mutants", "plan_prod.plan.Plan $(stacks)", "went_through.note.Mark",
    )  # fmt: skip
    stages = main_after(pipelines, EVERYTHING, warning=warning)
    assert ran(stages) == STAGES_OF_MAIN
    assert {name for name, stage in stages.items() if stage.result == "SucceededWithIssues"} == set(STAGES_OF_MAIN) - {
        "ready"
    }


@pytest.mark.parametrize(
    "job", ["build.build", "plan_account.plan", "account.apply", "dev_platform.deploy", "dev_account.apply",
            "dev.deploy", "dev_integration.run", "staging_account.apply", "staging.deploy", "staging_integration.run",
            "prod_account.apply", "plan_prod.plan"]
)  # fmt: skip
def test_a_cancelled_run_deploys_nothing_more(pipelines: Pipelines, job: str) -> None:
    """No stage runs after the one that was cancelled, whichever it is."""
    stages = main_after(pipelines, EVERYTHING, cancelled_in=job)
    stage = job.partition(".")[0]
    assert ran(stages) == STAGES_OF_MAIN[: STAGES_OF_MAIN.index(stage) + 1]
    assert stages[stage].result == "Canceled"


NOTED = ("##vso[build.addbuildtag]went-through", "##vso[build.addbuildtag]commit-c0ffee")


@pytest.mark.parametrize("paths", [(EVERYTHING,), ("infra/settings/dev.yaml",)], ids=["everything", "settings"])
@pytest.mark.parametrize(
    "stage", [stage for stage in STAGES_OF_MAIN if stage not in ("build", "went_through", "ready")]
)
def test_a_stage_whose_approval_timed_out_ends_the_run(
    pipelines: Pipelines, stage: str, paths: tuple[str, ...]
) -> None:
    """No stage runs after it and the run leaves no mark, although the service calls such a stage skipped."""
    went = ran(main_after(pipelines, *paths))
    stages = main_after(pipelines, *paths, timed_out=stage)
    if stage not in went:
        assert ran(stages) == went
        return
    assert ran(stages) == went[: went.index(stage)]
    output = "".join(step.text for _, step in commands_of(stages))
    assert not any(mark in output for mark in NOTED)
    assert not any(step.title == "Keep the commit" for run in stages.values() for job in run.jobs.values()
                   for step in job.steps)  # fmt: skip


@pytest.mark.parametrize("failing", ["", "dev.deploy.Deploy $(stacks)"])
def test_only_a_run_that_was_deployed_completely_is_marked_as_the_base_of_the_next(
    pipelines: Pipelines, failing: str
) -> None:
    """A complete run sets both tags, and a run with a failed stage sets neither."""
    stages = main_after(pipelines, EVERYTHING, failing=failing)
    output = "".join(step.text for _, step in commands_of(stages))
    assert all((mark in output) is not failing.startswith("dev") for mark in NOTED)


def test_a_run_that_could_not_be_marked_is_not_ready_for_a_release(pipelines: Pipelines) -> None:
    """When the step that records the commit fails, the stage `ready` is skipped."""
    stages = main_after(pipelines, EVERYTHING, failing="went_through.note.Name the commit")
    assert (stages["went_through"].result, stages["ready"].result) == ("Failed", "Skipped")


@pytest.mark.parametrize(("anew", "base"), [(False, "@build/released/commit"), (True, "none")])
def test_after_a_rollback_by_hand_all_of_prod_can_be_planned(anew: bool, base: str) -> None:
    """The parameter `prodAnew` plans prod without a base, instead of comparing with the last release."""
    stages = main_after({"main": expand(FOLDER / "main.yml", prodAnew=anew)}, EVERYTHING)
    assert f"--base prod={base} --set-variables" in texts(stages, "build")


def test_only_the_use_cases_that_have_changed_are_tried_again(pipelines: Pipelines) -> None:
    """A change of one use case runs its jobs alone; a change of what all of them run tries all."""
    one = main_after(pipelines, "pipelines/use_cases/air_time/declaration.py")
    assert "--remote --among air_time\n" in texts(one, "dev_integration") + "\n"
    every = main_after(pipelines, EVERYTHING)
    assert "--remote --among air_time,flight_delay" in texts(every, "dev_integration")
