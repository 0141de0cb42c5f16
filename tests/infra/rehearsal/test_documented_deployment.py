"""The commands that the pages give for deployed environments are run in emulated ones, as written, each by the identity that they need."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from infra.build.release import ROOT, current_release
from infra.config.checks import load_settings
from infra.config.stack_names import ACCOUNT
from infra.emulated_cloud.areas.azure.blobs import BLOBS
from infra.emulated_cloud.areas.azure.databricks_workspaces import host_of
from infra.emulated_cloud.prepared import PERSON
from infra.emulated_cloud.world import World
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
from tests.infra.rehearsal.by_cdktf import LACKING, run_after

pytestmark = [pytest.mark.proof, pytest.mark.terraform, pytest.mark.xdist_group("rehearsal")]
ENVIRONMENTS = ("dev", "staging", "prod")
RETIRES = re.compile(r"^npx cdktf destroy staging-|^export TERRAFORM_BINARY_NAME=")
"""The commands that take an environment down; they are run when everything else has been."""
RELEASES = " force-unlock "
"""Part of the command that releases a lock that a lost machine has left."""
LINES: Mapping[str, list[str]] = {
    page: [
        line
        for where, line in lines_of(CLOUD)
        if where == page and RELEASES not in line and not RETIRES.search(line)
    ]
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
UNLOCKED = (
    ("infra/ceilings.yaml", "    locks: [true]\n    retention.log_days: {min: 90}", "    locks: [true, false]\n    retention.log_days: {min: 90}"),
    ("infra/settings/staging.yaml", "locks: true", "locks: false"),
    ("infra/settings/prod.yaml", "receives_models: true", "receives_models: false"),
    ("pipelines/use_cases/air_time/declaration.py", 'TRAINED_IN = ("dev", "staging")', 'TRAINED_IN = ("dev", "staging", "prod")'),
)  # fmt: skip
"""The files, the texts and their changes by which staging stands alone and may be destroyed; prod trains what it got from there."""
UNLOCKED_STACKS = ("staging-platform", "prod-workspace")
"""The stacks that hold locks of staging, or read it."""
WHEEL = re.compile(r"lakehouse_mlops-\S+\.whl")
ADDRESS = re.compile(r"https://adb-[\w.-]+")
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


def run(rehearsal: Rehearsal, line: str, exports: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run a command of a page in the company's repository, with the address of its workspace and a profile of staging.

    Parameters
    ----------
    exports
        The lines of the page that set variables; the address that they name is that of the workspace.
    """
    identity, home = identity_of(line), rehearsal.site.folder / "home"
    numbers = dict(rehearsal.site.cloud.world.site.workspaces)
    home.mkdir(exist_ok=True)
    (home / ".databrickscfg").write_text(PROFILE.format(f"https://{host_of(numbers['staging'])}"), encoding="utf-8")
    given = {**rehearsal.variables(identity), "DATABRICKS_CONFIG_FILE": str(home / ".databrickscfg")}
    given.pop("DATABRICKS_HOST", None)
    address = f"https://{host_of(numbers.get(identity, numbers['dev']))}"
    set_before = [ADDRESS.sub(address, one) for one in exports] or [f"export DATABRICKS_HOST={address}"]
    script = [line] if "--profile" in line else [*set_before, line]  # a profile names it
    return subprocess.run(["sh", "-c", "\n".join(script)], cwd=rehearsal.tree, env=given, capture_output=True, text=True, check=False)  # fmt: skip


def blobs_of(world: World) -> list[Mapping[str, Any]]:
    """Return the blobs of every storage account, each by its path."""
    return [kept for (_, kind), kept in list(world.stores.items()) if kind == BLOBS]


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
    exports = [line for line in LINES[page] if line.startswith("export ")]
    for line in sorted((line for line in LINES[page] if line not in exports), key=lambda one: LAST in one):
        command = line.replace(word, re.findall(pattern, said, re.MULTILINE)[-1]) if word and word in line else line
        command = WHEEL.sub(next((rehearsal.tree / "dist").glob("*.whl")).name, command)
        for before in (
            first for name, first in FIRST.items() if line.endswith(name) or (name.startswith(" ") and name in line)
        ):
            done = run(rehearsal, before)
            assert done.returncode == 0, f"{before}\n{done.stdout}\n{done.stderr}"
        done = run(rehearsal, command, exports)
        said += done.stdout
        fine = next((codes for name, codes in CODES.items() if name in line), (0,))
        assert done.returncode in fine, f"{command}\n[{done.returncode}]\n{done.stdout}\n{done.stderr}"


def test_a_lock_that_a_lost_machine_has_left_is_released_by_the_line_of_the_page(rehearsal: Rehearsal) -> None:
    """Who holds it is killed; the next one is told its id and changes nothing, and goes on once it is released."""
    ((_, line),) = ((page, line) for page, line in lines_of(CLOUD) if RELEASES in line)
    stack = line.partition(RELEASES)[0]
    plan, world = f"{stack} plan -input=false -lock-timeout=0s", rehearsal.site.cloud.world
    holder = subprocess.Popen(
        [*stack.split(), "console"], cwd=rehearsal.tree, env=rehearsal.variables(identity_of(line)),
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while not any(one["lease"] for kept in blobs_of(world) for one in kept.values()):
        assert holder.poll() is None
        time.sleep(0.2)
    holder.kill()
    holder.wait()
    refused = run(rehearsal, plan)
    assert refused.returncode == 1
    (number,) = re.findall(r"ID: +([0-9a-f-]{36})", refused.stderr)
    named = line.replace("LOCK_ID", number).replace(RELEASES, f"{RELEASES}-force ")  # as a person answers yes
    for command in (named, plan):
        done = run(rehearsal, command)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


@pytest.mark.skipif(bool(LACKING), reason=LACKING)
def test_staging_is_retired_by_the_lines_of_the_page(rehearsal: Rehearsal) -> None:
    """Nobody reads it any more, its locks are taken away, and each stack is destroyed by its identity, the last one first."""
    signed_in = {name: rehearsal.variables(name) for name in (ACCOUNT, *ENVIRONMENTS)}  # by the settings as they were
    for file, text, changed in UNLOCKED:
        change(rehearsal.tree, file, text, changed)
    commit(rehearsal.tree, "Staging is retired")
    _build(rehearsal.tree)
    lines = [line for _, line in lines_of(CLOUD) if RETIRES.search(line)]
    exports = [line for line in lines if line.startswith("export ")]
    before = [f"npx cdktf deploy {stack} --ignore-missing-stack-dependencies" for stack in UNLOCKED_STACKS]
    for line in (*before, *(line for line in lines if line not in exports)):
        place, _, part = line.split()[3].partition("-")
        variables = signed_in[ACCOUNT if part == ACCOUNT else place]
        with rehearsal.step(line, ""):
            done = run_after(exports, line, rehearsal.tree, variables)
        assert done.returncode == 0, f"{line}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
        gone = re.search(r"Apply complete! Resources: 0 added, 0 changed, [1-9]\d* destroyed", done.stdout)
        assert gone or line in before, done.stdout[-6000:]
