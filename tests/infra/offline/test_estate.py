"""The shipped settings as real deployments: every stack created, unchanged, changed, protected and destroyed."""

import json
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from infra.build.release import current_release
from infra.config.checks import load_settings
from infra.offline.schemas import KINDS
from infra.offline.terraform import offline
from infra.stacks.estate import stacks
from infra.synthesis.cdktf_seam import synthesize
from infra.terraform_cli.changes import Action, changes
from infra.terraform_cli.driver import Terraform, TerraformError
from infra.terraform_cli.synthesized import REMOTE_STATE, SynthesizedStack, read_stacks
from pipelines.declarations.registry import use_cases

SETTINGS = Path(__file__).parents[3] / "infra" / "settings"
GOLDEN = Path(__file__).with_name("golden")
WAVES = (
    ("account",),
    ("dev-platform", "staging-platform", "prod-platform"),
    ("dev-account", "staging-account", "prod-account"),
    ("dev-workspace", "staging-workspace", "prod-workspace"),
)
"""Stacks that do not read one another are deployed side by side, as `cdktf deploy` does."""
EXTENTS = ["dev", pytest.param("every", marks=pytest.mark.proof)]
"""The environments of which all is deployed, with the stacks that these read: settings are all that makes them differ."""


RELEASE = replace(current_release(), sha256=None, wheel_source="dist/any.whl")
"""Asked once: a commit made while the tests run must not be a change, nor a wheel that is built, nor another folder."""


def synthesized(settings: Path, output: Path) -> dict[str, SynthesizedStack]:
    """Synthesize a folder of settings."""
    synthesize(stacks(load_settings(settings), use_cases(), RELEASE), output)
    return read_stacks(output)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SynthesizedStack]:
    """Synthesize the settings as they are shipped."""
    return synthesized(SETTINGS, tmp_path_factory.mktemp("estate") / "cdktf.out")


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """All stacks as deployed: the folder with their states, and Terraform in each."""

    folder: Path
    runs: dict[str, Terraform]


def side_by_side(names: Iterable[str], step: Callable[[str], Any]) -> dict[str, Any]:
    """Do one step for several stacks at once."""
    names = list(names)
    with ThreadPoolExecutor(max_workers=2) as pool:
        return dict(zip(names, pool.map(step, names), strict=True))


@pytest.fixture(scope="module", params=EXTENTS)
def deployed(
    request: pytest.FixtureRequest, shipped: dict[str, SynthesizedStack], tmp_path_factory: pytest.TempPathFactory,
    cache: Path,
) -> Deployed:  # fmt: skip
    """Deploy the stacks of one environment, or of every one, from nothing and in order."""
    folder = tmp_path_factory.mktemp("deployed")
    runs = offline(shipped, folder, cache=cache)
    if request.param != "every":
        read = {"account", *WAVES[1]}
        runs = {name: run for name, run in runs.items() if name in read or name.startswith(request.param)}
    side_by_side(runs, lambda name: runs[name].init())
    for wave in WAVES:
        side_by_side([name for name in wave if name in runs], lambda name: runs[name].deploy())
    return Deployed(folder=folder, runs=runs)


def again(deployed: Deployed, stacks: dict[str, SynthesizedStack], folder: Path, cache: Path) -> dict[str, Terraform]:
    """Prepare stacks for another deployment onto copies of the deployed states."""
    shutil.copytree(deployed.folder / "state", folder / "state")
    return offline(stacks, folder, cache=cache)


def test_the_golden_schemas_hold_every_type_in_use(shipped: dict[str, SynthesizedStack]) -> None:
    """A resource type that is used for the first time fails here until its real schema is added to the others."""
    golden = [json.loads(path.read_text(encoding="utf-8")) for path in GOLDEN.glob("*.json")]
    known = [{name for provider in golden for name in provider[kind]} for kind in KINDS]
    used = [{name for stack in shipped.values() for name in stack.types(kind)} for kind in ("resource", "data")]
    assert used[0] - known[0] == set()
    assert used[1] - known[1] - {REMOTE_STATE} == set()


@pytest.mark.terraform
def test_every_stack_is_valid(deployed: Deployed) -> None:
    """Terraform finds neither an error nor a deprecated argument."""
    found = side_by_side(deployed.runs, lambda name: deployed.runs[name].validate())
    assert [diagnostic for diagnostics in found.values() for diagnostic in diagnostics] == []


@pytest.mark.terraform
def test_a_deployment_creates_every_resource(deployed: Deployed, shipped: dict[str, SynthesizedStack]) -> None:
    """What the state of each stack holds is what its JSON declares."""
    for name, run in deployed.runs.items():
        declared = {f"{kind}.{label}" for kind, label, _ in shipped[name].resources()}
        held = {address for address in run.resources() if not address.startswith("data.")}
        assert held == declared


@pytest.mark.terraform
def test_deploying_again_changes_nothing(deployed: Deployed) -> None:
    """After a deployment no stack has a difference between its plan and its state."""
    assert side_by_side(deployed.runs, lambda name: deployed.runs[name].has_changes()) == dict.fromkeys(
        deployed.runs, False
    )


@pytest.mark.terraform
@pytest.mark.parametrize("deployed", EXTENTS[:1], indirect=True)
def test_a_changed_setting_updates_what_follows_from_it_and_nothing_else(
    deployed: Deployed, tmp_path: Path, cache: Path
) -> None:
    """A longer idle time in dev: its clusters and their policies are updated in place; logs kept longer: one update."""
    settings = tmp_path / "settings"
    shutil.copytree(SETTINGS, settings)
    text = (settings / "dev.yaml").read_text(encoding="utf-8")
    for old, new in (
        ("size: small, idle_minutes: 30", "size: small, idle_minutes: 45"),
        ("log_days: 30", "log_days: 60"),
    ):
        assert old in text
        text = text.replace(old, new)
    (settings / "dev.yaml").write_text(text, encoding="utf-8")
    changed = synthesized(settings, tmp_path / "cdktf.out")
    runs = again(deployed, changed, tmp_path / "run", cache)

    def updates(name: str) -> set[tuple[str, Action, tuple[str, ...]]]:
        runs[name].init()
        return {(c.address, c.action, c.attributes) for c in changes(runs[name].plan())}

    teams = [team.name for team in load_settings(settings).teams]
    found = side_by_side(("account", "dev-platform", "dev-workspace"), updates)
    assert found["account"] == set()
    assert found["dev-platform"] == {("azurerm_log_analytics_workspace.logs", Action.UPDATE, ("retention_in_days",))}
    assert found["dev-workspace"] == {
        *((f"databricks_cluster.{team}", Action.UPDATE, ("autotermination_minutes",)) for team in teams),
        *((f"databricks_cluster_policy.{team}_interactive", Action.UPDATE, ("definition",)) for team in teams),
    }


@pytest.mark.terraform
@pytest.mark.parametrize("deployed", EXTENTS[1:], indirect=True)
def test_what_holds_data_is_protected_and_dev_can_be_destroyed(
    deployed: Deployed, shipped: dict[str, SynthesizedStack], tmp_path: Path, cache: Path
) -> None:
    """Destroying prod fails before anything is touched; dev, where settings lock nothing, goes without a rest."""
    runs = again(deployed, shipped, tmp_path / "run", cache)
    for name in ("prod-workspace", "dev-workspace", "dev-account", "dev-platform"):
        runs[name].init()
    with pytest.raises(TerraformError, match="Instance cannot be destroyed"):
        runs["prod-workspace"].plan(destroy=True)
    for name in ("dev-workspace", "dev-account", "dev-platform"):
        destroyed = changes(runs[name].plan(destroy=True))
        assert {change.action for change in destroyed} == {Action.DESTROY}
        runs[name].apply()
        assert runs[name].resources() == []
