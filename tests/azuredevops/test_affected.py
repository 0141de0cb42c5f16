"""What a change affects: the stacks to deploy and the jobs to run, from the changed paths alone."""

import dataclasses
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.__main__ import main
from infra.build.release import ROOT
from infra.commands.review import affected as command
from infra.commands.review.affected import bases, connected, logging_commands, workspace_resource_id
from infra.config.checks import load_settings
from infra.config.model import StateStorage
from infra.config.stack_names import ACCOUNT, Part
from infra.review.affected import Affected, DeployableParts, affected, sources_of_stacks
from infra.review.changed_paths import changed_paths
from infra.synthesis.stack import Stack
from pipelines.declarations.environment import ENVIRONMENTS
from pipelines.declarations.mistakes import DeclarationError

PLACES = (ACCOUNT, *ENVIRONMENTS)
ESTATE = DeployableParts(
    use_cases=("air_time", "flight_delay"), connected=frozenset(PLACES), sources=sources_of_stacks()
)
WORKSPACES = {"account": (), **{name: (f"{name}-workspace",) for name in ENVIRONMENTS}}
EVERYTHING = {
    "account": ("account", *(f"{name}-account" for name in ENVIRONMENTS)),
    **{name: (f"{name}-platform", f"{name}-workspace") for name in ENVIRONMENTS},
}
NOTHING: dict[str, tuple[str, ...]] = dict.fromkeys(PLACES, ())


def decide(*paths: str) -> Affected:
    """Return what a change of these paths affects when every environment is connected."""
    return affected(paths, ESTATE)


def test_a_change_of_one_use_case_deploys_no_network_and_runs_its_jobs_alone() -> None:
    """Its code, its declaration and its SQL affect the workspace stacks and the jobs of this use case only."""
    for file in ("features.py", "declaration.py", "sql/query.sql"):
        decided = decide(f"pipelines/use_cases/flight_delay/{file}")
        assert decided.stacks == WORKSPACES
        assert decided.use_cases == ("flight_delay",)


def test_a_use_case_that_was_removed_is_taken_out_of_every_workspace_and_none_of_its_jobs_is_run() -> None:
    """The workspace stacks are deployed, and no job is run, because the use case has none any more."""
    decided = decide("pipelines/use_cases/gone/declaration.py")
    assert (dict(decided.stacks), decided.use_cases) == (WORKSPACES, ())


@pytest.mark.parametrize("file", ["dev.yaml", "staging.yaml", "prod.yaml", "account.yaml", "teams.yaml"])
def test_a_change_of_settings_deploys_a_stack_and_runs_no_job(file: str) -> None:
    """Each settings file affects at least one stack and no use case."""
    decided = decide(f"infra/settings/{file}")
    assert decided.use_cases == ()
    assert any(decided.stacks.values())


def test_the_settings_of_one_environment_affect_every_stack(estate: Mapping[str, Stack]) -> None:
    """Other stacks use them: the account has the groups, and its part of prod admits the data scientists of dev."""
    assert decide("infra/settings/dev.yaml").stacks == EVERYTHING
    admitted = estate["prod-account"].resources["databricks_mws_permission_assignment.dev_data_scientist"]
    assert "group_dev_data_scientist" in admitted.arguments["principal_id"]


def test_a_change_of_the_network_deploys_platforms_alone_and_runs_no_job() -> None:
    """Only the platform stack imports the network construct."""
    decided = decide("infra/constructs/azure/network.py")
    assert decided.stacks == {"account": (), **{name: (f"{name}-platform",) for name in ENVIRONMENTS}}
    assert decided.use_cases == ()


def test_a_change_of_how_jobs_are_deployed_reaches_the_workspaces_and_runs_every_job() -> None:
    """The workspace stack imports `infra/constructs/use_case/jobs.py` through another construct."""
    decided = decide("infra/constructs/use_case/jobs.py")
    assert (dict(decided.stacks), decided.use_cases) == (WORKSPACES, ESTATE.use_cases)


@pytest.mark.parametrize(
    "path", ["infra/synthesis/cdktf_seam.py", "infra/synthesis/stack.py", "infra/stacks/estate.py"]
)
def test_the_code_that_synthesizes_every_stack_affects_every_stack(path: str) -> None:
    """A change of the cdktf seam, the stack class or the list of stacks deploys every stack."""
    assert decide(path).stacks == EVERYTHING


@pytest.mark.parametrize(
    "path", ["docs/platform.md", "README.md", "ml/README.md", "tests/ml/gate/test_decision.py", ".azuredevops/main.yml",
             "infra/waivers.yaml", "infra/ceilings.yaml", "infra/graph/types/azure.yaml", "infra/checks/platform.py", "benchmarks/gate.py", "requirements/dev.txt", "Makefile"]
)  # fmt: skip
def test_a_file_that_no_stack_is_made_from_deploys_nothing_and_runs_nothing(path: str) -> None:
    """Documentation, tests, pipelines, checks and commands affect no stack and no job."""
    decided = decide(path)
    assert (dict(decided.stacks), decided.use_cases) == (NOTHING, ())
    assert decided.reasons == ("nothing that is deployed has changed",)


@pytest.mark.parametrize(
    "path",
    [
        "ml/gate/decision.py",
        "pipelines/tasks/predictions/scoring.py",
        "pyproject.toml",
        "infra/build/reproducible_wheel.py",
    ],
)
def test_code_of_the_wheel_reaches_every_workspace_and_no_network_and_runs_every_job(path: str) -> None:
    """The workspace stack uploads the wheel, and every job runs its code."""
    decided = decide(path)
    assert (dict(decided.stacks), decided.use_cases) == (WORKSPACES, ESTATE.use_cases)


@pytest.mark.parametrize("path", ["something.new", "infra/templates/stack.tf", "requirements/run.txt",
                                  "infra/settings/test.yaml"])  # fmt: skip
def test_a_path_that_no_rule_knows_affects_everything(path: str) -> None:
    """A file of an unknown kind deploys every stack and runs every job."""
    decided = decide(path)
    assert (dict(decided.stacks), decided.use_cases) == (EVERYTHING, ESTATE.use_cases)


def test_the_first_deployment_affects_everything_and_states_why() -> None:
    """Without a deployed commit there is nothing to compare with, and the reason says so."""
    decided = affected(None, ESTATE)
    assert (dict(decided.stacks), decided.use_cases) == (EVERYTHING, ESTATE.use_cases)
    assert decided.reasons == ("everything: there is no deployed commit to compare with",)


def test_no_change_affects_nothing() -> None:
    """A run on the deployed commit itself deploys nothing and runs no job."""
    assert (dict(decide().stacks), decide().use_cases) == (NOTHING, ())


def test_an_environment_without_a_state_and_those_that_receive_from_it_are_not_deployed() -> None:
    """Without a state for staging only dev is deployed, and the reasons name staging as the cause for prod."""
    estate = DeployableParts(use_cases=(), connected=frozenset({"dev", "prod"}), sources=ESTATE.sources)
    decided = affected(None, estate)
    assert {place for place, stacks in decided.stacks.items() if stacks} == {"dev"}
    assert "prod is not deployed by pipelines: the settings of staging name no `state`" in decided.reasons


PATHS = st.sampled_from(
    [str(path.relative_to(ROOT)) for folder in ("infra", "pipelines", "ml") for path in (ROOT / folder).rglob("*.py")]
    + ["infra/settings/dev.yaml", "README.md", "unheard of", "pyproject.toml"]
)


@given(st.sets(PATHS, max_size=4), st.sets(PATHS, max_size=4))
def test_two_changes_together_affect_what_each_affects_alone(one: set[str], other: set[str]) -> None:
    """The stacks and use cases of two changes are the union of those of each change."""
    together, first, second = decide(*one, *other), decide(*one), decide(*other)
    for place in PLACES:
        assert set(together.stacks[place]) == {*first.stacks[place], *second.stacks[place]}
    assert set(together.use_cases) == {*first.use_cases, *second.use_cases}


def test_every_source_of_a_stack_exists_and_every_construct_is_a_source_of_one() -> None:
    """The sources are existing files, and every construct is imported by a stack, directly or indirectly."""
    found = frozenset[str]().union(*ESTATE.sources.values())
    assert [path for path in found if not (ROOT / path).is_file()] == []
    constructs = {str(path.relative_to(ROOT)) for path in (ROOT / "infra/constructs").glob("[a-z]*.py")}
    assert constructs <= found
    assert "infra/constructs/azure/network.py" not in ESTATE.sources[Part.WORKSPACE]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a first commit tagged `deployed` and a second one that moves a file."""
    for words in (["init", "-q"], ["config", "user.email", "a@b.example"], ["config", "user.name", "A"]):
        git(tmp_path, *words)
    (tmp_path / "one.py").write_text("one = 1\n" * 40)
    git(tmp_path, "add", "one.py")
    git(tmp_path, "commit", "-q", "-m", "first")
    git(tmp_path, "tag", "deployed")
    (tmp_path / "sub").mkdir()
    git(tmp_path, "mv", "one.py", "sub/zwei é.py")
    git(tmp_path, "commit", "-q", "-m", "second")
    return tmp_path


def git(folder: Path, *words: str) -> None:
    """Run git in a folder."""
    subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True)


def test_both_names_of_a_moved_file_have_changed(repository: Path) -> None:
    """The old and the new path of a renamed file are reported, also with a blank and a letter outside of ASCII."""
    assert changed_paths("deployed", repository) == ("one.py", "sub/zwei é.py")


@pytest.mark.parametrize("base", ["none", "0" * 40, "no-such-branch", "--output=x"])
def test_the_changed_paths_are_unknown_when_the_base_is_not_a_commit(repository: Path, base: str) -> None:
    """The result is None for a missing commit, and a base that looks like an option of git has no effect."""
    assert changed_paths(base, repository) is None
    assert not (repository / "x").exists()


def test_the_command_prints_what_is_affected_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a base every job is printed, the unconnected environments are named, and no variable is set."""
    assert main(["affected"]) == 0
    out = capsys.readouterr().out
    assert "jobs to run: air_time, flight_delay" in out
    assert "dev is not deployed by pipelines: the settings of dev name no `state`" in out
    assert "##vso" not in out


def test_the_command_warns_about_a_base_that_is_not_a_commit(capsys: pytest.CaptureFixture[str]) -> None:
    """The warning says that everything is affected, and the output variables are set."""
    assert main(["affected", "--base", "no-such-commit", "--set-variables"]) == 0
    output = capsys.readouterr()
    assert "no commit 'no-such-commit', so everything is affected" in output.err
    assert "##vso[task.setvariable variable=connected_prod;isOutput=true]false" in output.out


def test_output_variables_are_comma_separated_lists() -> None:
    """Stacks and use cases are comma-separated lists, empty when nothing is affected."""
    settings = load_settings()
    lines = list(logging_commands(decide("infra/constructs/azure/network.py", "ml/gate/decision.py"), settings))
    assert "##vso[task.setvariable variable=stacks_dev;isOutput=true]dev-platform,dev-workspace" in lines
    assert "##vso[task.setvariable variable=stacks_account;isOutput=true]" in lines
    assert "##vso[task.setvariable variable=stacks_dev_account;isOutput=true]" in lines
    assert "##vso[task.setvariable variable=use_cases;isOutput=true]air_time,flight_delay" in lines
    assert "##vso[task.setvariable variable=connected_dev;isOutput=true]false" in lines
    lines = list(logging_commands(decide("infra/settings/dev.yaml"), settings))
    assert "##vso[task.setvariable variable=stacks_account;isOutput=true]account" in lines
    assert "##vso[task.setvariable variable=stacks_prod_account;isOutput=true]prod-account" in lines


def test_a_place_whose_settings_name_a_state_is_connected() -> None:
    """The account and each environment are connected by a state in their own settings; no shipped settings name one."""
    shipped = load_settings()
    state = StateStorage(subscription_id=shipped.environments["dev"].subscription_id, resource_group="rg-mrd-dev-state",
                  storage_account="stmrddevstate", container="terraform")  # fmt: skip
    dev = shipped.environments["dev"].model_copy(update={"state": state})
    account = shipped.account.model_copy(update={"state": state})
    assert connected(shipped) == frozenset()
    settings = dataclasses.replace(shipped, account=account, environments={**shipped.environments, "dev": dev})
    assert connected(settings) == {"account", "dev"}


def test_the_resource_id_of_a_workspace_matches_its_platform_stack(estate: Mapping[str, Stack]) -> None:
    """Resource group, workspace name and subscription are the same, in every environment."""
    settings = load_settings()
    for environment in ENVIRONMENTS:
        resources = estate[f"{environment}-platform"].resources
        group = resources["azurerm_resource_group.group"].arguments["name"]
        workspace = resources["azurerm_databricks_workspace.workspace"].arguments["name"]
        output = workspace_resource_id(settings, environment)
        assert output.endswith(f"/resourceGroups/{group}/providers/Microsoft.Databricks/workspaces/{workspace}")
        assert output.startswith(f"/subscriptions/{settings.environments[environment].subscription_id}/")


def test_each_place_is_compared_with_the_commit_that_it_runs(tmp_path: Path) -> None:
    """A base may be given per environment and read from a file; a missing file gives no commit."""
    named = tmp_path / "commit"
    named.write_text("c0ffee\n")
    assert bases(["main", f"prod=@{named}", "dev=@no/such/file"]) == ("main", {"prod": "c0ffee", "dev": "none"})
    assert bases([]) == ("none", {})


@pytest.mark.parametrize(
    ("given", "said"),
    [(["prd=main"], "did you mean 'prod'"), (["a", "b"], "all places already"), (["dev=a", "dev=b"], "dev already")],
)
def test_an_unknown_or_repeated_base_is_refused(given: list[str], said: str) -> None:
    """The error suggests the right environment or names the one that is given twice."""
    with pytest.raises(DeclarationError, match=said):
        bases(given)


def test_prod_is_compared_with_the_release_and_dev_with_the_last_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A change between the last release and the last run is deployed to prod and not to dev."""
    changed = {"last-run": (), "last-release": ("infra/constructs/azure/network.py",)}
    monkeypatch.setattr(command, "changed_paths", changed.__getitem__)
    monkeypatch.setattr(command, "connected", lambda _: frozenset(PLACES))
    assert main(["affected", "--base", "last-run", "--base", "prod=last-release"]) == 0
    output = capsys.readouterr().out
    assert "dev, since last-run: nothing to deploy" in output
    assert "prod, since last-release: prod-platform" in output
    assert "jobs to run: none" in output
