"""Say what deploying one environment would do: offline from nothing, otherwise against what exists.

Examples
--------
  python -m infra plan --offline dev
  python -m infra plan prod --keep build/plan
"""

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from infra.build.release import current_release
from infra.build.reproducible_wheel import has_uncommitted_changes
from infra.commands.options import (
    OUT,
    PLACES,
    Details,
    Offline,
    Place,
    SettingsFolder,
    States,
    SynthesizedFolder,
    offline_states,
)
from infra.commands.release.targets import target
from infra.config.loading import FOLDER
from infra.offline.runs import NOT_CHECKED, plan_offline
from infra.releases.data_loss import VARIABLE, addresses, data_losses
from infra.releases.saving import save_plan
from infra.releases.target import Target
from infra.terraform_cli.changes import changes, summary
from infra.terraform_cli.plans import plan_with_real_providers
from infra.terraform_cli.synthesized import needed_by, of_environment, read_stacks
from ml.spec.errors import RequestError
from ml.spec.near_miss import unknown


def run(
    environment: Place,
    only: Annotated[
        str | None, typer.Option("--only", metavar="STACK[,STACK]", help="Plan these stacks alone. Default: all.")
    ] = None,
    details: Details = False,
    json_folder: Annotated[
        Path | None, typer.Option("--json", metavar="FOLDER", help="Write each plan as <stack>.json into this folder.")
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(
            "--keep", metavar="FOLDER", help="Save the plans there with their hash, for review and for `apply`."
        ),
    ] = None,
    allow_destroy: Annotated[
        str,
        typer.Option(
            "--allow-destroy",
            metavar="ADDRESS[,ADDRESS]",
            help="With --keep: resources with data that the plan may destroy. Default: none.",
            envvar=VARIABLE,
        ),
    ] = "",
    out: SynthesizedFolder = OUT,
    settings: SettingsFolder = FOLDER,
    offline: Offline = False,
    states: States = None,
) -> int:
    """Plan the environment's stacks; 2 if that is not possible."""
    if environment not in PLACES:  # before it is asked whether anything was synthesized
        raise RequestError(unknown("environment", environment, PLACES))
    chosen = stack_names(only)
    if keep is not None:
        if details or json_folder is not None:
            raise RequestError(
                "--keep saves plans, and --details and --json print or write them: `kept` shows a saved plan."
            )
        place = target(environment, settings=settings, out=out, offline=offline, states=states)
        return _save(place, out, keep, chosen, addresses(allow_destroy))
    offline_states(offline=offline, states=states)
    return _plan(environment, out, chosen, details=details, json_folder=json_folder, offline=offline)


def stack_names(text: str | None) -> tuple[str, ...]:
    """Return names that are separated by commas; none for None.

    Raises
    ------
    RequestError
        If the text names no stack: that would mean all of them.
    """
    found = tuple(name.strip() for name in (text or "").split(",") if name.strip())
    if text is not None and not found:
        raise RequestError(f"--only {text!r} names no stack: name one, such as dev-workspace, or leave it out.")
    return found


def _save(place: Target, out: Path, folder: Path, only: tuple[str, ...], allow_destroy: tuple[str, ...]) -> int:
    release, uncommitted = current_release(out=out), has_uncommitted_changes(everything=True)
    manifest = save_plan(
        read_stacks(out), place, release, folder, uncommitted=uncommitted, only=only, allow_destroy=allow_destroy
    )
    print(f"kept in {folder}, of commit {manifest.commit[:12]}, made at {manifest.created_at}")
    print(f"sha256 {manifest.sha256}")
    return 0


def _plan(
    environment: str, out: Path, only: tuple[str, ...], *, details: bool, json_folder: Path | None, offline: bool
) -> int:
    stacks = read_stacks(out)
    chosen = of_environment(stacks, environment, only)
    with tempfile.TemporaryDirectory() as folder:
        if offline:
            # What these read is deployed first: the account, and each environment that a declared opening lets in.
            plans = plan_offline(needed_by(chosen, stacks), Path(folder), only=chosen)
        else:
            plans = plan_with_real_providers(chosen)
        for name, planned in plans.items():
            print(f"{name}: {summary(changes(planned.content))}")
            for loss in data_losses({name: planned.content}):
                print(f"{loss.sentence}: --keep refuses that unless --allow-destroy names it")
            if details:
                print(planned.terraform.text_of_plan())
    if json_folder is not None:
        json_folder.mkdir(parents=True, exist_ok=True)
        for name, planned in plans.items():
            (json_folder / f"{name}.json").write_text(json.dumps(planned.content), encoding="utf-8")
    if offline:
        print(NOT_CHECKED)
    return 0
