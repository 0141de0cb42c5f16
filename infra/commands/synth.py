"""Write every stack as Terraform JSON.

Examples
--------
  python -m infra synth
  python -m infra synth --expect SHA256
"""

from pathlib import Path
from typing import Annotated

import typer

from infra.build.release import current_release
from infra.commands.options import Expect, SettingsFolder
from infra.config.checks import load_settings
from infra.config.loading import FOLDER
from infra.stacks.estate import stacks
from infra.synthesis.cdktf_seam import output_folder, synthesize
from ml.spec.errors import RequestError
from pipelines.declarations.registry import use_cases


def run(
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Folder to write. Default: cdktf.out.")
    ] = None,
    settings: SettingsFolder = FOLDER,
    expect: Expect = None,
) -> int:
    """Synthesize; nothing is written unless everything is right."""
    loaded, target = load_settings(settings), output_folder(out)
    release = current_release(out=target)
    if expect is not None and release.sha256 != expect.strip().lower():
        found = f"one of sha256 {release.sha256}" if release.sha256 else f"no {release.wheel}"
        raise RequestError(f"dist/ holds {found}, expected is {expect}: nothing is synthesized.")
    planned = stacks(loaded, use_cases(), release)
    synthesize(planned, target)
    every = [resource for stack in planned for resource in stack.resources.values()]
    looked_up = sum(resource.is_data for resource in every)
    print(f"{len(planned)} stacks with {len(every) - looked_up} resources and {looked_up} look-ups in {target}")
    return 0
