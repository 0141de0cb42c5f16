"""Runs a declared job on this machine: order, retries, conditions, other jobs, and a record of all of it.

A failed task stops the tasks after it and only those. What to run is decided by plain functions over the states so
far; calling the task and keeping its record stand around them.
"""

import datetime as dt
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from enum import StrEnum

from ml.spec.entries import load
from ml.spec.errors import retry_helps, sentence_of
from pipelines.declarations.job import AnyTask, ConditionTask, Job, Operator, RunJobTask, Task, TaskValue
from pipelines.declarations.mistakes import unknown
from pipelines.execution.context import Context, TaskError, TaskResult
from pipelines.execution.parameters import convert, resolve


class State(StrEnum):
    """How a task of a run ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UPSTREAM_FAILED = "upstream failed"
    NOT_NEEDED = "not needed"
    EXCLUDED = "excluded"


@dataclass(frozen=True, kw_only=True)
class TaskRun:
    """The record of one attempt at a task; a task that did not run has one record with attempt 0."""

    run_id: str
    job: str
    task: str
    attempt: int
    state: State
    started_at: dt.datetime
    seconds: float
    rows: int | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class JobRun:
    """The record of one run of a job, the runs of jobs it started included."""

    run_id: str
    job: str
    parameters: Mapping[str, str]
    attempts: tuple[TaskRun, ...]
    started: tuple["JobRun", ...] = ()

    @property
    def last(self) -> dict[str, TaskRun]:
        """The last record of each task, by key."""
        return {attempt.task: attempt for attempt in self.attempts}

    @property
    def succeeded(self) -> bool:
        """Whether no task failed, here or in a job started from here."""
        failed = {State.FAILED, State.UPSTREAM_FAILED}
        return not any(run.state in failed for run in self.last.values()) and all(run.succeeded for run in self.started)


Recall = Callable[[str, str], Mapping[str, str]]
"""Returns the values that a task of a job (address, key) gave when it last succeeded."""

Holding = Callable[[Job], AbstractContextManager[object]]
"""Keeps others from running a job, as long as the block lasts."""


def run_job(
    job: Job,
    context: Context,
    given: Mapping[str, str],
    *,
    only: Collection[str] = (),
    skip: Collection[str] = (),
    recall: Recall = lambda _job, _task: {},
    finished: Callable[[TaskRun], None] = lambda _run: None,
    holding: Holding = lambda _job: nullcontext(),
) -> JobRun:
    """Run the tasks of a job in their order.

    Parameters
    ----------
    given
        Parameters as text; what is not given has its default.
    only, skip
        Keys of the only tasks to run, and of tasks to leave out; tasks left out count as done before.
    recall
        Where the values of a task left out are found.
    finished
        Called with every record as soon as there is one.
    holding
        What a job that another one starts is run in.

    Raises
    ------
    DeclarationError
        If a parameter or a task's key is not one of the job's; then nothing has run.
    """
    for key in (*only, *skip):
        job.task(key)
    run = _Run(job, context, resolve(job, given), recall, finished, holding)
    for task in job.tasks:
        excluded = (bool(only) and task.key not in only) or task.key in skip
        run.take(task, excluded=excluded, asked=task.key in only)
    return JobRun(
        run_id=context.run_id, job=job.address, parameters=run.parameters, attempts=tuple(run.attempts),
        started=tuple(run.started),
    )  # fmt: skip


def run_task(task: Task, context: Context, parameters: Mapping[str, str]) -> TaskResult:
    """Call one task's function with its parameters, converted, within its timeout.

    Raises
    ------
    TimeoutError
        If the task takes longer than declared.
    Exception
        Whatever the task raises.
    """
    call = load(task.entry)
    keywords = {parameter.name: convert(parameter, parameters[parameter.name]) for parameter in task.parameters}
    with _time_limit(task.timeout_minutes * 60, f"task {task.key!r} took longer than {task.timeout_minutes} minutes"):
        result: TaskResult = call(context, **task.arguments, **keywords)
    return result


def readiness(
    task: AnyTask, states: Mapping[str, State], outcomes: Mapping[str, bool], *, asked: bool = False
) -> State | None:
    """Say whether a task can start: None if it can, else the state in which it ends without having run.

    Parameters
    ----------
    states
        State of every earlier task.
    outcomes
        What the conditions that were met have answered.
    asked
        Whether the task was named to be run: then a condition that was left out does not hold it back.
    """
    before = [states[after.task.key] for after in task.dependencies]
    if any(state in (State.FAILED, State.UPSTREAM_FAILED) for state in before):
        return State.UPSTREAM_FAILED
    if State.NOT_NEEDED in before:
        return State.NOT_NEEDED
    for after in task.dependencies:
        outcome = outcomes.get(after.task.key)
        if after.outcome is not None and (not asked if outcome is None else outcome != after.outcome):
            return State.NOT_NEEDED
    return None


class _Run:
    """The states, values and records of a run so far."""

    def __init__(
        self,
        job: Job,
        context: Context,
        parameters: dict[str, str],
        recall: Recall,
        finished: Callable[[TaskRun], None],
        holding: Holding,
    ) -> None:
        self.job, self.context, self.parameters = job, context, parameters
        self.attempts: list[TaskRun] = []
        self.started: list[JobRun] = []
        self._recall, self._finished, self._holding = recall, finished, holding
        self._states: dict[str, State] = {}
        self._outcomes: dict[str, bool] = {}
        self._values: dict[str, Mapping[str, str]] = {}

    def take(self, task: AnyTask, *, excluded: bool, asked: bool) -> None:
        """Run a task if it can and shall run, and record how it ended."""
        ended = State.EXCLUDED if excluded else readiness(task, self._states, self._outcomes, asked=asked)
        if ended is not None:
            self._record(task, ended, attempt=0, begun=time.monotonic())
            return
        attempts = task.retries + 1 if isinstance(task, Task) else 1
        for attempt in range(1, attempts + 1):
            if self._attempt(task, attempt, last=attempt == attempts):
                return

    def _attempt(self, task: AnyTask, attempt: int, *, last: bool) -> bool:
        """Try a task once; True when it needs no other try."""
        begun = time.monotonic()
        try:
            result = self._call(task)
        except Exception as error:  # noqa: BLE001 - whatever a task raises is its failure, recorded and shown
            final = last or not retry_helps(error)
            self._record(task, State.FAILED, attempt=attempt, begun=begun, error=error)
            return final
        self._values[task.key] = result.values
        self._record(task, State.SUCCEEDED, attempt=attempt, begun=begun, result=result)
        return True

    def _call(self, task: AnyTask) -> TaskResult:
        if isinstance(task, ConditionTask):
            return self._decide(task)
        if isinstance(task, RunJobTask):
            return self._start(task)
        return run_task(task, self.context, self.parameters)

    def _decide(self, task: ConditionTask) -> TaskResult:
        equal = self._value(task.value) == task.right
        outcome = equal if task.operator is Operator.EQUAL_TO else not equal
        self._outcomes[task.key] = outcome
        return TaskResult(values={"outcome": str(outcome).lower()})

    def _start(self, task: RunJobTask) -> TaskResult:
        given = {
            name: self._value(value) if isinstance(value, TaskValue) else self.parameters[value.name]
            for name, value in task.parameters.items()
        }
        with self._holding(task.job):
            run = run_job(
                task.job, self.context, given, recall=self._recall, finished=self._finished, holding=self._holding
            )
        self.started.append(run)
        if not run.succeeded:
            raise TaskError(f"the job {run.job} that it started has failed")
        return TaskResult()

    def _value(self, value: TaskValue) -> str:
        key = value.task.key
        values = self._values.get(key) or self._recall(self.job.address, key)
        if value.name not in values:
            raise TaskError(unknown(f"value of task {key!r}", value.name, values) + " Run that task first.")
        return values[value.name]

    def _record(
        self, task: AnyTask, state: State, *, attempt: int, begun: float, result: TaskResult | None = None,
        error: Exception | None = None,
    ) -> None:  # fmt: skip
        seconds = time.monotonic() - begun
        run = TaskRun(
            run_id=self.context.run_id, job=self.job.address, task=task.key, attempt=attempt, state=state,
            started_at=dt.datetime.now(dt.UTC) - dt.timedelta(seconds=seconds), seconds=seconds,
            rows=result.rows if result else None, values=result.values if result else {},
            error=sentence_of(error) if error else None,
        )  # fmt: skip
        self._states[task.key] = state
        self.attempts.append(run)
        self._finished(run)


@contextmanager
def _time_limit(seconds: float, sentence: str) -> Iterator[None]:
    """Raise `TimeoutError` in the main thread after so many seconds; elsewhere the deployed job's limit holds."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def expired(_signal: int, _frame: object) -> None:
        raise TimeoutError(sentence)

    earlier = signal.signal(signal.SIGALRM, expired)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, earlier)
