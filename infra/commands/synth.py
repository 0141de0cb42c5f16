"""``synth``: write every stack as Terraform JSON."""

import argparse
import sys
from pathlib import Path

from infra.build.release import current_release
from infra.config.checks import load_settings
from infra.config.loading import FOLDER
from infra.stacks.estate import stacks
from infra.synthesis.cdktf_seam import output_folder, synthesize
from pipelines.declarations.registry import use_cases


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--out", type=Path, default=None, help="folder to write; default: cdktf.out")
    parser.add_argument("--settings", type=Path, default=FOLDER, help="folder of the settings files")
    parser.add_argument("--expect", metavar="SHA256", help="refuse to deploy any other wheel than the one of this hash")


def run(args: argparse.Namespace) -> int:
    """Synthesize; nothing is written unless everything is right."""
    settings, target = load_settings(args.settings), output_folder(args.out)
    release = current_release(out=target)
    if args.expect is not None and release.sha256 != args.expect.strip().lower():
        found = f"one of sha256 {release.sha256}" if release.sha256 else f"no {release.wheel}"
        print(f"error: dist/ holds {found}, expected is {args.expect}: nothing is synthesized.", file=sys.stderr)
        return 2
    planned = stacks(settings, use_cases(), release)
    synthesize(planned, target)
    count = sum(len(stack.resources) for stack in planned)
    print(f"{len(planned)} stacks with {count} resources in {target}")
    return 0
