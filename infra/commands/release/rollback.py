"""Take an environment back to the wheel and the jobs of the release before.

Examples
--------
  python -m infra rollback prod --dry-run
  python -m infra rollback prod --from HEAD
"""

from typing import Annotated

import typer

from infra.build.release import ROOT
from infra.commands.options import OUT, Offline, SettingsFolder, States, SynthesizedFolder
from infra.commands.release.output import say
from infra.commands.release.targets import target
from infra.config.loading import FOLDER
from infra.releases.record import ReleaseOutcome
from infra.releases.rollback import roll_back
from infra.terraform_cli.changes import summary
from infra.terraform_cli.interruption import StoppedBySignalError

EPILOG = (
    "Exit codes: 0 gone back (or said what would move); 1 failed on the way; 2 refused or not possible, nothing "
    "moved; 130, 143 or 129 a signal has interrupted it and Terraform was waited for. Tables, models, grants and settings stay as they are; a model goes back with "
    "`python -m pipelines rollback`."
)


def run(
    environment: Annotated[str, typer.Argument(metavar="ENVIRONMENT", help="dev, staging or prod.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would change, and change nothing.")] = False,
    deployed: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="COMMIT", help="Refuse unless this commit is deployed: a repeated call goes back once."
        ),
    ] = None,
    out: SynthesizedFolder = OUT,
    settings: SettingsFolder = FOLDER,
    offline: Offline = False,
    states: States = None,
) -> int:
    """Roll back and print what changed."""
    place = target(environment, settings=settings, out=out, offline=offline, states=states)
    result = roll_back(place, ROOT, dry_run=dry_run, deployed=deployed, say=say)
    where = f"{environment} to commit {result.to.commit[:12]} with {result.to.wheel}"
    if result.outcome is None:
        say(f"would take {where}: {summary(result.decision.changes)}")
        return 0
    succeeded = result.outcome is ReleaseOutcome.SUCCEEDED
    if succeeded:
        say(f"took {where}: {summary(result.decision.changes)}")
    else:
        say(f"could not take {where}: part of it may have moved. {result.reason}\nRun the command again.")
    if result.interrupted_by is not None:
        raise StoppedBySignalError(result.interrupted_by)
    return 0 if succeeded else 1
