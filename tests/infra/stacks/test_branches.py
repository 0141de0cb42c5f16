"""A branch is a stack of its own in dev: what it adds is under its name, it changes nothing shared, and destroying it removes all."""

import re
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from infra.__main__ import main
from infra.config.checks import load_settings
from infra.config.loading import Settings, SettingsError
from infra.config.stack_names import is_branch
from infra.constructs.release import Release
from infra.graph.declared import as_synthesized
from infra.graph.proof import prove
from infra.offline.runs import plan_offline
from infra.stacks.branch import branch_stack, branches_of, with_branches
from infra.stacks.estate import stacks as estate_stacks
from infra.synthesis.cdktf_seam import synthesize
from infra.synthesis.stack import Stack
from infra.terraform_cli.changes import Action, changes
from infra.terraform_cli.synthesized import needed_by, read_stacks
from ml.spec.errors import DeclarationError
from pipelines.declarations.registry import use_cases
from pipelines.declarations.use_case import UseCase
from tests.infra.conftest import SettingsFolder

NAMES = ("new_gate", "other")


def branches(name: str) -> tuple[UseCase, ...]:
    """The branch of two use cases of two teams."""
    return branches_of(use_cases(), ("flight_delay", "air_time"), name)


EVERY = tuple(one for name in NAMES for one in branches(name))


@pytest.fixture(scope="module")
def stated(tmp_path_factory: pytest.TempPathFactory) -> SettingsFolder:
    """The shipped settings with branches allowed in dev."""
    folder = SettingsFolder(tmp_path_factory.mktemp("branches"))
    folder.change("dev", ("branches",), True)
    return folder


@pytest.fixture(scope="module")
def open_settings(stated: SettingsFolder) -> Settings:
    """As they are read."""
    return load_settings(stated.path)


@pytest.fixture(scope="module")
def estate(open_settings: Settings, release: Release) -> Mapping[str, Stack]:
    """Every stack without branches."""
    return {stack.name: stack for stack in estate_stacks(open_settings, use_cases(), release)}


@pytest.fixture(scope="module")
def allowing(open_settings: Settings) -> Settings:
    """The settings while both branches are there."""
    return with_branches(open_settings, EVERY)


@pytest.fixture(scope="module")
def branch_stacks(allowing: Settings, estate: Mapping[str, Stack], release: Release) -> Mapping[str, Stack]:
    """Two branches at once, beside the shipped stacks."""
    made = [branch_stack(allowing, use_cases(), branches(name), release, tuple(estate.values())) for name in NAMES]
    return {stack.name: stack for stack in made}


def names_of(stack: Stack, type_: str) -> set[str]:
    """What the objects of a type are called in the workspace."""
    return {str(one.arguments["name"]).rpartition("/")[2] for one in stack.resources.values() if one.type == type_}


def test_a_branch_has_a_state_of_its_own_in_dev(branch_stacks: Mapping[str, Stack]) -> None:
    """By its name."""
    assert set(branch_stacks) == {"dev-new_gate-branch", "dev-other-branch"}
    assert all(map(is_branch, branch_stacks))
    assert len({stack.state.local_path for stack in branch_stacks.values()}) == 2
    assert not any(
        is_branch(name) for name in ("prod-new_gate-branch", "dev-branch", "dev-workspace", "dev-a-b-branch")
    )


@pytest.mark.parametrize(
    "type_", ["databricks_schema", "databricks_job", "databricks_registered_model", "databricks_mlflow_experiment"]
)
def test_nothing_of_a_branch_has_a_name_of_the_original_or_of_another_branch(
    branch_stacks: Mapping[str, Stack], estate: Mapping[str, Stack], type_: str
) -> None:
    """Schemas, jobs and experiments by name; models by their schema."""
    first, second = branch_stacks.values()
    if type_ != "databricks_registered_model":
        assert not names_of(first, type_) & names_of(second, type_)
        assert not (names_of(first, type_) | names_of(second, type_)) & names_of(estate["dev-workspace"], type_)
        assert all("_branch_new_gate" in name for name in names_of(first, type_))
    own = [
        str(one.arguments["schema_name"])
        for one in first.resources.values()
        if one.type == "databricks_registered_model"
    ]
    assert own
    assert all("_branch_new_gate_models" in schema for schema in own)


def test_every_job_of_the_use_cases_is_there_and_none_starts_by_itself(branch_stacks: Mapping[str, Stack]) -> None:
    """A branch runs when somebody runs it, with its own wheel."""
    stack = branch_stacks["dev-new_gate-branch"]
    jobs = {
        str(one.arguments["name"]): one.arguments for one in stack.resources.values() if one.type == "databricks_job"
    }
    assert set(jobs) == {job.address for one in branches("new_gate") for job in one.jobs}
    for arguments in jobs.values():
        assert not {"schedule", "continuous", "trigger"} & set(arguments)
        wheels = {
            library["whl"] for task in arguments["task"] for library in task.get("library", ()) if "whl" in library
        }
        assert wheels <= {"${databricks_file.wheel.path}"}
        for task in arguments["task"]:
            if "python_wheel_task" in task:
                assert "_branch_new_gate." in task["python_wheel_task"]["parameters"][1]
    assert "/branches/new_gate/" in stack.resources["databricks_file.wheel"].arguments["path"]


def test_a_branch_changes_nothing_that_is_shared(branch_stacks: Mapping[str, Stack]) -> None:
    """It has no catalog, pool, policy, warehouse, scope, group or credential, and every grant is on an object of its own."""
    for stack in branch_stacks.values():
        assert {one.type for one in stack.resources.values()} == {
            "databricks_schema", "databricks_grants", "databricks_volume", "databricks_registered_model",
            "databricks_mlflow_experiment", "databricks_permissions", "databricks_job", "databricks_file",
        }  # fmt: skip
        for one in stack.resources.values():
            if one.type in ("databricks_grants", "databricks_permissions"):
                targets = [value for name, value in one.arguments.items() if name not in ("grant", "access_control")]
                assert all(re.match(r"\$\{databricks_\w+\.\w*_branch_\w+\.", str(value)) for value in targets), (
                    one.address
                )
        assert all(
            one.arguments.get("force_destroy") for one in stack.resources.values() if one.type == "databricks_schema"
        )
        assert not any(one.prevent_destroy for one in stack.resources.values())


def test_the_proof_holds_with_both_branches_and_sees_what_a_branch_must_not(
    branch_stacks: Mapping[str, Stack], estate: Mapping[str, Stack], allowing: Settings
) -> None:
    """A stranger's grant, another workspace, a schema of the original that goes with its tables, a branch in prod."""
    everyone = (*use_cases(), *EVERY)
    stacks = dict(as_synthesized([*estate.values(), *branch_stacks.values()]))
    assert list(prove(stacks, allowing, everyone)) == []

    def found(name: str, **changes: object) -> str:
        changed = as_synthesized([*estate.values(), *branch_stacks.values()])
        kind, label = name.split(".")
        for stack in ("dev-new_gate-branch", "dev-workspace"):
            if label in changed[stack].content["resource"].get(kind, {}):
                changed[stack].content["resource"][kind][label].update(changes)
        return " ".join(map(str, prove(changed, allowing, everyone)))

    stranger = [{"principal": "grp-mrd-team-loyalty", "privileges": ["SELECT"]}]
    assert "grp-mrd-team-loyalty" in found("databricks_grants.flight_delay_branch_new_gate_features", grant=stranger)
    assert "is destroyed with its tables" in found("databricks_schema.flight_delay_features", force_destroy=True)
    renamed = {**stacks, "prod-new_gate-branch": replace(stacks["dev-new_gate-branch"], name="prod-new_gate-branch")}
    assert "is no stack of this repository" in " ".join(map(str, prove(renamed, allowing, everyone)))


def test_jobs_of_a_branch_send_what_those_of_the_originals_send(
    stated: SettingsFolder, release: Release, tmp_path: Path
) -> None:
    """With dev's credential, of which the branch knows the name alone; the proof holds."""
    folder = SettingsFolder(tmp_path)
    shutil.copytree(stated.path, folder.path, dirs_exist_ok=True)
    folder.change("dev", ("telemetry",), {"daily_gigabytes": 1})
    settings, own = load_settings(folder.path), branches("new_gate")
    estate = estate_stacks(settings, use_cases(), release)
    stack = branch_stack(with_branches(settings, own), use_cases(), own, release, estate)
    (workspace,) = (one for one in estate if one.name == "dev-workspace")
    assert workspace.outputs["telemetry_credential"] == "${databricks_credential.telemetry.name}"
    clusters = [
        one["new_cluster"]["spark_env_vars"] for job in stack.resources.values() if job.type == "databricks_job"
        for one in job.arguments["job_cluster"]
    ]  # fmt: skip
    assert clusters
    for variables in clusters:
        assert variables["MLOPS_TELEMETRY"] == "azure_monitor"
        assert "dev_workspace.outputs.telemetry_credential" in variables["MLOPS_TELEMETRY_CREDENTIAL"], variables
        assert "dev_platform.outputs.telemetry_connection" in variables["APPLICATIONINSIGHTS_CONNECTION_STRING"]
    assert not any(one.type == "databricks_credential" for one in stack.resources.values())
    assert list(prove(as_synthesized([*estate, stack]), with_branches(settings, own), (*use_cases(), *own))) == []


def test_settings_that_allow_none_refuse(settings: Settings, folder: SettingsFolder) -> None:
    """As shipped; and the ceilings allow none in staging and prod."""
    with pytest.raises(DeclarationError, match="allow no branches"):
        with_branches(settings, EVERY)
    folder.change("prod", ("branches",), True)
    with pytest.raises(SettingsError, match="is above its ceiling in prod"):
        load_settings(folder.path)


@pytest.mark.terraform
@pytest.mark.proof
def test_terraform_deploys_two_branches_and_removes_one_alone(
    open_settings: Settings, allowing: Settings, release: Release, cache: Path, tmp_path: Path
) -> None:
    """Nothing else is changed by a branch that comes or goes: every other plan stays empty."""
    unbuilt = replace(release, sha256=None)
    estate = estate_stacks(open_settings, use_cases(), unbuilt)
    branch_stacks = [branch_stack(allowing, use_cases(), branches(name), unbuilt, estate) for name in NAMES]
    synthesize((*estate, *branch_stacks), tmp_path / "out")
    needed = needed_by([stack.name for stack in branch_stacks], read_stacks(tmp_path / "out"))
    planned = plan_offline(needed, tmp_path / "run", deploy=True, cache=cache)
    first, second = (planned[stack.name].terraform for stack in branch_stacks)
    made = {address for address in first.resources() if not address.startswith("data.")}
    assert {change.address for change in changes(planned["dev-new_gate-branch"].content)} == made
    assert len(made) == 60
    before = set(second.resources())
    gone = changes(first.plan(destroy=True))
    assert {change.action for change in gone} == {Action.DESTROY}
    assert {change.address for change in gone} == made
    first.apply()
    assert first.resources() == []
    assert set(second.resources()) == before
    assert not any(planned[name].terraform.has_changes() for name in ("dev-other-branch", "dev-workspace"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["new-gate", "--offline"], "branch 'new-gate' is not a name"),
        (["new_gate", "--use-case", "flight_dely", "--offline"], "did you mean 'flight_delay'?"),
        (["new_gate", "--offline", "--remove"], "--offline plans a new branch"),
        (["new_gate", "--env", "prod", "--apply"], "branches run in dev alone"),
        (["new_gate", "--gone"], "give one of them"),
        (["--git-branch", "refs/heads/main", "--remove"], "is what branches are merged into"),
        (["--remove"], "are for one branch: name it"),
    ],
)
def test_the_command_refuses_in_one_sentence(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is written."""
    assert main(["branch", *words]) == 2
    assert said in capsys.readouterr().err


def test_only_what_a_commit_holds_is_deployed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As with a release; refused before anything is planned."""
    monkeypatch.setattr("infra.commands.branch.has_uncommitted_changes", lambda **_: True)
    assert main(["branch", "new_gate", "--apply"]) == 2
    assert "a branch is deployed from a commit. Commit them first." in capsys.readouterr().err
