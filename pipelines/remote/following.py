"""Polls a run until it has ended; prints each change, and each failure with its error.

Jobs that a run starts are followed with it. Starting and cancelling are in `runs`.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipelines.command_line.interrupts import stop_if_interrupted
from pipelines.remote.connection import Remote
from pipelines.remote.errors import RemoteError
from pipelines.remote.progress import Phase, TaskProgress, changed, message_of, phase_of, tasks_of

if TYPE_CHECKING:
    from databricks.sdk.service import jobs as sdk

TRACE_LINES = 30
"""How much of a stack trace is shown: its end, where the error is."""
COLOURS = re.compile(r"\x1b\[[0-9;]*m")

Show = Callable[[TaskProgress], None]


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How often a run is looked at: soon at first, then ever less often.

    Attributes
    ----------
    first_seconds, longest_seconds
        The first and the longest pause.
    growth
        What each pause is multiplied by to give the next.
    """

    first_seconds: float = 2.0
    growth: float = 1.5
    longest_seconds: float = 20.0

    def pauses(self) -> Iterator[float]:
        """Return the pauses in their order, without end."""
        pause = self.first_seconds
        while True:
            yield pause
            pause = min(pause * self.growth, self.longest_seconds)


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """A run that has ended.

    Attributes
    ----------
    message
        What the platform says about how it ended.
    tasks
        The newest attempt of each task.
    started
        The runs of jobs that it started.
    """

    run_id: int
    job: str
    link: str
    phase: Phase
    message: str
    tasks: tuple[TaskProgress, ...]
    started: tuple["RunResult", ...] = ()

    @property
    def succeeded(self) -> bool:
        """Whether the run did what it was asked to; one that was skipped or cancelled did not.

        A training of which one candidate failed did, if another one was evaluated.
        """
        return self.phase in (Phase.SUCCEEDED, Phase.WITH_FAILURES)

    @property
    def exit_code(self) -> int:
        """0 for a run that succeeded, else 1."""
        return 0 if self.succeeded else 1

    @property
    def sentence(self) -> str:
        """How it ended, in one sentence with the link."""
        why = f" ({self.message})" if self.message and not self.succeeded else ""
        who = ", by somebody or something else" if self.phase is Phase.CANCELLED else ""
        failed = [task.task for task in self.tasks if task.phase in (Phase.FAILED, Phase.TIMED_OUT)]
        where = f" in {', '.join(failed)}" if failed else ""
        return f"run {self.run_id} of {self.job}: {self.phase.value}{who}{where}{why}: {self.link}"

    @property
    def run_ids(self) -> frozenset[int]:
        """The ids of this run, of its tasks' attempts, and of everything that it started."""
        own = {self.run_id, *(task.run_id for task in self.tasks)}
        return frozenset(own.union(*(run.run_ids for run in self.started)))


def follow(remote: Remote, run_id: int, *, show: Show, pace: Pace, within_seconds: float | None = None) -> RunResult:
    """Look at a run until it has ended.

    Parameters
    ----------
    show
        Takes every task that begins, ends or is tried again.
    within_seconds
        How long to look at most; by default until it has ended.

    Raises
    ------
    RemoteError
        If the workspace can no longer be asked, or the time is up; the run goes on.
    """
    watched, pauses, begun = _Watched(remote, run_id, show), pace.pauses(), remote.clock.time()
    while not watched.look():
        if within_seconds is not None and remote.clock.time() - begun > within_seconds:
            raise RemoteError(f"run {run_id} had not ended after {within_seconds:.0f} s.")
        stop_if_interrupted()  # a library may have kept Ctrl-C for itself, and the pause is longer than the time to end
        remote.clock.pause(next(pauses))
    return watched.result()


class _Watched:
    """One run, what was last seen of it, and the runs that its tasks started."""

    def __init__(self, remote: Remote, run_id: int, show: Show) -> None:
        self._remote, self._run_id, self._show = remote, run_id, show
        self._tasks: dict[str, TaskProgress] = {}
        self._started: dict[int, _Watched] = {}
        self._run: sdk.Run | None = None
        self._queued = False

    def look(self) -> bool:
        """Ask once and show what is new; True when the run has ended."""
        run = self._run = self._remote.ask(
            f"look at run {self._run_id}", lambda: self._remote.client.jobs.get_run(self._run_id, include_history=True)
        )
        job = run.run_name or str(run.job_id)
        tasks = tasks_of(run, job=job, now=self._remote.clock.time())
        phase = phase_of(run.status, run.state)
        if phase is Phase.QUEUED and not self._queued:
            self._queued = True
            self._remote.say(f"run {self._run_id} of {job} is queued: {message_of(run.status, run.state)}")
        news = changed(self._tasks, tasks)
        for task in tasks:
            self._follow_into(task)
        for task in news:
            self._show(self._explained(task))
        self._tasks = {task.task: task for task in tasks}
        return phase.ended

    def result(self) -> RunResult:
        """Return how it ended; to be asked after a look."""
        if self._run is None:
            raise RuntimeError("a run that was not looked at has no result")
        run = self._run
        return RunResult(
            run_id=self._run_id,
            job=run.run_name or str(run.job_id),
            link=run.run_page_url or "",
            phase=phase_of(run.status, run.state),
            message=message_of(run.status, run.state),
            tasks=tuple(self._tasks.values()),
            started=tuple(watched.result() for watched in self._started.values()),
        )

    def _follow_into(self, task: TaskProgress) -> None:
        """Look at the run that a task has started, as long as there is something new in it."""
        if not task.starts_job or task.phase in (Phase.WAITING, Phase.QUEUED, Phase.NOT_NEEDED):
            return
        watched = self._started.get(task.run_id)
        if watched is None:
            output = self._output(task)
            nested = output.run_job_output.run_id if output and output.run_job_output else None
            if nested is None:
                return
            watched = self._started[task.run_id] = _Watched(self._remote, nested, self._show)
        if not watched.has_ended:
            watched.look()

    @property
    def has_ended(self) -> bool:
        """Whether the last look saw its end."""
        return self._run is not None and phase_of(self._run.status, self._run.state).ended

    def _explained(self, task: TaskProgress) -> TaskProgress:
        """Return a failed task with its error and the end of its trace."""
        if task.phase is not Phase.FAILED:
            return task
        output = self._output(task)
        if output is None:
            return replace(task, error=task.message)
        lines = COLOURS.sub("", output.error_trace or "").strip().splitlines()
        left_out = f"(the first {len(lines) - TRACE_LINES} lines are on the task's page)"
        shown = lines if len(lines) <= TRACE_LINES else [left_out, *lines[-TRACE_LINES:]]
        return replace(task, error=" ".join((output.error or task.message).split()), trace="\n".join(shown))

    def _output(self, task: TaskProgress) -> "sdk.RunOutput | None":
        return self._remote.find(
            f"read the output of task {task.task}", lambda: self._remote.client.jobs.get_run_output(task.run_id)
        )
