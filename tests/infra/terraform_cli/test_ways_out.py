"""Errors of Terraform that have one way out: the message is that way."""

import json
import os
import shlex
from pathlib import Path

import pytest

from infra.terraform_cli.driver import StateMissingError, Terraform, TerraformError
from infra.terraform_cli.known_errors import not_recorded, take_over, untaint


def stack(folder: Path, name: str, content: dict[str, object]) -> Terraform:
    """Write a stack that needs no provider from outside, and return Terraform in it."""
    place = folder / name
    place.mkdir(exist_ok=True)
    (place / "cdk.tf.json").write_text(json.dumps(content), encoding="utf-8")
    return Terraform(stack=name, folder=place, environment=dict(os.environ))


def protected(folder: Path) -> Terraform:
    """Return a stack with one protected resource, created."""
    terraform = stack(
        folder, "account", {"resource": {"terraform_data": {"metastore": {"lifecycle": {"prevent_destroy": True}}}}}
    )
    terraform.init()
    terraform.deploy()
    return terraform


@pytest.mark.terraform
def test_what_is_protected_and_was_cut_off_is_untainted_by_the_printed_command(tmp_path: Path) -> None:
    """A creation in two requests: the second failed, and Terraform would replace what may not be destroyed."""
    terraform = protected(tmp_path)
    state = terraform.folder / "terraform.tfstate"
    content = json.loads(state.read_text(encoding="utf-8"))
    content["resources"][0]["instances"][0]["status"] = "tainted"
    content["serial"] += 1
    state.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(TerraformError) as failed:
        terraform.plan()
    command = f"terraform -chdir={terraform.folder} untaint terraform_data.metastore"
    assert "the creation of terraform_data.metastore was cut off" in str(failed.value)
    assert f"`{command}`, then plan again" in str(failed.value)
    assert os.system(command + " > /dev/null") == 0  # noqa: S605 # the printed command, of our own making
    terraform.plan()


@pytest.mark.terraform
def test_what_is_protected_and_whole_is_refused_in_terraform_s_words(tmp_path: Path) -> None:
    """Untainting would not help who wants to destroy it."""
    with pytest.raises(TerraformError, match="Instance cannot be destroyed") as failed:
        protected(tmp_path).plan(destroy=True)
    assert "untaint" not in str(failed.value)


@pytest.mark.terraform
def test_a_state_that_nobody_has_written_is_an_error_of_its_own(tmp_path: Path) -> None:
    """The stack waits for the one that it reads, which another identity may apply."""
    missing = {"backend": "local", "config": {"path": str(tmp_path / "dev-platform.tfstate")}}
    terraform = stack(
        tmp_path, "dev-account",
        {
            "data": {"terraform_remote_state": {"dev_platform": missing}},
            "output": {"x": {"value": "${data.terraform_remote_state.dev_platform.outputs.x}"}},
        },
    )  # fmt: skip
    terraform.init()
    with pytest.raises(StateMissingError, match="a stack that is not deployed yet: deploy the stacks in their order"):
        terraform.plan()


CATALOG = """
Error: cannot create catalog: Catalog 'dev' already exists.

  with databricks_catalog.catalog,
  on cdk.tf.json line 386, in resource.databricks_catalog.catalog:
 386:       }
"""
ACCOUNT = """
Error: a resource with the ID "/subscriptions/5a0b/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/lake"
already exists - to be managed via Terraform this resource needs to be imported into the State. Please see the resource
documentation for "azurerm_storage_account" for more information

  with azurerm_storage_account.lake,
  on cdk.tf.json line 12, in resource.azurerm_storage_account.lake:
  12:       }
"""
JOB = """
Error: cannot create registered model: Function 'delay' already exists

  with databricks_registered_model.delay,
  on cdk.tf.json line 7, in resource.databricks_registered_model.delay:
   7:       }
"""
LOCATION = """
Error: failed to create location

  with databricks_external_location.lake,
  on cdk.tf.json line 7, in resource.databricks_external_location.lake:
  7:       }

External Location 'loc' already exists
"""
OTHER = """
Error: cannot create schema: User does not have CREATE SCHEMA on Catalog 'dev'.

  with databricks_schema.bronze,
  on cdk.tf.json line 9, in resource.databricks_schema.bronze:
   9:       }
"""


def test_what_exists_without_being_in_the_state_is_taken_over_by_the_printed_command() -> None:
    """By the id that the error says, by the name where that is the id; else the reader is told to look it up."""
    whole = OTHER + CATALOG + ACCOUNT + JOB + LOCATION
    account = "/subscriptions/5a0b/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/lake"
    assert not_recorded(whole) == {
        "databricks_catalog.catalog": "dev", "azurerm_storage_account.lake": account, "databricks_registered_model.delay": "ID",
        "databricks_external_location.lake": "loc",
    }  # fmt: skip
    assert not_recorded(OTHER) == {}
    said = take_over(not_recorded(CATALOG), Path("stacks/dev-workspace"))
    assert "`terraform -chdir=stacks/dev-workspace import databricks_catalog.catalog dev`, then plan again" in said
    assert "says what its ID is" in take_over(not_recorded(JOB), Path("x"))


@pytest.mark.parametrize("place", ["stacks/dev-workspace", "mein Büro's house/stacks/dev-workspace"])
def test_a_printed_command_works_as_it_is_printed(place: str) -> None:
    """A shell takes it apart into its words, wherever the repository lies."""
    said = (untaint(["databricks_catalog.catalog"], Path(place)), take_over(not_recorded(CATALOG), Path(place)))
    words = [shlex.split(sentence.partition("`")[2].rpartition("`")[0]) for sentence in said]
    assert words == [
        ["terraform", f"-chdir={place}", "untaint", "databricks_catalog.catalog"],
        ["terraform", f"-chdir={place}", "import", "databricks_catalog.catalog", "dev"],
    ]


def test_the_id_follows_from_the_stack_through_its_references() -> None:
    """The error names the last part alone; a value that the stack reads from elsewhere leaves the id to the reader."""
    schema = {"catalog_name": "${databricks_catalog.catalog.name}", "name": "models"}
    model = {
        "name": "delay",
        "schema_name": "${databricks_schema.models.name}",
        "catalog_name": "${databricks_catalog.catalog.id}",
    }
    resources = {
        "databricks_catalog": {"catalog": {"name": "dev"}},
        "databricks_schema": {"models": schema},
        "databricks_registered_model": {"delay": model},
    }
    assert not_recorded(JOB, resources) == {"databricks_registered_model.delay": "dev.models.delay"}
    resources["databricks_catalog"]["catalog"]["name"] = "${data.terraform_remote_state.account.outputs.name}"
    assert not_recorded(JOB, resources) == {"databricks_registered_model.delay": "ID"}


def test_an_id_that_a_shell_would_divide_is_quoted() -> None:
    """Some ids hold a bar."""
    assert take_over({"databricks_budget.dev": "one|two"}, Path("x")).count("databricks_budget.dev 'one|two'`") == 1
