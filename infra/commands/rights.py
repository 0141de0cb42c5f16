"""Print the rights that each identity needs, derived from the resources of its stacks.

Examples
--------
  python -m infra rights
  python -m infra rights dev
"""

from typing import Annotated

import typer

from infra.build.release import current_release
from infra.commands.options import PLACES, SettingsFolder
from infra.config.checks import load_settings
from infra.config.loading import FOLDER
from infra.config.naming import ResourceKind, name
from infra.config.stack_names import applied_by
from infra.rights.needed import rights_by_identity
from infra.stacks.estate import stacks
from ml.spec.errors import RequestError
from pipelines.declarations.mistakes import unknown
from pipelines.declarations.registry import use_cases

EPILOG = "Nothing is asked of Azure or Databricks; `python -m infra devops` compares with what the identities hold."


def run(
    which: Annotated[
        str | None,
        typer.Argument(metavar="[ENVIRONMENT]", help="dev, staging, prod or account. Default: all of them."),
    ] = None,
    settings: SettingsFolder = FOLDER,
) -> int:
    """Print each right with its scope, who grants it, and the documentation page of the rule."""
    if which is not None and which not in PLACES:
        raise RequestError(unknown("environment", which, PLACES))
    loaded = load_settings(settings)
    found = rights_by_identity(stacks(loaded, use_cases(), current_release()))
    for identity, rights in found.items():
        if which in (None, identity):
            application = name(ResourceKind.APPLICATION, loaded.account.organisation, identity)
            print(f"{application} applies {', '.join(applied_by(identity))}")
            for right in rights:
                only = f", for the roles {', '.join(right.roles_given)} alone" if right.roles_given else ""
                print(f"  {right.authority}: {right.right} on {right.scope}{only}")
                print(f"    granted by {right.granted_by}; {right.page}")
    return 0
