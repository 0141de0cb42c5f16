"""Create the storage of Terraform's own state.

Without --apply, only print what would be done.

Examples
--------
  python -m infra bootstrap dev --principal OBJECT_ID --dry-run
  python -m infra bootstrap dev --principal OBJECT_ID --apply
"""

import shlex
import shutil
from typing import Annotated

import typer

from infra.commands.options import DryRun, SettingsFolder, refuse_both
from infra.config.checks import load_settings
from infra.config.loading import FOLDER
from infra.config.stack_names import ACCOUNT
from infra.terraform_cli.bootstrap import apply_steps, bootstrap_steps, run_command
from ml.spec.errors import RequestError
from pipelines.declarations.mistakes import unknown


def run(
    which: Annotated[str, typer.Argument(metavar="PLACE", help="account, dev, staging or prod.")],
    principal: Annotated[
        str, typer.Option("--principal", metavar="OBJECT_ID", help="Entra object id of the identity that deploys.")
    ],
    settings: SettingsFolder = FOLDER,
    dry_run: DryRun = False,
    apply: Annotated[bool, typer.Option("--apply", help="Run the commands; needs `az login` before.")] = False,
) -> int:
    """Print or run the steps."""
    refuse_both(dry_run=dry_run, apply=apply)
    loaded = load_settings(settings)
    known = {ACCOUNT, *loaded.environments}
    if which not in known:
        raise RequestError(unknown("environment", which, known))
    stated = loaded.account if which == ACCOUNT else loaded.environments[which]
    if stated.state is None:
        raise RequestError(f"{which} keeps its state on the local disk: name a `state` in its settings first.")
    if not stated.state.is_reached_from:
        raise RequestError(
            f"the state of {which} would be closed to everybody: name `allowed_ip_ranges` or `endpoint_subnet` in its `state`."
        )
    region = loaded.account.metastore.region
    steps = bootstrap_steps(stated.state, region=region, principal=principal)
    if not apply:
        for step in steps:
            print(f"# {step.what}\n{shlex.join(step.create)}")
        return 0
    if shutil.which("az") is None:
        raise RequestError("the Azure command line `az` is not installed: install it and sign in with `az login`.")
    return 0 if apply_steps(steps, run_command, print) else 1
