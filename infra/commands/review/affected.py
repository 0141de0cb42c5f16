"""Say which stacks a change makes it necessary to deploy, whose jobs to run, and why.

Example
-------
  python -m infra affected --base origin/main
"""

import dataclasses
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from infra.commands.options import PLACES, SettingsFolder
from infra.config.checks import load_settings
from infra.config.loading import FOLDER, Settings
from infra.config.naming import ResourceKind, name
from infra.config.stack_names import ACCOUNT, Part, stack_name
from infra.review.affected import Affected, DeployableParts, affected, sources_of_stacks
from infra.review.changed_paths import NO_COMMIT, changed_paths
from pipelines.command_line.agent_output import command as agent_command
from pipelines.declarations.mistakes import DeclarationError, unknown
from pipelines.declarations.registry import use_cases


def run(
    base: Annotated[
        list[str] | None,
        typer.Option(
            "--base",
            metavar="[PLACE=]REF",
            help="The commit, branch or tag that was deployed; @FILE reads it from a file; 'none' (the default, and for a "
            "missing file) if nothing was deployed yet; with PLACE= for account, dev, staging or prod alone.",
        ),
    ] = None,
    set_variables: Annotated[
        bool, typer.Option("--set-variables", help="Set the decisions as output variables of an Azure Pipelines step.")
    ] = False,
    settings: SettingsFolder = FOLDER,
) -> int:
    """Print the decision and its reasons."""
    general, of_places = bases(base or ())
    loaded = load_settings(settings)
    estate = DeployableParts(
        use_cases=tuple(declared.name for declared in use_cases()),
        connected=connected(loaded),
        sources=sources_of_stacks(),
    )
    decided = _decide(general, estate)
    stacks = {place: _decide(base, estate).stacks[place] for place, base in of_places.items()}
    decided = dataclasses.replace(decided, stacks={**decided.stacks, **stacks})
    for place in PLACES:
        since = of_places.get(place, general)
        print(f"{place}, since {since}: {', '.join(decided.stacks[place]) or 'nothing to deploy'}")
    print(f"jobs to run: {', '.join(decided.use_cases) or 'none'}")
    for reason in decided.reasons:
        print(f"  {reason}")
    if set_variables:
        for line in logging_commands(decided, loaded):
            agent_command(line)
    return 0


def bases(given: Sequence[str]) -> tuple[str, Mapping[str, str]]:
    """Return the commit to compare with, and those of places that have one of their own.

    Raises
    ------
    DeclarationError
        If a place is none, or two commits are given for the same.
    """
    general: list[str] = []
    of_places: dict[str, str] = {}
    for text in given:
        place, equals, base = text.rpartition("=")
        if equals and place not in PLACES:
            raise DeclarationError(unknown("place of --base", place, PLACES))
        if place in of_places or (not equals and general):
            raise DeclarationError(f"--base {text}: there is a commit for {place or 'all places'} already; give one.")
        if equals:
            of_places[place] = _named(base)
        else:
            general.append(_named(base))
    return (general or [NO_COMMIT])[0], of_places


def connected(settings: Settings) -> frozenset[str]:
    """Return ``account`` and the environments whose settings name where their state is kept."""
    stated = {ACCOUNT: settings.account.state, **{name: s.state for name, s in settings.environments.items()}}
    return frozenset(place for place, state in stated.items() if state is not None)


def logging_commands(decided: Affected, settings: Settings) -> Iterator[str]:
    """Yield the lines with which a step of Azure Pipelines sets its output variables.

    ``stacks_<place>`` and ``use_cases`` are lists with commas, empty for none; ``stacks_<environment>_account`` is the
    account's part of an environment, which is deployed after its platform; ``connected_<place>`` is true or false;
    ``workspace_<environment>`` is the resource id by which the Databricks SDK finds the environment's workspace.
    """
    there = connected(settings)
    variables = {f"stacks_{place}": ",".join(stacks) for place, stacks in decided.stacks.items()}
    of_account = decided.stacks[ACCOUNT]
    variables["stacks_account"] = ACCOUNT if ACCOUNT in of_account else ""
    for environment in settings.environments:
        stack = stack_name(Part.ENVIRONMENT_ACCOUNT, environment)
        variables[f"stacks_{environment}_account"] = stack if stack in of_account else ""
    variables |= {f"connected_{place}": str(place in there).lower() for place in decided.stacks}
    variables |= {f"workspace_{place}": workspace_resource_id(settings, place) for place in settings.environments}
    variables["use_cases"] = ",".join(decided.use_cases)
    for variable, value in variables.items():
        yield f"##vso[task.setvariable variable={variable};isOutput=true]{value}"


def workspace_resource_id(settings: Settings, environment: str) -> str:
    """Return the Azure resource id of an environment's Databricks workspace, as its platform stack names it."""
    group, workspace = (
        name(kind, settings.account.organisation, environment)
        for kind in (ResourceKind.RESOURCE_GROUP, ResourceKind.WORKSPACE)
    )
    subscription = settings.environments[environment].subscription_id
    provider = "providers/Microsoft.Databricks/workspaces"
    return f"/subscriptions/{subscription}/resourceGroups/{group}/{provider}/{workspace}"


def _decide(base: str, estate: DeployableParts) -> Affected:
    paths = changed_paths(base)
    if paths is None and base != NO_COMMIT:
        print(f"note: the repository holds no commit {base!r}, so everything is affected", file=sys.stderr)
    return affected(paths, estate)


def _named(base: str) -> str:
    """Return the commit that is meant; of a file that is missing or empty, none."""
    if not base.startswith("@"):
        return base
    file = Path(base.removeprefix("@"))
    return (file.read_text(encoding="utf-8").strip() if file.is_file() else "") or NO_COMMIT
