"""Runs of the pipelines: a test states what has changed, what fails and what is cancelled."""

import re

from infra.azure_pipelines.played import Scenario, StageRun, commands_of
from infra.azure_pipelines.runs import play
from infra.commands.review.affected import logging_commands
from infra.config.checks import load_settings
from pipelines.declarations.environment import ENVIRONMENTS
from tests.azuredevops.conftest import Pipelines
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
    "planDev": "",
}
EVERYTHING = "something.new"
STAGES_OF_MAIN = ["build", "plan_account", "account", "dev_platform", "plan_dev_account", "dev_account", "dev",
                  "dev_integration", "staging_platform", "plan_staging_account", "staging_account", "staging",
                  "staging_integration", "plan_prod_account", "prod_account", "plan_prod", "went_through", "ready"]  # fmt: skip


def outputs(*paths: str, without: tuple[str, ...] = ()) -> dict[str, str]:
    """Return what `infra affected --set-variables` sets after a change, where all but some places are connected."""
    found = {}
    for line in logging_commands(decide(*paths), load_settings()):
        name, value = re.fullmatch(r"##vso\[task\.setvariable variable=(\w+);isOutput=true\](.*)", line).groups()
        place = name.partition("_")[2]
        needed = {place.removesuffix("_account"), "account" if place.endswith("account") else place}
        found[name] = ("" if name.startswith("stacks") else "false") if needed & set(without) else value
    connected = {f"connected_{place}": str(place not in without).lower() for place in ("account", *ENVIRONMENTS)}
    return found | connected


def main_after(
    pipelines: Pipelines,
    *paths: str,
    failing: str = "",
    cancelled_in: str = "",
    without: tuple[str, ...] = (),
    timed_out: str = "",
    warning: tuple[str, ...] = (),
    rejected: str = "",
    attempt: int = 1,
    kept: frozenset[str] = frozenset(),
    earlier: dict[str, StageRun] | None = None,
) -> dict[str, StageRun]:
    """Play the pipeline `main` after a change of some paths."""
    scenario = Scenario(
        variables=PREDEFINED,
        outputs={
            "build.build.affected": outputs(*paths, without=without),
            "build.build.wheel": {"sha256": "1a"},
            "plan_account.plan.plan": {"sha256": "2b"},
            **{f"plan_{name}_account.plan.plan": {"sha256": f"2b-{name}"} for name in ENVIRONMENTS},
            "plan_prod.plan.plan": {"sha256": "3c"},
        },
        failing=frozenset({failing} if failing else ()),
        warning=frozenset(warning),
        attempt=attempt,
        kept=kept,
        cancelled_in=cancelled_in,
        timed_out=frozenset({timed_out} if timed_out else ()),
        rejected=frozenset({rejected} if rejected else ()),
    )
    return play(pipelines["main"], scenario, earlier=earlier)


def pull_request(
    pipelines: Pipelines,
    *paths: str,
    fork: str = "False",
    failing: str = "",
    connected: bool = True,
    plan: str = "",
    warning: str = "",
) -> dict[str, StageRun]:
    """Play the pipeline `pull-request` for a change of some paths."""
    places = () if connected else ("account", *ENVIRONMENTS)
    scenario = Scenario(
        variables={**PULL_REQUEST, "System.PullRequest.IsFork": fork, "planDev": plan},
        outputs={"review.review.affected": outputs(*paths, without=places), "review.review.wheel": {"sha256": "1a"}},
        failing=frozenset({failing} if failing else ()),
        warning=frozenset({warning} if warning else ()),
    )
    return play(pipelines["pull-request"], scenario)


def release(
    pipelines: Pipelines, *, failing: tuple[str, ...] = (), smoke: str = "proven", cancelled_in: str = "", timed_out: bool = False,
    rejected: bool = False, wheel: str = "the.whl", earlier: dict[str, StageRun] | None = None, repeats_dependents: bool = False,
) -> dict[str, StageRun]:  # fmt: skip
    """Play the pipeline `release`; with `timed_out` the approval times out, with the wheel `none` no job changes."""
    scenario = Scenario(
        variables={**PREDEFINED, "Build.SourceBranch": "refs/tags/v1.4", "Build.SourceBranchName": "v1.4"},
        outputs={
            "review.plan.plan": {"sha256": "3c", "wheel": wheel},
            "review.plan.wheel": {"sha256": "1a"},
            "review.plan.prod": outputs(EVERYTHING),
            "prod.smoke.smoke": {"release": smoke},
        },
        failing=frozenset(failing),
        cancelled_in=cancelled_in,
        timed_out=frozenset({"prod"} if timed_out else ()),
        rejected=frozenset({"prod"} if rejected else ()),
    )
    return play(pipelines["release"], scenario, earlier=earlier, repeats_dependents=repeats_dependents)


def night(pipelines: Pipelines, *, failing: str = "", without: tuple[str, ...] = ()) -> dict[str, StageRun]:
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
