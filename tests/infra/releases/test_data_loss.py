"""No plan destroys data that nobody has named: judged on the plan, with the real Terraform, in every way to apply."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.releases import data_loss
from infra.releases.data_loss import LOST_WITH_DATA, MADE_AGAIN, addresses, data_losses, unnamed_losses
from infra.releases.guarded_apply import StackRequest, apply_stack
from infra.releases.recording import ReleaseRefusedError
from infra.releases.saved_plan import MANIFEST, SavedPlanError, file_hashes, read_manifest, write_manifest
from infra.releases.saving import save_plan
from infra.rights.catalogue import NEEDS
from infra.terraform_cli.changes import Action
from infra.terraform_cli.synthesized import SynthesizedStack
from tests.infra.releases.test_guarded_apply import RELEASE, stack_of
from tests.infra.releases.test_saved_plans import Place, release

SCHEMA = "databricks_schema.bronze"


def planned(kind: str, *actions: str) -> dict[str, Any]:
    """The plan of one resource."""
    return {"resource_changes": [{"address": f"{kind}.one", "type": kind, "change": {"actions": list(actions)}}]}


@pytest.mark.parametrize("kind", sorted(LOST_WITH_DATA))
def test_every_type_that_holds_data_is_a_loss_when_it_is_destroyed_or_replaced(kind: str) -> None:
    """Created, updated and forgotten it is none, whatever its type."""
    for actions, action in (
        (("delete",), Action.DESTROY), (("delete", "create"), Action.REPLACE), (("create", "delete"), Action.REPLACE),
    ):  # fmt: skip
        (loss,) = data_losses({"prod-workspace": planned(kind, *actions)})
        assert (loss.stack, loss.address, loss.action) == ("prod-workspace", f"{kind}.one", action)
        (reason,) = unnamed_losses([loss], ["another.address"])
        assert reason.startswith(f"{kind}.one of prod-workspace holds data and would be destroyed")
        assert f"--allow-destroy {kind}.one" in reason
        assert unnamed_losses([loss], [loss.address]) == ()
    for harmless in ("create", "update", "forget", "no-op", "read"):
        assert data_losses({"prod-workspace": planned(kind, harmless)}) == ()


def test_what_is_replaced_because_its_creation_was_cut_off_is_kept_by_the_command_that_is_printed() -> None:
    """No setting is wrong: Terraform marks what it could not finish. The object is there, and may be taken over as it is."""
    plan = planned("databricks_catalog", "delete", "create")
    plan["resource_changes"][0]["action_reason"] = "replace_because_tainted"
    (reason,) = unnamed_losses(data_losses({"dev-workspace": plan}), ())
    assert "`terraform -chdir=cdktf.out/stacks/dev-workspace untaint databricks_catalog.one`" in reason
    assert "keep it declared" not in reason
    assert "--allow-destroy databricks_catalog.one" in reason
    plan["resource_changes"][0]["address"] = 'databricks_catalog.all["one"]'
    (indexed,) = data_losses({"dev-workspace": plan})
    assert "untaint 'databricks_catalog.all[\"one\"]'`" in indexed.remedy
    plan["resource_changes"][0]["action_reason"] = "replace_because_cannot_update"
    (reason,) = unnamed_losses(data_losses({"dev-workspace": plan}), ())
    assert "untaint" not in reason
    assert "keep it declared" in reason


def test_the_loss_of_what_can_be_made_again_is_none() -> None:
    """A job is deployed again from its declaration."""
    assert data_losses({"prod-workspace": planned("databricks_job", "delete")}) == ()


def test_every_type_that_stacks_make_is_judged_and_a_type_that_nobody_judged_may_hold_data() -> None:
    """The lists divide the types of the catalogue of rights; what neither knows is a loss, as in a plan of an earlier release."""
    made = {kind for kind in NEEDS if not kind.startswith("data.")}
    former = {"azurerm_key_vault_key", "azurerm_consumption_budget_resource_group"}
    assert {*made, *former, "terraform_data"} == LOST_WITH_DATA | MADE_AGAIN
    assert not LOST_WITH_DATA & MADE_AGAIN
    (loss,) = data_losses({"prod-workspace": planned("databricks_sql_table", "delete")})
    assert unnamed_losses([loss], ())


def test_what_holds_data_and_was_deleted_outside_is_not_created_empty_unnamed() -> None:
    """A new storage account of the same name makes the deleted one unrecoverable; a job that is gone is just made again."""
    for kind, expected in (("azurerm_storage_account", 1), ("databricks_catalog", 1), ("databricks_job", 0)):
        plan = planned(kind, "create")
        assert data_losses({"prod-platform": plan}) == ()
        drifted = {"address": f"{kind}.one", "type": kind, "change": {"actions": ["delete"]}}
        losses = data_losses({"prod-platform": {**plan, "resource_drift": [drifted]}})
        assert len(losses) == expected
        for reason in unnamed_losses(losses, ()):
            assert "was deleted outside of Terraform and would be created empty: restore it first" in reason
        assert unnamed_losses(losses, [f"{kind}.one"]) == ()


def test_what_is_created_while_the_former_one_is_forgotten_is_empty() -> None:
    """Terraform calls it neither destroyed nor replaced."""
    (loss,) = data_losses({"prod-workspace": planned("databricks_catalog", "create", "forget")})
    assert loss.action is Action.REPLACE


def test_addresses_are_separated_by_commas() -> None:
    """Spaces and empty parts do not count; ``none`` names nothing that exists."""
    assert addresses(" b.two,a.one ,,") == ("a.one", "b.two")
    assert addresses("") == ()


@pytest.fixture
def deployed(tmp_path: Path, cache: Path, deployment: Any) -> Place:
    """Return an environment whose platform and workspace exist."""
    place = Place(tmp_path, cache)
    (place.target.folder / "state").mkdir(parents=True)
    for name in ("account", "dev-platform", "dev-workspace"):
        shutil.copy(deployment.folder / "state" / f"{name}.tfstate", place.target.folder / "state")
    return place


def renamed_schema(content: dict[str, Any]) -> None:
    """Take a schema out of the stack and add one of another name, as a use case that is renamed does."""
    schemas = content["resource"]["databricks_schema"]
    schemas["silver"] = {**schemas.pop("bronze"), "name": "silver"}


@pytest.mark.terraform
def test_a_schema_that_leaves_the_stacks_is_destroyed_only_by_name(
    change: Callable[..., dict[str, SynthesizedStack]], deployed: Place
) -> None:
    """Nothing that could be applied is left of the plan that is refused; the name is kept in the plan that is applied."""
    stacks = change("dev-workspace", renamed_schema)
    with pytest.raises(SavedPlanError, match=f"{SCHEMA} of dev-workspace holds data and would be destroyed"):
        deployed.save_plan(stacks, "refused")
    assert not (deployed.folder / "refused" / MANIFEST).exists()
    named = save_plan(
        stacks, deployed.target, release(), deployed.folder / "named", uncommitted=False, allow_destroy=[SCHEMA],
        say=deployed.said.append,
    )  # fmt: skip
    assert named.destroys == (SCHEMA,)
    assert any("allowed by name" in line for line in deployed.said)
    forged = replace(named, destroys=(), files=file_hashes(deployed.folder / "named"))
    write_manifest(deployed.folder / "named", forged)
    with pytest.raises(ReleaseRefusedError, match="holds data and would be destroyed"):
        deployed.apply(stacks, "named", forged.sha256)
    assert SCHEMA in deployed.resources(stacks, "dev-workspace")
    write_manifest(deployed.folder / "named", named)
    assert read_manifest(deployed.folder / "named") == named
    deployed.apply(stacks, "named", named.sha256)
    assert SCHEMA not in deployed.resources(stacks, "dev-workspace")


@pytest.mark.terraform
def test_a_removed_block_forgets_a_schema_and_destroys_nothing(
    change: Callable[..., dict[str, SynthesizedStack]], deployed: Place
) -> None:
    """The plan is saved without a name, and afterwards the schema is no longer Terraform's."""

    def retired(content: dict[str, Any]) -> None:
        renamed_schema(content)
        content["removed"] = [{"from": SCHEMA, "lifecycle": [{"destroy": False}]}]

    stacks = change("dev-workspace", retired)
    saved = deployed.save_plan(stacks, "retired")
    assert saved.destroys == ()
    deployed.apply(stacks, "retired", saved.sha256)
    assert SCHEMA not in deployed.resources(stacks, "dev-workspace")


@pytest.mark.terraform
def test_a_deployment_by_the_cdktf_command_line_refuses_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``apply`` stops before anything is recorded; ``destroy`` names the whole stack and asks."""
    monkeypatch.setattr(data_loss, "LOST_WITH_DATA", frozenset({"terraform_data"}))
    terraform, target = stack_of(tmp_path, {"resource": {"terraform_data": {"tables": {"triggers_replace": "a"}}}})

    def apply(command: str, *allowed: str) -> int:
        request = StackRequest(command=command, approved=True, allow_destroy=allowed)
        user = '{"name": "11111111-dev", "type": "servicePrincipal"}'
        return apply_stack(request, terraform, target, RELEASE, ask=lambda: "", say=lambda _: None, az=lambda _: user)

    assert apply("apply") == 0
    before = target.ledger.read()
    stack = terraform.folder / "cdk.tf.json"
    stack.write_text(stack.read_text().replace('"triggers_replace": "a"', '"triggers_replace": "b"'))
    with pytest.raises(ReleaseRefusedError, match="destroyed and created again, empty"):
        apply("apply")
    assert target.ledger.read() == before
    assert apply("apply", "terraform_data.tables") == 0
    assert apply("destroy") == 0
