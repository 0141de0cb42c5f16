"""Serve one page for all environments, with a report of each use case and MLflow's own pages, on this machine.

The page is written to house.html in the lakehouse's folder and opens from disk as well. MLflow shows the runs of each
environment and the models that all share. Only whoever has the printed address gets in.

Examples
--------
  python -m pipelines ui --root demo
  python -m pipelines ui --root demo --write-only
"""

import datetime as dt
import json
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ml.spec.errors import RequestError
from pipelines.command_line import interrupts
from pipelines.command_line.console import Console
from pipelines.commands.options import ROOT, Root
from pipelines.declarations.environment import ENVIRONMENTS, environment
from pipelines.declarations.registry import use_cases
from pipelines.report.estate_file import read_estate

if TYPE_CHECKING:
    from pipelines.ui.front import Front

ESTATE, COST = Path("build", "estate.json"), Path("build", "cost.json")


def run(
    root: Root = None,
    port: Annotated[int, typer.Option("--port", metavar="N", help="Port on 127.0.0.1. Default: a free one.")] = 0,
    estate: Annotated[
        Path | None,
        typer.Option(
            "--estate",
            metavar="FILE",
            help=f"What `python -m infra describe --json FILE` wrote. Default: {ESTATE}, if it is there.",
        ),
    ] = None,
    cost: Annotated[
        Path | None,
        typer.Option(
            "--cost",
            metavar="FILE",
            help=f"What `python -m infra cost --json FILE` wrote. Default: {COST}, if it is there.",
        ),
    ] = None,
    write_only: Annotated[
        bool, typer.Option("--write-only", help="Write the page and its reports, serve nothing.")
    ] = False,
    without_reports: Annotated[
        bool, typer.Option("--without-reports", help="Write the page alone, which takes seconds.")
    ] = False,
) -> int:
    """Write the page, and serve it until Ctrl-C."""
    console, folder = Console(), (root or ROOT)
    here = [name for name in ENVIRONMENTS if (folder / environment(name).catalog).is_dir()]
    if not here:
        raise RequestError(
            f"nothing has run under {folder}: run a job there first, or name another folder with --root."
        )
    estate, cost = _made(estate, ESTATE), _made(cost, COST)
    summary = read_estate(estate) if estate else None
    rows: list[Mapping[str, Any]] = json.loads(cost.read_text(encoding="utf-8")) if cost else []
    with ExitStack() as stack:
        if not write_only:
            from pipelines.ui.front import Front

            front = stack.enter_context(
                Front(folder, {}, port=port)
            )  # a port that is taken is told before anything is read
        from pipelines.report.house.page import write_house

        with console.working(f"reading {', '.join(here)}"):
            file = write_house(
                folder, use_cases(), now=dt.datetime.now(dt.UTC), estate=summary, cost=rows,
                with_reports=not without_reports,
            )  # fmt: skip
        console.line(f"wrote {file}; it opens from disk as well.")
        if not write_only:
            try:
                _serve(folder, here, front, console, stack)
            except KeyboardInterrupt:
                with interrupts.uninterrupted("the servers of MLflow", gives_way=True):
                    stack.close()
                console.line("ended.")
                interrupts.end_process(interrupts.exit_code())
    return 0


def _made(given: Path | None, default: Path) -> Path | None:
    """Return the file that was given, or else the one that `make demo` has made."""
    return given or (default if default.is_file() else None)


def _serve(root: Path, environments: list[str], front: "Front", console: Console, stack: ExitStack) -> None:
    from pipelines.lakehouse.engines.choice import local_stores
    from pipelines.ui import mlflow_process

    sockets = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mlops-ui-")))
    servers = [mlflow_process.start(name, local_stores(name, root), sockets) for name in environments]
    for server in servers:
        stack.callback(server.stop)
    with console.working("starting MLflow"):
        for server in servers:
            server.wait()
    front.behind.update({server.prefix: server.socket for server in servers})
    console.line(f"open {front.address}")
    console.line("Ctrl-C ends it.")
    sys.stdout.flush()  # whoever reads a pipe waits for the address
    front.serve_forever()
