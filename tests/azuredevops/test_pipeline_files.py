"""The pipeline files are valid by the published schema, and every command, artifact and output in them exists."""

import json
import re
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

import jsonschema_rs
import pytest
import yaml

from infra.azure_pipelines.shape import allows, command_of, every_job, every_step, step_title, steps_of
from infra.azure_pipelines.templates import TemplateReading
from infra.commands.review.affected import logging_commands
from infra.config.checks import load_settings
from infra.config.pipeline_names import place
from pipelines.declarations.environment import ENVIRONMENTS
from tests.azuredevops.conftest import FOLDER, NAMES, Pipelines
from tests.azuredevops.delivery_picture import PICTURE, picture
from tests.azuredevops.pipeline_commands import CommandError, check, python_commands
from tests.azuredevops.test_affected import decide

PLACES = {place(name): name for name in ("account", *ENVIRONMENTS)}
"""How service connections, environments and agents are called, as `infra devops` sets them up."""
HOSTED = "ubuntu-24.04"
MACRO = re.compile(r"\$\([\w.]+\)")
SCHEMA = resources.files("check_jsonschema.builtin_schemas.vendor").joinpath("azure-pipelines.json")


@pytest.mark.usefixtures("pipelines")
def test_every_template_is_included(reading: TemplateReading) -> None:
    """Every template is included by a pipeline, and every pipeline of the folder is tested."""
    found = {path.resolve() for path in FOLDER.glob("templates/*.yml")}
    assert found == {path for path in reading.declared if path.parent.name == "templates"}
    assert {path.stem for path in FOLDER.glob("*.yml")} == set(NAMES)


@pytest.mark.usefixtures("pipelines")
def test_every_parameter_of_a_template_is_used(reading: TemplateReading) -> None:
    """No template declares a parameter that it does not use."""
    assert reading.unused() == []


@pytest.mark.parametrize("name", NAMES)
def test_every_pipeline_is_valid_by_the_published_schema(pipelines: Pipelines, name: str) -> None:
    """The expanded pipeline is valid, including the names of tasks and of their inputs."""
    schema = published_schema()
    assert wrong_by(schema, as_texts(pipelines[name])) == []


@pytest.mark.parametrize(
    ("old", "new", "output"),
    [
        ("azureSubscription", "azureSubscriptoin", "step"),
        ("AzureCLI@2", "AzureCLI@22", "step"),
        ("fetchDepth", "fetchDepht", "step"),
        ("timeoutInMinutes", "timeoutInMinute", "job"),
        ("lockBehavior: sequential", "lockBehavior: last", "stage"),
        ("trigger", "triger", "the pipeline"),
    ],
)
def test_a_mistake_is_found_by_the_schema(pipelines: Pipelines, old: str, new: str, output: str) -> None:
    """A misspelt task, input or key and a wrong value are each found in the right part of the pipeline."""
    schema = published_schema()
    broken = yaml.safe_load(yaml.safe_dump(as_texts(pipelines["release"]), width=10**6).replace(old, new))
    assert wrong_by(schema, broken)[0].startswith(output)


def published_schema() -> dict[str, Any]:
    """Return the published schema, with the one key of a task that it lacks and its documentation has.

    https://learn.microsoft.com/azure/devops/pipelines/yaml-schema/steps-task
    """
    schema: dict[str, Any] = json.loads(SCHEMA.read_text())
    schema["definitions"]["task"]["properties"].setdefault("target", {"$ref": "#/definitions/stepTarget"})
    return schema


def as_texts(value: Any) -> Any:
    """Return YAML with every scalar as a text, as the schema expects; the inputs of tasks keep their types."""
    if isinstance(value, dict):
        typed = ("inputs", "continueOnError") if "task" in value else ()
        return {key: inner if key in typed else as_texts(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_texts(inner) for inner in value]
    return str(value).lower() if isinstance(value, bool) else str(value)


def wrong_by(schema: dict[str, Any], pipeline: Mapping[str, Any]) -> list[str]:
    """Return the smallest parts that the schema does not allow, or the whole pipeline's mistake."""
    if jsonschema_rs.validator_for(schema).is_valid(pipeline):
        return []
    of = {
        kind: jsonschema_rs.validator_for({"definitions": schema["definitions"], **schema["definitions"][kind]})
        for kind in ("step", "job", "stage")
    }
    wrong = [f"step {step}" for _, step in every_step(pipeline) if not of["step"].is_valid(step)]
    wrong = wrong or [f"job {where}" for where, _, job in every_job(pipeline) if not of["job"].is_valid(job)]
    wrong = wrong or [f"stage {s['stage']}" for s in pipeline["stages"] if not of["stage"].is_valid(s)]
    return wrong or ["the pipeline beside its stages"]


@pytest.mark.parametrize("name", NAMES)
def test_every_command_exists_and_its_options_are_accepted(pipelines: Pipelines, name: str) -> None:
    """The parsers of our command lines and make accept every command, and the files it names exist."""
    found = 0
    for where, step in every_step(pipelines[name]):
        if command_of(step):
            found += 1
            try:
                check(MACRO.sub("1h", command_of(step)))
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
def test_a_command_that_does_not_exist_is_refused(text: str) -> None:
    """An unknown program, script, target, command or option and a missing file each raise an error."""
    with pytest.raises(CommandError):
        check(text)


def test_the_commands_inside_the_scripts_are_found() -> None:
    """The search finds every call of our command lines in each script."""
    found = {script.name: [text.split()[3] for text in python_commands(script)] for script in FOLDER.glob("*.sh")}
    assert found == {
        "deploy.sh": ["plan", "apply"],
        "smoke.sh": ["smoke"],
        "output.sh": [],
        "terraform.sh": [],
        "newest.sh": [],
    }


def test_every_downloaded_artifact_was_published_before(pipelines: Pipelines) -> None:
    """An earlier stage of the same run or the named pipeline publishes it, and no name is published twice."""
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


def test_an_artifact_of_another_run_comes_from_main_or_from_a_release(pipelines: Pipelines) -> None:
    """Such a download names the pipeline, its branch and its tags, so that no run of another branch is used."""
    of_main = ("main", "latestFromBranch", "refs/heads/main")
    tried = (*of_main, "commit-$(tried)")
    found = {
        (name, artifact): tuple(
            inputs.get(key) for key in ("definition", "buildVersionToDownload", "branchName", "tags")
        )
        for name in NAMES
        for step, artifact in artifacts(pipelines[name], "DownloadPipelineArtifact@2")
        if (inputs := step["inputs"]).get("buildType") == "specific"
    }
    assert found == {
        ("main", "commit"): (*of_main, "went-through"),
        ("main", "released"): ("release", "latest", None, "released"),
        ("release", "plan-prod"): tried,
        ("release", "wheel"): tried,
    }


def test_every_checkout_is_clean(pipelines: Pipelines) -> None:
    """Every checkout cleans the folder, because self-hosted agents keep their folders between runs."""
    taken = [step for name in NAMES for _, step in every_step(pipelines[name]) if step.get("checkout") == "self"]
    assert len(taken) > 10
    assert all(step["clean"] is True for step in taken)


def artifacts(pipeline: Mapping[str, Any], task: str) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Yield the steps of a task with the artifact that each names."""
    for _, step in every_step(pipeline):
        if step.get("task") == task:
            yield step, artifact_of(step["inputs"])


def artifact_of(inputs: Mapping[str, str]) -> str:
    """Return the artifact that a step publishes or takes, without the number of the attempt."""
    named = inputs.get("artifact") or inputs.get("artifactName") or inputs.get("itemPattern", "")
    return named.removesuffix("-$(System.JobAttempt)").removesuffix("-*/**")


def place_of(pipeline: Mapping[str, Any], what: str, artifact: str) -> int:
    """Return the number of the first stage that publishes or downloads an artifact."""
    for number, stage in enumerate(pipeline["stages"]):
        for step in (step for job in stage["jobs"] for step in steps_of(job)):
            inputs = step.get("inputs", {})
            if step.get("task", "").startswith(what) and artifact_of(inputs) == artifact:
                return number
    raise AssertionError(f"nobody does {what} {artifact}")


OUTPUT = re.compile(
    r"(?:dependencies\.(?P<stage>\w+)\.outputs\['(?P<job>\w+)\.(?P<step>\w+)\.(?P<variable>\w+)'\])"
    r"|(?:stageDependencies\.(?P<stage2>\w+)\.(?P<job2>\w+)\.outputs\['(?P<step2>\w+)\.(?P<variable2>\w+)'\])"
)


@pytest.mark.parametrize("name", NAMES)
def test_every_output_that_is_read_is_one_that_its_step_sets(pipelines: Pipelines, name: str) -> None:
    """Every output variable that an expression reads is set by the command of the step it names."""
    read = 0
    for found in OUTPUT.finditer(yaml.safe_dump(pipelines[name], width=10**6).replace("''", "'")):
        stage, job, step, variable = (
            found.group(k) or found.group(f"{k}2") for k in ("stage", "job", "step", "variable")
        )
        (named,) = [
            s for where, s in every_step(pipelines[name]) if where == f"{stage}.{job}" and s.get("name") == step
        ]
        read += 1
        assert variable in outputs_of(command_of(named)), f"{found.group()}: {command_of(named)} sets no {variable}"
    assert read > 0


PRINTS_TEXTS_OF_OTHERS = ("infra kept", "infra comment", "infra review --base $(base) --plan")
"""Commands of steps without a service connection that print plans, as a signed-in step does, and errors of runs."""


@pytest.mark.parametrize("name", NAMES)
def test_a_command_inside_a_text_of_others_is_not_obeyed(pipelines: Pipelines, name: str) -> None:
    """A step that signs in or prints a plan marks no run, and sets the variables that it is there to set."""
    found = 0
    for where, step in every_step(pipelines[name]):
        command = command_of(step)
        if step.get("task") == "AzureCLI@2" or any(text in command for text in PRINTS_TEXTS_OF_OTHERS):
            found += 1
            assert not allows(step, "addbuildtag"), where
            assert not allows(step, "setvariable", "anything"), where
            assert {
                variable for variable in outputs_of(command) if allows(step, "setvariable", variable)
            } == outputs_of(command), where
    assert found > 0


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


def test_the_delivery_picture_is_drawn_from_the_pipelines() -> None:
    """The committed picture equals a new one; `python -m tests.azuredevops.delivery_picture` draws it."""
    assert PICTURE.read_text(encoding="utf-8") == picture()
