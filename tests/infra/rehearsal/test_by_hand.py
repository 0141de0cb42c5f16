"""The rehearsal runs the commands that a refusal prints, as they are printed."""

import shlex
from pathlib import Path

import pytest

from infra.rehearsal.by_hand import printed_commands
from infra.terraform_cli.known_errors import take_over, untaint

CATALOG, VAULT = "databricks_catalog.catalog", "azurerm_key_vault.vault"


@pytest.mark.parametrize("folder", [Path("/srv/estate"), Path("/srv/mein Büro's estate")])
def test_every_command_of_a_refusal_is_run_alone_wherever_the_stack_is(folder: Path) -> None:
    """Several in one line as well; the folder may have blanks and quotes."""
    commands = printed_commands(untaint([CATALOG, VAULT], folder))
    assert [shlex.split(one) for one in commands] == [
        ["terraform", f"-chdir={folder}", "untaint", CATALOG],
        ["terraform", f"-chdir={folder}", "untaint", VAULT],
    ]
    (command,) = printed_commands(take_over({CATALOG: "dev"}, folder))
    assert shlex.split(command) == ["terraform", f"-chdir={folder}", "import", CATALOG, "dev"]


def test_a_refusal_that_prints_another_command_names_none_of_these() -> None:
    """The rehearsal then ends with the refusal."""
    assert printed_commands("the state is locked: `terraform -chdir=/srv force-unlock 1` ends that.") == []
