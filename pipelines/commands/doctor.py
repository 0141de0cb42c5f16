"""Find what killed processes and earlier releases left behind in an environment of this machine; with --repair, repair it.

Without --repair it only reads. It finds runs without an end, models and versions that are half made, candidates that stand
twice or that nothing will evaluate, repeated keys, batches that no feature table has taken in, and files that nothing
refers to. With --repair it holds the locks of all jobs, repairs what it found and examines the environment again; exit code
1 if something is left.

Examples
--------
  python -m pipelines doctor --env dev
  python -m pipelines doctor --env dev --repair
"""

from typing import TYPE_CHECKING, Annotated

import typer

from ml.spec.errors import NotPossibleError
from pipelines.command_line.console import Console
from pipelines.commands.options import EngineName, EnvironmentName, Root, local_folder, opened

if TYPE_CHECKING:
    from pipelines.doctor.residue import Residue


def run(
    repair: Annotated[bool, typer.Option("--repair", help="Repair what is found.")] = False,
    env: EnvironmentName = "dev",
    engine: EngineName = None,
    root: Root = None,
) -> int:
    """Print what was left behind, and what a repair does; exit code 1 if something is left."""
    console = Console()
    folder = local_folder(env, engine, root)
    if folder is None:
        raise NotPossibleError(
            "doctor examines environments on this machine: on Databricks the platform itself ends the runs of killed "
            "clusters. Name a local engine."
        )
    with opened(env, engine, root, must_exist=True) as lakehouse:
        from pipelines.doctor.examination import examine
        from pipelines.doctor.repair import repair as repair_all

        found = examine(lakehouse, folder)
        _show(f"{env}: what was left behind", found, console, none=f"{env}: nothing was left behind")
        if not repair or not found:
            return 1 if found else 0
        left = repair_all(lakehouse, folder, say=console.line)
        _show(f"{env}: what is left", left, console, none=f"{env}: nothing is left")
        return 1 if left else 0


def _show(title: str, found: "tuple[Residue, ...]", console: Console, *, none: str) -> None:
    rows = [(residue.kind.value, residue.where, residue.what, residue.remedy) for residue in found]
    console.table(title, ("kind", "where", "what", "repair"), rows, none=none)
