"""An agent of Azure Pipelines on this machine: it carries the steps of a run out, in one folder, one after the other.

What an agent of Azure DevOps does by itself is done by this machine: the commit is checked out into the folder, Python,
Terraform and the locked requirements are those at hand, artifacts are folders. Every other step is run as it is written.
"""

import fnmatch
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.azure_pipelines.played import PlayedStep, StageRun, StepOutcome
from infra.azure_pipelines.shape import allows

SIGNED_IN, PUBLISH, DOWNLOAD = "AzureCLI@2", "PublishPipelineArtifact@1", "DownloadPipelineArtifact@2"
AT_HAND = ("UsePythonVersion@0", "Cache@2", "JavaToolInstaller@1", "PublishTestResults@2")
"""Tasks for what this machine has already."""
SET_UP = ("make .venv/.dev", ".azuredevops/terraform.sh")
"""Commands for what this machine has already."""
OF_THE_SERVICE = "/_apis/"
"""In a command that asks Azure DevOps for something, such as to keep a run; here a run is a folder, which nothing deletes."""
LEFT_OUT = "left out"
SYNTHESIZED = ".venv/bin/python -m infra synth"
SET = re.compile(r"^##vso\[task\.setvariable variable=([\w.]+)(;isOutput=true)?\](.*)$", re.MULTILINE)
TAG = re.compile(r"^##vso\[build\.addbuildtag\](.*)$", re.MULTILINE)
KEPT = (".venv", "node_modules")


@dataclass(kw_only=True)
class PipelineRun:
    """A run of a pipeline: its commit, its marks, and the folder of its artifacts."""

    pipeline: str
    commit: str
    artifacts: Path
    tags: set[str] = field(default_factory=set)


@dataclass(frozen=True, kw_only=True)
class Done:
    """A step that was carried out: where, what, as whom, for how long, and its end."""

    where: str
    what: str
    identity: str
    seconds: float
    failed: bool
    log: Path


@dataclass(kw_only=True)
class Agent:
    """Performs the steps of a run.

    Parameters
    ----------
    tree
        The folder of the agent: a clone of the repository.
    run
        The run.
    earlier
        Runs before, of any pipeline.
    signed_in
        The variables of a step in which a service connection is signed in, and those of one without: for an empty name.
    approved
        Says whether a stage with an approval is approved.
    noted
        Takes each step that was carried out.
    before
        Is told where a command is about to run.
    ended
        Takes each stage when it has ended.
    left_out
        Beginnings of commands that are not carried out and count as done.
    """

    tree: Path
    run: PipelineRun
    earlier: list[PipelineRun]
    logs: Path
    signed_in: Callable[[str], tuple[str, dict[str, str]]]
    approved: Callable[[str, str], bool]
    noted: Callable[[Done], None]
    before: Callable[[str], None] = lambda _where: None
    ended: Callable[[StageRun], None] = lambda _stage: None
    left_out: tuple[str, ...] = ()
    last_job: str = ""

    def begin_stage(self, name: str, raw: Mapping[str, Any]) -> bool:
        """Ask for the approvals of the environments that a stage deploys to."""
        places = {str(job["environment"]) for job in raw["jobs"] if "deployment" in job}
        return all(self.approved(name, place) for place in sorted(places))

    def end_stage(self, stage: StageRun) -> None:
        """Say that a stage has ended."""
        self.ended(stage)

    def perform(self, where: str, step: PlayedStep, variables: Mapping[str, str]) -> StepOutcome:
        """Carry a step out."""
        task, raw = str(step.raw.get("task", "")), step.raw
        if self.last_job != where:
            self.last_job = where
            shutil.rmtree(self.tree / "build", ignore_errors=True)
        if "checkout" in raw:
            return StepOutcome() if raw["checkout"] == "none" else self._check_out()
        if "download" in raw or task in AT_HAND or step.text in SET_UP or OF_THE_SERVICE in step.text:
            return StepOutcome()
        if task == PUBLISH:
            return self._publish(raw["inputs"], variables)
        if task == DOWNLOAD:
            return self._download(raw["inputs"], variables)
        return self._command(where, step, variables)

    def _check_out(self) -> StepOutcome:
        excepted = [word for name in KEPT for word in ("-e", name)]
        for words in (["checkout", "--quiet", "--force", self.run.commit], ["clean", "-ffdxq", *excepted]):
            subprocess.run(["git", "-C", str(self.tree), *words], check=True)  # noqa: S603, S607 -- git from the path
        return StepOutcome()

    def _command(self, where: str, step: PlayedStep, variables: Mapping[str, str]) -> StepOutcome:
        inputs, connection = step.raw.get("inputs", {}), ""
        text = step.text
        if step.raw.get("task") == SIGNED_IN:
            connection = str(inputs["azureSubscription"])
            text = _filled(str(inputs["inlineScript"]), variables)
        if text.startswith(self.left_out) and self.left_out:
            self.noted(Done(where=where, what=LEFT_OUT, identity="", seconds=0, failed=False, log=self.logs / "none"))
            return StepOutcome()
        kept = self._synthesized() if text == SYNTHESIZED else None
        if kept is not None and kept.is_dir():
            shutil.copytree(kept, self.tree / "cdktf.out", dirs_exist_ok=True)
            return StepOutcome()
        self.before(where)
        identity, environment = self.signed_in(connection)
        log = self.logs / f"{len(list(self.logs.glob('*.log'))):03d} {where}.log"
        begun = time.monotonic()
        done = subprocess.run(  # noqa: S603 -- the steps of our own pipelines
            ["bash", "-c", text], cwd=self.tree, text=True, capture_output=True,  # noqa: S607 -- bash from the path
            env={**os.environ, **environment, **_as_environment(variables), **step.env}, check=False,
        )  # fmt: skip
        output = f"{done.stdout}\n{done.stderr}"
        log.write_text(f"$ {text}\n{output}\n[{done.returncode}]\n", encoding="utf-8")
        failed = done.returncode != 0
        self.noted(
            Done(
                where=where,
                what=step.title,
                identity=identity,
                seconds=time.monotonic() - begun,
                failed=failed,
                log=log,
            )
        )
        if kept is not None and not failed:
            shutil.copytree(self.tree / "cdktf.out", kept)
        self.run.tags |= set(TAG.findall(output)) if allows(step.raw, "addbuildtag") else set()
        found = [one for one in SET.findall(output) if allows(step.raw, "setvariable", one[0])]
        return StepOutcome(
            failed=failed, outputs={name: value.strip() for name, out, value in found if out},
            variables={name: value.strip() for name, out, value in found if not out},
        )  # fmt: skip

    def _synthesized(self) -> Path:
        """Return where the stacks of this commit and wheel are kept once they have been synthesized."""
        wheels = "-".join(sorted(f"{file.stat().st_size}" for file in (self.tree / "dist").glob("*.whl")))
        return self.logs.parent / "synthesized" / f"{self.run.commit}-{wheels or 'none'}"

    def _publish(self, inputs: Mapping[str, str], variables: Mapping[str, str]) -> StepOutcome:
        goal = self.run.artifacts / _filled(inputs["artifact"], variables)
        source = self.tree / _filled(inputs["targetPath"], variables)
        if goal.exists() or not source.is_dir():
            return StepOutcome(failed=True)
        shutil.copytree(source, goal)
        return StepOutcome()

    def _download(self, inputs: Mapping[str, str], variables: Mapping[str, str]) -> StepOutcome:
        run: PipelineRun | None = self.run
        if inputs.get("buildType") == "specific":
            tag = _filled(inputs.get("tags", ""), variables)
            fitting = [
                one for one in self.earlier if one.pipeline == inputs["definition"] and (not tag or tag in one.tags)
            ]
            run = fitting[-1] if fitting else None
        pattern = _filled(inputs["itemPattern"], variables).removesuffix("/**")
        found = (
            []
            if run is None
            else [one for one in sorted(run.artifacts.glob("*")) if fnmatch.fnmatch(one.name, pattern)]
        )
        for one in found:
            shutil.copytree(one, self.tree / _filled(inputs["targetPath"], variables) / one.name, dirs_exist_ok=True)
        return StepOutcome(failed=not found)


def _filled(text: str, variables: Mapping[str, str]) -> str:
    return re.sub(r"\$\(([A-Za-z_][\w.]*)\)", lambda found: variables.get(found[1], found[0]), text)


def _as_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return variables as the service gives them to a step: in capital letters, points as underscores."""
    return {name.upper().replace(".", "_"): value for name, value in variables.items()}
