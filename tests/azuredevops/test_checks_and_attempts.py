"""Checks that are refused or time out, a run that is cancelled within a step, and attempts that run failed jobs again."""

import pytest

from infra.azure_pipelines.played import Scenario, StageRun, commands_of, published
from infra.azure_pipelines.runs import play
from infra.azure_pipelines.shape import RunError, command_of, every_job, steps_of
from tests.azuredevops.conftest import Pipelines
from tests.azuredevops.scenarios import EVERYTHING, jobs, main_after, ran, release, texts
from tests.azuredevops.test_pipeline_interpreter import results, stages

STEPS = [
    {"bash": "apply", "displayName": "Apply"},
    {"bash": "clean", "displayName": "Clean up", "condition": "always()"},
    {"bash": "after", "displayName": "After"},
]


def steps_after(cancelled_in: str, **keys: str) -> tuple[list[str], StageRun]:
    """Return the steps that ran, a stopped one in brackets, and their stage, of a run that is cancelled during a step."""
    pipeline = stages(a="")
    pipeline["stages"][0]["jobs"][0]["steps"] = [{**STEPS[0], **keys}, *STEPS[1:]]
    stage = play(pipeline, Scenario(variables={}, cancelled_in=cancelled_in))["a"]
    return [f"({step.title})" if step.stopped else step.title for step in stage.jobs["j"].steps], stage


def test_a_step_whose_condition_does_not_hold_in_a_cancelled_run_is_stopped() -> None:
    """What cleans up after it still runs, and the job counts as cancelled."""
    found, stage = steps_after("a.j.Apply")
    assert found == ["(Apply)", "Clean up"]
    assert (stage.jobs["j"].result, stage.result) == ("Canceled", "Canceled")


@pytest.mark.parametrize("condition", ["always()", "or(always(), false)", "canceled()"])
def test_a_step_whose_condition_holds_in_a_cancelled_run_goes_on_to_its_end(condition: str) -> None:
    """The condition is asked again when the run is cancelled; `canceled()` would not have started the step."""
    found, stage = steps_after("a.j.Apply", condition=condition)
    assert found == (["Clean up", "After"] if condition == "canceled()" else ["Apply", "Clean up"])
    assert stage.result == ("Succeeded" if condition == "canceled()" else "Canceled")


def test_a_cancellation_during_an_unknown_step_is_an_error() -> None:
    """The scenario would test nothing."""
    with pytest.raises(RunError, match="no step is called"):
        results(stages(a=""), cancelled_in="a.j.T")
    with pytest.raises(RunError, match="no stage is called"):
        results(stages(a=""), rejected=frozenset({"b"}))


def test_a_stage_that_needs_nothing_does_not_begin_in_a_cancelled_run() -> None:
    """`succeeded()` asks about the run as well, where nothing precedes."""
    assert results(stages(a="", b="dependsOn: []"), cancelled_in="a.j") == {"a": "Canceled", "b": "Skipped"}


def test_a_refused_check_fails_its_stage_and_an_overdue_one_skips_it() -> None:
    """No job of either runs; what `failed()` asks for runs after the refusal alone."""
    pipeline = stages(a="", b="condition: failed()", c="dependsOn: a\ncondition: always()")
    assert results(pipeline, rejected=frozenset({"a"})) == {"a": "Failed", "b": "Succeeded", "c": "Succeeded"}
    assert results(pipeline, timed_out=frozenset({"a"})) == {"a": "Skipped", "b": "Skipped", "c": "Succeeded"}
    stage = play(pipeline, Scenario(variables={}, rejected=frozenset({"a"})))["a"]
    assert stage.jobs == {}


def test_outputs_of_a_refused_stage_are_null() -> None:
    """A later stage reads them as empty, as those of a skipped one."""
    pipeline = stages(
        a="", b="condition: always()\njob_variables: [{name: x, value: \"$[stageDependencies.a.j.outputs['s.v']]\"}]"
    )
    pipeline["stages"][1]["jobs"][0]["steps"] = [{"bash": "echo <$(x)>"}]
    played = play(pipeline, Scenario(variables={}, rejected=frozenset({"a"}), outputs={"a.j.s": {"v": "1"}}))
    assert played["b"].jobs["j"].steps[0].text == "echo <>"


def test_an_attempt_runs_what_failed_and_keeps_what_succeeded() -> None:
    """Results, outputs and artifacts of the first attempt stay; the number of the attempt goes up."""
    pipeline = stages(a="", b="", c="")
    pipeline["stages"][1]["jobs"][0]["steps"] = [{"bash": "echo $(System.JobAttempt)", "displayName": "S"}]
    first = play(pipeline, Scenario(variables={}, failing=frozenset({"b.j.S"})))
    again = play(pipeline, Scenario(variables={}), earlier=first)
    assert {name: stage.result for name, stage in again.items()} == {
        "a": "Succeeded",
        "b": "Succeeded",
        "c": "Succeeded",
    }
    assert again["a"] is first["a"]
    assert [step.text for step in again["b"].jobs["j"].steps] == ["echo 2"]


def test_an_artifact_of_an_attempt_cannot_be_published_again() -> None:
    """A job that failed after it had published fails again, unless the name has the attempt in it."""
    publish = {
        "task": "PublishPipelineArtifact@1",
        "displayName": "Keep",
        "inputs": {"artifact": "wheel", "targetPath": "d"},
    }
    pipeline = stages(a="")
    pipeline["stages"][0]["jobs"][0]["steps"] = [publish, {"bash": "true", "displayName": "S"}]
    first = play(pipeline, Scenario(variables={}, failing=frozenset({"a.j.S"})))
    assert published(first) == {"wheel"}
    assert play(pipeline, Scenario(variables={}), earlier=first)["a"].result == "Failed"
    publish["inputs"] = {"artifact": "wheel-$(System.JobAttempt)", "targetPath": "d"}
    assert play(pipeline, Scenario(variables={}), earlier=first)["a"].result == "Succeeded"


@pytest.mark.parametrize("stage", ["account", "dev_platform", "dev", "staging", "prod_account", "plan_prod"])
def test_after_a_refused_check_main_deploys_nothing_more(pipelines: Pipelines, stage: str) -> None:
    """No stage runs after it, and a release finds no run."""
    went = ran(main_after(pipelines, EVERYTHING))
    played = main_after(pipelines, EVERYTHING, rejected=stage)
    assert ran(played) == went[: went.index(stage) + 1]
    assert (played[stage].result, played[stage].jobs) == ("Failed", {})


@pytest.mark.parametrize(
    "failing", ["dev.deploy.Deploy $(stacks)", "plan_prod.plan.Keep the plan", "went_through.note.Mark"]
)
def test_the_failed_jobs_of_main_can_be_run_again(pipelines: Pipelines, failing: str) -> None:
    """The second attempt goes to the end, from the wheel and the plans of the first."""
    first = main_after(pipelines, EVERYTHING, failing=failing)
    again = main_after(pipelines, EVERYTHING, earlier=first)
    assert all(stage.result == "Succeeded" for stage in again.values())
    assert again["build"] is first["build"]


@pytest.mark.parametrize("repeats", [False, True])
def test_the_failed_jobs_of_a_release_that_went_back_do_not_go_back_twice(pipelines: Pipelines, repeats: bool) -> None:
    """Whether the rollback runs again or not, it names the release that it leaves, and one that has left is refused."""
    first = release(pipelines, failing=("prod.smoke.Smoke",), smoke="broken")
    again = release(pipelines, failing=("prod.smoke.Smoke",), smoke="broken", earlier=first, repeats_dependents=repeats)
    assert jobs(again["prod"])["apply"] == "Succeeded"
    assert again["prod"].jobs["apply"] is first["prod"].jobs["apply"]
    assert (again["prod"].jobs["go_back"] is first["prod"].jobs["go_back"]) is not repeats
    assert "infra rollback prod --from HEAD" in texts(again, "prod")


def test_a_refused_release_runs_no_job_and_leaves_no_mark(pipelines: Pipelines) -> None:
    """It fails, where one that nobody has approved in time is skipped."""
    stages_of = release(pipelines, rejected=True)
    assert (stages_of["prod"].result, stages_of["prod"].jobs) == ("Failed", {})
    assert "addbuildtag" not in "".join(step.text for _, step in commands_of(stages_of))


def test_a_release_that_is_cancelled_during_its_apply_proves_and_marks_nothing(pipelines: Pipelines) -> None:
    """The step that applies goes on to its end, whatever serves the job, and the jobs after it do not start."""
    played = release(pipelines, cancelled_in="prod.apply.Apply plan $(planSha256)")
    assert jobs(played["prod"]) == {
        "apply": "Canceled",
        "smoke": "Skipped",
        "go_back": "Skipped",
        "released": "Skipped",
    }
    assert played["prod"].jobs["apply"].steps[-1].title.startswith("Apply plan")
    assert not played["prod"].jobs["apply"].steps[-1].stopped


@pytest.mark.parametrize("step", ["Hold the wheel to its hash", "Let what follows end by itself"])
def test_a_release_that_is_cancelled_or_fails_before_its_apply_does_not_begin_it(
    pipelines: Pipelines, step: str
) -> None:
    """What goes on in a cancelled run has begun before."""
    for played in (
        release(pipelines, cancelled_in=f"prod.apply.{step}"),
        release(pipelines, failing=(f"prod.apply.{step}",)),
    ):
        assert "infra apply prod" not in texts(played, "prod")


FINISHES = "and(not(failed()), eq(variables['mayFinish'], 'yes'))"
CHANGES = ("infra apply", "infra rollback", "infra branch", "deploy.sh")


def test_every_step_that_changes_an_environment_ends_by_itself_in_a_cancelled_run(pipelines: Pipelines) -> None:
    """Its condition goes on to hold, and its job waits as long as it may take; no other step with an identity does."""
    found = set()
    for name, pipeline in pipelines.items():
        for where, _, job in every_job(pipeline):
            for step in (step for step in steps_of(job) if step.get("task") == "AzureCLI@2"):
                changes = any(command in command_of(step) for command in CHANGES)
                assert (step.get("condition") == FINISHES) is changes, (name, where)
                if changes:
                    assert job["cancelTimeoutInMinutes"] == job["timeoutInMinutes"], (name, where)
                    found.add((name, where))
    assert {where for name, where in found if name in ("release", "nightly")} == {
        "prod.apply",
        "prod.go_back",
        "branches.remove",
    }
    assert len(found) > 10
