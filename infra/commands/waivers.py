"""``waivers``: which findings are accepted, for how long still; ``check`` says which of them are found at all."""

import argparse
import datetime as dt
import sys
from pathlib import Path

from infra.checks.waivers import WAIVERS, Standing, WaiverError, read_waivers, standing
from infra.releases.apply_decision import duration


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "--within",
        default="14d",
        metavar="TIME",
        help="name those that end within that time, such as 14d (the default)",
    )
    parser.add_argument("--waivers", type=Path, default=WAIVERS, help="file of accepted findings")
    parser.epilog = "Exit codes: 0 none has ended; 1 one has ended; 2 the file cannot be read."


def run(args: argparse.Namespace) -> int:
    """Print; 1 if a waiver has ended."""
    try:
        within = duration(args.within)
        found = standing(read_waivers(args.waivers), dt.datetime.now(tz=dt.UTC).date())
    except (ValueError, WaiverError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for waiver in found:
        print(_line(waiver, within))
    ended = sum(waiver.days_left < 0 for waiver in found)
    soon = sum(0 <= waiver.days_left <= within.days for waiver in found)
    print(f"{len(found)} waivers, {ended} ended, {soon} ending within {args.within}.")
    return int(ended > 0)


def _line(found: Standing, within: dt.timedelta) -> str:
    waiver, days = found.waiver, found.days_left
    if days < 0:
        told = f"ENDED {-days} days ago: mend the cause or renew it"
    else:
        told = f"{days} days left" + (": ends soon" if days <= within.days else "")
    return f"{waiver.check} {waiver.resource} ({waiver.owner}, until {waiver.expires}): {told}"
