"""The real Terraform on small stacks: what it does with the generic provider, and what it catches."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.__main__ import main
from infra.offline.bindings import BindingError
from infra.offline.runs import plan_offline
from infra.offline.terraform import offline
from infra.terraform_cli.changes import Action, changes
from infra.terraform_cli.driver import TerraformError
from infra.terraform_cli.synthesized import SynthesizedStack, UnusableStackError, in_order, of_environment, read_stacks

Edit = Callable[[str, Callable[[dict[str, Any]], object]], dict[str, SynthesizedStack]]


@pytest.mark.terraform
def test_a_first_deployment_creates_everything(deployment: Any) -> None:
    """From nothing, every resource of every stack is created and nothing else happens."""
    found = {name: changes(plan) for name, plan in deployment.plans.items()}
    assert {name: len(changed) for name, changed in found.items()} == {
        "account": 2,
        "dev-platform": 5,
        "dev-workspace": 3,
    }
    assert {c.action for changed in found.values() for c in changed} == {Action.CREATE}


@pytest.mark.terraform
def test_a_stack_reads_what_the_stack_before_it_gave(deployment: Any) -> None:
    """The metastore's made-up id is unknown in the account's plan and a number in the platform's plan."""
    metastore = resource(deployment.plans["account"], "databricks_metastore.main")["change"]
    assignment = resource(deployment.plans["dev-platform"], "databricks_metastore_assignment.main")["change"]
    assert metastore["after_unknown"]["id"] is True
    assert assignment["after"]["metastore_id"].isdigit()
    assert assignment["after_unknown"]["workspace_id"] is True


WHERE = {"provider": "databricks.dev"}
MISTAKES: dict[str, tuple[str, dict[str, Any], str]] = {
    "an unknown argument": (
        "databricks_catalog", {"name": "x", "isolation": "ISOLATED"}, 'No argument or block type is named "isolation"',
    ),
    "an unknown argument in a block": (
        "databricks_job", {"task": [{"task_key": "x", "max_retrys": 1}]}, 'No argument or block type is named "max_retrys"',
    ),
    "a missing argument": ("databricks_schema", {"name": "x"}, 'The argument "catalog_name" is required'),
    "a wrong type": ("databricks_job", {"max_concurrent_runs": "one"}, "a number is required"),
    "a dangling reference": (
        "databricks_schema", {"name": "x", "catalog_name": "${databricks_catalog.prod.name}"},
        "Reference to undeclared resource",
    ),
    "an attribute that the type does not have": (
        "databricks_schema", {"name": "x", "catalog_name": "${databricks_catalog.dev.nam}"}, "Unsupported attribute",
    ),
    "a block that stands twice": ("databricks_job", {"run_as": [{}, {}]}, "Too many run_as blocks"),
    "an unknown type": ("databricks_jib", {}, 'does not support resource type "databricks_jib"'),
}  # fmt: skip


@pytest.mark.terraform
def test_terraform_itself_catches_every_mistake(change: Edit, tmp_path: Path, cache: Path) -> None:
    """Eight resources with one mistake each are eight errors of validation, in Terraform's own words."""

    def alter(content: dict[str, Any]) -> None:
        for number, (kind, arguments, _) in enumerate(MISTAKES.values()):
            content["resource"].setdefault(kind, {})[f"mistake_{number}"] = {**WHERE, **arguments}

    terraform = offline(change("dev-workspace", alter), tmp_path / "run", cache=cache)["dev-workspace"]
    terraform.init()
    found = [" ".join(f"{d['summary']} {d['detail']}".split()) for d in terraform.validate()]
    missed = [what for what, (_, _, words) in MISTAKES.items() if not any(words in text for text in found)]
    assert missed == []
    assert len(found) == len(MISTAKES)


REFUSED: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a remote backend": (
        lambda c: c["terraform"].update(backend={"s3": {"bucket": "state"}}),
        "its state is kept in the backend 's3'; offline runs replace local and azurerm alone",
    ),
    "a cloud block": (lambda c: c["terraform"].update(cloud={"organization": "x"}), "the backend 'cloud'"),
    "the remote state of another stack": (
        lambda c: c["data"]["terraform_remote_state"]["platform"].update(backend="http"),
        "reads the backend 'http'",
    ),
    "a provisioner": (
        lambda c: c["resource"]["databricks_catalog"]["dev"].update(provisioner=[{"local-exec": {"command": "true"}}]),
        "has a provisioner",
    ),
    "a provider without bindings": (
        lambda c: c["terraform"]["required_providers"].update(time={"source": "hashicorp/time"}),
        "the schemas of provider 'time'",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_an_offline_run_refuses(what: str, change: Edit, tmp_path: Path) -> None:
    """Whatever could touch something real is refused before anything is written."""
    alter, expected = REFUSED[what]
    with pytest.raises(UnusableStackError, match=expected):
        offline(change("dev-workspace", alter), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.terraform
def test_states_in_azure_are_replaced_and_never_opened(change: Edit, tmp_path: Path, cache: Path) -> None:
    """Stacks with a remote state are planned offline, in their order, with local states in its place."""

    def in_azure(content: dict[str, Any], own: str, **read: str) -> None:
        where = {"storage_account_name": "stmrdstate", "container_name": "terraform", "use_azuread_auth": True}
        content["terraform"]["backend"] = {"azurerm": {**where, "key": own}}
        for name, key in read.items():
            content["data"]["terraform_remote_state"][name] = {"backend": "azurerm", "config": {**where, "key": key}}

    change("account", lambda c: in_azure(c, "z.tfstate"))
    change("dev-platform", lambda c: in_azure(c, "y.tfstate", account="z.tfstate"))
    stacks = change("dev-workspace", lambda c: in_azure(c, "x.tfstate", platform="y.tfstate"))
    assert in_order(stacks) == ["account", "dev-platform", "dev-workspace"]
    plans = plan_offline(stacks, tmp_path / "run", only=["dev-platform", "dev-workspace"], cache=cache)
    assert {name: len(changes(planned.content)) for name, planned in plans.items()} == {
        "dev-platform": 5, "dev-workspace": 3,
    }  # fmt: skip
    for planned in plans.values():
        assert "stmrdstate" not in (planned.terraform.folder / "cdk.tf.json").read_text(encoding="utf-8")


def test_every_reason_for_a_refusal_is_given_at_once(change: Edit, tmp_path: Path) -> None:
    """Two stacks with a backend that is not known are two reasons in one message."""
    remote = {"s3": {"bucket": "state"}}
    change("account", lambda c: c["terraform"].update(backend=remote))
    with pytest.raises(UnusableStackError, match=r"(?s)- account.*- dev-platform"):
        offline(change("dev-platform", lambda c: c["terraform"].update(backend=remote)), tmp_path / "run")


@pytest.mark.terraform
def test_a_version_other_than_the_bindings_is_refused(change: Edit, tmp_path: Path, cache: Path) -> None:
    """A stack synthesized with other bindings is not checked against these schemas."""
    stacks = change("account", lambda c: c["terraform"]["required_providers"]["databricks"].update(version="1.98.0"))
    with pytest.raises(BindingError, match=r"requires databricks/databricks 1\.98\.0"):
        offline(stacks, tmp_path / "run", cache=cache)


@pytest.mark.terraform
def test_no_credential_and_no_foreign_configuration_reaches_terraform(
    stacks: dict[str, SynthesizedStack], tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The offline process has its own configuration file; the calling process keeps its environment."""
    monkeypatch.setenv("ARM_CLIENT_ID", "someone")
    monkeypatch.setenv("DATABRICKS_HOST", "https://real")
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", "mine")
    environment = offline(stacks, tmp_path / "run", cache=cache)["account"].environment
    assert not [name for name in environment if name.startswith(("ARM_", "DATABRICKS_"))]
    configuration = Path(environment["TF_CLI_CONFIG_FILE"])
    assert configuration.is_relative_to(tmp_path / "run")
    assert "direct" not in configuration.read_text(encoding="utf-8")
    assert os.environ["TF_CLI_CONFIG_FILE"] == "mine"


def test_the_provider_does_not_start_by_itself() -> None:
    """Started by hand, or by a Terraform outside an offline run, it says what it is and stops."""
    command = [sys.executable, "-m", "infra.offline.provider"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "makes its values up" in result.stderr
    assert result.stdout == ""


@pytest.mark.terraform
def test_the_states_of_a_deployment_are_left_alone(deployment: Any) -> None:
    """An offline deployment writes states only in its own folder, not at the paths that the stacks name."""
    named = [stack.backend[1]["path"] for stack in read_stacks(deployment.output).values()]
    assert len(named) == 3
    assert not [path for path in named if Path(path).exists()]
    assert len(list((deployment.folder / "state").glob("*.tfstate"))) == 3


def test_stacks_are_ordered_by_whose_state_they_read(stacks: dict[str, SynthesizedStack]) -> None:
    """The order follows from the remote states, not from the names."""
    shuffled = {name: stacks[name] for name in ("dev-workspace", "account", "dev-platform")}
    assert in_order(shuffled) == ["account", "dev-platform", "dev-workspace"]


def test_an_unknown_environment_and_an_empty_folder_are_one_sentence_each(
    stacks: dict[str, SynthesizedStack], tmp_path: Path
) -> None:
    """The sentence names what there is, or what to run."""
    with pytest.raises(UnusableStackError, match="no stack is of environment 'prd': synthesized are account, dev"):
        of_environment(stacks, "prd")
    with pytest.raises(UnusableStackError, match="run `python -m infra synth` first"):
        read_stacks(tmp_path)


@pytest.mark.terraform
def test_the_commands_print_one_line_per_stack_and_what_they_cannot_check(
    output: Path, change: Edit, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`validate` ends with 1 after an error, `plan` with 0 and the plans as files, both with what is not checked."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    planned = run("plan", "dev", "--offline", "--out", str(output), "--json", str(tmp_path / "plans"))
    assert planned == 0
    printed = capsys.readouterr().out
    assert "dev-platform: 5 to create" in printed
    assert "Not checked: values that only a provider knows" in printed
    assert sorted(p.name for p in (tmp_path / "plans").iterdir()) == [
        "dev-platform.json", "dev-workspace.json",
    ]  # fmt: skip
    change("account", lambda c: c["resource"]["databricks_group"]["engineers"].update(nme="x"))
    assert run("validate", "--offline", "--out", str(output)) == 1
    assert "error: Extraneous JSON object property in resource.databricks_group.engineers" in capsys.readouterr().out
    assert run("plan", "prd", "--offline", "--out", str(output)) == 2
    assert "unknown environment 'prd': did you mean 'prod'?" in capsys.readouterr().err


def test_a_missing_terraform_is_one_sentence(
    stacks: dict[str, SynthesizedStack], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is guessed and nothing half done without the program."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TerraformError, match="`terraform` is not on the path: install Terraform"):
        offline(stacks, tmp_path / "run")


def run(command: str, *arguments: str) -> int:
    """Run one of the two commands as `python -m infra` does."""
    return main([command, *arguments])


def resource(plan: Any, address: str) -> dict[str, Any]:
    """Return one resource of a plan by its address."""
    (found,) = [change for change in plan["resource_changes"] if change["address"] == address]
    return dict(found)
