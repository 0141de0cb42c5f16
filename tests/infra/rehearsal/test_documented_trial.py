"""The trial in one subscription: dev is deployed, used and taken down by the lines of the guide, with the real cdktf command line."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
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
ORDER = (
    "TERRAFORM_BINARY_NAME",
    " (diff|deploy) account$",
    " deploy ",
    " output ",
    "DATABRICKS_HOST",
    "first-run",
    " destroy ",
)
"""What comes first: the page of the platform deploys by hand in a section of its own, after the first jobs."""
LINES = sorted(
    dict.fromkeys(line for _, line in lines_of(TRIAL)),
    key=lambda line: next(place for place, pattern in enumerate(ORDER) if re.search(pattern, line)),
)
WORKSPACE = re.compile(r"https://adb-[\w.-]+")
PRINTED: Mapping[str, re.Pattern[str]] = {"WORKSPACE_URL": WORKSPACE}
"""Word of the pages to what an earlier command has printed in its place."""


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
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
        yield made


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


def test_dev_is_deployed_used_and_taken_down_by_the_lines_of_the_pages(rehearsal: Rehearsal) -> None:
    """Each stack by its identity, on a disk that keeps the states; afterwards neither a workspace nor a metastore is left."""
    exports, said = list[str](), ""
    for written in LINES:
        line = written
        for word, pattern in PRINTED.items():
            line = line.replace(word, (pattern.findall(said) or [word])[-1])
        if line.startswith("export "):
            exports.append(line)
            continue
        identity = ACCOUNT if re.search(r" (dev-)?account\b", line) else "dev"
        with rehearsal.step(line, identity):
            done = run_after(exports, line, rehearsal.tree, rehearsal.variables(identity))
        said += done.stdout
        assert done.returncode == 0, f"{line}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
        if line.endswith(" deploy account"):
            rehearsal.give_rights()
    assert WORKSPACE.search("\n".join(exports))
    left = {kind: rehearsal.site.cloud.world.store("account", kind) for kind in ("metastores", "workspaces")}
    assert left == {"metastores": {}, "workspaces": {}}
