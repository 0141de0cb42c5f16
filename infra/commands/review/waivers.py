"""List the findings that are accepted, and the days that each has left.

`check` says which of them are found at all.

Example
-------
  python -m infra waivers --within 14d
"""

import datetime as dt
from typing import Annotated

import typer

from infra.checks.waivers import WAIVERS, Standing, read_waivers, standing
from infra.commands.options import WaiversFile
from infra.releases.apply_decision import duration

EPILOG = "Exit codes: 0 none has ended; 1 one has ended; 2 the file cannot be read."


def run(
    within: Annotated[
        str, typer.Option("--within", metavar="TIME", help="Name the waivers that end within that time.")
    ] = "14d",
    waivers: WaiversFile = WAIVERS,
) -> int:
    """Print; 1 if a waiver has ended."""
    length = duration(within)
    found = standing(read_waivers(waivers), dt.datetime.now(tz=dt.UTC).date())
    for waiver in found:
        print(_line(waiver, length))
    ended = sum(waiver.days_left < 0 for waiver in found)
    soon = sum(0 <= waiver.days_left <= length.days for waiver in found)
    print(f"{len(found)} waivers, {ended} ended, {soon} ending within {within}.")
    return int(ended > 0)


def _line(found: Standing, within: dt.timedelta) -> str:
    waiver, days = found.waiver, found.days_left
    if days < 0:
        standing_text = f"ENDED {-days} days ago: remove the cause or renew it"
    else:
        standing_text = f"{days} days left" + (": ends soon" if days <= within.days else "")
    return f"{waiver.check} {waiver.resource} ({waiver.owner}, until {waiver.expires}): {standing_text}"
