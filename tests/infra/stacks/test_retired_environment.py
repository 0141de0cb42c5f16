"""An environment is retired by the steps of the guide: each is done here, with the real Terraform and without an account."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from infra.commands.review.affected import connected
from infra.config.checks import load_settings
from infra.config.loading import Settings, SettingsError
from infra.config.model import EnvironmentSettings, StateStorage
from infra.constructs.release import Release
from infra.graph.declared import as_synthesized
from infra.graph.proof import prove
from infra.offline.runs import plan_offline
from infra.offline.terraform import offline
from infra.releases.guarded_apply import StackRequest, apply_stack
from infra.releases.ledger import FileLedger
from infra.releases.target import Target
from infra.review.comparing import SynthesizedEstate, compare
from infra.stacks.estate import stacks
from infra.synthesis.cdktf_seam import synthesize
from infra.terraform_cli.driver import Terraform, TerraformError
from infra.terraform_cli.synthesized import SynthesizedStack, read_stacks
from pipelines.declarations.registry import use_cases
from tests.infra.conftest import SettingsFolder

RELEASE = Release(
    commit="0123456789ab" + "0" * 28, wheel="x.whl", wheel_path="dist/x.whl", wheel_source="dist/x.whl",
    requirements_source="requirements/job.txt", requirements_sha256="cd" * 32,
)  # fmt: skip
LAST_FIRST = ("staging-workspace", "staging-account", "staging-platform")
NAMES = ("account", *reversed(LAST_FIRST))
Stacks = Mapping[str, SynthesizedStack]


def closed(settings: Settings, **staging: object) -> Settings:
    """Return settings after the first step: nobody reads staging or receives its models, and its schedules are paused."""
    shut: dict[str, object] = {"reads": (), "receives_models": False}
    environments: dict[str, EnvironmentSettings] = {
        name: one.model_copy(update={**shut, **(staging if name == "staging" else {})})
        for name, one in settings.environments.items()
    }
    return replace(settings, environments=environments)


def test_a_retired_environment_is_closed_first_and_nothing_is_left_open() -> None:
    """The first step passes every check, and its review says what is closed."""
    after = closed(load_settings(), schedules="paused")
    made = {name: as_synthesized(stacks(one, use_cases(), RELEASE)) for name, one in (("shipped", load_settings()), ("closed", after))}  # fmt: skip
    assert prove(made["closed"], after, use_cases()) == ()
    reviewed = compare(*(SynthesizedEstate(stacks=one, commit=RELEASE.commit) for one in made.values()))
    gone = [change.address for one in reviewed.values() for change in one.resources if "destroy" in str(change.action)]
    assert "databricks_mws_ncc_private_endpoint_rule.staging_lake_dfs" in gone
    assert not [one for one in gone if one.startswith(("databricks_schema", "databricks_volume"))]


def test_what_is_closed_is_destroyed_with_the_provider_that_made_it() -> None:
    """Terraform refuses to destroy what is in a state, and whose provider is no longer configured."""
    shipped = load_settings()
    before, after = ({one.name: one.providers for one in stacks(settings, use_cases(), RELEASE)} for settings in (shipped, closed(shipped)))  # fmt: skip
    assert {name: set(one) - set(after[name]) for name, one in before.items() if set(one) - set(after[name])} == {}


def test_the_locks_of_an_environment_are_opened_by_whoever_owns_the_ceilings(folder: SettingsFolder) -> None:
    """Staging and prod must be locked: without a higher ceiling the settings are refused, and the message says where."""
    folder.change("staging", ("locks",), False)
    with pytest.raises(
        SettingsError, match=r"locks is .*above its ceiling in staging.*|raise the ceiling in infra/ceilings"
    ):
        load_settings(folder.path)


def synthesized(folder: Path, settings: Settings) -> Stacks:
    """Return the stacks of the account and of staging as they are read from disk."""
    synthesize([one for one in stacks(settings, use_cases(), RELEASE) if one.name in NAMES], folder)
    return read_stacks(folder)


def destroyed(terraform: Terraform, target: Target) -> int:
    """Destroy a stack through the guard of the cdktf command line, as the identity that applies it."""
    user = json.dumps({"name": _identity(terraform), "type": "servicePrincipal"})
    request = StackRequest(command="destroy", approved=False, allow_destroy=())
    return apply_stack(request, terraform, target, RELEASE, ask=lambda: "yes", say=lambda _: None, az=lambda _: user)


def _identity(terraform: Terraform) -> str:
    """Return the application id by which the account's state knows who applies a stack."""
    outputs = terraform.outputs_read().get("account", {})
    return str(outputs["deployer" if terraform.stack.endswith("-account") else "runner_staging"])


@pytest.mark.proof
@pytest.mark.terraform
def test_an_environment_is_destroyed_last_first_once_it_is_unlocked(tmp_path: Path, cache: Path) -> None:
    """Locked, Terraform refuses; unlocked, the three stacks go in the order of the guide, and the account stays as it is."""
    locked = synthesized(tmp_path / "locked", closed(load_settings()))
    plan_offline(locked, tmp_path / "run", deploy=True, cache=cache)
    target = Target(environment="staging", folder=tmp_path, offline=False, ledger=FileLedger(path=tmp_path / "releases.jsonl"))  # fmt: skip
    prepared = offline(locked, tmp_path / "run", cache=cache)
    prepared["staging-workspace"].init()
    with pytest.raises(TerraformError, match="prevent_destroy"):
        destroyed(prepared["staging-workspace"], target)
    assert target.ledger.read() == ()
    unlocked = synthesized(tmp_path / "unlocked", closed(load_settings(), locks=False))
    shutil.copytree(tmp_path / "run" / "state", tmp_path / "second" / "state")
    plan_offline(unlocked, tmp_path / "second", deploy=True, cache=cache)
    prepared = offline(unlocked, tmp_path / "second", cache=cache)
    for terraform in prepared.values():
        terraform.init()
    for name in LAST_FIRST:
        assert prepared[name].resources()
        assert destroyed(prepared[name], target) == 0
        assert prepared[name].resources() == []
    assert [one.stacks for one in target.ledger.read() if one.applied] == [(name,) for name in LAST_FIRST]
    left = prepared["account"].plan()
    assert {tuple(one["change"]["actions"]) for one in left["resource_changes"] if one["mode"] == "managed"} == {
        ("no-op",)
    }


def test_no_pipeline_plans_or_deploys_an_environment_without_a_state() -> None:
    """The last step: `state` leaves its settings."""
    state = StateStorage(subscription_id="5a0b1c2d-3e4f-4a5b-8c6d-7e8f90a1b2c3", resource_group="rg", storage_account="stmrdstate", container="terraform", allowed_ip_ranges=())  # fmt: skip
    settings = load_settings()
    stated = replace(settings, environments={n: s.model_copy(update={"state": state}) for n, s in settings.environments.items()})  # fmt: skip
    assert "staging" in connected(stated)
    assert "staging" not in connected(closed(stated, state=None))
