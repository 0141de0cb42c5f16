"""``apply``: apply exactly the kept plan that was reviewed, and nothing else."""

import argparse
import datetime as dt
from pathlib import Path

from infra.build.release import current_release
from infra.commands.releasing import add_target_arguments, chosen_target, reporting_refusals
from infra.releases.apply_decision import duration
from infra.releases.applying import ApplyResult, apply_saved_plan
from infra.releases.record import ReleaseOutcome
from infra.terraform_cli.synthesized import read_stacks

EXIT_CODES = {ReleaseOutcome.SUCCEEDED: 0, ReleaseOutcome.FAILED: 1, ReleaseOutcome.INCOMPLETE: 3}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("environment", help="dev, staging, prod, or account for what all share")
    parser.add_argument("--plan", type=Path, required=True, metavar="FOLDER", help="what `plan --keep` has kept")
    parser.add_argument("--sha256", required=True, metavar="HASH", help="the hash that was reviewed")
    parser.add_argument(
        "--maximum-age", type=length_of_time, default="24h", metavar="TIME", help="such as 90m, 24h (the default) or 3d"
    )
    add_target_arguments(parser)
    parser.epilog = (
        "Exit codes: 0 applied; 1 failed, with what was and what was not applied; 2 refused, nothing moved; "
        "3 applied, but a stack waits for a plan on the new outputs of another."
    )


def run(args: argparse.Namespace) -> int:
    """Apply and say what was applied."""
    return reporting_refusals(lambda: _apply(args))


def _apply(args: argparse.Namespace) -> int:
    target = chosen_target(args)
    applied = apply_saved_plan(
        read_stacks(args.out),
        target,
        current_release(out=args.out),
        args.plan,
        sha256=args.sha256,
        maximum_age=args.maximum_age,
    )
    for line in told(applied):
        print(line)
    return EXIT_CODES[applied.outcome]


def told(applied: ApplyResult) -> list[str]:
    """Return what was applied and what was not, in lines."""
    lines = [f"applied: {', '.join(applied.done) or 'no stack'}"]
    if applied.left:
        lines.append(f"not applied: {', '.join(applied.left)}")
    if applied.reason:
        lines.append(applied.reason)
    return lines


def length_of_time(text: str) -> dt.timedelta:
    """Return a length of time, or let argparse say what one is."""
    try:
        return duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
