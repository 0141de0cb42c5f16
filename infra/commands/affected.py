"""``affected``: which stacks a change makes it necessary to deploy, whose jobs to run, and why."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from infra.affected import ACCOUNT, Affected, Estate, affected, sources_of_stacks
from infra.changed_paths import NO_COMMIT, changed_paths
from infra.release import ROOT
from infra.settings_checks import load_settings
from infra.settings_loading import FOLDER, Settings
from pipelines.declarations.registry import use_cases


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "--base",
        default=NO_COMMIT,
        metavar="REF",
        help="compare with this commit, branch or tag; 'none', the default, when nothing was deployed yet",
    )
    parser.add_argument(
        "--set-variables", action="store_true", help="set the decisions as output variables of an Azure Pipelines step"
    )
    parser.add_argument("--settings", type=Path, default=FOLDER, help="folder of the settings files")


def run(args: argparse.Namespace) -> int:
    """Print the decision and its reasons."""
    settings = load_settings(args.settings)
    paths = changed_paths(args.base)
    if paths is None and args.base != NO_COMMIT:
        print(f"note: the repository holds no commit {args.base!r}, so everything is affected", file=sys.stderr)
    estate = Estate(
        use_cases=tuple(declared.name for declared in use_cases()),
        connected=connected(settings),
        sources=sources_of_stacks(ROOT),
    )
    decided = affected(paths, estate)
    for place, stacks in decided.stacks.items():
        print(f"{place}: {', '.join(stacks) or 'nothing to deploy'}")
    print(f"jobs to run: {', '.join(decided.use_cases) or 'none'}")
    for reason in decided.reasons:
        print(f"  {reason}")
    if args.set_variables:
        for line in logging_commands(decided, estate.connected):
            print(line)
    return 0


def connected(settings: Settings) -> frozenset[str]:
    """Return ``account`` and the environments whose settings name where their state is kept."""
    stated = {ACCOUNT: settings.account.state, **{name: s.state for name, s in settings.environments.items()}}
    return frozenset(name for name, state in stated.items() if state is not None)


def logging_commands(decided: Affected, connected: frozenset[str]) -> Iterator[str]:
    """Yield the lines with which a step of Azure Pipelines sets its output variables.

    ``stacks_<place>`` and ``use_cases`` are lists with commas, empty for none; ``connected_<place>`` is true or false.
    """
    variables = {f"stacks_{place}": ",".join(stacks) for place, stacks in decided.stacks.items()}
    variables |= {f"connected_{place}": str(place in connected).lower() for place in decided.stacks}
    variables["use_cases"] = ",".join(decided.use_cases)
    for name, value in variables.items():
        yield f"##vso[task.setvariable variable={name};isOutput=true]{value}"
