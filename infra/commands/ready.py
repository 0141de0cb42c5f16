"""Say what an environment lacks before its first apply, each line with its remedy.

Example
-------
  python -m infra ready dev
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import typer

from infra.build.release import current_release
from infra.commands.options import SettingsFolder
from infra.config.checks import load_settings
from infra.config.loading import FOLDER, Settings
from infra.config.stack_names import ACCOUNT
from infra.devops.actual_state import read_actual_state
from infra.devops.desired_state import desired_state
from infra.devops.plan_changes import plan_changes
from infra.devops.step import SetupStep
from infra.ready.held import read_held, way_to
from infra.ready.readiness import Answer, Readiness, readiness
from infra.ready.wanted import wanted
from infra.releases.ledger import Az, LedgerError, run_az
from infra.rights.needed import rights_by_identity
from infra.stacks.estate import stacks
from infra.synthesis.stack import Stack
from ml.spec.errors import RequestError
from pipelines.declarations.environment import ENVIRONMENTS
from pipelines.declarations.mistakes import unknown
from pipelines.declarations.registry import use_cases

EPILOG = (
    "Reads with the session of `az login`, and writes nothing. Exit codes: 0 nothing is missing; 1 something is; 2 not "
    "possible; 3 nothing is known to be missing, but something could not be asked."
)
MISSING, NOT_KNOWN = 1, 3


def run(
    environment: Annotated[
        str, typer.Argument(metavar="ENVIRONMENT", help="dev, staging or prod.", autocompletion=lambda: list(ENVIRONMENTS))
    ],
    settings: SettingsFolder = FOLDER,
) -> int:  # fmt: skip
    """Print a line for each need: what is missing first, then what could not be asked, then what is there."""
    if environment not in ENVIRONMENTS:
        raise RequestError(unknown("environment", environment, ENVIRONMENTS))
    loaded = load_settings(settings)
    return report(answers(loaded, environment, run_az))


def answers(settings: Settings, environment: str, az: Az) -> tuple[Answer, ...]:
    """Ask for everything and return an answer for each need."""
    all_stacks = stacks(settings, use_cases(), current_release())
    needs = wanted(settings, environment, all_stacks)
    held = read_held(needs, az, way_to)
    try:
        steps = _steps(settings, environment, all_stacks, az)
    except LedgerError as error:
        cannot = Answer(
            need="identities, rights, service connections and approvals of the pipelines",
            standing=Readiness.UNKNOWN,
            found=str(error),
            remedy="sign in as somebody who may look",
        )
        return (*readiness(needs, held, ())[:-1], cannot)
    return readiness(needs, held, steps)


def report(found: Sequence[Answer]) -> int:
    """Print the answers and return the exit code."""
    for standing in (Readiness.MISSING, Readiness.UNKNOWN, Readiness.READY):
        for one in (one for one in found if one.standing is standing):
            print(f"{standing:8} {one.need}: {one.found}")
            if one.remedy:
                print(f"{'':8} {one.remedy}")
    counts = {standing: sum(one.standing is standing for one in found) for standing in Readiness}
    print(", ".join(f"{count} {standing}" for standing, count in counts.items()))
    if counts[Readiness.MISSING]:
        return MISSING
    return NOT_KNOWN if counts[Readiness.UNKNOWN] else 0


def _steps(settings: Settings, environment: str, all_stacks: Sequence[Stack], az: Az) -> tuple[SetupStep, ...]:
    """Return what the set-up of the pipelines would do for the environment and for the account."""
    desired = desired_state(settings, rights_by_identity(all_stacks))
    own = tuple(stage for stage in desired.stages if stage.name in (ACCOUNT, environment))
    desired = replace(desired, stages=own)
    return plan_changes(read_actual_state(desired, az), desired)
