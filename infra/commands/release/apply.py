"""Apply exactly the saved plan that was reviewed, and nothing else.

Example
-------
  python -m infra apply prod --plan build/plan --sha256 SHA256 --maximum-age 24h
"""

from pathlib import Path
from typing import Annotated

import typer

from infra.build.release import current_release
from infra.commands.options import OUT, Offline, Place, SettingsFolder, States, SynthesizedFolder, length_of_time
from infra.commands.release.output import say
from infra.commands.release.targets import target
from infra.config.loading import FOLDER
from infra.releases.apply_decision import duration
from infra.releases.applying import ApplyResult, apply_saved_plan
from infra.releases.record import ReleaseOutcome
from infra.terraform_cli.interruption import StoppedBySignalError
from infra.terraform_cli.synthesized import read_stacks

EPILOG = (
    "Exit codes: 0 applied; 1 failed, with what was and what was not applied; 2 refused, nothing moved; "
    "3 applied, but a stack waits for a plan on the new outputs of another; 130, 143 or 129 a signal has interrupted it "
    "and Terraform was waited for."
)

EXIT_CODES = {ReleaseOutcome.SUCCEEDED: 0, ReleaseOutcome.FAILED: 1, ReleaseOutcome.INCOMPLETE: 3}


def run(
    environment: Place,
    plan: Annotated[Path, typer.Option("--plan", metavar="FOLDER", help="What `plan --keep` has saved.")],
    sha256: Annotated[str, typer.Option("--sha256", metavar="HASH", help="The hash that was reviewed.")],
    maximum_age: Annotated[
        str, typer.Option("--maximum-age", metavar="TIME", help="Such as 90m, 24h or 3d.", callback=length_of_time)
    ] = "24h",
    out: SynthesizedFolder = OUT,
    settings: SettingsFolder = FOLDER,
    offline: Offline = False,
    states: States = None,
) -> int:
    """Apply and print what was applied."""
    place = target(environment, settings=settings, out=out, offline=offline, states=states)
    applied = apply_saved_plan(
        read_stacks(out),
        place,
        current_release(out=out),
        plan,
        sha256=sha256,
        maximum_age=duration(maximum_age),
        say=say,
    )
    for line in result_lines(applied):
        say(line)
    if applied.interrupted_by is not None:
        left = "For what is left, plan, review and apply again." if applied.not_applied else "Everything is applied."
        raise StoppedBySignalError(applied.interrupted_by, remedy=left)
    return EXIT_CODES[applied.outcome]


def result_lines(applied: ApplyResult) -> list[str]:
    """Return what was applied and what was not, in lines."""
    lines = [f"applied: {', '.join(applied.applied) or 'no stack'}"]
    if applied.not_applied:
        lines.append(f"not applied: {', '.join(applied.not_applied)}")
    if applied.reason:
        lines.append(applied.reason)
    return lines
