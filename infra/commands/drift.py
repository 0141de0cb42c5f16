"""``drift``: what an environment is beside what was last released into it."""

import argparse
import sys
from collections.abc import Iterator, Sequence

from infra.build.release import ROOT
from infra.commands.releasing import add_target_arguments, chosen_target, reporting_refusals
from infra.releases.drift import Drift, drift
from infra.terraform_cli.changes import Change
from infra.terraform_cli.synthesized import read_stacks

SHOWN = 20
"""How many resources are named of each kind; the rest is counted."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("environment", help="dev, staging, prod, or account for what all share")
    add_target_arguments(parser)
    parser.epilog = (
        "Exit codes: 0 no drift; 1 a stack could not be looked at; 2 not possible; 3 drift. Changes nothing."
    )


def run(args: argparse.Namespace) -> int:
    """Look and print."""
    return reporting_refusals(lambda: _drift(args))


def _drift(args: argparse.Namespace) -> int:
    found = drift(read_stacks(args.out), chosen_target(args), ROOT)
    for line in told(found):
        print(line)
    for looked in found:
        if looked.error:
            print(f"error: {looked.error}", file=sys.stderr)
    if any(looked.error for looked in found):
        return 1
    return 3 if any(found) else 0


def told(found: Sequence[Drift]) -> Iterator[str]:
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
