"""The agent carries the steps of a pipeline out as Azure DevOps would: outputs, artifacts, identities, failures."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.azure_pipelines.played import Scenario, StageRun
from infra.azure_pipelines.runs import play
from infra.azure_pipelines.templates import expand
from infra.build.release import ROOT
from infra.rehearsal.agent import Agent, Done, PipelineRun

PIPELINE = """
stages:
  - stage: build
    jobs:
      - job: build
        steps:
          - checkout: self
            clean: true
          - bash: make .venv/.dev
          - bash: cat committed && echo "##vso[task.setvariable variable=word;isOutput=true]$(cat committed)"
            name: read
            displayName: Read
          - bash: mkdir -p dist && echo "$MACHINE" > dist/file
            env: {MACHINE: $(Agent.OS)}
            displayName: Write
          - task: PublishPipelineArtifact@1
            displayName: Keep
            inputs: {artifact: kept-$(System.JobAttempt), targetPath: dist}
          - bash: echo "##vso[build.addbuildtag]tried"
            displayName: Mark
  - stage: prod
    dependsOn: build
    jobs:
      - deployment: apply
        environment: lakehouse-prod
        variables:
          - name: word
            value: $[stageDependencies.build.build.outputs['read.word']]
        strategy:
          runOnce:
            deploy:
              steps:
                - checkout: self
                  clean: true
                - task: DownloadPipelineArtifact@2
                  displayName: Take
                  inputs: {buildType: current, itemPattern: kept-*/**, targetPath: taken}
                - task: AzureCLI@2
                  displayName: Apply
                  inputs:
                    azureSubscription: lakehouse-prod
                    inlineScript: test "$WHO" = prod && test $(word) = text && grep Linux taken/kept-1/file
                - bash: test -z "$WHO"
                  displayName: Nobody
"""

TAKING = """
stages:
  - stage: review
    jobs:
      - job: plan
        steps:
          - checkout: self
            clean: true
          - template: {template}
            parameters: {{artifact: plan-prod, path: build/plan, run: tried}}
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository with one file."""
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "committed").write_text("text\n")
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "one"]):
        subprocess.run(["git", "-C", str(folder), *words], check=True)
    (folder / "left_over").write_text("of an earlier run")
    return folder


@pytest.fixture
def ended() -> list[str]:
    """The stages that have ended, with their results."""
    return []


@pytest.fixture
def played(
    tree: Path, tmp_path: Path, ended: list[str]
) -> Callable[..., tuple[dict[str, StageRun], PipelineRun, list[Done]]]:
    """Play a pipeline in the repository."""

    def play_it(
        text: str = PIPELINE, *, approves: bool = True, left_out: tuple[str, ...] = ()
    ) -> tuple[dict[str, StageRun], PipelineRun, list[Done]]:
        (tmp_path / "p.yml").write_text(text)
        (tmp_path / "logs").mkdir()
        head = subprocess.run(["git", "-C", str(tree), "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
        run = PipelineRun(pipeline="p", commit=head.stdout.strip(), artifacts=tmp_path / "artifacts")
        steps: list[Done] = []
        ended.clear()
        agent = Agent(
            tree=tree, run=run, earlier=[], logs=tmp_path / "logs", noted=steps.append, approved=lambda _stage, _where: approves,
            signed_in=lambda connection: (connection, {"WHO": connection.removeprefix("lakehouse-")}), left_out=left_out,
            ended=lambda stage: ended.append(f"{stage.name} {stage.result}"),
        )  # fmt: skip
        return play(expand(tmp_path / "p.yml"), Scenario(variables={"Agent.OS": "Linux"}), agent), run, steps

    return play_it


def test_outputs_artifacts_marks_and_identities_pass_from_step_to_step(
    played: Callable[..., object], tree: Path
) -> None:
    """The run succeeds only if all of them arrive, and what an earlier run has left is gone."""
    stages, run, steps = played()  # type: ignore[misc] # as the fixture returns it
    assert {name: stage.result for name, stage in stages.items()} == {"build": "Succeeded", "prod": "Succeeded"}
    assert run.tags == {"tried"}
    assert [step.identity for step in steps if step.what == "Apply"] == ["lakehouse-prod"]
    assert not (tree / "left_over").exists()
    assert not any("make" in step.what for step in steps)


def test_a_stage_waits_for_its_approval(played: Callable[..., object]) -> None:
    """Without it the stage is skipped, as one whose approval has timed out."""
    stages, _, steps = played(approves=False)  # type: ignore[misc] # as the fixture returns it
    assert stages["prod"].result == "Skipped"
    assert not [step for step in steps if step.where.startswith("prod")]


def test_a_failed_step_ends_its_job_and_leaves_its_log(played: Callable[..., object]) -> None:
    """The stages that depend on it are skipped."""
    stages, _, steps = played(PIPELINE.replace("cat committed &&", "echo broken; exit 3;"))  # type: ignore[misc] # as above
    assert (stages["build"].result, stages["prod"].result) == ("Failed", "Skipped")
    assert [step.what for step in steps] == ["Read"]
    assert "broken" in steps[0].log.read_text()
    assert steps[0].failed


def test_each_stage_is_told_when_it_ends(played: Callable[..., object], ended: list[str]) -> None:
    """Also one that is skipped."""
    played()
    assert ended == ["build Succeeded", "prod Succeeded"]


def test_a_command_that_is_left_out_counts_as_done_and_is_named(played: Callable[..., object]) -> None:
    """Only commands that begin so; nothing of it is run."""
    text = PIPELINE.replace('bash: test -z "$WHO"', "bash: pytest tests; exit 1")
    stages, _, steps = played(text, left_out=("pytest ",))  # type: ignore[misc] # as the fixture returns it
    assert stages["prod"].result == "Succeeded"
    assert [step.what for step in steps if step.where == "prod.apply"] == ["Apply", "left out"]


def test_a_request_to_the_service_is_not_sent(played: Callable[..., object]) -> None:
    """Runs are folders of this machine, which nobody has to ask to be kept."""
    text = PIPELINE.replace('bash: test -z "$WHO"', 'bash: curl "$SYSTEM_COLLECTIONURI/_apis/build/retention/leases"')
    stages, _, steps = played(text)  # type: ignore[misc] # as the fixture returns it
    assert stages["prod"].result == "Succeeded"
    assert "Nobody" not in [step.what for step in steps]


@pytest.mark.parametrize("annotated", [False, True])
def test_a_tag_of_either_kind_takes_what_main_has_tried(tree: Path, tmp_path: Path, annotated: bool) -> None:
    """Also where the service names the object of an annotated tag as the version: what is checked out is its commit."""
    folder = tree / ".azuredevops"
    shutil.copytree(ROOT / ".azuredevops", folder)
    git(tree, "add", ".azuredevops")
    git(tree, "commit", "-qm", "The pipelines")
    git(tree, "tag", *(("--annotate", "--message", "Version 1.4") if annotated else ()), "v1.4")
    commit, version = git(tree, "rev-parse", "HEAD"), git(tree, "rev-parse", "v1.4")
    assert (commit != version) is annotated
    main = PipelineRun(pipeline="main", commit=commit, artifacts=tmp_path / "tried", tags={f"commit-{commit}"})
    (main.artifacts / "plan-prod-1").mkdir(parents=True)
    (main.artifacts / "plan-prod-1" / "manifest").write_text("the plan")
    (tmp_path / "release.yml").write_text(TAKING.format(template=folder / "templates" / "take.yml"))
    steps: list[Done] = []
    agent = Agent(
        tree=tree, run=PipelineRun(pipeline="release", commit=version, artifacts=tmp_path / "own"), earlier=[main],
        logs=tmp_path, noted=steps.append, approved=lambda _stage, _where: True, signed_in=lambda name: (name, {}),
    )  # fmt: skip
    given = {"Build.SourceVersion": version, "System.TeamProjectId": "p"}
    stages = play(expand(tmp_path / "release.yml"), Scenario(variables=given), agent)
    assert stages["review"].result == "Succeeded"
    assert (tree / "build" / "plan" / "manifest").read_text() == "the plan"


def git(folder: Path, *words: str) -> str:
    """Run git as somebody in a folder and return what it printed."""
    own = ("-c", "user.name=a", "-c", "user.email=a@b")
    done = subprocess.run(["git", *own, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()
