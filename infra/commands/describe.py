"""Say what the estate or one environment consists of, from freshly synthesized stacks.

Examples
--------
  python -m infra describe
  python -m infra describe dev
"""

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from infra.build.release import current_release
from infra.commands.matrix import matrix
from infra.commands.options import SettingsFolder
from infra.config.checks import load_settings
from infra.config.loading import FOLDER
from infra.description.describe import StackSummary, read_synthesized, summaries
from infra.description.permission_matrix import MatrixRow
from infra.description.picture import picture
from infra.stacks.estate import stacks
from infra.synthesis.cdktf_seam import synthesize
from pipelines.declarations.environment import environment as environment_named
from pipelines.declarations.registry import use_cases


def run(
    environment: Annotated[
        str | None, typer.Argument(metavar="ENVIRONMENT", help="dev, staging or prod. Default: all, and the account.")
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json", metavar="FILE", help="Write stacks, picture and permission matrix there, for the report."
        ),
    ] = None,
    picture_file: Annotated[
        Path | None, typer.Option("--picture", metavar="FILE", help="Write the picture of all stacks there, as SVG.")
    ] = None,
    settings: SettingsFolder = FOLDER,
) -> int:
    """Print resources by stack and area, or write what a report shows."""
    if environment is not None:
        environment_named(environment)
    found, permissions = estate(settings)
    chosen = [stack for stack in found if environment in (None, stack.environment)]
    if picture_file is not None:
        _write(picture_file, picture(found) + "\n")
    if json_file is not None:
        _write(json_file, json.dumps(as_json(found, permissions), indent=1))
    if json_file or picture_file:
        count, written = (
            sum(stack.resources for stack in found),
            " and ".join(map(str, filter(None, (json_file, picture_file)))),
        )
        print(f"{len(found)} stacks with {count} resources, written to {written}")
        if environment is None:
            return 0
    for stack in chosen:
        print(
            f"{stack.name}: {stack.resources} resources" + (f", reads {', '.join(stack.reads)}" if stack.reads else "")
        )
        for area, count in stack.areas.items():
            print(f"  {count:4d}  {area}")
    return 0


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def estate(settings_folder: Path = FOLDER) -> tuple[tuple[StackSummary, ...], tuple[MatrixRow, ...]]:
    """Synthesize every stack into a folder of its own and return what they hold, and who may do what."""
    settings = load_settings(settings_folder)
    with tempfile.TemporaryDirectory() as folder:
        target = synthesize(stacks(settings, use_cases(), current_release()), Path(folder))
        return summaries(read_synthesized(target)), matrix(settings)


def as_json(found: tuple[StackSummary, ...], permissions: tuple[MatrixRow, ...]) -> dict[str, object]:
    """Return what a report shows: stacks with counts, the picture as SVG, the rows of the permission matrix."""
    return {
        "stacks": [
            {**dataclasses.asdict(stack), "areas": stack.areas, "resources": stack.resources} for stack in found
        ],
        "picture": picture(found),
        "permissions": [dataclasses.asdict(row) for row in permissions],
    }
