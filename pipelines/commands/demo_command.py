"""Live through 2013: dev trains on a sample, staging tests every job, prod runs from January to December.

A second use case is trained in staging and delivered to prod. Everything it writes lies in one folder, which it makes
anew each time, and ends in a page for each: report.html and air_time.html.
"""

import argparse
import shutil
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from ml.verdict import Outcome
from pipelines.console import Console
from pipelines.declarations.mistakes import DeclarationError
from pipelines.estate_file import read_estate

if TYPE_CHECKING:
    from ml.report_records import EstateSummary
    from pipelines.declarations.use_case import UseCase
    from pipelines.demonstration import Step
    from pipelines.runner import JobRun, TaskRun
    from pipelines.workspace.workspace import Workspace

HELP = "live through 2013 in three environments and write a report"
MARK = ".made-by-the-demonstration"
TRAINED_EVERYWHERE, DELIVERED = "flight_delay", "air_time"
"""The use cases that are told: one whose model every environment trains, one whose model prod receives."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add where to write, and how much to print."""
    parser.add_argument(
        "--root",
        type=Path,
        default=Path("demo"),
        metavar="FOLDER",
        help="folder to write to, made anew (default: demo)",
    )
    parser.add_argument(
        "--estate",
        type=Path,
        metavar="FILE",
        help="what the environments consist of, written by python -m infra describe --json FILE; opens the report",
    )
    parser.add_argument("--verbose", action="store_true", help="print what every task says")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Run the demonstration; exit code 1 if any job of it failed."""
    begun = time.perf_counter()
    estate = read_estate(arguments.estate) if arguments.estate else None
    root = prepare(arguments.root)
    _Demonstration(root, console, verbose=arguments.verbose).run()
    pages = [_write_report(root, name, estate) for name in (TRAINED_EVERYWHERE, DELIVERED)]
    console.line(f"done in {time.perf_counter() - begun:.0f} s; open {' and '.join(map(str, pages))}", style="bold")
    return 0


def _write_report(root: Path, name: str, estate: "EstateSummary | None") -> Path:
    from pipelines.declarations.registry import use_case
    from pipelines.report import FILE, write_report

    file = FILE if name == TRAINED_EVERYWHERE else f"{name}.html"
    return write_report(root, use_case(name), estate=estate, out=root / file)


def prepare(root: Path) -> Path:
    """Return the demonstration's folder, empty; a folder that it did not make itself is not touched.

    Raises
    ------
    DeclarationError
        If the folder holds anything else.
    """
    if root.exists() and any(root.iterdir()) and not (root / MARK).exists():
        raise DeclarationError(f"{root} is not empty and not the demonstration's: name another folder with --root.")
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    (root / MARK).write_text("This folder is emptied each time the demonstration runs.\n")
    return root


class _Demonstration:
    """The steps in their order, and what is printed of them."""

    def __init__(self, root: Path, console: Console, *, verbose: bool) -> None:
        from pipelines.declarations.registry import use_case

        self._root, self._console, self._verbose = root, console, verbose
        self._own, self._delivered = use_case(TRAINED_EVERYWHERE), use_case(DELIVERED)

    def run(self) -> None:
        from pipelines import demonstration as year

        own, delivered = self._own, self._delivered
        self._environment("dev", own, "the training job on a sample", year.dev_steps())
        self._environment("staging", own, "every job on a small slice", year.staging_steps())
        self._environment("staging", delivered, "trained here for prod", year.trained_for_prod_steps())
        self._environment("prod", delivered, "delivered by staging, evaluated again", year.delivered_steps())
        self._environment("prod", own, "back-fill from January to March, then month by month", year.backfill_steps())
        self._months()
        self._environment("prod", delivered, "from April to December", year.rest_of_the_year_steps())

    def _months(self) -> None:
        """Live through the months of the use case that prod trains itself; its first champion scores on beside."""
        from pipelines import demonstration as year
        from pipelines.month_row import MonthRow

        with self._open("prod") as workspace:
            year.keep_first_champion(workspace, self._own)
            self._console.line(MonthRow.head(), style="bold")
            for month in year.months_to_live():
                begun = time.perf_counter()
                runs = self._steps(workspace, self._own, year.month_steps(month), quiet=True)
                row = MonthRow.of(workspace, self._own, month, runs, time.perf_counter() - begun)
                self._console.line(row.text())

    def _environment(self, name: str, use_case: "UseCase", what: str, steps: "tuple[Step, ...]") -> None:
        self._console.line(f"{name}: {use_case.name}, {what}", style="bold")
        with self._open(name) as workspace:
            self._steps(workspace, use_case, steps)

    def _open(self, name: str) -> AbstractContextManager["Workspace"]:
        from pipelines.workspace.workspace import open_workspace

        return open_workspace(name, engine="embedded", root=self._root)

    def _steps(
        self, workspace: "Workspace", use_case: "UseCase", steps: "tuple[Step, ...]", *, quiet: bool = False
    ) -> "list[JobRun]":
        from pipelines.demonstration import carry_out

        runs = []
        for step in steps:
            begun = time.perf_counter()
            with self._console.working(f"{step.environment}: {step.job} as of {step.now:%Y-%m-%d}"):
                runs.append(carry_out(workspace, use_case, step, say=self._say, finished=self._finished))
            if not quiet:
                last = list(runs[-1].last.values())
                rows = sum(run.rows or 0 for run in last)
                self._console.line(
                    f"  {step.job} as of {step.now:%Y-%m-%d}: {len(last)} tasks, {rows:,} rows, {time.perf_counter() - begun:.1f} s"
                )
        return runs

    def _say(self, text: str) -> None:
        """Print verdicts and quarantined rows always, the rest when asked to."""
        verdict = text.startswith(tuple(f"{outcome.value}" for outcome in Outcome))
        broken = "quarantined" in text and "quarantined 0;" not in text
        if self._verbose or verdict or broken:
            self._console.line(f"    {text}")

    def _finished(self, run: "TaskRun") -> None:
        if self._verbose:
            self._console.line(f"  {run.task}: {run.state}, {run.seconds:.1f} s")
