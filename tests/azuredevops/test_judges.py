"""Who judges a run: the reviewed branch's template, the target branch's checks, the last release's; before any sign-in."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.azure_pipelines.played import commands_of
from infra.azure_pipelines.shape import needs_of, steps_of
from infra.azure_pipelines.templates import TemplateError, expand, load
from infra.config.checks import load_settings
from infra.config.pipeline_names import BRANCH, REQUIRED_TEMPLATE
from tests.azuredevops.conftest import FOLDER, NAMES, Pipelines
from tests.azuredevops.scenarios import EVERYTHING, main_after, pull_request, ran, texts

JUDGED_BY_RELEASE = "Check against the policy of the last release"
JUDGED_BY_TARGET = "Check against the policy of the target branch"


def signing_in(pipeline: Mapping[str, Any]) -> Iterator[str]:
    """Yield the stages with a step that signs in, or that gets the job's token."""
    for stage in pipeline["stages"]:
        steps = [step for job in stage["jobs"] for step in steps_of(job)]
        if any(
            "azureSubscription" in step.get("inputs", {}) or "SYSTEM_ACCESSTOKEN" in step.get("env", {})
            for step in steps
        ):
            yield stage["stage"]


def before(pipeline: Mapping[str, Any], stage: str) -> set[str]:
    """Return the stages that a stage waits for, directly or not."""
    needs = {s["stage"]: needs_of(s, ()) for s in pipeline["stages"]}
    found, open_ones = set[str](), [stage]
    while open_ones:
        for one in needs[open_ones.pop()]:
            if one not in found:
                found.add(one)
                open_ones.append(one)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_pipeline_file_has_no_stage_of_its_own(name: str) -> None:
    """It extends the one template that the service admits, as it is on the reviewed branch."""
    stated, devops = load(FOLDER / f"{name}.yml"), load_settings().account.azure_devops
    assert not {"stages", "jobs", "steps", "pool"} & set(stated)
    (repository,) = stated["resources"]["repositories"]
    assert repository["name"] == f"{devops.project}/{devops.repository}"
    assert (repository["type"], repository["ref"]) == ("git", BRANCH)
    assert stated["extends"]["template"] == f"{REQUIRED_TEMPLATE}@{repository['repository']}"
    assert stated["extends"]["parameters"]["pipeline"] == name


@pytest.mark.parametrize(("name", "judge"), [("main", "build"), ("pull-request", "review")])
def test_every_stage_that_signs_in_comes_after_the_judge(pipelines: Pipelines, name: str, judge: str) -> None:
    """What is refused has not used an identity."""
    found = list(signing_in(pipelines[name]))
    assert len(found) > 1
    assert all(judge in before(pipelines[name], stage) for stage in found)


def test_main_is_judged_by_the_last_release(pipelines: Pipelines) -> None:
    """Its commit is the note of the release; where it refuses, nothing signs in."""
    stages = main_after(pipelines, EVERYTHING)
    (step,) = [step for _, step in commands_of(stages) if step.title == JUDGED_BY_RELEASE]
    assert step.text == '.venv/bin/python -m infra check --skip-checkov --judged-by "$JUDGED_BY"'
    assert step.env["JUDGED_BY"] == "@build/released/commit"
    assert "judged-by-another-commit" not in texts(stages, "build")
    assert ran(main_after(pipelines, EVERYTHING, failing=f"build.build.{JUDGED_BY_RELEASE}")) == ["build"]


def test_a_pull_request_is_judged_by_its_target_branch(pipelines: Pipelines) -> None:
    """Beside the checks of the tree itself, which must hold as well; where it refuses, dev is not planned."""
    stages = pull_request(pipelines, EVERYTHING)
    assert "infra check --skip-checkov --judged-by origin/main" in texts(stages, "review")
    assert "infra check --plans" in texts(stages, "review")
    refused = pull_request(pipelines, EVERYTHING, failing=f"review.review.{JUDGED_BY_TARGET}")
    assert not {"plan_dev", "comment"} & set(ran(refused))


def test_another_judge_leaves_a_mark_on_the_run() -> None:
    """Whoever approves the run sees it."""
    expanded = expand(FOLDER / "templates/lakehouse.yml", pipeline="main", judgedBy="0123abc")
    steps = steps_of(expanded["stages"][0]["jobs"][0])
    (judging,) = [step for step in steps if step.get("displayName") == JUDGED_BY_RELEASE]
    assert judging["env"]["JUDGED_BY"] == "0123abc"
    assert any("build.addbuildtag]judged-by-another-commit" in step.get("bash", "") for step in steps)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("extends: {template: a.yml}", "of no repository"),
        ("extends: {template: a.yml@other}", "of no repository"),
        ("resources: {repositories: [{repository: r}]}\nextends: {template: a.yml@r}\nstages: []", "states stages"),
    ],
)
def test_a_pipeline_that_extends_wrongly_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    """A template of the run's own branch would be no protection, and stages beside it are not allowed by the service."""
    (tmp_path / "a.yml").write_text("stages: []", encoding="utf-8")
    (tmp_path / "p.yml").write_text(text, encoding="utf-8")
    with pytest.raises(TemplateError, match=reason):
        expand(tmp_path / "p.yml")
