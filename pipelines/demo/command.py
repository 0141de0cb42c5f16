"""Run the year 2013: dev trains on a sample, staging runs every job, prod runs from January to December.

After December prod's endpoint answers requests while a challenger takes over step by step, and a bad one is returned. A
second use case is trained in staging and delivered to prod. Everything is written to one folder, which is emptied each
time, and ends in a page for each use case: report.html and air_time.html.

Example
-------
  python -m pipelines demo
"""

import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ml.spec.errors import RequestError
from pipelines.command_line.console import Console
from pipelines.command_line.interrupts import end_with_parent
from pipelines.report.estate_file import read_estate

if TYPE_CHECKING:
    from pipelines.demo.demo_run import Lines
    from pipelines.report.records import EstateSummary

MARK = ".made-by-the-demonstration"
TRAINED_EVERYWHERE, DELIVERED = "flight_delay", "air_time"
"""The use cases of the demonstration: one whose model every environment trains, one whose model prod receives."""


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
    """Run the demonstration; exit code 1 if any job of it failed, or a request to the endpoint."""
    console = _Kept()
    begun = time.perf_counter()
    summary = read_estate(estate) if estate else None
    folder = prepare(root)
    page, other = folder / "report.html", folder / f"{DELIVERED}.html"
    unanswered = _run_year(folder, console, (page, other), summary, verbose=verbose)
    console.line(f"done in {time.perf_counter() - begun:.0f} s; open {page} and {other}", style="bold")
    _keep(folder, console.lines)
    return 1 if unanswered else 0


def _keep(folder: Path, lines: Sequence[str]) -> None:
    """Keep what was printed, and the picture of it."""
    from pipelines.demo.year_picture import year_picture

    (folder / "output.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    (folder / "year.svg").write_text(year_picture(lines), encoding="utf-8")


class _Kept(Console):
    """A console that keeps the lines it has written."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, text: str, style: str | None = None) -> None:
        """Write a line and keep it."""
        self.lines.append(text)
        super().line(text, style)


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


def _run_year(
    root: Path, console: Console, pages: tuple[Path, Path], estate: "EstateSummary | None", *, verbose: bool
) -> int:
    """Run the year with both use cases, serve, and write their pages; return how many requests were not answered.

    What shares no table runs at the same time, as the jobs of two teams and two environments do: the second use case and
    dev in another process. The lines are printed in the order in which code and models move.
    """
    from pipelines.declarations.registry import use_case
    from pipelines.demo.demo_run import Lines, run_delivered, run_dev
    from pipelines.report.writing import write_report

    def write(lines: Lines) -> None:
        for line, heading in lines:
            console.line(line, style="bold" if heading else None)

    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=end_with_parent) as process:
        dev = process.submit(run_dev, root, TRAINED_EVERYWHERE, verbose=verbose)
        delivered = process.submit(run_delivered, root, DELIVERED, pages[1], estate, verbose=verbose)
        staging = _run_staging(root, console, verbose=verbose)
        write(dev.result())
        write(staging)
        _run_prod(root, console, write, verbose=verbose)
        unanswered = _run_served(root, console, write, verbose=verbose)
        write_report(root, use_case(TRAINED_EVERYWHERE), estate=estate, out=pages[0])
        write(delivered.result())
    return unanswered


def _run_staging(root: Path, console: Console, *, verbose: bool) -> "Lines":
    from pipelines.declarations.registry import use_case
    from pipelines.demo.demo_run import DemoRun, Lines
    from pipelines.demo.steps import staging_steps

    lines: Lines = []
    run = DemoRun(
        root=root, use_case=use_case(TRAINED_EVERYWHERE), write=lambda line, heading: lines.append((line, heading)),
        working=console.working, verbose=verbose,
    )  # fmt: skip
    run.environment("staging", "every job on a small sample", staging_steps())
    return lines


def _run_prod(root: Path, console: Console, write: "Callable[[Lines], None]", *, verbose: bool) -> None:
    """Run the months of the use case that prod trains itself; its first champion goes on scoring as the baseline."""
    from pipelines.declarations.registry import use_case
    from pipelines.demo import steps as year
    from pipelines.demo.demo_run import DemoRun
    from pipelines.demo.month_row import MonthRow

    run = DemoRun(
        root=root, use_case=use_case(TRAINED_EVERYWHERE), write=lambda line, heading: write([(line, heading)]),
        working=console.working, verbose=verbose,
    )  # fmt: skip
    run.environment("prod", "back-fill from January to March, then month by month", year.backfill_steps())
    with run.open("prod") as lakehouse:
        year.name_first_champion(lakehouse, run.use_case)
        write([(MonthRow.head(run.use_case), True)])
        for month in year.production_months():
            begun = time.perf_counter()
            runs = run.steps(lakehouse, year.month_steps(month), quiet=True)
            row = MonthRow.of(lakehouse, run.use_case, month, runs, time.perf_counter() - begun)
            write([(row.text(), False)])


def _run_served(root: Path, console: Console, write: "Callable[[Lines], None]", *, verbose: bool) -> int:
    """Let prod's endpoint answer requests after the year; return how many were not answered."""
    from pipelines.declarations.registry import use_case
    from pipelines.demo.demo_run import DemoRun
    from pipelines.demo.served import run_served, served

    run = DemoRun(
        root=root, use_case=served(use_case(TRAINED_EVERYWHERE)), write=lambda line, heading: write([(line, heading)]),
        working=console.working, verbose=verbose,
    )  # fmt: skip
    return run_served(run)
