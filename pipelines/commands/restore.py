"""Bring a backup of the local environments back, to the folder that it was made of.

Every file is compared with the manifest first. The folder must not exist, or be empty: nothing is overwritten.

Examples
--------
  python -m pipelines restore backups/monday
  python -m pipelines restore backups/demo --root demo
"""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.command_line.console import Console
from pipelines.commands.options import ROOT, Root


def run(
    backup: Annotated[Path, typer.Argument(metavar="BACKUP", help="Folder that the command backup made.")],
    root: Root = None,
) -> int:
    """Restore all environments."""
    from pipelines.backup import restore

    done = restore(backup, root or ROOT)
    Console().line(f"{done.files:,} files, {done.size / 2**20:,.1f} MiB are back in {done.root}")
    return 0
