"""An online store is switched on in a deployed environment: it is created, the job of the features changed in place."""

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from infra.config.checks import load_settings
from infra.constructs.release import Release
from infra.offline.terraform import offline
from infra.stacks.estate import stacks
from infra.synthesis.cdktf_seam import synthesize
from infra.terraform_cli.changes import Action, changes
from infra.terraform_cli.driver import Terraform
from infra.terraform_cli.synthesized import read_stacks
from pipelines.declarations.registry import use_cases
from pipelines.declarations.use_case import UseCase
from tests.infra.conftest import PUBLISHING, SettingsFolder

pytestmark = [pytest.mark.terraform, pytest.mark.proof]
STACKS = ("account", "dev-platform", "dev-account", "dev-workspace")


def runs(
    folder: SettingsFolder, declared: Sequence[UseCase], release: Release, place: Path, cache: Path
) -> dict[str, Terraform]:
    """Return Terraform in the stacks of dev as settings and use cases are now, initialised."""
    out = place.with_name(f"{place.name}-synthesized") / "cdktf.out"
    synthesize(list(stacks(load_settings(folder.path, declared), declared, release)), out)
    synthesized = read_stacks(out)
    found = offline({name: synthesized[name] for name in STACKS}, place, cache=cache)
    for run in found.values():
        run.init()
    return found


def test_switching_a_store_on_destroys_nothing_and_then_nothing_differs(
    tmp_path: Path, cache: Path, release: Release
) -> None:
    """Beside it the job of the use case that publishes, with its notebook, and the declaration of its endpoint; nothing of the others."""
    folder, unbuilt = SettingsFolder(tmp_path), replace(release, sha256=None)
    folder.change("dev", ("reads",), [])
    before = runs(folder, use_cases(), unbuilt, tmp_path / "before", cache)
    for run in before.values():
        run.deploy()
    for environment in ("dev", "staging", "prod"):
        folder.change(environment, ("serving", "online_store"), {"capacity": "CU_1"})
    (tmp_path / "after").mkdir()
    shutil.copytree(tmp_path / "before" / "state", tmp_path / "after" / "state")
    after = runs(folder, PUBLISHING, unbuilt, tmp_path / "after", cache)
    changed: list[tuple[str, Action]] = []
    for run in after.values():
        assert run.validate() == []
        changed += [(one.address, one.action) for one in changes(run.plan())]
        run.apply()
    assert Counter(changed) == Counter({
        ("databricks_online_store.features", Action.CREATE): 1,
        ("databricks_job.flight_delay_features", Action.UPDATE): 1,
        ("databricks_notebook.flight_delay_orchestrator", Action.UPDATE): 1,
        ("databricks_file.serving_flight_delay", Action.UPDATE): 1,
    })  # fmt: skip
    assert {name: run.has_changes() for name, run in after.items()} == dict.fromkeys(STACKS, False)
