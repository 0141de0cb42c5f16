"""``synth``: write every stack as Terraform JSON."""

import argparse
from pathlib import Path

from infra.estate import stacks
from infra.release import current_release
from infra.settings_checks import load_settings
from infra.settings_loading import FOLDER
from infra.terraform import output_folder, synthesize
from pipelines.declarations.registry import use_cases


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--out", type=Path, default=None, help="folder to write; default: cdktf.out")
    parser.add_argument("--settings", type=Path, default=FOLDER, help="folder of the settings files")


def run(args: argparse.Namespace) -> int:
    """Synthesize; nothing is written unless everything is right."""
    settings, target = load_settings(args.settings), output_folder(args.out)
    planned = stacks(settings, use_cases(), current_release(out=target))
    synthesize(planned, target)
    count = sum(len(stack.resources) for stack in planned)
    print(f"{len(planned)} stacks with {count} resources in {target}")
    return 0
