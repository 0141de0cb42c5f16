"""What the commands that plan, apply, go back and look for drift take and how they end when that is not possible."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from infra.build.reproducible_wheel import WheelBuildError
from infra.config.checks import load_settings
from infra.config.loading import FOLDER
from infra.offline.bindings import BindingError
from infra.releases.applying import ReleaseRefusedError
from infra.releases.ledger import LedgerError
from infra.releases.rebuild import RebuildError
from infra.releases.record import ReleaseRecordError
from infra.releases.saved_plan import SavedPlanError
from infra.releases.target import ACCOUNT, Target, target_of
from infra.review.plans import PlanFileError
from infra.terraform_cli.driver import TerraformError
from infra.terraform_cli.synthesized import UnusableStackError
from pipelines.declarations.mistakes import DeclarationError, unknown

MADE_UP = Path("build/offline")

NOT_POSSIBLE = (
    BindingError,
    SavedPlanError,
    LedgerError,
    RebuildError,
    PlanFileError,
    ReleaseRecordError,
    ReleaseRefusedError,
    TerraformError,
    UnusableStackError,
    WheelBuildError,
)


def add_target_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare which environment is meant: the real one, or a made-up one in a folder."""
    parser.add_argument("--out", type=Path, default=Path("cdktf.out"), help="folder that `synth` wrote")
    parser.add_argument("--settings", type=Path, default=FOLDER, help="folder of the settings files")
    parser.add_argument(
        "--offline", action="store_true", help="no network, no credentials: a made-up environment with its own states"
    )
    parser.add_argument(
        "--states", type=Path, default=MADE_UP, metavar="FOLDER", help=f"of the made-up environment; default: {MADE_UP}"
    )


def chosen_target(args: argparse.Namespace) -> Target:
    """Return the environment that the arguments name.

    Raises
    ------
    DeclarationError
        If there is none of that name.
    """
    settings = load_settings(args.settings)
    known = {ACCOUNT, *settings.environments}
    if args.environment not in known:
        raise DeclarationError(unknown("environment", args.environment, known))
    made_up = args.states if args.offline else None
    return target_of(args.environment, settings, offline_folder=made_up, folder=args.out.resolve().parent)


def reporting_refusals(command: Callable[[], int]) -> int:
    """Run a command; what made it impossible is one message and the exit code 2."""
    try:
        return command()
    except NOT_POSSIBLE as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
