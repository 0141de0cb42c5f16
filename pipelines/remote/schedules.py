"""Pauses and resumes the schedules of deployed jobs at once, without a deployment.

The cron expression of a job stays; only its ``pause_status`` changes, by the partial update of the Jobs API
(https://docs.databricks.com/api/azure/workspace/jobs/update). Terraform declares that status, so ``infra drift`` reports the
difference and the next deployment sets it back.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from databricks.sdk.service.jobs import CronSchedule, JobSettings, PauseStatus

from pipelines.declarations.job import Job
from pipelines.declarations.use_case import UseCase
from pipelines.remote.connection import Remote
from pipelines.remote.deployment import find_job


@dataclass(frozen=True, kw_only=True)
class ScheduleChange:
    """What became of the schedule of one job.

    Attributes
    ----------
    before, now
        ``paused``, ``running``, or ``none`` for a job that is only started by others.
    """

    job: str
    before: str
    now: str


def set_schedules(remote: Remote, use_cases: Sequence[UseCase], *, paused: bool) -> tuple[ScheduleChange, ...]:
    """Pause the schedules of all jobs of some use cases, or let them run; a second call changes nothing.

    Raises
    ------
    NotDeployedError
        If a job is not deployed there; the schedules before it in order are changed.
    RemoteError
        If the workspace cannot be asked, or does not allow it.
    """
    return tuple(_set(remote, job, paused=paused) for use_case in use_cases for job in use_case.jobs)


def _set(remote: Remote, job: Job, *, paused: bool) -> ScheduleChange:
    deployed = find_job(remote, job)
    jobs, wanted = remote.client.jobs, PauseStatus.PAUSED if paused else PauseStatus.UNPAUSED
    found = remote.ask(f"look at {job.address}", lambda: jobs.get(deployed.job_id))
    schedule = found.settings.schedule if found.settings else None
    if schedule is None:
        return ScheduleChange(job=job.address, before="none", now="none")
    before = schedule.pause_status or PauseStatus.UNPAUSED
    if before is not wanted:
        changed: CronSchedule = replace(schedule, pause_status=wanted)
        doing = f"{'pause' if paused else 'resume'} the schedule of {job.address}"
        remote.ask(doing, lambda: jobs.update(deployed.job_id, new_settings=JobSettings(schedule=changed)))
    return ScheduleChange(job=job.address, before=_word(before), now=_word(wanted))


def _word(status: PauseStatus) -> str:
    return "paused" if status is PauseStatus.PAUSED else "running"
