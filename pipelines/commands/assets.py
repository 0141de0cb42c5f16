"""Show every declared table and model: owner, keys, who writes, who reads, and what became of which version.

Example
-------
  python -m pipelines assets --env prod --root demo
"""

import json
from typing import TYPE_CHECKING

from pipelines.command_line.console import Console
from pipelines.commands.options import EngineName, EnvironmentName, Root, local_folder, opened
from pipelines.declarations.lineage import users_of
from pipelines.declarations.registry import use_cases
from pipelines.declarations.use_case import UseCase

if TYPE_CHECKING:
    from pipelines.lakehouse.lakehouse import Lakehouse


def run(
    env: EnvironmentName = "dev",
    engine: EngineName = None,
    root: Root = None,
) -> int:
    """Print the assets of every use case; where nothing has run, as declared, and nothing is created."""
    console = Console()
    folder = local_folder(env, engine, root)
    if folder is not None and not folder.is_dir():
        console.line(f"nothing has run in {env!r} under {folder.parent}: the assets as declared")
        for use_case in use_cases():
            _show_assets(None, env, use_case, console)
        return 0
    with opened(env, engine, root) as lakehouse:
        for use_case in use_cases():
            _show_assets(lakehouse, env, use_case, console)
            _show_lineage(lakehouse, use_case, console)
    return 0


def _show_assets(lakehouse: "Lakehouse | None", env: str, use_case: UseCase, console: Console) -> None:
    rows: list[tuple[object, ...]] = []
    for table in use_case.tables:
        users = users_of(table.address, use_case.jobs)
        rows.append((table.address, ", ".join(table.row_key) or None, lakehouse.tables.version(table) if lakehouse else None,
                     ", ".join(users.writers) or None, ", ".join(users.readers) or None))  # fmt: skip
    users = users_of(use_case.model.address, use_case.jobs)
    rows.append((f"{use_case.model.address} (model)", None, lakehouse.models.latest(use_case.model) if lakehouse else None,
                 ", ".join(users.writers) or None, ", ".join(users.readers) or None))  # fmt: skip
    title = f"assets of {use_case.name} in {env}, owned by team {use_case.team}"
    console.table(title, ("asset", "key", "version", "written by", "read by"), rows)


def _show_lineage(lakehouse: "Lakehouse", use_case: UseCase, console: Console) -> None:
    rows: list[tuple[object, ...]] = []
    for version in lakehouse.models.versions(use_case.model):
        read = json.loads(version.tags.get("table_versions", "{}"))
        tables = ", ".join(f"{address.partition('.')[2]}@{number}" for address, number in sorted(read.items()))
        aliases = ", ".join(sorted(version.aliases)) or None
        rows.append((version.number, aliases, version.tags.get("git_commit", "")[:12], tables))
    console.table(
        "which model versions used which table versions", ("version", "aliases", "commit", "tables read"), rows
    )
