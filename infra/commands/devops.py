"""Set Azure DevOps up for the pipelines, and give the identities their rights.

Examples
--------
  python -m infra devops --dry-run
  python -m infra devops --apply
"""

import shlex
from collections.abc import Sequence
from typing import Annotated

import typer

from infra.build.release import current_release
from infra.commands.options import DryRun, SettingsFolder, refuse_both
from infra.config.checks import load_settings
from infra.config.loading import FOLDER
from infra.devops.actual_state import read_actual_state
from infra.devops.desired_state import DesiredState, desired_state
from infra.devops.plan_changes import plan_changes
from infra.devops.step import SetupStep
from infra.releases.ledger import Az, LedgerError, run_az
from infra.rights.needed import rights_by_identity
from infra.stacks.estate import stacks
from pipelines.declarations.registry import use_cases

EPILOG = (
    "Reads what is there with the session of `az login` and changes only what differs. Exit codes: 0 everything is "
    "as wanted, or the dry run has said what is not; 1 a step failed; 2 not possible; 3 steps are left for a person."
)

ROUNDS = 6
"""A step that waits for another is done in the round after it; what takes more rounds than this waits for a person."""


def run(
    dry_run: DryRun = False,
    apply: Annotated[bool, typer.Option("--apply", help="Run the commands.")] = False,
    settings: SettingsFolder = FOLDER,
) -> int:
    """Print or do the steps."""
    refuse_both(dry_run=dry_run, apply=apply)
    loaded = load_settings(settings)
    desired = desired_state(loaded, rights_by_identity(stacks(loaded, use_cases(), current_release())))
    return set_up(desired, run_az) if apply else _look(desired, run_az)


def _look(desired: DesiredState, az: Az) -> int:
    found = plan_changes(read_actual_state(desired, az), desired)
    for step in found:
        print(f"# {step.what}: {step.reason}")
        if step.waits_for:
            print(f"# waits for {step.waits_for}")
        elif step.command:
            print(shlex.join(("az", *step.command)))
    print(f"{len(found)} steps" if found else "everything is as wanted")
    return 0


def set_up(desired: DesiredState, az: Az) -> int:
    """Do what can be done, look again, and so on until nothing is left that can be done."""
    done: set[tuple[str, ...]] = set()
    found: Sequence[SetupStep] = ()
    for _ in range(ROUNDS):
        found = plan_changes(read_actual_state(desired, az), desired)
        possible = [step for step in found if step.command and not step.waits_for and step.command not in done]
        if not possible:
            break
        for step in possible:
            try:
                az(step.command)
            except LedgerError as error:
                print(f"failed: {step.what}: {error}\nnothing after it was tried; run the command again.")
                return 1
            done.add(step.command)
            print(f"done: {step.what}")
    for step in found:
        print(f"left: {step.what}" + (f", waits for {step.waits_for}" if step.waits_for else f": {step.reason}"))
    print("everything is as wanted" if not found else f"{len(found)} steps are left")
    return 3 if found else 0
