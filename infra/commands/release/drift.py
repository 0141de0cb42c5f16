"""``drift``: what an environment is beside what was last released into it."""

import sys
from collections.abc import Iterator, Sequence

from infra.build.release import ROOT
from infra.commands.options import OUT, Offline, Place, SettingsFolder, States, SynthesizedFolder
from infra.commands.release.targets import target
from infra.config.loading import FOLDER
from infra.releases.drift import Drift, drift
from infra.terraform_cli.changes import Change
from infra.terraform_cli.synthesized import read_stacks

EPILOG = "Exit codes: 0 no drift; 1 a stack could not be looked at; 2 not possible; 3 drift. Changes nothing."

SHOWN = 20
"""How many resources are named of each kind; the rest is counted."""


def run(
    environment: Place,
    out: SynthesizedFolder = OUT,
    settings: SettingsFolder = FOLDER,
    offline: Offline = False,
    states: States = None,
) -> int:
    """Compare and print."""
    place = target(environment, settings=settings, out=out, offline=offline, states=states)
    found = drift(read_stacks(out), place, ROOT)
    for line in drift_lines(found):
        print(line)
    for looked in found:
        if looked.error:
            print(f"error: {looked.error}", file=sys.stderr)
    if any(looked.error for looked in found):
        return 1
    return 3 if any(found) else 0


def drift_lines(found: Sequence[Drift]) -> Iterator[str]:
    """Yield what has drifted, a line per resource."""
    for looked in found:
        if not looked and not looked.error:
            yield f"{looked.stack}: as released"
        yield from _lines(looked.stack, "changed without Terraform", looked.outside)
        yield from _lines(looked.stack, "not as released", looked.differing)


def _lines(stack: str, what: str, changed: Sequence[Change]) -> Iterator[str]:
    if not changed:
        return
    yield f"{stack}: {len(changed)} {what}"
    for change in changed[:SHOWN]:
        attributes = f": {', '.join(change.attributes)}" if change.attributes else ""
        yield f"  {change.action}: {change.address}{attributes}"
    if len(changed) > SHOWN:
        yield f"  and {len(changed) - SHOWN} more"
