"""The pipelines hold no secret, and every name in them is one that the set-up of Azure DevOps creates."""

import json
import re
from collections.abc import Mapping
from importlib import resources
from typing import Any

import pytest

from infra.azure_pipelines.shape import command_of, every_job, every_step, step_title, steps_of
from infra.config.checks import load_settings
from infra.config.pipeline_names import (
    APPROVED,
    BRANCH,
    CONNECTIONS,
    DEPLOYED_BY,
    PIPELINES,
    REVIEWS,
    place,
    working_in,
)
from infra.devops.desired_state import desired_state
from infra.devops.resource_checks import approval, lock
from pipelines.declarations.environment import ENVIRONMENTS
from tests.azuredevops.conftest import FOLDER, NAMES, Pipelines

PLACES = {place(name): name for name in ("account", *ENVIRONMENTS)}
"""How environments and agents are called, as `infra devops` sets them up."""
SIGNED_IN = {place(name): place(declared.stage) for name, declared in CONNECTIONS.items()}
"""How service connections are called, and whom they sign in as."""
HOSTED = "ubuntu-24.04"
MACRO = re.compile(r"\$\([\w.]+\)")
SCHEMA = resources.files("check_jsonschema.builtin_schemas.vendor").joinpath("azure-pipelines.json")


SECRETS = re.compile(
    r"(?i)\bpat\b|personal.?access|secret|password|passwd|client.?key|account.?key|sas.?token|api.?key|_token\b|bearer"
)


def test_no_file_names_a_secret() -> None:
    """No file of the folder names a personal access token, a client secret, a password or a key."""
    for path in sorted(FOLDER.rglob("*")):
        if path.is_file():
            named = [line for line in path.read_text().splitlines() if SECRETS.search(line.partition("# ")[0])]
            assert named == [], path.name


@pytest.mark.parametrize("line", ["env: {AZURE_DEVOPS_EXT_PAT: $(pat)}", "ARM_CLIENT_SECRET: $(secret)",
                                  "DATABRICKS_TOKEN: $(x)", "storageAccountKey: $(key)"])  # fmt: skip
def test_the_search_for_secrets_finds_the_usual_spellings(line: str) -> None:
    """The variable names of common tools match the pattern."""
    assert SECRETS.search(line)


def test_the_token_of_the_job_is_given_to_two_steps_alone(pipelines: Pipelines) -> None:
    """The one that comments and the one that keeps the run have it in their environment; no pipeline has it as a variable."""
    given = [
        (name, where, step_title(step)) for name in NAMES for where, step in every_step(pipelines[name])
        if "AccessToken" in json.dumps(step)
    ]  # fmt: skip
    assert sorted(given) == [("pull-request", "comment.comment", "Comment"), ("release", "review.keep", "Lease")]
    rest = {name: json.dumps({k: v for k, v in p.items() if k != "stages"}) for name, p in pipelines.items()}
    assert [name for name in NAMES if "AccessToken" in rest[name]] == []
    assert [path.name for path in FOLDER.rglob("*.yml") if path.read_text().count("System.AccessToken") > 1] == []


def test_no_step_exports_the_federated_token(pipelines: Pipelines) -> None:
    """No step adds it to a script's environment or to the variables of another tool."""
    for name in NAMES:
        for where, step in every_step(pipelines[name]):
            text = json.dumps(step)
            for word in ("addSpnToEnvironment", "idToken", "ARM_OIDC", "persistCredentials", "ARM_CLIENT"):
                assert word not in text, f"{name}, {where}: {word}"


@pytest.mark.parametrize("name", NAMES)
def test_a_job_signed_in_as_one_environment_touches_no_other(pipelines: Pipelines, name: str) -> None:
    """Service connection, agent pool, deployment environment and the environment in the command are the same."""
    for where, _, job in every_job(pipelines[name]):
        identities = {
            SIGNED_IN[step["inputs"]["azureSubscription"]] for step in steps_of(job) if step.get("task") == "AzureCLI@2"
        }
        stated = {job["environment"]} if "environment" in job else set()
        pool = job.get("pool", pipelines[name].get("pool", {}))
        if identities:
            assert pool == {"name": next(iter(identities))}, where
            assert len(identities | stated) == 1, where
        else:
            assert pool == {"vmImage": HOSTED}, where
            assert not stated, where
        for step in steps_of(job):
            if step.get("task") == "AzureCLI@2":
                words = set(re.findall(r"\w+", command_of(step))) & set(PLACES.values())
                assert words == {PLACES[SIGNED_IN[step["inputs"]["azureSubscription"]]]}, f"{where}: {command_of(step)}"


def test_a_pull_request_can_sign_in_as_dev_only(pipelines: Pipelines) -> None:
    """The only service connection open to unreviewed branches is the one of dev."""
    opened = {place(name) for name, declared in CONNECTIONS.items() if not declared.branches}
    assert connections_of(pipelines["pull-request"]) == opened == {place("dev")}


def test_each_pipeline_is_allowed_exactly_the_connections_and_agents_that_it_uses(pipelines: Pipelines) -> None:
    """`infra devops` permits the service connections and agent pools that its jobs name, and no other."""
    allowed = {
        name: {place(key) for key, declared in CONNECTIONS.items() if name in declared.pipelines} for name in NAMES
    }
    assert {name: connections_of(pipelines[name]) for name in NAMES} == allowed
    agents = {
        name: {job["pool"]["name"] for _, _, job in every_job(pipelines[name]) if "name" in job.get("pool", {})}
        for name in NAMES
    }
    assert agents == {name: {place for place, stage in PLACES.items() if name in working_in(stage)} for name in NAMES}
    assert {f"/.azuredevops/{name}.yml" for name in NAMES} == set(PIPELINES.values())
    assert REVIEWS in NAMES


def test_prod_and_the_account_ask_for_an_approval_and_everything_has_a_lock(pipelines: Pipelines) -> None:
    """Each environment is deployed by the pipeline of the set-up; prod and the account need one approver."""
    deployed = {
        PLACES[job["environment"]]: name
        for name in NAMES
        for _, _, job in every_job(pipelines[name])
        if "environment" in job
    }
    assert deployed == DEPLOYED_BY
    assert (
        {stage.name for stage in desired_state(load_settings(), {}).stages if stage.approved}
        == set(APPROVED)
        == {"account", "prod"}
    )
    assert approval("somebody")["settings"]["minRequiredApprovers"] == 1
    assert lock()["type"]["name"] == "ExclusiveLock"


def test_every_connection_that_a_tag_can_use_needs_an_approval_and_the_others_serve_main_only() -> None:
    """The approval hangs on the connection, because a tag may point to a commit that nobody has reviewed."""
    for name, declared in CONNECTIONS.items():
        assert declared.approved == (declared.stage == "prod" and "release" in declared.pipelines), name
        assert declared.approved or declared.branches in ((), (BRANCH,)), name
        assert declared.branches or declared.stage == "dev", name


def connections_of(pipeline: Mapping[str, Any]) -> set[str]:
    """Return the service connections that a pipeline names."""
    return {step["inputs"]["azureSubscription"] for _, step in every_step(pipeline) if step.get("task") == "AzureCLI@2"}


def test_every_job_that_deploys_holds_the_lock_of_its_environment(pipelines: Pipelines) -> None:
    """Its stage queues for the lock of exactly one environment, the one that its command names."""
    deploying = re.compile(r"infra (apply|rollback)|deploy\.sh")
    found = []
    for name in NAMES:
        for where, stage, job in every_job(pipelines[name]):
            if any(deploying.search(command_of(step)) for step in steps_of(job)):
                found.append(f"{name}.{where}")
                assert stage["lockBehavior"] == "sequential", where
                environments = {other["environment"] for other in stage["jobs"] if "environment" in other}
                assert len(environments) == 1, f"{where}: the stage holds the lock of {environments}"
                named = PLACES[environments.pop()]
                assert all(
                    named in command_of(step).split() for step in steps_of(job) if deploying.search(command_of(step))
                )
    assert found == ["main.account.apply", "main.dev_platform.deploy", "main.dev_account.apply", "main.dev.deploy",
                     "main.staging_platform.deploy", "main.staging_account.apply", "main.staging.deploy",
                     "main.prod_account.apply", "release.prod.apply", "release.prod.go_back"]  # fmt: skip


def test_prod_and_the_account_are_changed_by_a_saved_plan_only(pipelines: Pipelines) -> None:
    """Every apply states the hash and the maximum age of a plan, and `deploy.sh` is never called for them."""
    for name in NAMES:
        for where, step in every_step(pipelines[name]):
            assert not re.search(r"deploy\.sh (prod|account)", command_of(step)), where
            if "infra apply" in command_of(step):
                assert "--sha256 $(planSha256) --maximum-age 24h" in command_of(step), where
