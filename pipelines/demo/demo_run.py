"""Runs the steps of the demonstration for one use case and prints them as lines, in this process or in another one."""

import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from ml.gate.verdict import Outcome
from pipelines.declarations.registry import use_case
from pipelines.declarations.use_case import UseCase
from pipelines.demo.steps import (
    Step,
    delivered_steps,
    dev_steps,
    remaining_year_steps,
    run_step,
    trained_for_prod_steps,
)
from pipelines.execution.jobs import Watcher
from pipelines.execution.runner import JobRun, TaskRun
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.report.records import EstateSummary
from pipelines.report.wording import counted
from pipelines.report.writing import write_report


@dataclass(frozen=True, kw_only=True)
class DemoRun:
    """Runs steps of one use case in the environments under one folder.

    Attributes
    ----------
    write
        Takes a line, and whether it is a heading.
    working
        Shows that a step is running for as long as it does.
    verbose
        Whether every line of every task is written, not only verdicts and quarantined rows.
    """

    root: Path
    use_case: UseCase
    write: Callable[[str, bool], None]
    working: Callable[[str], AbstractContextManager[object]]
    verbose: bool

    def open(self, environment: str) -> AbstractContextManager[Lakehouse]:
        """Open one of the environments."""
        return open_lakehouse(environment, engine="embedded", root=self.root)

    def environment(self, name: str, what: str, steps: Iterable[Step]) -> None:
        """Run steps of one environment under a heading."""
        self.write(f"{name}: {self.use_case.name}, {what}", True)
        with self.open(name) as lakehouse:
            self.steps(lakehouse, steps)

    def steps(self, lakehouse: Lakehouse, steps: Iterable[Step], *, quiet: bool = False) -> list[JobRun]:
        """Run steps in an open environment; `quiet` leaves out the line of each.

        Raises
        ------
        TaskError
            If one failed, with the first error.
        """
        runs = []
        watcher = Watcher(say=self._say, finished=self._finished)
        for step in steps:
            begun = time.perf_counter()
            with self.working(f"{step.environment}: {self.use_case.name}.{step.job} as of {step.now:%Y-%m-%d}"):
                runs.append(run_step(lakehouse, self.use_case, step, watcher))
            if not quiet:
                last = list(runs[-1].last.values())
                rows = sum(run.rows or 0 for run in last)
                took = f"{counted(len(last), 'task')}, {counted(rows, 'row')}, {time.perf_counter() - begun:.1f} s"
                self.write(f"  {step.job} as of {step.now:%Y-%m-%d}: {took}", False)
        return runs

    def _say(self, text: str) -> None:
        verdict = text.startswith(tuple(f"{outcome.value}" for outcome in Outcome))
        broken = "quarantined" in text and "quarantined 0;" not in text
        if self.verbose or verdict or broken:
            self.write(f"    {text}", False)

    def _finished(self, run: TaskRun) -> None:
        if self.verbose:
            self.write(f"  {run.task}: {run.state}, {run.seconds:.1f} s", False)


Lines = list[tuple[str, bool]]
"""Lines, and whether each is a heading."""


def run_dev(root: Path, name: str, *, verbose: bool) -> Lines:
    """Run the steps of dev and return their lines. Environments share no table, so it can run at the same time as staging."""
    lines: Lines = []
    _collecting(root, name, lines, verbose=verbose).environment("dev", "the training job on a sample", dev_steps())
    return lines


def run_delivered(root: Path, name: str, page: Path, estate: EstateSummary | None, *, verbose: bool) -> Lines:
    """Train a use case in staging, deliver it to prod, run the rest of the year there, write its page, return the lines.

    Use cases share nothing but the registry's file, so it can run in a process of its own.
    """
    lines: Lines = []
    run = _collecting(root, name, lines, verbose=verbose)
    run.environment("staging", "trained here for prod", trained_for_prod_steps())
    run.environment("prod", "delivered by staging, evaluated again", delivered_steps())
    run.environment("prod", "from April to December", remaining_year_steps())
    write_report(root, run.use_case, estate=estate, out=page)
    return lines


def _collecting(root: Path, name: str, lines: Lines, *, verbose: bool) -> DemoRun:
    return DemoRun(
        root=root, use_case=use_case(name), write=lambda line, heading: lines.append((line, heading)), working=nullcontext,
        verbose=verbose,
    )  # fmt: skip
