"""Show declared tables and models: who writes, who reads, and what became of which version.

Of all use cases the jobs; of one that is named its owner, keys and tasks as well.

Examples
--------
  python -m pipelines assets --env prod --root demo
  python -m pipelines assets flight_delay --env prod --root demo
"""

import json
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipelines.command_line.console import Console
from pipelines.commands.options import EngineName, EnvironmentName, OneUseCase, Root, local_folder, named_or_all, opened
from pipelines.declarations.lineage import users_of
from pipelines.declarations.use_case import UseCase

if TYPE_CHECKING:
    from pipelines.lakehouse.lakehouse import Lakehouse

WIDTH, INDENT = 100, 16


def run(
    use_case: OneUseCase = None,
    env: EnvironmentName = "dev",
    engine: EngineName = None,
    root: Root = None,
) -> int:
    """Print the assets; where nothing has run, as declared, and nothing is created."""
    console, shown = Console(), named_or_all(use_case)
    show = _show_table if use_case is None else _show_blocks
    folder = local_folder(env, engine, root)
    if folder is not None and not folder.is_dir():
        console.line(f"nothing has run in {env!r} under {folder.parent}: the assets as declared")
        for one in shown:
            show(None, env, one, console)
    else:
        with opened(env, engine, root) as lakehouse:
            for one in shown:
                show(lakehouse, env, one, console)
    if use_case is None:
        console.line("keys, tasks and the table versions that each model read: name a use case")
    return 0


def _show_table(lakehouse: "Lakehouse | None", env: str, use_case: UseCase, console: Console) -> None:
    """Print a line for each asset, with jobs in place of tasks: it fits on a screen."""
    rows = [
        (asset, version, _jobs(writers), _jobs(readers))
        for asset, _, version, writers, readers in _assets(lakehouse, use_case)
    ]
    console.table(_title(env, use_case), ("asset", "version", "written by", "read by"), rows)


def _show_blocks(lakehouse: "Lakehouse | None", env: str, use_case: UseCase, console: Console) -> None:
    """Print all that is known of each asset, below its name."""
    console.line(_title(env, use_case), style="bold")
    for asset, key, version, writers, readers in _assets(lakehouse, use_case):
        console.line(asset)
        for name, words in (
            ("key", key), ("version", [str(version)] if version is not None else []), ("written by", writers),
            ("read by", readers),
        ):  # fmt: skip
            _show_words(name, words, console)
    if lakehouse is None:
        return
    for one in lakehouse.models.versions(use_case.model):
        read = json.loads(one.tags.get("table_versions", "{}"))
        console.line(f"{use_case.model.address} version {one.number}")
        _show_words("aliases", sorted(one.aliases), console)
        _show_words("commit", [one.tags.get("git_commit", "")[:12]], console)
        _show_words("tables read", [f"{name.partition('.')[2]}@{at}" for name, at in sorted(read.items())], console)


def _assets(
    lakehouse: "Lakehouse | None", use_case: UseCase
) -> list[tuple[str, Sequence[str], int | None, Sequence[str], Sequence[str]]]:
    """Return name, key, version, writers and readers of each table, and of the model."""
    found: list[tuple[str, Sequence[str], int | None, Sequence[str], Sequence[str]]] = []
    for table in use_case.tables:
        users = users_of(table.address, use_case.jobs)
        version = lakehouse.tables.version(table) if lakehouse else None
        found.append((table.address, table.row_key, version, users.writers, users.readers))
    users = users_of(use_case.model.address, use_case.jobs)
    latest = lakehouse.models.latest(use_case.model) if lakehouse else None
    return [*found, (f"{use_case.model.address} (model)", (), latest, users.writers, users.readers)]


def _title(env: str, use_case: UseCase) -> str:
    return f"assets of {use_case.name} in {env}, owned by team {use_case.team}"


def _jobs(tasks: Sequence[str]) -> str | None:
    return ", ".join(dict.fromkeys(task.partition(".")[0] for task in tasks)) or None


def _show_words(name: str, words: Sequence[str], console: Console) -> None:
    text = ", ".join(words) or "-"
    first = f"  {name}".ljust(INDENT)
    lines = textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=" " * INDENT, break_on_hyphens=False)
    console.line("\n".join(lines))
