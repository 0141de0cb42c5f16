"""Telemetry is switched on in a deployed environment: created and changed in place, valid, and afterwards nothing differs."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from infra.offline.terraform import offline
from infra.terraform_cli.changes import Action, changes
from infra.terraform_cli.driver import Terraform
from tests.infra.conftest import SettingsFolder
from tests.infra.offline.test_estate import synthesized

pytestmark = [pytest.mark.terraform, pytest.mark.proof]
STACKS = ("account", "dev-platform", "dev-account", "dev-workspace")


def runs(folder: SettingsFolder, place: Path, cache: Path) -> dict[str, Terraform]:
    """Return Terraform in the stacks of dev as the settings are now, initialised."""
    stacks = synthesized(folder.path, place.with_name(f"{place.name}-synthesized"))
    found = offline({name: stacks[name] for name in STACKS}, place, cache=cache)
    for run in found.values():
        run.init()
    return found


def test_switching_telemetry_on_destroys_nothing_and_then_nothing_differs(tmp_path: Path, cache: Path) -> None:
    """Jobs, the log workspace and the rights on the metastore are changed in place; everything else is created beside them."""
    folder = SettingsFolder(tmp_path)
    folder.change("dev", ("reads",), [])
    before = runs(folder, tmp_path / "before", cache)
    for run in before.values():
        run.deploy()
    folder.change("dev", ("telemetry",), {"daily_gigabytes": 1})
    (tmp_path / "after").mkdir()
    shutil.copytree(tmp_path / "before" / "state", tmp_path / "after" / "state")
    after = runs(folder, tmp_path / "after", cache)
    changed: list[tuple[str, Action]] = []
    for run in after.values():
        assert run.validate() == []
        changed += [(one.address.partition(".")[0], one.action) for one in changes(run.plan())]
        run.apply()
    actions = Counter(action for _, action in changed)
    assert set(actions) == {Action.CREATE, Action.UPDATE}, actions
    updated = {kind for kind, action in changed if action is Action.UPDATE}
    assert updated == {"azurerm_log_analytics_workspace", "databricks_grant", "databricks_job"}
    assert {name: run.has_changes() for name, run in after.items()} == dict.fromkeys(STACKS, False)
