"""The commands that the pages give for deployed environments are run in emulated ones, as written, each by the identity that they need."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from infra.build.release import ROOT, current_release
from infra.config.checks import load_settings
from infra.config.stack_names import ACCOUNT
from infra.emulated_cloud.areas.azure.databricks_workspaces import host_of
from infra.emulated_cloud.prepared import PERSON
from infra.rehearsal.branches import allow_branches
from infra.rehearsal.by_hand import PART, PLATFORM, WORKSPACE, ByHand
from infra.rehearsal.company import change, commit, found_company
from infra.rehearsal.estate_site import site_of
from infra.rehearsal.rehearsal import ANOTHER_RELEASE, Rehearsal
from infra.rehearsal.site import rehearsal_site
from infra.rights.needed import rights_by_identity
from infra.stacks.estate import stacks
from infra.terraform_cli.synthesized import read_stacks
from pipelines.declarations.registry import use_cases
from tests.documented_commands import CLOUD, FILLED, lines_of

pytestmark = [pytest.mark.proof, pytest.mark.terraform, pytest.mark.xdist_group("rehearsal")]
ENVIRONMENTS = ("dev", "staging", "prod")
LINES: Mapping[str, list[str]] = {
    page: [line for where, line in lines_of(CLOUD) if where == page]
    for page in ("first-day.md", "platform.md", "on-call.md", "operations.md", "run-books.md", "branches.md", "releases.md", "delivery.md")
}  # fmt: skip
"""Page to its commands. A release moves everything that the pages before it look at; its plan is looked at once more after it."""
LAST = "review --plan"
"""Beginning of the command that stands on its page before the one that makes what it reads."""
AGAIN = (
    ".venv/bin/python -m infra plan prod --keep build/again >build/again.txt && "
    ".venv/bin/python -m infra apply prod --plan build/again --sha256 $(sed -n 's/^sha256 //p' build/again.txt)"
)
"""Releases once more what was rolled back."""
FIRST: Mapping[str, str] = {
    "infra rollback prod": AGAIN,
    "branch_new_gate.features --env dev --remote": ".venv/bin/python -m infra branch new_gate --use-case flight_delay --apply",
    " untaint ": "terraform -chdir=cdktf.out/stacks/dev-workspace taint databricks_catalog.catalog",
    " import ": "terraform -chdir=cdktf.out/stacks/dev-workspace state rm databricks_catalog.catalog",
}
"""End or part of a command to the one that brings about what it repairs, takes back or uses."""
CODES: Mapping[str, tuple[int, ...]] = {"infra ready": (0, 1, 3), "infra drift": (0, 3)}
"""Commands whose exit code says what they found."""
WHEEL = re.compile(r"lakehouse_mlops-\S+\.whl")
PROFILE = "[staging]\nhost = {}\nauth_type = azure-cli\n"


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    """A company whose three environments are deployed, and a commit after that."""
    place = tmp_path_factory.mktemp("documented")
    tree = found_company(ROOT, place, (ACCOUNT, *ENVIRONMENTS))
    allow_branches(tree)
    _build(tree)
    settings = load_settings(tree / "infra" / "settings")
    rights = rights_by_identity(stacks(settings, use_cases(), current_release(out=tree / "cdktf.out")))
    with rehearsal_site(read_stacks(tree / "cdktf.out"), place / "site", site_of(settings)) as site:
        made = Rehearsal(site=site, tree=tree, rights=rights, environments=ENVIRONMENTS, say=print)
        hand = ByHand(rehearsal=made, cdktf=None)
        made.bootstrap()
        hand.deploy(ACCOUNT, ACCOUNT)
        made.give_rights()
        for kind in (PLATFORM, PART, WORKSPACE):
            for environment in ENVIRONMENTS:
                hand.deploy(kind.format(environment), ACCOUNT if kind is PART else environment)
        yield made


def _build(tree: Path) -> None:
    for command in ("wheel", "synth"):
        subprocess.run([sys.executable, "-m", "infra", command], cwd=tree, check=True, stdout=subprocess.DEVNULL)


def identity_of(line: str) -> str:
    """Return who runs a command: a person prepares, an environment's identity does everything in it."""
    if re.search(r"infra (ready|bootstrap) ", line):
        return PERSON.name
    named = re.search(rf"\b({'|'.join(ENVIRONMENTS)})\b", line)
    return named[1] if named else "prod" if "kept" in line else "dev"


def run(rehearsal: Rehearsal, line: str) -> subprocess.CompletedProcess[str]:
    """Run a command of a page in the company's repository, with the address of its workspace and a profile of staging."""
    identity, home = identity_of(line), rehearsal.site.folder / "home"
    numbers = dict(rehearsal.site.cloud.world.site.workspaces)
    home.mkdir(exist_ok=True)
    (home / ".databrickscfg").write_text(PROFILE.format(f"https://{host_of(numbers['staging'])}"), encoding="utf-8")
    given = {
        **rehearsal.variables(identity), "DATABRICKS_CONFIG_FILE": str(home / ".databrickscfg"),
        "DATABRICKS_HOST": f"https://{host_of(numbers.get(identity, numbers['dev']))}",
    }  # fmt: skip
    if "--profile" in line:
        del given["DATABRICKS_HOST"]  # the profile names it
    return subprocess.run(["sh", "-c", line], cwd=rehearsal.tree, env=given, capture_output=True, text=True, check=False)  # fmt: skip


@pytest.mark.parametrize("page", LINES)
def test_the_commands_of_a_page_do_in_deployed_environments_what_it_says(rehearsal: Rehearsal, page: str) -> None:
    """From top to bottom; what a command has printed is put into those after it."""
    if page == "releases.md":
        change(rehearsal.tree, *ANOTHER_RELEASE)
        commit(rehearsal.tree, "Another release")
        _build(rehearsal.tree)
    word, pattern = FILLED.get(page, ("", ""))
    said = ""
    assert LINES[page]
    for line in sorted(LINES[page], key=lambda one: LAST in one):
        command = line.replace(word, re.findall(pattern, said, re.MULTILINE)[-1]) if word and word in line else line
        command = WHEEL.sub(next((rehearsal.tree / "dist").glob("*.whl")).name, command)
        for before in (
            first for name, first in FIRST.items() if line.endswith(name) or (name.startswith(" ") and name in line)
        ):
            done = run(rehearsal, before)
            assert done.returncode == 0, f"{before}\n{done.stdout}\n{done.stderr}"
        done = run(rehearsal, command)
        said += done.stdout
        fine = next((codes for name, codes in CODES.items() if name in line), (0,))
        assert done.returncode in fine, f"{command}\n[{done.returncode}]\n{done.stdout}\n{done.stderr}"
