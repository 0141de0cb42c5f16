"""``rollback``: take an environment back to the wheel and jobs of the release before."""

import argparse

from infra.build.release import ROOT
from infra.commands.releasing import add_target_arguments, chosen_target, reporting_refusals
from infra.releases.record import ReleaseOutcome
from infra.releases.rollback import roll_back
from infra.terraform_cli.changes import summary


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("environment", help="dev, staging or prod")
    parser.add_argument("--dry-run", action="store_true", help="say what would move, and move nothing")
    add_target_arguments(parser)
    parser.epilog = (
        "Exit codes: 0 gone back (or said what would move); 1 failed on the way; 2 refused or not possible, nothing "
        "moved. Tables, models, grants and settings stay as they are; a model goes back with "
        "`python -m pipelines rollback`."
    )


def run(args: argparse.Namespace) -> int:
    """Go back and say what moved."""
    return reporting_refusals(lambda: _roll_back(args))


def _roll_back(args: argparse.Namespace) -> int:
    went = roll_back(chosen_target(args), ROOT, dry_run=args.dry_run)
    where = f"{args.environment} to commit {went.to.commit[:12]} with {went.to.wheel}"
    if went.outcome is None:
        print(f"would take {where}: {summary(went.way.moves)}")
        return 0
    if went.outcome is ReleaseOutcome.SUCCEEDED:
        print(f"took {where}: {summary(went.way.moves)}")
        return 0
    print(f"could not take {where}: part of it may have moved. {went.reason}\nRun the command again.")
    return 1
