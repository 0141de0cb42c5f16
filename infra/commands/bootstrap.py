"""``bootstrap``: create what holds Terraform's own state; by default only say what would be done."""

import argparse
import shlex
import shutil
import sys
from pathlib import Path

from infra.config.checks import load_settings
from infra.config.loading import FOLDER
from infra.terraform_cli.bootstrap import apply_steps, bootstrap_steps, run_command
from pipelines.declarations.mistakes import DeclarationError, unknown

ACCOUNT = "account"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("which", help="account, dev, staging or prod")
    parser.add_argument("--principal", required=True, metavar="OBJECT_ID", help="Entra object id of who deploys")
    parser.add_argument("--settings", type=Path, default=FOLDER, help="folder of the settings files")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--dry-run", action="store_true", default=True, help="print the commands (the default)")
    way.add_argument("--apply", dest="dry_run", action="store_false", help="run them; needs `az login` before")


def run(args: argparse.Namespace) -> int:
    """Print or run the steps."""
    settings = load_settings(args.settings)
    known = {ACCOUNT, *settings.environments}
    if args.which not in known:
        raise DeclarationError(unknown("environment", args.which, known))
    stated = settings.account if args.which == ACCOUNT else settings.environments[args.which]
    if stated.state is None:
        print(f"{args.which} keeps its state on the local disk: name a `state` in its settings first.", file=sys.stderr)
        return 2
    region = settings.account.metastore.region
    steps = bootstrap_steps(stated.state, region=region, principal=args.principal)
    if args.dry_run:
        for step in steps:
            print(f"# {step.what}\n{shlex.join(step.create)}")
        return 0
    if shutil.which("az") is None:
        print(
            "error: the Azure command line `az` is not installed: install it and sign in with `az login`.",
            file=sys.stderr,
        )
        return 2
    return 0 if apply_steps(steps, run_command, print) else 1
