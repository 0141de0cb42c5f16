"""Copy all local environments, tables, runs, models and registry, into a folder with a manifest of checksums.

It takes the lock of every job: a job that runs is named, and nothing is copied.

Examples
--------
  python -m pipelines backup --to backups/monday
  python -m pipelines backup --root demo --to backups/demo
"""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.command_line.console import Console
from pipelines.commands.options import ROOT, Root


def run(
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="Folder to make; it must not exist or be empty.")],
    root: Root = None,
) -> int:
    """Back all environments up."""
    from pipelines.backup import back_up

    done = back_up(root or ROOT, to)
    Console().line(f"{done.files:,} files, {done.size / 2**20:,.1f} MiB of {done.root} are in {to}")
    return 0
