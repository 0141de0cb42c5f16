"""What a run says of its tasks, in the words of this command line: pure functions of the SDK's records.

A state that this version of the SDK does not know counts as neither success nor end: what cannot be read is not
taken for good.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from databricks.sdk.service import jobs as sdk
from databricks.sdk.service.jobs import RunLifecycleStateV2State as Cycle
from databricks.sdk.service.jobs import RunResultState as Result
from databricks.sdk.service.jobs import TerminationCodeCode as Code


class Phase(StrEnum):
    """Where a run or a task of it is."""

    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    WITH_FAILURES = "succeeded with failures"
    FAILED = "failed"
    TIMED_OUT = "timed out"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    UPSTREAM_FAILED = "upstream failed"
    NOT_NEEDED = "not needed"

    @property
    def ended(self) -> bool:
        """Whether nothing more happens."""
        return self not in (Phase.WAITING, Phase.QUEUED, Phase.RUNNING)

    @property
    def good(self) -> bool:
        """Whether it ended as it should; with failures if what came after the failed tasks did not need them."""
        return self in (Phase.SUCCEEDED, Phase.WITH_FAILURES, Phase.NOT_NEEDED)


PENDING = {Cycle.BLOCKED: Phase.WAITING, Cycle.WAITING: Phase.WAITING, Cycle.PENDING: Phase.WAITING,
           Cycle.QUEUED: Phase.QUEUED}  # fmt: skip
RESULTS = {
    Result.TIMEDOUT: Phase.TIMED_OUT, Result.CANCELED: Phase.CANCELLED, Result.UPSTREAM_CANCELED: Phase.UPSTREAM_FAILED,
    Result.UPSTREAM_FAILED: Phase.UPSTREAM_FAILED, Result.EXCLUDED: Phase.NOT_NEEDED, Result.DISABLED: Phase.NOT_NEEDED,
    Result.MAXIMUM_CONCURRENT_RUNS_REACHED: Phase.SKIPPED, Result.FAILED: Phase.FAILED,
    Result.SUCCESS_WITH_FAILURES: Phase.WITH_FAILURES,
}  # fmt: skip
CODES = {
    Code.SUCCESS: Phase.SUCCEEDED, Code.SUCCESS_WITH_FAILURES: Phase.WITH_FAILURES, Code.USER_CANCELED: Phase.CANCELLED, Code.CANCELED: Phase.CANCELLED,
    Code.SKIPPED: Phase.SKIPPED, Code.MAX_CONCURRENT_RUNS_EXCEEDED: Phase.SKIPPED,
    Code.MAX_JOB_QUEUE_SIZE_EXCEEDED: Phase.SKIPPED, Code.DISABLED: Phase.NOT_NEEDED,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class TaskProgress:
    """One task of a run as it stands.

    Attributes
    ----------
    run_id
        Of the task's newest attempt.
    attempt
        1 for the first; repairs and retries count on.
    seconds
        Since it began, or from begin to end.
    message
        What the platform says about the state.
    error, trace
        What a failed task left: its error and the end of its stack trace.
    """

    job: str
    task: str
    run_id: int
    attempt: int
    phase: Phase
    link: str
    seconds: float
    message: str = ""
    starts_job: bool = False
    error: str = ""
    trace: str = ""


def phase_of(status: sdk.RunStatus | None, state: sdk.RunState | None) -> Phase:
    """Return where a run or a task is.

    Parameters
    ----------
    status
        What the Jobs API says of it.
    state
        The older form, which alone tells a task that was not needed from one whose upstream failed.
    """
    if status is None or status.state is not Cycle.TERMINATED:
        return PENDING.get(status.state, Phase.RUNNING) if status and status.state else Phase.RUNNING
    result = state.result_state if state else None
    if result in RESULTS:
        return RESULTS[result]
    code = status.termination_details.code if status.termination_details else None
    return CODES.get(code, Phase.FAILED) if code else Phase.FAILED


def message_of(status: sdk.RunStatus | None, state: sdk.RunState | None) -> str:
    """Return what the platform says about a state, in one line."""
    said = ""
    if status and status.termination_details:
        said = status.termination_details.message or ""
    elif status and status.queue_details:
        said = status.queue_details.message or ""
    return " ".join((said or (state.state_message if state else None) or "").split()).rstrip(".")


def tasks_of(run: sdk.Run, *, job: str, now: float) -> tuple[TaskProgress, ...]:
    """Return the newest attempt of every task of a run, in the job's order.

    Parameters
    ----------
    run
        The run with all its tasks; a repaired one lists a task once per attempt.
    job
        Name of the job.
    now
        Seconds since 1970.
    """
    newest: dict[str, sdk.RunTask] = {}
    for task in run.tasks or ():
        before = newest.get(task.task_key)
        if before is None or _order(task) >= _order(before):
            newest[task.task_key] = task
    return tuple(_progress(task, job, now) for task in newest.values())


def changed(before: Mapping[str, TaskProgress], now: Iterable[TaskProgress]) -> tuple[TaskProgress, ...]:
    """Return the tasks of which there is something to say: begun, ended, or tried again since the last look."""
    return tuple(
        task
        for task in now
        if task.phase is not Phase.WAITING
        and (
            task.task not in before
            or (before[task.task].phase, before[task.task].run_id) != (task.phase, task.run_id)
        )
    )  # fmt: skip


def _order(task: sdk.RunTask) -> tuple[int, int]:
    return (task.attempt_number or 0, task.start_time or 0)


def _progress(task: sdk.RunTask, job: str, now: float) -> TaskProgress:
    begun = (task.start_time or 0) / 1000
    end = (task.end_time or 0) / 1000 or now
    return TaskProgress(
        job=job,
        task=task.task_key,
        run_id=task.run_id or 0,
        attempt=(task.attempt_number or 0) + 1,
        phase=phase_of(task.status, task.state),
        link=task.run_page_url or "",
        seconds=max(end - begun, 0.0) if begun else 0.0,
        message=message_of(task.status, task.state),
        starts_job=task.run_job_task is not None,
    )
