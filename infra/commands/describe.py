"""``describe``: what the estate or one environment consists of, from freshly synthesized stacks."""

import argparse
import dataclasses
import json
import tempfile
from pathlib import Path

from infra.build.release import current_release
from infra.config.checks import load_settings
from infra.config.loading import FOLDER
from infra.description.describe import StackSummary, read_synthesized, summaries
from infra.description.permission_matrix import MatrixRow, permission_matrix
from infra.description.picture import picture
from infra.stacks.estate import stacks
from infra.synthesis.cdktf_seam import synthesize
from pipelines.declarations.environment import environment
from pipelines.declarations.registry import use_cases


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("environment", nargs="?", help="dev, staging or prod; default: all, and the account")
    parser.add_argument("--json", type=Path, help="write stacks, picture and permission matrix there, for the report")
    parser.add_argument("--settings", type=Path, default=FOLDER, help="folder of the settings files")


def run(args: argparse.Namespace) -> int:
    """Print resources by stack and area, and write the same as JSON where asked to."""
    if args.environment is not None:
        environment(args.environment)
    found, matrix = estate(args.settings)
    chosen = [stack for stack in found if args.environment in (None, stack.environment)]
    for stack in chosen:
        print(
            f"{stack.name}: {stack.resources} resources" + (f", reads {', '.join(stack.reads)}" if stack.reads else "")
        )
        for area, count in stack.areas.items():
            print(f"  {count:4d}  {area}")
    if args.json is not None:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(as_json(found, matrix), indent=1), encoding="utf-8")
        print(f"written to {args.json}")
    return 0


def estate(settings_folder: Path = FOLDER) -> tuple[tuple[StackSummary, ...], tuple[MatrixRow, ...]]:
    """Synthesize every stack into a folder of its own and return what they hold, and who may do what."""
    settings = load_settings(settings_folder)
    with tempfile.TemporaryDirectory() as folder:
        target = synthesize(stacks(settings, use_cases(), current_release()), Path(folder))
        return summaries(read_synthesized(target)), permission_matrix(settings, use_cases())


def as_json(found: tuple[StackSummary, ...], matrix: tuple[MatrixRow, ...]) -> dict[str, object]:
    """Return what a report shows: stacks with counts, the picture as SVG, the rows of the permission matrix."""
    return {
        "stacks": [
            {**dataclasses.asdict(stack), "areas": stack.areas, "resources": stack.resources} for stack in found
        ],
        "picture": picture(found),
        "permissions": [dataclasses.asdict(row) for row in matrix],
    }
