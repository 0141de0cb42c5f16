"""Runs a declared job on this machine: order, retries, conditions, other jobs, and a record of all of it.

A failed task stops the tasks after it and only those, unless they need only one of several. A run has succeeded if no
task failed after which there is none, as on Databricks. What to run is decided by plain functions over the states so
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
from pipelines.command_line.interrupts import doing, received, stop_if_interrupted
from pipelines.declarations.job import AnyTask, ConditionTask, Job, Operator, RunIf, RunJobTask, Task, TaskValue
from pipelines.declarations.mistakes import unknown
from pipelines.execution.context import Context, TaskError, TaskResult
from pipelines.execution.parameters import convert, resolve
from pipelines.telemetry.attributes import ATTEMPT, ERROR, JOB, ROWS, STATE, TASK
from pipelines.telemetry.driver_health import watched
from pipelines.telemetry.events import TASK_FAILED
from pipelines.telemetry.instruments import TASK_ERRORS, TASK_SECONDS
from pipelines.telemetry.recording import Noted, event, facts_of, flush, measure, span, trace_id


class State(StrEnum):
    """How a task of a run ended; `RUNNING` is one that has not, or whose process was killed."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    UPSTREAM_FAILED = "upstream failed"
    NOT_NEEDED = "not needed"
    EXCLUDED = "excluded"


FAILURES = (State.FAILED, State.UPSTREAM_FAILED)


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
    trace_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class JobRun:
    """The record of one run of a job, the runs of jobs it started included.

    Attributes
    ----------
    overcome
        Keys of failed tasks without which the tasks after them went on.
    """

    run_id: str
    job: str
    parameters: Mapping[str, str]
    attempts: tuple[TaskRun, ...]
    started: tuple["JobRun", ...] = ()
    overcome: tuple[str, ...] = ()

    @property
    def last(self) -> dict[str, TaskRun]:
        """The last record of each task, by key."""
        return {attempt.task: attempt for attempt in self.attempts}

    @property
    def succeeded(self) -> bool:
        """Whether no task failed, here or in a job started from here, other than those that were overcome."""
        failed = [key for key, run in self.last.items() if run.state in FAILURES and key not in self.overcome]
        return not failed and all(run.succeeded for run in self.started)

    @property
    def trace_id(self) -> str | None:
        """The id of the run's trace; None if telemetry was off."""
        return next((attempt.trace_id for attempt in self.attempts), None)


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """What a run asks of its surroundings, and tells them.

    Attributes
    ----------
    recall
        Returns the values that a task of a job (address, key) gave when it last succeeded.
    begun
        Called with the record of every attempt when it begins, in the state `State.RUNNING`.
    finished
        Called with every record as soon as there is one.
    holding
        Keeps others from running a job that this one starts, as long as the block lasts.
    earlier
        How many attempts at each task the run has behind it; they are counted on.
    """

    recall: Callable[[str, str], Mapping[str, str]] = lambda _job, _task: {}
    begun: Callable[[TaskRun], None] = lambda _run: None
    finished: Callable[[TaskRun], None] = lambda _run: None
    holding: Callable[[Job], AbstractContextManager[None]] = lambda _job: nullcontext()
    earlier: Mapping[str, int] = field(default_factory=dict)


def run_job(
    job: Job,
    context: Context,
    given: Mapping[str, str],
    *,
    only: Collection[str] = (),
    skip: Collection[str] = (),
    hooks: Hooks | None = None,
) -> JobRun:
    """Run the tasks of a job in their order.

    Parameters
    ----------
    given
        Parameters as text; what is not given has its default.
    only, skip
        Keys of the only tasks to run, and of tasks to leave out; tasks left out count as done before.

    Raises
    ------
    DeclarationError
        If a parameter or a task's key is not one of the job's; then nothing has run.
    """
    for key in (*only, *skip):
        job.task(key)
    run = _Run(job, context, resolve(job, given), hooks or Hooks())
    for task in job.tasks:
        run.take(task, excluded=_left_out(task, only, skip), asked=task.key in only)
    return JobRun(
        run_id=context.run_id, job=job.address, parameters=run.parameters, attempts=tuple(run.attempts),
        started=tuple(run.started), overcome=run.overcome,
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
    enough = task.run_if is RunIf.AT_LEAST_ONE_SUCCESS and State.SUCCEEDED in before
    if any(state in FAILURES for state in before) and not enough:
        return State.UPSTREAM_FAILED
    if State.NOT_NEEDED in before:
        return State.NOT_NEEDED
    for after in task.dependencies:
        outcome = outcomes.get(after.task.key)
        if after.outcome is not None and (not asked if outcome is None else outcome != after.outcome):
            return State.NOT_NEEDED
    return None


def first_task(job: Job, only: Collection[str], skip: Collection[str]) -> AnyTask | None:
    """Return the task that a run of the job begins with; None if it would run none."""
    states = {task.key: State.EXCLUDED for task in job.tasks}
    for task in job.tasks:
        if not _left_out(task, only, skip) and readiness(task, states, {}, asked=task.key in only) is None:
            return task
    return None


def _left_out(task: AnyTask, only: Collection[str], skip: Collection[str]) -> bool:
    return (bool(only) and task.key not in only) or task.key in skip


class _Run:
    """The states, values and records of a run so far."""

    def __init__(self, job: Job, context: Context, parameters: dict[str, str], hooks: Hooks) -> None:
        self.job, self.context, self.parameters = job, context, parameters
        self.attempts: list[TaskRun] = []
        self.started: list[JobRun] = []
        self._hooks = hooks
        self._states: dict[str, State] = {}
        self._outcomes: dict[str, bool] = {}
        self._values: dict[str, Mapping[str, str]] = {}
        self._noted: Noted

    def take(self, task: AnyTask, *, excluded: bool, asked: bool) -> None:
        """Run a task if it can and shall run, and record how it ended."""
        ended = State.EXCLUDED if excluded else readiness(task, self._states, self._outcomes, asked=asked)
        if ended is not None:
            self._record(task, ended, attempt=0, begun=time.monotonic())
            return
        attempts = task.retries + 1 if isinstance(task, Task) else 1
        before = self._hooks.earlier.get(task.key, 0)
        with span(f"task {task.key}", {JOB: self.job.address, TASK: task.key}) as noted:
            for attempt in range(1, attempts + 1):
                if self._attempt(task, before + attempt, last=attempt == attempts):
                    break
            noted.set(STATE, self._states[task.key].value)

    @property
    def overcome(self) -> tuple[str, ...]:
        """The failed tasks that others came after which did not need them: their failure is not the run's."""
        went_on = {
            after.task.key
            for task in self.job.tasks
            if self._states[task.key] not in (*FAILURES, State.EXCLUDED)
            for after in task.dependencies
        }
        return tuple(key for key, state in self._states.items() if state is State.FAILED and key in went_on)

    def _attempt(self, task: AnyTask, attempt: int, *, last: bool) -> bool:
        """Try a task once, as a span of its own; True when it needs no other try."""
        facts = {JOB: self.job.address, TASK: task.key}
        with span("attempt", {**facts, ATTEMPT: attempt}) as self._noted, watched(facts):
            final = self._tried(task, attempt, last=last)
        flush()
        return final

    def _tried(self, task: AnyTask, attempt: int, *, last: bool) -> bool:
        begun = time.monotonic()
        self._hooks.begun(self._as_record(task, State.RUNNING, attempt=attempt, begun=begun))
        try:
            stop_if_interrupted()
            with doing(f"task {task.key!r} of {self.job.address}"):
                result = self._call(task)
        except KeyboardInterrupt as interrupt:
            self._record(task, State.INTERRUPTED, attempt=attempt, begun=begun, error=interrupt)
            raise
        except Exception as error:
            if received():  # an engine or a library has made an error of the signal
                self._record(task, State.INTERRUPTED, attempt=attempt, begun=begun, error=KeyboardInterrupt())
                raise KeyboardInterrupt from error
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
        with self._hooks.holding(task.job), span(f"job {task.job.address}", {JOB: task.job.address}):
            run = run_job(task.job, self.context, given, hooks=self._hooks)
        self.started.append(run)
        if not run.succeeded:
            raise TaskError(f"the job {run.job} that it started has failed")
        return TaskResult()

    def _value(self, value: TaskValue) -> str:
        key = value.task.key
        values = self._values.get(key) or self._hooks.recall(self.job.address, key)
        if value.name not in values:
            raise TaskError(unknown(f"value of task {key!r}", value.name, values) + " Run that task first.")
        return values[value.name]

    def _record(
        self, task: AnyTask, state: State, *, attempt: int, begun: float, result: TaskResult | None = None,
        error: BaseException | None = None,
    ) -> None:  # fmt: skip
        run = self._as_record(task, state, attempt=attempt, begun=begun, result=result, error=error)
        self._states[task.key] = state
        self.attempts.append(run)
        if attempt:
            self._note(run, error)
        self._hooks.finished(run)

    def _note(self, run: TaskRun, error: BaseException | None) -> None:
        """Let the telemetry know how an attempt ended."""
        facts = {JOB: run.job, TASK: run.task, ATTEMPT: run.attempt, STATE: run.state.value}
        self._noted.set(STATE, run.state.value)
        self._noted.set(ROWS, run.rows)
        measure(TASK_SECONDS, run.seconds, facts)
        if error is not None and run.state is State.FAILED:
            self._noted.failed(error)
            found = facts_of(error)
            measure(TASK_ERRORS, 1, {**facts, ERROR: found[ERROR]})
            event(TASK_FAILED, {**facts, **found})

    def _as_record(
        self, task: AnyTask, state: State, *, attempt: int, begun: float, result: TaskResult | None = None,
        error: BaseException | None = None,
    ) -> TaskRun:  # fmt: skip
        seconds = time.monotonic() - begun
        return TaskRun(
            run_id=self.context.run_id, job=self.job.address, task=task.key, attempt=attempt, state=state,
            started_at=dt.datetime.now(dt.UTC) - dt.timedelta(seconds=seconds), seconds=seconds,
            rows=result.rows if result else None, values=result.values if result else {},
            error=sentence_of(error) if error else None, trace_id=trace_id(),
        )  # fmt: skip


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
