"""Carries out the steps of the demonstration for one use case and tells them in lines, here or in a process beside."""

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
    carry_out,
    delivered_steps,
    dev_steps,
    rest_of_the_year_steps,
    trained_for_prod_steps,
)
from pipelines.execution.runner import JobRun, TaskRun
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.report.records import EstateSummary
from pipelines.report.writing import write_report


@dataclass(frozen=True, kw_only=True)
class ToldSteps:
    """The steps of one use case, in the environments under one folder.

    Attributes
    ----------
    tell
        Takes a line, and whether it is a head.
    working
        Shows that a step is going on for as long as it is.
    verbose
        Whether what every task says is told, not only verdicts and quarantined rows.
    """

    root: Path
    use_case: UseCase
    tell: Callable[[str, bool], None]
    working: Callable[[str], AbstractContextManager[object]]
    verbose: bool

    def open(self, environment: str) -> AbstractContextManager[Lakehouse]:
        """Open one of the environments."""
        return open_lakehouse(environment, engine="embedded", root=self.root)

    def environment(self, name: str, what: str, steps: Iterable[Step]) -> None:
        """Carry out steps of one environment under a head of their own."""
        self.tell(f"{name}: {self.use_case.name}, {what}", True)
        with self.open(name) as lakehouse:
            self.steps(lakehouse, steps)

    def steps(self, lakehouse: Lakehouse, steps: Iterable[Step], *, quiet: bool = False) -> list[JobRun]:
        """Carry out steps in an open environment; `quiet` leaves out the line of each.

        Raises
        ------
        TaskError
            If one failed, with the first error.
        """
        runs = []
        for step in steps:
            begun = time.perf_counter()
            with self.working(f"{step.environment}: {self.use_case.name}.{step.job} as of {step.now:%Y-%m-%d}"):
                runs.append(carry_out(lakehouse, self.use_case, step, say=self._say, finished=self._finished))
            if not quiet:
                last = list(runs[-1].last.values())
                rows = sum(run.rows or 0 for run in last)
                took = f"{len(last)} tasks, {rows:,} rows, {time.perf_counter() - begun:.1f} s"
                self.tell(f"  {step.job} as of {step.now:%Y-%m-%d}: {took}", False)
        return runs

    def _say(self, text: str) -> None:
        verdict = text.startswith(tuple(f"{outcome.value}" for outcome in Outcome))
        broken = "quarantined" in text and "quarantined 0;" not in text
        if self.verbose or verdict or broken:
            self.tell(f"    {text}", False)

    def _finished(self, run: TaskRun) -> None:
        if self.verbose:
            self.tell(f"  {run.task}: {run.state}, {run.seconds:.1f} s", False)


Told = list[tuple[str, bool]]
"""Lines, and whether each is a head."""


def live_in_dev(root: Path, name: str, *, verbose: bool) -> Told:
    """Run what dev does; return what is to be told. Environments share no table, so it can run beside staging."""
    told: Told = []
    _collecting(root, name, told, verbose=verbose).environment("dev", "the training job on a sample", dev_steps())
    return told


def live_delivered(root: Path, name: str, page: Path, estate: EstateSummary | None, *, verbose: bool) -> Told:
    """Train a use case in staging, deliver it to prod, live through the year there and write its page.

    It shares nothing with other use cases but the registry's file, so that it can run in a process beside theirs.
    """
    told: Told = []
    living = _collecting(root, name, told, verbose=verbose)
    living.environment("staging", "trained here for prod", trained_for_prod_steps())
    living.environment("prod", "delivered by staging, evaluated again", delivered_steps())
    living.environment("prod", "from April to December", rest_of_the_year_steps())
    write_report(root, living.use_case, estate=estate, out=page)
    return told


def _collecting(root: Path, name: str, told: Told, *, verbose: bool) -> ToldSteps:
    return ToldSteps(
        root=root, use_case=use_case(name), tell=lambda line, head: told.append((line, head)), working=nullcontext,
        verbose=verbose,
    )  # fmt: skip
