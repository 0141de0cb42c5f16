"""The command line of the infrastructure: every command is there, names are checked, mistakes are sentences."""

import importlib
from typing import Any

import pytest

from infra.__main__ import main
from infra.commands import COMMANDS
from infra.config.model import StateStorage
from infra.terraform_cli.bootstrap import apply_steps, bootstrap_steps

STATE = StateStorage(
    subscription_id="5a0b1c2d-3e4f-4a5b-8c6d-7e8f90a1b2c3", resource_group="rg-mrd-dev-state",
    storage_account="stmrddevstate", container="terraform", allowed_ip_ranges=("203.0.113.0/24",),
)  # fmt: skip
PRINCIPAL = "11111111-2222-4333-8444-555555555555"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_arguments_and_its_work(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The table of commands names modules that exist; each explains itself with its options."""
    module = importlib.import_module(COMMANDS[name].module)
    assert callable(module.run)
    assert main([name, "--help"]) == 0
    said = capsys.readouterr().out
    assert f"Usage: python -m infra {name}" in said
    assert "--debug" in said


def test_an_unknown_command_is_answered_with_the_near_miss(capsys: pytest.CaptureFixture[str]) -> None:
    """And exit code 2."""
    assert main(["sinth"]) == 2
    assert "unknown command 'sinth': did you mean 'synth'?" in capsys.readouterr().err


def test_an_unknown_environment_is_answered_with_the_near_miss(capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is synthesized."""
    assert main(["describe", "prd"]) == 2
    assert "unknown environment 'prd': did you mean 'prod'?" in capsys.readouterr().err


def test_the_matrix_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """As Markdown, for a page or a question."""
    assert main(["matrix"]) == 0
    assert capsys.readouterr().out.startswith("| environment | who |")


def test_mistakes_in_settings_end_a_command_with_all_of_them(folder: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Each with its file, and exit code 2."""
    folder.change("dev", ("budget", "monthly"), 0)
    folder.remove("prod")
    assert main(["matrix", "--settings", str(folder.path)]) == 2
    said = capsys.readouterr().err
    assert "the settings have 2 mistakes" in said
    assert "settings/dev.yaml" in said
    assert "settings/prod.yaml: the file is missing" in said


def test_bootstrap_says_by_default_what_it_would_do(folder: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Commands to read and to run by hand; none of them makes or reads a key."""
    folder.change("dev", ("state",), STATE.model_dump(exclude_none=True, mode="json"))
    assert main(["bootstrap", "dev", "--principal", PRINCIPAL, "--settings", str(folder.path)]) == 0
    said = capsys.readouterr().out
    for word in (
        "--allow-shared-key-access false", "--allow-blob-public-access false", "--default-action Deny",
        "--public-network-access Enabled", "--ip-address 203.0.113.0/24", "container-rm create", PRINCIPAL,
    ):  # fmt: skip
        assert word in said
    assert " keys " not in said


def test_bootstrap_closes_a_state_that_only_a_private_endpoint_reaches() -> None:
    """No public address is let in; the endpoint is in the stated subnet, its record in the stated zone."""
    network = "/subscriptions/x/resourceGroups/rg/providers/Microsoft.Network"
    state = STATE.model_copy(
        update={"allowed_ip_ranges": (), "endpoint_subnet": f"{network}/subnets/a", "blob_zone": f"{network}/zones/b"}
    )
    said = [" ".join(s.create) for s in bootstrap_steps(state, region="westeurope", principal=PRINCIPAL)]
    assert not [command for command in said if "network-rule" in command]
    assert all("--public-network-access Disabled" in command for command in said if "storage account create" in command)
    assert [c for c in said if f"--subnet {network}/subnets/a" in c and "--group-id blob" in c]
    assert [c for c in said if f"--private-dns-zone {network}/zones/b" in c]


def test_bootstrap_refuses_a_state_that_nobody_would_reach(folder: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Closed to everybody, it would stop the first deployment."""
    folder.change("dev", ("state",), STATE.model_copy(update={"allowed_ip_ranges": ()}).model_dump(exclude_none=True))
    assert main(["bootstrap", "dev", "--principal", PRINCIPAL, "--settings", str(folder.path)]) == 2
    assert "would be closed to everybody: name `allowed_ip_ranges`" in capsys.readouterr().err


def test_bootstrap_names_single_addresses_one_by_one() -> None:
    """The firewall of storage takes ranges up to /30; smaller ones are single addresses."""
    state = STATE.model_copy(update={"allowed_ip_ranges": ("198.51.100.8/31", "203.0.113.7/32")})
    commands = [step.create for step in bootstrap_steps(state, region="westeurope", principal=PRINCIPAL)]
    found = [command[command.index("--ip-address") + 1] for command in commands if "--ip-address" in command]
    assert found == ["198.51.100.8", "198.51.100.9", "203.0.113.7"]


def test_bootstrap_of_an_environment_with_local_state_has_nothing_to_create(capsys: pytest.CaptureFixture[str]) -> None:
    """The settings say first where the state is to be."""
    assert main(["bootstrap", "dev", "--principal", PRINCIPAL]) == 2
    assert "name a `state` in its settings first" in capsys.readouterr().err


def test_bootstrap_creates_only_what_is_missing() -> None:
    """Looking comes first; what is found is left as it is."""
    steps = bootstrap_steps(STATE, region="westeurope", principal=PRINCIPAL)
    ran: list[tuple[str, ...]] = []

    def answer(command: Any) -> int:
        ran.append(tuple(command))
        return 0

    assert apply_steps(steps, answer, lambda _: None)
    assert [step.create for step in steps if step.look and step.create in ran] == []
    assert [command for command in ran if command in {step.create for step in steps}] == [
        step.create for step in steps if not step.look
    ]


def test_bootstrap_stops_where_a_step_fails() -> None:
    """Nothing is built on what is missing."""
    steps = bootstrap_steps(STATE, region="westeurope", principal=PRINCIPAL)
    said: list[str] = []
    assert not apply_steps(steps, lambda command: 1 if "account" in command else 3, said.append)
    assert len(said) == 1
    assert said[0].startswith("failed: resource group")
