"""``matrix``: print who may do what in which environment, as a Markdown table."""

import argparse
from pathlib import Path

from infra.config.checks import load_settings
from infra.config.loading import FOLDER
from infra.description.permission_matrix import as_markdown, permission_matrix
from pipelines.declarations.registry import use_cases


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--settings", type=Path, default=FOLDER, help="folder of the settings files")


def run(args: argparse.Namespace) -> int:
    """Print the matrix."""
    print(as_markdown(permission_matrix(load_settings(args.settings), use_cases())), end="")
    return 0
