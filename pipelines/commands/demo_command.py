"""Live through 2013: dev trains on a sample, staging tests every job, prod runs from January to December.

Everything it writes lies in one folder, which it makes anew each time, and ends in a page: report.html.
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
    from pipelines.demonstration import Step
    from pipelines.runner import JobRun, TaskRun
    from pipelines.workspace.workspace import Workspace

HELP = "live through 2013 in three environments and write a report"
MARK = ".made-by-the-demonstration"
USE_CASE = "flight_delay"


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
    page = _write_report(root, estate)
    console.line(f"done in {time.perf_counter() - begun:.0f} s; open {page}", style="bold")
    return 0


def _write_report(root: Path, estate: "EstateSummary | None") -> Path:
    from pipelines.declarations.registry import use_case
    from pipelines.report import write_report

    return write_report(root, use_case(USE_CASE), estate=estate)


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
        self._use_case = use_case(USE_CASE)

    def run(self) -> None:
        from pipelines import demonstration as year
        from pipelines.month_row import MonthRow

        self._environment("dev", "the training job on a sample", year.dev_steps())
        self._environment("staging", "every job on a small slice", year.staging_steps())
        with self._open("prod") as workspace:
            self._console.line("prod: back-fill from January to March, then month by month", style="bold")
            self._steps(workspace, year.backfill_steps())
            year.keep_first_champion(workspace, self._use_case)
            self._console.line(MonthRow.head(), style="bold")
            for month in year.months_to_live():
                begun = time.perf_counter()
                runs = self._steps(workspace, year.month_steps(month), quiet=True)
                row = MonthRow.of(workspace, self._use_case, month, runs, time.perf_counter() - begun)
                self._console.line(row.text())

    def _environment(self, name: str, what: str, steps: "tuple[Step, ...]") -> None:
        self._console.line(f"{name}: {what}", style="bold")
        with self._open(name) as workspace:
            self._steps(workspace, steps)

    def _open(self, name: str) -> AbstractContextManager["Workspace"]:
        from pipelines.workspace.workspace import open_workspace

        return open_workspace(name, engine="embedded", root=self._root)

    def _steps(self, workspace: "Workspace", steps: "tuple[Step, ...]", *, quiet: bool = False) -> "list[JobRun]":
        from pipelines.demonstration import carry_out

        runs = []
        for step in steps:
            begun = time.perf_counter()
            with self._console.working(f"{step.environment}: {step.job} as of {step.now:%Y-%m-%d}"):
                runs.append(carry_out(workspace, self._use_case, step, say=self._say, finished=self._finished))
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
