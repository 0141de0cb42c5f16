"""Show a saved plan: what it would do, and the hashes by which it is applied.

Example
-------
  python -m infra kept build/plan
"""

from pathlib import Path
from typing import Annotated

import typer

from infra.commands.options import Details
from infra.releases.saved_plan import Manifest, SavedPlanError, file_hashes, read_manifest, reviewed
from infra.terraform_cli.changes import changes, summary


def run(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="What `plan --keep` has saved.")],
    details: Details = False,
) -> int:
    """Show; 2 if the folder holds no plan that can be read."""
    manifest = read_manifest(folder)
    if file_hashes(folder) != dict(manifest.files) or manifest.files_of_stacks - set(manifest.files):
        # `apply` would refuse it; nobody shall approve what was never planned.
        raise SavedPlanError(f"the files in {folder} are not those that were kept: plan again.")
    print(f"{manifest.environment} at commit {manifest.commit}, made at {manifest.created_at}")
    for stack in sorted(manifest.stacks):
        content, text = reviewed(folder, stack)
        planned = changes(content)
        print(f"{stack}: {summary(planned)}")
        for change in planned:
            print(f"  {change.action}: {change.address}")
        if details:
            print(text)
    for address in manifest.destroys:
        print(f"destroys data: {address}")
    for line in facts(manifest):
        print(line)
    return 0


def facts(manifest: Manifest) -> list[str]:
    """Return name and value of what a pipeline reads, a line each; ``wheel none`` for a plan that uploads none."""
    lines = [f"{stack} waits for {', '.join(outputs)}" for stack, outputs in manifest.deferred.items()]
    lines.append(f"sha256 {manifest.sha256}")
    if manifest.wheel is None:
        return [*lines, "wheel none"]
    return [*lines, f"wheel {manifest.wheel.name}", f"wheel_sha256 {manifest.wheel.sha256}"]
