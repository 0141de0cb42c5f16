"""Show every declared table and model: owner, keys, who writes, who reads, and what became of which version.

Example
-------
  python -m pipelines assets --env prod --root demo
"""

import argparse
import json
from typing import TYPE_CHECKING

from pipelines.commands.options import add_workspace_options, opened
from pipelines.console import Console
from pipelines.declarations.registry import use_cases
from pipelines.declarations.use_case import UseCase
from pipelines.lineage import users_of

if TYPE_CHECKING:
    from pipelines.workspace.workspace import Workspace

HELP = "show tables and models: owner, keys, writers, readers, versions"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which environment."""
    add_workspace_options(parser)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Print the assets of every use case."""
    with opened(arguments) as workspace:
        for use_case in use_cases():
            _show_assets(workspace, use_case, console)
            _show_lineage(workspace, use_case, console)
    return 0


def _show_assets(workspace: "Workspace", use_case: UseCase, console: Console) -> None:
    rows: list[tuple[object, ...]] = []
    for table in use_case.tables:
        users = users_of(table.address, use_case.jobs)
        rows.append((table.address, ", ".join(table.row_key) or None, workspace.tables.version(table),
                     ", ".join(users.writers) or None, ", ".join(users.readers) or None))  # fmt: skip
    users = users_of(use_case.model.address, use_case.jobs)
    rows.append((f"{use_case.model.address} (model)", None, workspace.models.latest(use_case.model),
                 ", ".join(users.writers) or None, ", ".join(users.readers) or None))  # fmt: skip
    title = f"assets of {use_case.name} in {workspace.environment.name}, owned by team {use_case.team}"
    console.table(title, ("asset", "key", "version", "written by", "read by"), rows)


def _show_lineage(workspace: "Workspace", use_case: UseCase, console: Console) -> None:
    rows: list[tuple[object, ...]] = []
    for version in workspace.models.versions(use_case.model):
        read = json.loads(version.tags.get("table_versions", "{}"))
        tables = ", ".join(f"{address.partition('.')[2]}@{number}" for address, number in sorted(read.items()))
        aliases = ", ".join(sorted(version.aliases)) or None
        rows.append((version.number, aliases, version.tags.get("git_commit", "")[:12], tables))
    console.table(
        "which model versions used which table versions", ("version", "aliases", "commit", "tables read"), rows
    )
