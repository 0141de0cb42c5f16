"""What would run: for a pull request, a fork, a push, a tag, a failure, a cancelled run and a night."""

import re

import pytest

from infra.commands.affected import logging_commands
from infra.settings_checks import load_settings
from pipelines.declarations.environment import ENVIRONMENTS
from tests.azuredevops.pipeline_runs import Scenario, StageRun, commands_of, play
from tests.azuredevops.pipeline_triggers import schedules, started_by_push, started_by_yaml_for_pull_requests
from tests.azuredevops.test_affected import decide

PREDEFINED = {
    "Agent.OS": "Linux",
    "Build.Reason": "IndividualCI",
    "Build.SourceBranch": "refs/heads/main",
    "Build.SourceBranchName": "main",
    "Build.SourceVersion": "c0ffee",
    "Pipeline.Workspace": "/agent/1",
    "System.TeamProjectId": "a-project",
    "System.AccessToken": "the token of the job",
}
PULL_REQUEST = {
    **PREDEFINED,
    "Build.Reason": "PullRequest",
    "System.PullRequest.IsFork": "False",
    "System.PullRequest.TargetBranchName": "main",
    "System.PullRequest.PullRequestId": "7",
}
EVERYTHING = "something.new"
STAGES_OF_MAIN = ["build", "plan_account", "account", "dev", "dev_integration", "staging", "staging_integration",
                  "plan_prod", "ready"]  # fmt: skip


def outputs(*paths: str, without: tuple[str, ...] = ()) -> dict[str, str]:
    """Return what `infra affected --set-variables` sets after a change, where all but some places are connected."""
    found = {}
    for line in logging_commands(decide(*paths), load_settings()):
        name, value = re.fullmatch(r"##vso\[task\.setvariable variable=(\w+);isOutput=true\](.*)", line).groups()
        place = name.partition("_")[2]
        found[name] = ("" if name.startswith("stacks") else "false") if place in without else value
    connected = {f"connected_{place}": str(place not in without).lower() for place in ("account", *ENVIRONMENTS)}
    return found | connected


def main_after(
    pipelines, *paths: str, failing: str = "", cancelled_in: str = "", without: tuple[str, ...] = ()
) -> dict[str, StageRun]:
    """Play the pipeline `main` after a change of some paths."""
    scenario = Scenario(
        variables=PREDEFINED,
        outputs={
            "build.build.affected": outputs(*paths, without=without),
            "build.build.wheel": {"sha256": "1a"},
            "plan_account.plan.plan": {"sha256": "2b"},
            "plan_prod.plan.plan": {"sha256": "3c"},
        },
        failing=frozenset({failing} if failing else ()),
        cancelled_in=cancelled_in,
    )
    return play(pipelines["main"], scenario)


def pull_request(pipelines, *paths: str, fork: str = "False", failing: str = "", connected: bool = True):
    """Play the pipeline `pull-request` for a change of some paths."""
    places = () if connected else ("account", *ENVIRONMENTS)
    scenario = Scenario(
        variables={**PULL_REQUEST, "System.PullRequest.IsFork": fork},
        outputs={"review.review.affected": outputs(*paths, without=places), "review.review.wheel": {"sha256": "1a"}},
        failing=frozenset({failing} if failing else ()),
    )
    return play(pipelines["pull-request"], scenario)


def release(pipelines, *, failing: tuple[str, ...] = (), smoke: str = "proven", cancelled_in: str = ""):
    """Play the pipeline `release` for a tag."""
    scenario = Scenario(
        variables={**PREDEFINED, "Build.SourceBranch": "refs/tags/v1.4", "Build.SourceBranchName": "v1.4"},
        outputs={
            "review.plan.plan": {"sha256": "3c", "wheel": "the.whl", "wheel_sha256": "1a"},
            "review.plan.prod": outputs(EVERYTHING),
            "prod.smoke.smoke": {"release": smoke},
        },
        failing=frozenset(failing),
        cancelled_in=cancelled_in,
    )
    return play(pipelines["release"], scenario)


def night(pipelines, *, failing: str = "", without: tuple[str, ...] = ()):
    """Play the pipeline `nightly`."""
    scenario = Scenario(
        variables={**PREDEFINED, "Build.Reason": "Schedule"},
        outputs={"where.where.affected": outputs(EVERYTHING, without=without)},
        failing=frozenset({failing} if failing else ()),
    )
    return play(pipelines["nightly"], scenario)


def ran(stages: dict[str, StageRun]) -> list[str]:
    """Return the stages that ran, in order."""
    return [name for name, stage in stages.items() if stage.result != "Skipped"]


def jobs(stage: StageRun) -> dict[str, str]:
    """Return the result of every job."""
    return {name: job.result for name, job in stage.jobs.items()}


def texts(stages: dict[str, StageRun], stage: str) -> str:
    """Return every command of a stage that ran."""
    return "\n".join(step.text for where, step in commands_of(stages) if where.partition(".")[0] == stage)


# What starts a pipeline


def test_a_pull_request_is_started_by_the_branch_policy_and_by_nothing_in_a_file(pipelines):
    """A trigger of the file would run it a second time on a mirror that hears it."""
    for name, pipeline in pipelines.items():
        assert not started_by_yaml_for_pull_requests(pipeline), name
    assert not started_by_push(pipelines["pull-request"], "refs/heads/main", ["ml/gate.py"])


@pytest.mark.parametrize(
    ("paths", "starts"),
    [
        (["ml/gate.py"], True),
        (["infra/settings/dev.yaml"], True),
        (["docs/platform.md", "pipelines/use_cases/flight_delay/features.py"], True),
        (["docs/platform.md"], False),
        (["README.md", "docs/report.png"], False),
        (["documents/new.py"], True),
    ],
)
def test_main_starts_for_what_could_be_deployed_and_not_for_prose(pipelines, paths, starts):
    """One path that counts is enough."""
    assert started_by_push(pipelines["main"], "refs/heads/main", paths) is starts


def test_main_starts_for_no_other_branch_and_for_no_tag(pipelines):
    """A release starts from its tag alone."""
    assert not started_by_push(pipelines["main"], "refs/heads/mainframe", ["ml/gate.py"])
    assert not started_by_push(pipelines["main"], "refs/heads/feature/x", ["ml/gate.py"])
    assert not started_by_push(pipelines["main"], "refs/tags/v1.4")


def test_a_release_starts_for_a_version_tag_and_for_nothing_else(pipelines):
    """Not for a branch of the same name, not for another tag, not at night."""
    starts = [ref for ref in ("refs/tags/v1.4", "refs/tags/try", "refs/heads/v1.4", "refs/heads/main")
              if started_by_push(pipelines["release"], ref, ["ml/gate.py"])]  # fmt: skip
    assert starts == ["refs/tags/v1.4"]
    assert [name for name in pipelines if schedules(pipelines[name], "main")] == ["nightly"]


def test_the_night_looks_at_main_also_when_nothing_was_pushed(pipelines):
    """Drift comes without a commit."""
    (schedule,) = schedules(pipelines["nightly"], "main")
    assert (schedule["cron"], schedule["always"]) == ("0 3 * * *", True)
    assert schedules(pipelines["nightly"], "feature/x") == []
    assert not started_by_push(pipelines["nightly"], "refs/heads/main", ["ml/gate.py"])


# A pull request


def test_a_pull_request_runs_everything_and_comments_once(pipelines):
    """Style, tests on both engines, wheel, stacks, policy, plans, one comment."""
    stages = pull_request(pipelines, "ml/gate.py")
    assert ran(stages) == ["verify", "review", "plan_dev", "comment"]
    told = texts(stages, "verify") + texts(stages, "review")
    for command in ("ruff check .", "ruff format --check .", "mypy", "lint-imports", "make test", "infra wheel",
                    "infra synth", "infra check --plans", "infra validate --offline"):  # fmt: skip
        assert command in told, command
    for place in ("account", *ENVIRONMENTS):
        assert f"infra plan {place} --offline" in told
    assert "infra plan dev --only dev-workspace --json build/plan" in texts(stages, "plan_dev")
    assert "infra review --base origin/main --plan build/plan/*.json" in texts(stages, "comment")
    comments = [where for where, step in commands_of(stages) if "infra comment" in step.text]
    assert comments == ["comment.comment"]


def test_the_tests_of_a_pull_request_have_both_engines_and_terraform(pipelines):
    """What is missing would be skipped, and a skipped test is a hole here."""
    steps = pull_request(pipelines, "ml/gate.py")["verify"].jobs["tests"].steps
    titles = [step.title for step in steps]
    assert titles.index("Test") > max(titles.index(t) for t in ("Use Java 17", "Install Terraform", "Java is there"))
    (java,) = [step for step in steps if step.raw.get("task") == "JavaToolInstaller@1"]
    assert java.raw["inputs"]["versionSpec"] == "17"


def test_a_pull_request_of_a_fork_gets_no_credential_and_everything_that_needs_none(pipelines):
    """No service connection, no token; the checks, tests and offline plans all the same."""
    stages = pull_request(pipelines, "ml/gate.py", fork="True")
    assert ran(stages) == ["verify", "review"]
    for _, step in commands_of(stages):
        assert "azureSubscription" not in step.raw.get("inputs", {})
        assert "the token of the job" not in {step.text, *step.env.values()}


@pytest.mark.parametrize("paths", [["docs/platform.md"], ["infra/settings/schema/dev.json"]])
def test_a_pull_request_that_changes_nothing_in_dev_signs_in_nowhere_and_comments(pipelines, paths):
    """The comment tells that nothing changes."""
    stages = pull_request(pipelines, *paths)
    assert ran(stages) == ["verify", "review", "comment"]
    assert "--plan build/plan" not in texts(stages, "comment")


def test_before_dev_is_connected_a_pull_request_plans_offline_alone(pipelines):
    """As a repository is that was just copied."""
    assert ran(pull_request(pipelines, "ml/gate.py", connected=False)) == ["verify", "review", "comment"]


def test_failing_tests_do_not_keep_the_reviewer_from_seeing_what_would_change(pipelines):
    """The policy of the branch refuses the merge; the comment comes."""
    stages = pull_request(pipelines, "ml/gate.py", failing="verify.tests.Test")
    assert (stages["verify"].result, stages["comment"].result) == ("Failed", "Succeeded")
    assert [step.title for step in stages["verify"].jobs["tests"].steps][-1] == "Publish the results"


@pytest.mark.parametrize("step", ["Check against policy", "Synthesize the stacks", "Plan prod offline"])
def test_a_review_that_failed_signs_in_nowhere_and_comments_nothing(pipelines, step):
    """Half a review is none."""
    assert ran(pull_request(pipelines, "ml/gate.py", failing=f"review.review.{step}")) == ["verify", "review"]


def test_a_plan_of_dev_that_failed_is_not_passed_over(pipelines):
    """A comment that leaves it out would look like no change."""
    stages = pull_request(pipelines, "ml/gate.py", failing="plan_dev.plan.Plan $(stacks)")
    assert (stages["plan_dev"].result, stages["comment"].result) == ("Failed", "Skipped")


# main


def test_a_change_of_one_use_case_deploys_workspaces_and_tries_its_jobs(pipelines):
    """No account, no network."""
    stages = main_after(pipelines, "pipelines/use_cases/flight_delay/features.py")
    assert ran(stages) == ["build", "dev", "dev_integration", "staging", "staging_integration", "plan_prod", "ready"]
    for environment in ("dev", "staging"):
        assert f"deploy.sh {environment} {environment}-workspace" in texts(stages, environment)
        assert f"pipelines integration --env {environment} --remote" in texts(stages, f"{environment}_integration")
    assert "infra plan prod --only prod-workspace --keep build/plan" in texts(stages, "plan_prod")
    assert "platform" not in "".join(step.text for _, step in commands_of(stages))


def test_a_change_of_settings_deploys_and_retrains_nothing(pipelines):
    """No job is run anywhere."""
    stages = main_after(pipelines, "infra/settings/dev.yaml")
    assert ran(stages) == ["build", "plan_account", "account", "dev", "staging", "plan_prod", "ready"]
    assert "deploy.sh dev dev-platform,dev-workspace" in texts(stages, "dev")
    assert "deploy.sh staging staging-workspace" in texts(stages, "staging")


def test_a_change_of_the_network_deploys_platforms_in_order_and_runs_no_job(pipelines):
    """Dev before staging, staging before prod's plan."""
    stages = main_after(pipelines, "infra/constructs/network.py")
    assert ran(stages) == ["build", "dev", "staging", "plan_prod", "ready"]
    assert "deploy.sh dev dev-platform" in texts(stages, "dev")
    assert "workspace" not in texts(stages, "staging")


def test_a_change_that_no_stack_is_made_of_builds_and_deploys_nothing(pipelines):
    """Were it started all the same, by hand or beside other commits."""
    assert ran(main_after(pipelines, "docs/platform.md", "tests/ml/test_gate.py")) == ["build"]


def test_everything_goes_the_whole_way(pipelines):
    """The account first, after its approval."""
    stages = main_after(pipelines, EVERYTHING)
    assert ran(stages) == STAGES_OF_MAIN
    assert "infra apply account --plan build/plan --sha256 2b --maximum-age 24h" in texts(stages, "account")
    assert jobs(stages["staging_integration"]) == {"run": "Succeeded", "models": "Succeeded"}
    assert "##vso[build.addbuildtag]commit-c0ffee" in texts(stages, "ready")


@pytest.mark.parametrize(
    ("without", "reached"),
    [
        (("account", "staging", "prod"), ["build", "dev", "dev_integration"]),
        (("account", "prod"), ["build", "dev", "dev_integration", "staging", "staging_integration"]),
        (("account", "dev", "staging", "prod"), ["build"]),
    ],
)
def test_main_goes_as_far_as_environments_are_connected(pipelines, without, reached):
    """A company that has set up dev alone is served in dev; no release finds such a run."""
    assert ran(main_after(pipelines, EVERYTHING, without=without)) == reached


def test_the_wheel_is_built_once_and_every_environment_holds_it_to_its_hash(pipelines):
    """No stage but the first builds one."""
    stages = main_after(pipelines, EVERYTHING)
    built = [where for where, step in commands_of(stages) if "infra wheel" in step.text]
    held = [where for where, step in commands_of(stages) if 'sha256sum dist/*.whl | grep "^1a "' in step.text]
    assert built == ["build.build"]
    assert held == ["plan_account.plan", "account.apply", "dev.deploy", "staging.deploy", "plan_prod.plan"]


def test_the_first_run_ever_finds_no_earlier_one_and_goes_on(pipelines):
    """What it cannot download is a warning, and everything is deployed."""
    stages = main_after(pipelines, EVERYTHING, failing="build.build.Which commit dev and staging run")
    assert stages["build"].result == "SucceededWithIssues"
    assert ran(stages) == STAGES_OF_MAIN


@pytest.mark.parametrize(
    ("failing", "reached"),
    [
        ("build.build.Check against policy", "build"),
        ("plan_account.plan.Hold the wheel to its hash", "plan_account"),
        ("account.apply.Synthesize the stacks", "account"),
        ("dev.deploy.Deploy $(stacks)", "dev"),
        ("dev_integration.run.Integration run", "dev_integration"),
        ("staging.deploy.Deploy $(stacks)", "staging"),
        ("staging_integration.run.Integration run", "staging_integration"),
        ("staging_integration.models.Gate, monitors and mutants", "staging_integration"),
        ("plan_prod.plan.Plan $(stacks)", "plan_prod"),
    ],
)
def test_a_stage_that_failed_is_the_last_one(pipelines, failing, reached):
    """Nothing after it runs, so nothing is deployed on top of what does not work, and no release finds the run."""
    stages = main_after(pipelines, EVERYTHING, failing=failing)
    assert ran(stages) == STAGES_OF_MAIN[: STAGES_OF_MAIN.index(reached) + 1]
    assert stages[reached].result == "Failed"


@pytest.mark.parametrize(
    "job", ["build.build", "plan_account.plan", "account.apply", "dev.deploy", "dev_integration.run", "staging.deploy",
            "staging_integration.run", "plan_prod.plan"]
)  # fmt: skip
def test_a_cancelled_run_deploys_nothing_more(pipelines, job):
    """Whichever job it is cancelled in."""
    stages = main_after(pipelines, EVERYTHING, cancelled_in=job)
    stage = job.partition(".")[0]
    assert ran(stages) == STAGES_OF_MAIN[: STAGES_OF_MAIN.index(stage) + 1]
    assert stages[stage].result == "Canceled"


# A release


def test_a_tag_shows_the_plan_and_applies_exactly_it(pipelines):
    """The hash comes from what was shown before the approval."""
    stages = release(pipelines)
    assert jobs(stages["review"]) == {"plan": "Succeeded"}
    assert jobs(stages["prod"]) == {
        "apply": "Succeeded",
        "smoke": "Succeeded",
        "go_back": "Skipped",
        "released": "Succeeded",
    }
    assert "output.sh sha256,wheel,wheel_sha256 .venv/bin/python -m infra kept build/plan" in texts(stages, "review")
    assert "infra wheel --expect 1a" in texts(stages, "review")
    told = texts(stages, "prod")
    assert "infra apply prod --plan build/plan --sha256 3c --maximum-age 24h" in told
    assert "smoke.sh prod the.whl" in told
    assert "infra plan" not in told
    assert "infra rollback" not in told


def test_a_smoke_test_that_does_not_hold_takes_prod_back(pipelines):
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


def test_a_workspace_that_could_not_be_asked_takes_nothing_back(pipelines):
    """An error deploys nothing, and a rollback is a deployment. The run fails."""
    stages = release(pipelines, failing=("prod.smoke.Smoke",), smoke="unknown")
    assert jobs(stages["prod"]) == {
        "apply": "Succeeded",
        "smoke": "Failed",
        "go_back": "Skipped",
        "released": "Skipped",
    }


def test_a_set_up_that_failed_before_the_smoke_test_takes_nothing_back(pipelines):
    """Nothing is known of the release then."""
    stages = release(pipelines, failing=("prod.smoke.Install the locked requirements",))
    assert jobs(stages["prod"])["go_back"] == "Skipped"
    assert stages["prod"].result == "Failed"


@pytest.mark.parametrize("step", ["Hold the wheel to its hash", "Take plan-prod", "Apply plan $(planSha256)"])
def test_a_plan_that_was_not_applied_is_neither_proven_nor_taken_back(pipelines, step):
    """Refused, or failed half-way: a person looks."""
    stages = release(pipelines, failing=(f"prod.apply.{step}",))
    assert jobs(stages["prod"]) == {
        "apply": "Failed",
        "smoke": "Skipped",
        "go_back": "Skipped",
        "released": "Skipped",
    }


@pytest.mark.parametrize("step", ["Take plan-prod", "What would be done to prod", "Build the wheel again"])
def test_a_commit_that_main_has_not_tried_never_reaches_the_approval(pipelines, step):
    """There is no plan of it, or it is not what it says."""
    assert ran(release(pipelines, failing=(f"review.plan.{step}",))) == ["review"]


def test_a_release_that_is_cancelled_is_not_noted_as_made(pipelines):
    """Whether during the apply or during the smoke test."""
    for job in ("prod.apply", "prod.smoke"):
        stages = release(pipelines, cancelled_in=job)
        assert jobs(stages["prod"])["released"] == "Skipped"
        assert jobs(stages["prod"])["go_back"] == "Skipped"
        assert stages["prod"].result == "Canceled"


# A night


def test_a_night_looks_everywhere(pipelines):
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
def test_what_is_found_in_one_place_keeps_nobody_from_looking_in_another(pipelines, failing):
    """Every stage but the failed one succeeds."""
    stages = night(pipelines, failing=failing)
    assert [name for name, stage in stages.items() if stage.result != "Succeeded"] == [failing.partition(".")[0]]


def test_a_place_that_is_not_connected_is_not_looked_at(pipelines):
    """There is nothing yet that could drift."""
    stages = night(pipelines, without=("prod", "account"))
    assert [name for name, stage in stages.items() if stage.result == "Skipped"] == [
        "drift_account", "drift_prod", "status_prod",
    ]  # fmt: skip


def test_a_workspace_is_found_by_the_resource_id_that_its_platform_stack_gives_it(pipelines):
    """The Databricks SDK asks Azure for its address."""
    stages = night(pipelines)
    (step,) = [step for where, step in commands_of(stages) if where == "status_dev.status" and "status" in step.text]
    assert step.env == {
        "DATABRICKS_AZURE_RESOURCE_ID": "/subscriptions/5a0b1c2d-3e4f-4a5b-8c6d-7e8f90a1b2c3/resourceGroups/rg-mrd-dev"
        "/providers/Microsoft.Databricks/workspaces/dbw-mrd-dev"
    }
