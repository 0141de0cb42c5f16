"""A company that has a metastore and groups already: they are looked up, and nothing of them is created or changed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.config.checks import load_settings
from infra.config.loading import SettingsError
from infra.offline.runs import plan_offline
from infra.rights.needed import rights_of
from infra.stacks.estate import stacks
from infra.synthesis.cdktf_seam import synthesize
from infra.synthesis.stack import Stack
from infra.terraform_cli.synthesized import read_stacks
from pipelines.declarations.registry import use_cases

METASTORE = "6f1a8c1e-0d2b-4c3d-9e4f-5a6b7c8d9e0f"


def existing(folder: Any, *, metastore: bool, groups: bool) -> None:
    """State in the settings what the company has."""
    account = folder.read("account")
    if metastore:
        account["metastore"] = {"region": account["metastore"]["region"], "id": METASTORE}
    if groups:
        account["entra_groups_are"] = "existing"
        account["entra_groups"] = dict.fromkeys(account["entra_groups"])
    text = "\n".join(f"{key}: {_flow(value)}" for key, value in account.items())
    folder.write("account", text)


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(inner)}" for key, inner in value.items()) + "}"
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def account_of(folder: Any, release: Any) -> Stack:
    """Return the account stack of the settings in a folder."""
    return stacks(load_settings(folder.path), use_cases(), release)[0]


def test_an_existing_metastore_is_looked_up_by_its_id_and_every_workspace_is_attached_to_it(
    folder: Any, release: Any
) -> None:
    """A second one in the region would be refused; its owner stays who it is."""
    existing(folder, metastore=True, groups=False)
    estate = {stack.name: stack for stack in stacks(load_settings(folder.path), use_cases(), release)}
    account = estate["account"]
    assert "databricks_metastore.metastore" not in account.resources
    assert account.resources["data.databricks_metastore.metastore"].arguments == {"metastore_id": METASTORE}
    assert account.outputs["metastore_id"] == "${data.databricks_metastore.metastore.id}"
    read = "${data.terraform_remote_state.account.outputs.metastore_id}"
    for name in ("dev", "staging", "prod"):
        resources = estate[f"{name}-account"].resources
        assert resources["databricks_metastore_assignment.metastore"].arguments["metastore_id"] == read
        assert resources["databricks_grant.metastore"].arguments["metastore"] == read


def test_existing_groups_are_looked_up_by_name_and_hold_the_same_roles(
    folder: Any, release: Any, estate: Mapping[str, Stack]
) -> None:
    """What SCIM or automatic identity management keeps is not kept twice; our groups per role have them as members."""
    existing(folder, metastore=False, groups=True)
    account, shipped = account_of(folder, release), estate["account"]
    names = set(load_settings(folder.path).account.entra_groups)
    looked_up = [r for r in account.resources.values() if r.type == "databricks_group" and r.is_data]
    assert {r.arguments["display_name"] for r in looked_up} == names
    assert not [r for r in account.resources.values() if "external_id" in r.arguments]

    def members(stack: Stack) -> set[tuple[str, str]]:
        found = [r.arguments for r in stack.resources.values() if r.type == "databricks_group_member"]
        return {(a["group_id"], a["member_id"].replace("data.", "")) for a in found}

    assert members(account) == members(shipped)
    owner = account.resources["databricks_metastore.metastore"].arguments["owner"]
    assert owner == "${data.databricks_group.entra_mrd_data_platform.display_name}"


def test_a_group_that_is_added_needs_its_object_id(folder: Any) -> None:
    """Only an existing one is found by its name alone."""
    existing(folder, metastore=False, groups=True)
    text = (folder.path / "account.yaml").read_text(encoding="utf-8")
    folder.write("account", text.replace("entra_groups_are: existing", "entra_groups_are: added"))
    with pytest.raises(SettingsError, match="entra_groups must state the object id of mrd-customer-loyalty"):
        load_settings(folder.path)


@pytest.mark.terraform
@pytest.mark.parametrize(("metastore", "groups"), [(True, False), (False, True), (True, True)])
def test_every_choice_is_planned_by_terraform_and_has_its_rights(
    folder: Any, release: Any, tmp_path: Path, cache: Path, metastore: bool, groups: bool
) -> None:
    """With the providers' own schemas; nothing that exists is among what is created."""
    existing(folder, metastore=metastore, groups=groups)
    account = account_of(folder, release)
    assert rights_of(account)
    synthesized = read_stacks(synthesize([account], tmp_path / "cdktf.out"))
    planned = plan_offline(synthesized, tmp_path / "run", cache=cache)["account"].content
    created = {change["type"] for change in planned["resource_changes"] if change["mode"] == "managed"}
    assert ("databricks_metastore" in created) is not metastore
