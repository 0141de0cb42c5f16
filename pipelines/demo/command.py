"""Live through 2013: dev trains on a sample, staging tests every job, prod runs from January to December.

A second use case is trained in staging and delivered to prod. Everything it writes lies in one folder, which it makes
anew each time, and ends in a page for each: report.html and air_time.html.
"""

import shutil
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ml.spec.errors import RequestError
from pipelines.command_line.console import Console
from pipelines.report.estate_file import read_estate

if TYPE_CHECKING:
    from pipelines.demo.demo_run import Told
    from pipelines.report.records import EstateSummary

MARK = ".made-by-the-demonstration"
TRAINED_EVERYWHERE, DELIVERED = "flight_delay", "air_time"
"""The use cases that are told: one whose model every environment trains, one whose model prod receives."""


def run(
    root: Annotated[
        Path, typer.Option("--root", metavar="FOLDER", help="Folder to write to; it is emptied first.")
    ] = Path("demo"),
    estate: Annotated[
        Path | None,
        typer.Option(
            "--estate",
            metavar="FILE",
            help="What `python -m infra describe --json FILE` wrote; the report opens with it.",
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Print every message of every task.")] = False,
) -> int:
    """Run the demonstration; exit code 1 if any job of it failed."""
    console = Console()
    begun = time.perf_counter()
    summary = read_estate(estate) if estate else None
    folder = prepare(root)
    page, other = folder / "report.html", folder / f"{DELIVERED}.html"
    _live(folder, console, (page, other), summary, verbose=verbose)
    console.line(f"done in {time.perf_counter() - begun:.0f} s; open {page} and {other}", style="bold")
    return 0


def prepare(root: Path) -> Path:
    """Return the demonstration's folder, empty; a folder that it did not make itself is not touched.

    Raises
    ------
    RequestError
        If the folder holds anything else.
    """
    if root.exists() and any(root.iterdir()) and not (root / MARK).exists():
        raise RequestError(f"{root} is not empty and not the demonstration's: name another folder with --root.")
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    (root / MARK).write_text("This folder is emptied each time the demonstration runs.\n")
    return root


def _live(
    root: Path, console: Console, pages: tuple[Path, Path], estate: "EstateSummary | None", *, verbose: bool
) -> None:
    """Live through the year with both use cases and write their pages.

    What shares no table runs side by side, as two teams' jobs and two environments would: the second use case beside the
    first, dev beside staging. It is told in the order in which code and models move.
    """
    from pipelines.declarations.registry import use_case
    from pipelines.demo.demo_run import Told, live_delivered, live_in_dev
    from pipelines.report.writing import write_report

    def tell(told: Told) -> None:
        for line, head in told:
            console.line(line, style="bold" if head else None)

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as beside:
        dev = beside.submit(live_in_dev, root, TRAINED_EVERYWHERE, verbose=verbose)
        delivered = beside.submit(live_delivered, root, DELIVERED, pages[1], estate, verbose=verbose)
        staging = _live_in_staging(root, console, verbose=verbose)
        tell(dev.result())
        tell(staging)
        _live_in_prod(root, console, tell, verbose=verbose)
        write_report(root, use_case(TRAINED_EVERYWHERE), estate=estate, out=pages[0])
        tell(delivered.result())


def _live_in_staging(root: Path, console: Console, *, verbose: bool) -> "Told":
    from pipelines.declarations.registry import use_case
    from pipelines.demo.demo_run import Told, ToldSteps
    from pipelines.demo.steps import staging_steps

    told: Told = []
    living = ToldSteps(
        root=root, use_case=use_case(TRAINED_EVERYWHERE), tell=lambda line, head: told.append((line, head)),
        working=console.working, verbose=verbose,
    )  # fmt: skip
    living.environment("staging", "every job on a small slice", staging_steps())
    return told


def _live_in_prod(root: Path, console: Console, tell: "Callable[[Told], None]", *, verbose: bool) -> None:
    """Live through the months of the use case that prod trains itself; its first champion scores on beside."""
    from pipelines.declarations.registry import use_case
    from pipelines.demo import steps as year
    from pipelines.demo.demo_run import ToldSteps
    from pipelines.demo.month_row import MonthRow

    living = ToldSteps(
        root=root, use_case=use_case(TRAINED_EVERYWHERE), tell=lambda line, head: tell([(line, head)]),
        working=console.working, verbose=verbose,
    )  # fmt: skip
    living.environment("prod", "back-fill from January to March, then month by month", year.backfill_steps())
    with living.open("prod") as lakehouse:
        year.keep_first_champion(lakehouse, living.use_case)
        tell([(MonthRow.head(living.use_case), True)])
        for month in year.months_to_live():
            begun = time.perf_counter()
            runs = living.steps(lakehouse, year.month_steps(month), quiet=True)
            row = MonthRow.of(lakehouse, living.use_case, month, runs, time.perf_counter() - begun)
            tell([(row.text(), False)])
