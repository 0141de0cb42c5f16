"""Show the feature tables that use cases share: owner, key, columns, freshness, who reads them.

With the name of a table, print what another use case writes to read it; --column limits it to some of its columns.

Examples
--------
  python -m pipelines features --env prod --root demo
  python -m pipelines features trips.zones --column mean_minutes_7d
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from pipelines.command_line.console import Console
from pipelines.commands.options import EngineName, EnvironmentName, Root, local_folder, opened
from pipelines.declarations.mistakes import DeclarationError, unknown
from pipelines.declarations.registry import use_cases
from pipelines.declarations.shared_features import SharedTable, catalogue
from pipelines.report.house.shared_tables import declaration_for_readers, shared_lines


def run(
    table: Annotated[
        str | None,
        typer.Argument(metavar="[TABLE]", help="<use case>.<table>: print how to read it. Default: list all."),
    ] = None,
    column: Annotated[
        list[str] | None, typer.Option("--column", metavar="NAME", help="A column to read; repeat for several.")
    ] = None,
    env: EnvironmentName = "dev",
    engine: EngineName = None,
    root: Root = None,
) -> int:
    """Print the shared tables, with the newest row of each where the environment is on this machine and has run."""
    console, shared = Console(), catalogue(use_cases())
    if table is not None:
        console.line(declaration_for_readers(_named(shared, table), column or ()))
        return 0
    if not shared:
        console.line("no use case shares a feature table; docs/shared-features.md says how")
        return 0
    rows = [
        (one.address, f"{one.owner} (team {one.team})", one.key, one.columns, one.fresh_within_hours,
         _instant(one.newest.get(env)), ", ".join(one.readers) or None, one.comment)
        for one in shared_lines(shared, {env: _newest(shared, env, engine, root)})
    ]  # fmt: skip
    console.table(
        f"shared feature tables, newest rows in {env}",
        ("table", "owner", "key", "columns", "fresh within hours", "newest row", "read by", "what it is"),
        rows,
    )
    return 0


def _named(shared: Sequence[SharedTable], name: str) -> SharedTable:
    known = {f"{one.table.use_case}.{one.table.name}": one for one in shared}
    by_address = {one.table.address: one for one in shared}
    found = known.get(name) or by_address.get(name)
    if found is None:
        raise DeclarationError(unknown("shared feature table", name, known))
    return found


def _newest(
    shared: Sequence[SharedTable], env: str, engine: str | None, root: Root
) -> Mapping[str, dt.datetime | None]:
    folder = local_folder(env, engine, root)
    if folder is not None and not folder.is_dir():  # nothing has run, and a command that reads makes nothing
        return {}
    with opened(env, engine, root) as lakehouse:
        from pipelines.dataframes.newest_row import newest_row

        return {one.table.address: newest_row(lakehouse.tables, one.table) for one in shared}


def _instant(newest: dt.datetime | None) -> str | None:
    return f"{newest:%Y-%m-%d %H:%M}" if newest else None
