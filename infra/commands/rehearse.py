"""Go from a commit to prod and back on this machine: the steps of the pipelines, in the emulated cloud.

Examples
--------
  python -m infra rehearse --extent short
  python -m infra rehearse --scenario interrupted
"""

import shutil
import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from infra.build.release import ROOT, current_release
from infra.config.checks import load_settings
from infra.rehearsal.bootstrap import RehearsalError
from infra.rehearsal.by_hand import cdktf_program
from infra.rehearsal.company import found_company
from infra.rehearsal.estate_site import site_of
from infra.rehearsal.rehearsal import Rehearsal
from infra.rehearsal.scenarios import SCENARIOS, Extent
from infra.rehearsal.site import rehearsal_site
from infra.rights.needed import rights_by_identity
from infra.stacks.estate import stacks
from infra.terraform_cli.synthesized import read_stacks
from pipelines.declarations.registry import use_cases

FOLDER = Path("build/rehearsal")
PAGE = "rehearsal.md"
EPILOG = (
    "Exit codes: 0 every step ended as it should; 1 one did not, and what it printed is shown. docs/rehearsal.md says what "
    "the emulated cloud does not know."
)


class ScenarioName(StrEnum):
    """The scenarios."""

    FIRST = "first"
    INTERRUPTED = "interrupted"
    EXISTING = "existing"
    BRANCHES = "branches"


def run(
    extent: Annotated[
        Extent,
        typer.Option(
            "--extent",
            help="dev without its integration run, dev, all environments without what main tries, or all of it.",
        ),
    ] = Extent.RELEASE,
    scenario: Annotated[
        ScenarioName,
        typer.Option(
            "--scenario",
            help="A first deployment, one whose apply is killed in the middle, one in a company with a metastore, groups and a "
            "hub, or branches of use cases that come and go.",
        ),
    ] = ScenarioName.FIRST,
    folder: Annotated[
        Path, typer.Option("--folder", metavar="FOLDER", help="Where everything goes; it is emptied first.")
    ] = FOLDER,
    cdktf: Annotated[
        Path | None, typer.Option("--cdktf", metavar="FOLDER", help="A folder with the npm package cdktf-cli.")
    ] = None,
) -> int:
    """Rehearse, print a line for each step, and write the page."""
    program = cdktf_program(cdktf)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    place = folder.resolve()
    played = SCENARIOS[scenario.value]
    tree = found_company(ROOT, place, extent.places)
    played.prepare(tree)
    for command in ("wheel", "synth"):
        subprocess.run([sys.executable, "-m", "infra", command], cwd=tree, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 -- our own commands
    settings = load_settings(tree / "infra" / "settings")
    release = current_release(out=tree / "cdktf.out")
    rights = rights_by_identity(stacks(settings, use_cases(), release))
    with rehearsal_site(read_stacks(tree / "cdktf.out"), place / "site", site_of(settings)) as site:
        print(site.providers, flush=True)
        played.settle(site.cloud.world, list(settings.account.entra_groups))
        rehearsal = Rehearsal(
            site=site,
            tree=tree,
            rights=rights,
            environments=extent.environments,
            leaves_out=extent.leaves_out,
            say=lambda line: print(line, flush=True),
        )
        try:
            played.steps(rehearsal, extent, program)
        except RehearsalError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        finally:
            rehearsal.write_page(folder / PAGE)
            print(rehearsal.sum_up())
            print(f"who did what with which rights: {folder / PAGE}")
    return 0
