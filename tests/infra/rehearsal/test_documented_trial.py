"""The trial in one subscription: dev is deployed, used and taken down by the lines of the guide, with the real cdktf command line."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.build.release import ROOT, current_release
from infra.config.checks import load_settings
from infra.config.stack_names import ACCOUNT
from infra.rehearsal.bootstrap import create_account_identity
from infra.rehearsal.company import commit, found_company
from infra.rehearsal.estate_site import site_of
from infra.rehearsal.rehearsal import Rehearsal
from infra.rehearsal.site import rehearsal_site
from infra.rights.needed import rights_by_identity
from infra.stacks.estate import stacks
from infra.terraform_cli.synthesized import read_stacks
from pipelines.declarations.registry import use_cases
from tests.documented_commands import PAGES, TRIAL, lines_of
from tests.infra.rehearsal.by_cdktf import LACKING, run_after

pytestmark = [
    pytest.mark.proof, pytest.mark.terraform, pytest.mark.xdist_group("rehearsal"),
    pytest.mark.skipif(bool(LACKING), reason=LACKING),
]  # fmt: skip
PAGE = next(page for page in PAGES if page.name == "first-day.md").read_text(encoding="utf-8")
STAGES: Mapping[str, tuple[str, ...]] = {
    "deployed": ("TERRAFORM_BINARY_NAME", " (diff|deploy) account$", " deploy "),
    "used": (" output ", "DATABRICKS_HOST", "first-run"),
    "taken down": (" destroy ",),
}
"""What happens to dev, in this order, and by which commands: the page of the platform deploys by hand after the first jobs."""
LINES = list(dict.fromkeys(line for _, line in lines_of(TRIAL)))
WORKSPACE = re.compile(r"https://adb-[\w.-]+")
PRINTED: Mapping[str, re.Pattern[str]] = {"WORKSPACE_URL": WORKSPACE}
"""Word of the pages to what an earlier command has printed in its place."""


@dataclass(frozen=True, kw_only=True)
class Shell:
    """A shell in the repository of a company: the lines that have set a variable, and what commands have printed."""

    rehearsal: Rehearsal
    exports: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def run(self, written: str) -> None:
        """Run a line as the identity that it needs, after those before it."""
        line = written
        for word, pattern in PRINTED.items():
            line = line.replace(word, ([word, *pattern.findall("".join(self.said))])[-1])
        if line.startswith("export "):
            self.exports.append(line)
            return
        identity = ACCOUNT if re.search(r" (dev-)?account\b", line) else "dev"
        with self.rehearsal.step(line, identity):
            done = run_after(self.exports, line, self.rehearsal.tree, self.rehearsal.variables(identity))
        self.said.append(done.stdout)
        assert done.returncode == 0, f"{line}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A company without a state, whose dev is as the page says; the identity of the account is there."""
    place = tmp_path_factory.mktemp("trial")
    tree = found_company(ROOT, place, ())
    _state(tree / "infra" / "settings")
    commit(tree, "A trial")
    for command in ("wheel", "synth"):
        subprocess.run([sys.executable, "-m", "infra", command], cwd=tree, check=True, stdout=subprocess.DEVNULL)
    settings = load_settings(tree / "infra" / "settings")
    rights = rights_by_identity(stacks(settings, use_cases(), current_release(out=tree / "cdktf.out")))
    with rehearsal_site(read_stacks(tree / "cdktf.out"), place / "site", site_of(settings)) as site:
        made = Rehearsal(site=site, tree=tree, rights=rights, environments=("dev",), say=print)
        create_account_identity(site, settings, rights)
        yield Shell(rehearsal=made)


def _state(settings: Path) -> None:
    """Put the example of the page into dev's settings, and let the account's metastore be destroyed in the end."""
    (stated,) = (block for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if "exposure: public" in block)
    for name, change in (("dev", yaml.safe_load(stated)), ("account", {"locks": False})):
        file = settings / f"{name}.yaml"
        merged = _merged(yaml.safe_load(file.read_text(encoding="utf-8")), change)
        file.write_text(yaml.safe_dump(merged, sort_keys=False), encoding="utf-8")


def _merged(settings: Any, stated: Any) -> Any:
    if not isinstance(settings, dict) or not isinstance(stated, dict):
        return stated
    return {**settings, **{key: _merged(settings.get(key), value) for key, value in stated.items()}}


@pytest.mark.parametrize("stage", STAGES)
def test_dev_goes_the_way_of_a_trial_by_the_lines_of_the_pages(shell: Shell, stage: str) -> None:
    """Each stack by its identity, with states on a disk; in the end neither a workspace nor a metastore is left."""
    for line in sorted((line for line in LINES if stage_of(line)[0] == stage), key=stage_of):
        shell.run(line)
        if line.endswith(" deploy account"):
            shell.rehearsal.give_rights()
    world = shell.rehearsal.site.cloud.world
    there = [bool(world.store("account", kind)) for kind in ("metastores", "workspaces")]
    assert there == [stage != "taken down"] * 2


def stage_of(line: str) -> tuple[str, int]:
    """Return when a line is run, and its place then."""
    return next(
        (stage, place)
        for stage, patterns in STAGES.items()
        for place, pattern in enumerate(patterns)
        if re.search(pattern, line)
    )
