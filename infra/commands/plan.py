"""``plan``: what deploying one environment would do; offline from nothing, otherwise against what exists."""

import argparse
import json
import tempfile
from pathlib import Path

from infra.build.release import current_release
from infra.build.reproducible_wheel import has_uncommitted_changes
from infra.commands.releasing import add_target_arguments, chosen_target, reporting_refusals
from infra.offline.runs import NOT_CHECKED, plan_offline
from infra.releases.saving import save_plan
from infra.terraform_cli.changes import changes, summary
from infra.terraform_cli.plans import plan_with_real_providers
from infra.terraform_cli.synthesized import needed_by, of_environment, read_stacks


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("environment", help="dev, staging, prod, or account for what all share")
    parser.add_argument("--details", action="store_true", help="print the plan as Terraform does, not only its summary")
    parser.add_argument(
        "--only", type=names, default=(), metavar="STACK[,STACK]", help="of these stacks alone; default: all"
    )
    parser.add_argument("--json", type=Path, metavar="FOLDER", help="write each plan as <stack>.json into this folder")
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="keep the plans there with their hash, for review and for `apply`"
    )
    add_target_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Plan the environment's stacks; 2 if that is not possible."""
    return reporting_refusals(lambda: _keep(args) if args.keep else _plan(args))


def names(text: str) -> tuple[str, ...]:
    """Return names that are separated by commas, or let argparse say that there are none: that would mean all."""
    found = tuple(name.strip() for name in text.split(",") if name.strip())
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} names no stack: name one, such as dev-workspace, or leave it out.")
    return found


def _keep(args: argparse.Namespace) -> int:
    target, release = chosen_target(args), current_release(out=args.out)
    manifest = save_plan(
        read_stacks(args.out),
        target,
        release,
        args.keep,
        changed=has_uncommitted_changes(everything=True),
        only=args.only,
    )
    print(f"kept in {args.keep}, of commit {manifest.commit[:12]}, made at {manifest.created_at}")
    print(f"sha256 {manifest.sha256}")
    return 0


def _plan(args: argparse.Namespace) -> int:
    stacks = read_stacks(args.out)
    chosen = of_environment(stacks, args.environment, args.only)
    with tempfile.TemporaryDirectory() as folder:
        if args.offline:
            # What these read is deployed first: the account, and whoever is let in by a declared opening.
            plans = plan_offline(needed_by(chosen, stacks), Path(folder), only=chosen)
        else:
            plans = plan_with_real_providers(chosen)
        for name, planned in plans.items():
            print(f"{name}: {summary(changes(planned.content))}")
            if args.details:
                print(planned.terraform.text_of_plan())
    if args.json:
        args.json.mkdir(parents=True, exist_ok=True)
        for name, planned in plans.items():
            (args.json / f"{name}.json").write_text(json.dumps(planned.content), encoding="utf-8")
    if args.offline:
        print(NOT_CHECKED)
    return 0
