"""The files themselves: valid by the published schema, without secrets, every name and command one that exists."""

import json
import re
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

import jsonschema
import pytest
import yaml

from infra.commands.affected import logging_commands
from infra.devops.names import APPROVED, DEPLOYED_BY, OPEN_TO_PULL_REQUESTS, PIPELINES, REVIEWS, SIGN_IN, place
from infra.devops.resource_checks import approval, lock
from infra.devops.wanted import wanted
from infra.settings_checks import load_settings
from pipelines.declarations.environment import ENVIRONMENTS
from tests.azuredevops.conftest import FOLDER, NAMES
from tests.azuredevops.delivery_picture import PICTURE, picture
from tests.azuredevops.pipeline_commands import CommandError, check, python_commands
from tests.azuredevops.pipeline_runs import job_name, step_title, steps_of
from tests.azuredevops.test_affected import decide

PLACES = {place(name): name for name in ("account", *ENVIRONMENTS)}
"""How service connections, environments and agents are called, as `infra devops` sets them up."""
HOSTED = "ubuntu-24.04"
MACRO = re.compile(r"\$\([\w.]+\)")
SCHEMA = resources.files("check_jsonschema.builtin_schemas.vendor").joinpath("azure-pipelines.json")


def every_job(pipeline: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """Yield where it stands, its stage and every job."""
    for stage in pipeline["stages"]:
        for job in stage["jobs"]:
            yield f"{stage['stage']}.{job_name(job)}", stage, job


def every_step(pipeline: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield where it stands and every step."""
    for where, _, job in every_job(pipeline):
        for step in steps_of(job):
            yield where, step


def command(step: Mapping[str, Any]) -> str:
    """Return what a step runs, empty if it is a task of the service."""
    return str(step.get("bash") or step.get("inputs", {}).get("inlineScript", ""))


@pytest.mark.usefixtures("pipelines")
def test_every_file_is_used(reading):
    """A template that nobody includes is dead."""
    found = {path.resolve() for path in FOLDER.glob("templates/*.yml")}
    assert found == {path for path in reading.declared if path.parent.name == "templates"}
    assert {path.stem for path in FOLDER.glob("*.yml")} == set(NAMES)


@pytest.mark.usefixtures("pipelines")
def test_every_parameter_of_a_template_is_used(reading):
    """A parameter that does nothing misleads; one that is missing or unknown is refused while expanding."""
    assert reading.unused() == []


@pytest.mark.parametrize("name", NAMES)
def test_every_pipeline_is_valid_by_the_published_schema(pipelines, name):
    """Expanded, as the service would run it: names of tasks and of their inputs included."""
    schema = json.loads(SCHEMA.read_text())
    assert wrong_by(schema, as_texts(pipelines[name])) == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("azureSubscription", "azureSubscriptoin", "step"),
        ("AzureCLI@2", "AzureCLI@22", "step"),
        ("fetchDepth", "fetchDepht", "step"),
        ("timeoutInMinutes", "timeoutInMinute", "job"),
        ("lockBehavior: sequential", "lockBehavior: last", "stage"),
        ("trigger", "triger", "the pipeline"),
    ],
)
def test_a_mistake_is_found_by_the_schema(pipelines, old, new, told):
    """In the name of a task, of an input, of a key, or in a value."""
    schema = json.loads(SCHEMA.read_text())
    broken = yaml.safe_load(yaml.safe_dump(as_texts(pipelines["release"]), width=10**6).replace(old, new))
    assert wrong_by(schema, broken)[0].startswith(told)


def as_texts(value: Any) -> Any:
    """Return YAML as the schema has it: every scalar is a text, but what a task is given has types of its own."""
    if isinstance(value, dict):
        return {key: inner if key in ("inputs", "continueOnError") else as_texts(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_texts(inner) for inner in value]
    return str(value).lower() if isinstance(value, bool) else str(value)


def wrong_by(schema: Mapping[str, Any], pipeline: Mapping[str, Any]) -> list[str]:
    """Return the smallest parts that the schema does not allow, or the whole pipeline's mistake."""

    def holds(kind: str, value: Any) -> bool:
        part = {"definitions": schema["definitions"], **schema["definitions"][kind]}
        return jsonschema.Draft7Validator(part).is_valid(value)

    wrong = [f"step {step}" for _, step in every_step(pipeline) if not holds("step", step)]
    wrong += [f"job {where}" for where, _, job in every_job(pipeline) if not wrong and not holds("job", job)]
    wrong += [f"stage {s['stage']}" for s in pipeline["stages"] if not wrong and not holds("stage", s)]
    whole = jsonschema.Draft7Validator(schema).is_valid(pipeline)
    return wrong or ([] if whole else ["the pipeline beside its stages"])


@pytest.mark.parametrize("name", NAMES)
def test_every_command_exists_and_its_options_are_accepted(pipelines, name):
    """By the parsers of our own command lines, by make, by the files that are named."""
    found = 0
    for where, step in every_step(pipelines[name]):
        if command(step):
            found += 1
            try:
                check(MACRO.sub("1h", command(step)))
            except CommandError as error:
                pytest.fail(f"{where}, {step_title(step)}: {error}")
    assert found > 5


@pytest.mark.parametrize(
    "text",
    [
        ".venv/bin/python -m infra synht",
        ".venv/bin/python -m infra synth --no-such-option",
        ".venv/bin/python -m infra apply prod --plan build/plan",
        ".venv/bin/python -m infra apply prod --plan build/plan --sha256 1a --maximum-age soon",
        ".venv/bin/python -m pipelines smok --env prod",
        ".venv/bin/python -m pipelines smoke --env prod --no-such-option",
        ".venv/bin/python -m pytest",
        ".venv/bin/pytest tests/no_such_folder",
        ".venv/bin/ruff chek .",
        ".venv/bin/black .",
        ".azuredevops/no-such.sh",
        ".azuredevops/output.sh sha256 .venv/bin/python -m infra whel",
        "make tset",
        "terrafrom plan",
        "mkdir -p build && databricks auth login",
    ],
)
def test_a_command_that_is_none_is_noticed(text):
    """Or the test before this one would prove nothing."""
    with pytest.raises(CommandError):
        check(text)


def test_the_commands_inside_the_scripts_are_found():
    """Each of the scripts that call our command lines."""
    found = {script.name: [text.split()[3] for text in python_commands(script)] for script in FOLDER.glob("*.sh")}
    assert found == {"deploy.sh": ["plan", "apply"], "smoke.sh": ["smoke"], "output.sh": [], "terraform.sh": []}


# No secrets

SECRETS = re.compile(
    r"(?i)\bpat\b|personal.?access|secret|password|passwd|client.?key|account.?key|sas.?token|api.?key|_token\b|bearer"
)


def test_no_file_names_a_secret():
    """No personal access token, client secret or key, in whatever spelling, in any file of the folder."""
    for path in sorted(FOLDER.rglob("*")):
        if path.is_file():
            named = [line for line in path.read_text().splitlines() if SECRETS.search(line.partition("# ")[0])]
            assert named == [], path.name


@pytest.mark.parametrize("line", ["env: {AZURE_DEVOPS_EXT_PAT: $(pat)}", "ARM_CLIENT_SECRET: $(secret)",
                                  "DATABRICKS_TOKEN: $(x)", "storageAccountKey: $(key)"])  # fmt: skip
def test_a_secret_would_be_noticed(line):
    """In the spellings of the tools in use."""
    assert SECRETS.search(line)


def test_the_token_of_the_job_is_given_to_the_step_that_comments_and_to_no_other(pipelines):
    """And nowhere as a variable, which every step of a stage would see."""
    given = [
        (name, where, step_title(step)) for name in NAMES for where, step in every_step(pipelines[name])
        if "AccessToken" in json.dumps(step)
    ]  # fmt: skip
    assert given == [("pull-request", "comment.comment", "Comment")]
    rest = {name: json.dumps({k: v for k, v in p.items() if k != "stages"}) for name, p in pipelines.items()}
    assert [name for name in NAMES if "AccessToken" in rest[name]] == []
    assert [path.name for path in FOLDER.rglob("*.yml") if path.read_text().count("System.AccessToken") > 1] == []


def test_nobody_takes_the_federated_token_out_of_its_task(pipelines):
    """Neither into the environment of a script nor into another tool's variables."""
    for name in NAMES:
        for where, step in every_step(pipelines[name]):
            text = json.dumps(step)
            for word in ("addSpnToEnvironment", "idToken", "ARM_OIDC", "persistCredentials", "ARM_CLIENT"):
                assert word not in text, f"{name}, {where}: {word}"


# Names


@pytest.mark.parametrize("name", NAMES)
def test_whoever_is_signed_in_as_one_environment_touches_no_other(pipelines, name):
    """Connection, agents, deployment environment and the environment that the command names are the same."""
    for where, _, job in every_job(pipelines[name]):
        connections = {
            step["inputs"]["azureSubscription"] for step in steps_of(job) if step.get("task") == "AzureCLI@2"
        }
        assert connections <= set(PLACES), where
        stated = {job["environment"]} if "environment" in job else set()
        pool = job.get("pool", pipelines[name].get("pool", {}))
        if connections:
            assert pool == {"name": next(iter(connections))}, where
            assert len(connections | stated) == 1, where
        else:
            assert pool == {"vmImage": HOSTED}, where
            assert not stated, where
        for step in steps_of(job):
            if step.get("task") == "AzureCLI@2":
                words = set(re.findall(r"\w+", command(step))) & set(PLACES.values())
                assert words == {PLACES[step["inputs"]["azureSubscription"]]}, f"{where}: {command(step)}"


def test_a_pull_request_can_sign_in_as_dev_and_as_nobody_else(pipelines):
    """Its code is not reviewed yet."""
    assert (
        connections_of(pipelines["pull-request"]) == {place(name) for name in OPEN_TO_PULL_REQUESTS} == {place("dev")}
    )


def test_the_set_up_lets_exactly_those_pipelines_sign_in_that_do(pipelines):
    """`infra devops` gives a pipeline the service connections that its steps name, and no other."""
    signing = {name: {PLACES[found] for found in connections_of(pipelines[name])} for name in NAMES}
    assert signing == {name: {where for where, allowed in SIGN_IN.items() if name in allowed} for name in NAMES}
    assert {f"/.azuredevops/{name}.yml" for name in NAMES} == set(PIPELINES.values())
    assert REVIEWS in NAMES


def test_prod_and_the_account_ask_for_an_approval_and_everything_has_a_lock(pipelines):
    """An environment is deployed to by the pipeline that the set-up knows, behind the checks that it adds."""
    deployed = {
        PLACES[job["environment"]]: name
        for name in NAMES
        for _, _, job in every_job(pipelines[name])
        if "environment" in job
    }
    assert deployed == DEPLOYED_BY
    assert (
        {stage.name for stage in wanted(load_settings()).stages if stage.approved}
        == set(APPROVED)
        == {"account", "prod"}
    )
    assert approval("somebody")["settings"]["minRequiredApprovers"] == 1
    assert lock()["type"]["name"] == "ExclusiveLock"


def connections_of(pipeline: Mapping[str, Any]) -> set[str]:
    """Return the service connections that a pipeline names."""
    return {step["inputs"]["azureSubscription"] for _, step in every_step(pipeline) if step.get("task") == "AzureCLI@2"}


def test_whatever_deploys_is_a_deployment_to_an_environment_under_its_lock(pipelines):
    """Approvals and locks are asked for by environments, and locks are taken in turn: none is skipped."""
    deploying = re.compile(r"infra (apply|rollback)|deploy\.sh")
    found = []
    for name in NAMES:
        for where, stage, job in every_job(pipelines[name]):
            if any(deploying.search(command(step)) for step in steps_of(job)):
                found.append(f"{name}.{where}")
                assert stage["lockBehavior"] == "sequential", where
                environments = {other["environment"] for other in stage["jobs"] if "environment" in other}
                assert len(environments) == 1, f"{where}: the stage holds the lock of {environments}"
                named = PLACES[environments.pop()]
                assert all(named in command(step).split() for step in steps_of(job) if deploying.search(command(step)))
    assert found == ["main.account.apply", "main.dev.deploy", "main.staging.deploy", "release.prod.apply",
                     "release.prod.go_back"]  # fmt: skip


def test_prod_and_the_account_are_changed_by_a_kept_plan_and_by_nothing_else(pipelines):
    """What an approval was given for; `deploy.sh` plans and applies in one go, which is for dev and staging."""
    for name in NAMES:
        for where, step in every_step(pipelines[name]):
            assert not re.search(r"deploy\.sh (prod|account)", command(step)), where
            if "infra apply" in command(step):
                assert "--sha256 $(planSha256) --maximum-age 24h" in command(step), where


# Artifacts and outputs


def test_every_artifact_that_is_taken_was_kept_before(pipelines):
    """By an earlier stage of the same run, or by the pipeline that is named."""
    kept = {name: {a for _, a in artifacts(pipelines[name], "PublishPipelineArtifact@1")} for name in NAMES}
    taken = 0
    for name in NAMES:
        for step, artifact in artifacts(pipelines[name], "DownloadPipelineArtifact@2"):
            taken += 1
            source = step["inputs"].get("definition", name)
            assert artifact in kept[source], f"{name} takes {artifact} of {source}"
            if source == name and step["inputs"].get("buildType", "current") == "current":
                assert place_of(pipelines[name], "Publish", artifact) < place_of(pipelines[name], "Download", artifact)
    assert taken > 8
    assert all(len(set(names)) == len(names) for names in map(list, kept.values()))


def artifacts(pipeline: Mapping[str, Any], task: str) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Yield the steps of a task and the artifact that each names."""
    for _, step in every_step(pipeline):
        if step.get("task") == task:
            yield step, step["inputs"].get("artifact") or step["inputs"]["artifactName"]


def place_of(pipeline: Mapping[str, Any], what: str, artifact: str) -> int:
    """Return the number of the first stage that keeps or takes an artifact."""
    for number, stage in enumerate(pipeline["stages"]):
        for step in (step for job in stage["jobs"] for step in steps_of(job)):
            inputs = step.get("inputs", {})
            named = inputs.get("artifact") or inputs.get("artifactName")
            if step.get("task", "").startswith(what) and named == artifact:
                return number
    raise AssertionError(f"nobody does {what} {artifact}")


OUTPUT = re.compile(
    r"(?:dependencies\.(?P<stage>\w+)\.outputs\['(?P<job>\w+)\.(?P<step>\w+)\.(?P<variable>\w+)'\])"
    r"|(?:stageDependencies\.(?P<stage2>\w+)\.(?P<job2>\w+)\.outputs\['(?P<step2>\w+)\.(?P<variable2>\w+)'\])"
)


@pytest.mark.parametrize("name", NAMES)
def test_every_output_that_is_read_is_one_that_its_step_sets(pipelines, name):
    """The names come from what the commands really print."""
    read = 0
    for found in OUTPUT.finditer(yaml.safe_dump(pipelines[name], width=10**6).replace("''", "'")):
        stage, job, step, variable = (
            found.group(k) or found.group(f"{k}2") for k in ("stage", "job", "step", "variable")
        )
        (named,) = [
            s for where, s in every_step(pipelines[name]) if where == f"{stage}.{job}" and s.get("name") == step
        ]
        read += 1
        assert variable in outputs_of(command(named)), f"{found.group()}: {command(named)} sets no {variable}"
    assert read > 0


def outputs_of(text: str) -> set[str]:
    """Return the output variables that a command sets."""
    if "infra affected" in text and "--set-variables" in text:
        lines = logging_commands(decide(), load_settings())
        return {re.search(r"variable=(\w+);isOutput=true", line).group(1) for line in lines}
    if "output.sh" in text:
        return set(text.split("output.sh ")[1].split()[0].split(","))
    if "smoke.sh" in text:
        return set(re.findall(r"variable=(\w+);isOutput=true", (FOLDER / "smoke.sh").read_text()))
    return set()


def test_the_picture_of_the_way_is_drawn_from_the_pipelines():
    """`python -m tests.azuredevops.delivery_picture` draws it anew."""
    assert PICTURE.read_text(encoding="utf-8") == picture()
