"""The commands ``validate`` and ``plan``: each module offers ``add_arguments(parser)`` and ``run(args) -> int``."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from infra.offline.bindings import BindingError
from infra.terraform_cli.driver import TerraformError
from infra.terraform_cli.synthesized import UnusableStackError


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what both commands take."""
    parser.add_argument(
        "--offline", action="store_true", help="no network, no credentials: the schemas of the installed bindings"
    )
    parser.add_argument("--out", type=Path, default=Path("cdktf.out"), help="folder that `synth` wrote")


def reporting(command: Callable[[], int]) -> int:
    """Run a command; what made it impossible is one message and the exit code 2."""
    try:
        return command()
    except (BindingError, UnusableStackError, TerraformError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
