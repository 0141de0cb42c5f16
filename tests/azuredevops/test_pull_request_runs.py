"""What the pipeline of pull requests runs: for a branch, for a fork, and with each stage failing."""

import pytest

from benchmarks import pull_request as benchmark
from infra.azure_pipelines.played import commands_of
from pipelines.declarations.environment import ENVIRONMENTS
from tests.azuredevops.conftest import Pipelines
from tests.azuredevops.scenarios import EVERYTHING, pull_request, ran, texts


def test_a_pull_request_runs_everything_and_comments_once(pipelines: Pipelines) -> None:
    """Style, types, tests, wheel, stacks, policy and plans run, and one step comments."""
    stages = pull_request(pipelines, "ml/gate/decision.py")
    assert ran(stages) == ["verify", "review", "plan_dev", "comment"]
    output = texts(stages, "verify") + texts(stages, "review")
    for command in ("ruff check .", "ruff format --check .", "mypy", "lint-imports", "make test", "infra wheel",
                    "infra synth", "infra check --plans", "infra validate --offline"):  # fmt: skip
        assert command in output, command
    for place in ("account", *ENVIRONMENTS):
        assert f"infra plan {place} --offline" in output
    assert "infra plan dev --only dev-workspace --json build/plan" in texts(stages, "plan_dev")
    assert "infra review --base origin/main --plan build/plan/*.json" in texts(stages, "comment")
    comments = [where for where, step in commands_of(stages) if "infra comment" in step.text]
    assert comments == ["comment.comment"]


def test_the_tests_of_a_pull_request_have_both_engines_and_terraform(pipelines: Pipelines) -> None:
    """Java 17 and Terraform are set up before the tests, so that no test is skipped."""
    steps = pull_request(pipelines, "ml/gate/decision.py")["verify"].jobs["tests"].steps
    titles = [step.title for step in steps]
    assert titles.index("Test") > max(
        titles.index(t) for t in ("Use Java 17", "Use the pinned Terraform", "Java is there")
    )
    (java,) = [step for step in steps if step.raw.get("task") == "JavaToolInstaller@1"]
    assert java.raw["inputs"]["versionSpec"] == "17"


def test_a_pull_request_of_a_fork_runs_every_check_without_a_credential(pipelines: Pipelines) -> None:
    """Checks, tests and offline plans run, and no step has a service connection or the job's token."""
    stages = pull_request(pipelines, "ml/gate/decision.py", fork="True")
    assert ran(stages) == ["verify", "review"]
    for _, step in commands_of(stages):
        assert "azureSubscription" not in step.raw.get("inputs", {})
        assert "the token of the job" not in {step.text, *step.env.values()}


@pytest.mark.parametrize("paths", [["docs/platform.md"], ["infra/settings/schema/dev.json"]])
def test_a_pull_request_that_changes_nothing_in_dev_signs_in_nowhere_and_comments(
    pipelines: Pipelines, paths: list[str]
) -> None:
    """The stage that plans dev is skipped, and the comment has no real plan."""
    stages = pull_request(pipelines, *paths)
    assert ran(stages) == ["verify", "review", "comment"]
    assert "--plan build/plan" not in texts(stages, "comment")


def test_before_dev_is_connected_a_pull_request_plans_offline_alone(pipelines: Pipelines) -> None:
    """No stage signs in while the settings name no state, as in a fresh copy of the repository."""
    assert ran(pull_request(pipelines, "ml/gate/decision.py", connected=False)) == ["verify", "review", "comment"]


def test_the_real_plan_of_dev_can_be_switched_off(pipelines: Pipelines) -> None:
    """With the pipeline variable `planDev` set to false no stage signs in, and the comment has no real plan."""
    stages = pull_request(pipelines, "ml/gate/decision.py", plan="false")
    assert ran(stages) == ["verify", "review", "comment"]
    assert "--plan build/plan" not in texts(stages, "comment")


def test_failing_tests_do_not_prevent_the_comment(pipelines: Pipelines) -> None:
    """The stage fails after its results are published, and the comment is written nevertheless."""
    stages = pull_request(pipelines, "ml/gate/decision.py", failing="verify.tests.Test")
    assert (stages["verify"].result, stages["comment"].result) == ("Failed", "Succeeded")
    assert [step.title for step in stages["verify"].jobs["tests"].steps][-1] == "Publish the results"


@pytest.mark.parametrize("step", ["Check against policy", "Synthesize the stacks", "Plan prod offline"])
def test_a_review_that_failed_signs_in_nowhere_and_comments_nothing(pipelines: Pipelines, step: str) -> None:
    """After a failed check, synthesis or offline plan the later stages are skipped."""
    assert ran(pull_request(pipelines, "ml/gate/decision.py", failing=f"review.review.{step}")) == ["verify", "review"]


def test_a_failed_plan_of_dev_prevents_the_comment(pipelines: Pipelines) -> None:
    """A comment without the plan would look as if nothing changed."""
    stages = pull_request(pipelines, "ml/gate/decision.py", failing="plan_dev.plan.Plan $(stacks)")
    assert (stages["plan_dev"].result, stages["comment"].result) == ("Failed", "Skipped")


@pytest.mark.parametrize("step", ["review.review.Check against policy", "plan_dev.plan.Plan $(stacks)"])
def test_a_warning_prevents_neither_the_plan_of_dev_nor_the_comment(pipelines: Pipelines, step: str) -> None:
    """The comment then shows the real plan as well."""
    stages = pull_request(pipelines, "ml/gate/decision.py", warning=step)
    assert ran(stages) == ["verify", "review", "plan_dev", "comment"]
    assert "infra review --base origin/main --plan build/plan/*.json" in texts(stages, "comment")


def test_the_benchmark_runs_what_a_pull_request_of_a_fork_runs(pipelines: Pipelines) -> None:
    """It measures every command of the stages that need no credential, and no other."""
    measured = [(where, benchmark.command(step)) for where, step in benchmark.steps() if benchmark.command(step)]
    run = commands_of(pull_request(pipelines, EVERYTHING, fork="True"))
    assert measured == [(where, step.text) for where, step in run]
    assert len(measured) > 8
