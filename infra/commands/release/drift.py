"""Say how an environment differs from what was last released into it.

Examples
--------
  python -m infra drift prod
  python -m infra drift dev --offline
"""

import sys
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from infra.build.release import ROOT, current_release
from infra.commands.options import OUT, Offline, Place, SettingsFolder, States, SynthesizedFolder
from infra.commands.release.targets import target
from infra.commands.review.affected import workspace_resource_id
from infra.config.checks import load_settings
from infra.config.loading import FOLDER
from infra.config.stack_names import ACCOUNT
from infra.live.azure_session import signed_in_to_azure
from infra.live.looking import (
    Declaration,
    RightsDrift,
    rights_in_azure,
    rights_of_account,
    rights_of_workspace,
    signed_in_to_account,
    signed_in_to_workspace,
)
from infra.releases.drift import Drift, drift
from infra.rights.needed import rights_by_identity
from infra.stacks.estate import stacks as estate_stacks
from infra.terraform_cli.changes import Change
from infra.terraform_cli.synthesized import read_stacks
from pipelines.declarations.registry import use_cases

EPILOG = (
    "Compares resources by Terraform; who may do what by the Databricks SDK, also on what no stack knows; and by Azure's SDK the "
    "roles at the environment's scopes and what its application in Entra signs in with: what was given by hand. Exit codes: 0 no drift; 1 a stack or a right could not be looked at; 2 not possible; 3 drift. Changes nothing."
)

SHOWN = 20
"""How many resources are named of each kind; the rest is counted."""


def run(
    environment: Place,
    out: SynthesizedFolder = OUT,
    settings: SettingsFolder = FOLDER,
    offline: Offline = False,
    states: States = None,
    rights: Annotated[
        bool,
        typer.Option("--rights/--no-rights", help="Read who may do what as well; never of an offline environment."),
    ] = True,
) -> int:
    """Compare and print."""
    place = target(environment, settings=settings, out=out, offline=offline, states=states)
    stacks = read_stacks(out)
    found = drift(stacks, place, ROOT)
    for line in drift_lines(found):
        print(line)
    held = RightsDrift(added=(), unread=())
    if rights and not offline:
        released = {looked.stack: looked.compared for looked in found if looked.compared is not None}
        declaration = Declaration(stacks, released, load_settings(settings), tuple(use_cases()), environment)
        held = _rights(declaration) + _azure_rights(declaration)
    for line in rights_lines(environment, held):
        print(line)
    errors = [*(looked.error for looked in found if looked.error), *held.unread]
    for error in errors:
        print(f"error: {error}", file=sys.stderr)
    if errors:
        return 1
    return 3 if any(found) or held.added else 0


def _rights(declaration: Declaration) -> RightsDrift:
    """Return what is held by hand; that nobody may look is what could not be read."""
    try:
        if declaration.place == ACCOUNT:
            return rights_of_account(signed_in_to_account(declaration.settings), declaration)
        resource_id = workspace_resource_id(declaration.settings, declaration.place)
        return rights_of_workspace(signed_in_to_workspace(resource_id), declaration)
    except (
        ValueError,
        OSError,
    ) as error:  # DatabricksError is an OSError, a configuration without a sign-in a ValueError
        return RightsDrift(added=(), unread=(f"the rights of {declaration.place} cannot be read: {error}",))


def _azure_rights(declaration: Declaration) -> RightsDrift:
    """Return what is held by hand in Azure and Entra; the session of `az login` asks."""
    made = estate_stacks(declaration.settings, use_cases(), current_release())
    return rights_in_azure(signed_in_to_azure(), declaration, rights_by_identity(made))


def rights_lines(environment: str, held: RightsDrift) -> Iterator[str]:
    """Yield what was given by hand, a line per right; all of it, because each needs a decision."""
    if held.added:
        yield f"{environment}: {len(held.added)} rights given by hand"
    yield from (f"  {one.sentence}" for one in held.added)


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
