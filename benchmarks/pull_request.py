"""Runs the pipeline of a pull request locally and times each step: ``python -m benchmarks.pull_request``.

The steps are those of the expanded file, in its order, as they run for the pull request of a fork: without credentials.
They run one after the other in a fresh clone, which is set up from the lock file as on an agent; on agents the jobs run
in parallel. Tasks of the service (checkout, caches, artifacts) have nothing to run here. ``--list`` only prints the
steps.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.calibration import calibrate, unit
from benchmarks.limits import CALIBRATION, Figure, Limit, judge
from infra.azure_pipelines.played import PlayedStep, Scenario
from infra.azure_pipelines.runs import play
from infra.azure_pipelines.templates import expand
from infra.build.release import ROOT
from infra.commands.review.affected import logging_commands
from infra.config.checks import load_settings
from infra.review.affected import ACCOUNT, DeployableParts, affected
from pipelines.declarations.environment import ENVIRONMENTS

PROCESSES = 2
"""Most steps keep two processes busy, for example the tests."""
WHOLE = Limit(what="the whole pipeline of a pull request", alternative=CALIBRATION, at_most=1020)
LIMITS = (WHOLE,)
"""15 minutes on the machine of docs/figures.md, see `benchmarks.calibration`."""
PREDEFINED: Mapping[str, str] = {
    "Agent.OS": "Linux",
    "Pipeline.Workspace": str(Path.home() / ".cache"),
    "System.PullRequest.IsFork": "True",
    "System.PullRequest.TargetBranchName": "main",
    "System.TeamProjectId": "local",
    "planDev": "",
}


def main(arguments: list[str]) -> int:
    """Print the seconds of every step and the limit of their sum; return 1 if a step fails or the limit is passed."""
    if arguments == ["--list"]:
        for where, step in steps():
            print(f"{where:16s} {step.title}: {command(step) or '(a task of the service)'}")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder, "clone")
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)  # noqa: S603, S607 # git, as everywhere
        # The change is the last commit, so its target branch is at the commit before.
        target = ["git", "-C", str(clone), "update-ref", "refs/remotes/origin/main", "HEAD~1"]
        subprocess.run(target, check=True)  # noqa: S603 # git, as everywhere
        before = calibrate(side_by_side=PROCESSES)
        failed, total = _run(clone)
        now = unit(before, calibrate(side_by_side=PROCESSES))
    code = judge([Figure(limit=WHOLE, seconds=total, alternative_seconds=now)])
    for title in failed:
        print(f"failed: {title}", file=sys.stderr)
    return code | int(bool(failed))


def steps() -> Iterator[tuple[str, PlayedStep]]:
    """Yield every step that runs for the pull request of a fork, with the job that it belongs to."""
    decided = affected(None, DeployableParts(use_cases=(), connected=frozenset({ACCOUNT, *ENVIRONMENTS}), sources={}))
    outputs = dict(_variable(line) for line in logging_commands(decided, load_settings()))
    scenario = Scenario(
        variables=PREDEFINED,
        outputs={"review.review.affected": outputs, "review.review.wheel": {"sha256": "0" * 64}},
    )
    for stage in play(expand(ROOT / ".azuredevops" / "pull-request.yml"), scenario).values():
        for job in stage.jobs.values():
            for step in job.steps:
                yield f"{stage.name}.{job.name}", step


def command(step: PlayedStep) -> str:
    """Return what a step runs; empty for a task of the service."""
    return step.text if "bash" in step.raw else ""


def _run(clone: Path) -> tuple[list[str], float]:
    failed, total = [], 0.0
    for where, step in steps():
        if not command(step):
            continue
        begun = time.perf_counter()
        environment = {**os.environ, "PYTHONPATH": str(clone), **step.env}
        words = ["bash", "-c", command(step)]
        done = subprocess.run(  # noqa: S603 # a step of the pipeline
            words, cwd=clone, env=environment, capture_output=True, text=True, check=False
        )
        seconds = time.perf_counter() - begun
        total += seconds
        print(f"{where:16s} {seconds:7.1f} s  {step.title}", flush=True)
        if done.returncode != 0:
            print((done.stdout + done.stderr)[-2000:], file=sys.stderr)
            failed.append(step.title)
    return failed, total


def _variable(line: str) -> tuple[str, str]:
    name, _, value = line.partition("variable=")[2].partition(";isOutput=true]")
    return name, value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
