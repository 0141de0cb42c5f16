"""When deployed jobs and alerts run by themselves: their schedules, paused where the environment's settings pause them."""

from databricks.sdk.service.jobs import Continuous, CronSchedule, PauseStatus, TaskRetryMode

from infra.config.model import Schedules
from pipelines.declarations.job import Job

ALERT_CRON = "0 45 7 * * ?"
"""Every day at 07:45 UTC."""


def pause_status(schedules: Schedules) -> PauseStatus:
    """Return whether schedules are paused, as ``jobs.schedules`` in an environment's settings states it."""
    return PauseStatus.UNPAUSED if schedules is Schedules.RUNNING else PauseStatus.PAUSED


def job_schedule(job: Job, pause: PauseStatus) -> CronSchedule | None:
    """Return the schedule of a declared job; None for a job without one."""
    if job.schedule is None:
        return None
    return CronSchedule(quartz_cron_expression=job.schedule.cron, timezone_id=job.schedule.timezone, pause_status=pause)


def job_continuous(job: Job, pause: PauseStatus) -> Continuous | None:
    """Return that the next run of a declared job begins when one has ended; None for any other job.

    A task is not repeated within a run: the service begins the next run, after a pause that grows with the failures in a row
    (https://learn.microsoft.com/azure/databricks/jobs/continuous).
    """
    return Continuous(pause_status=pause, task_retry_mode=TaskRetryMode.NEVER) if job.continuous else None


def alert_schedule(pause: PauseStatus) -> dict[str, str]:
    """Return the daily schedule of an alert, as an argument of ``databricks_alert_v2``."""
    return {"quartz_cron_schedule": ALERT_CRON, "timezone_id": "UTC", "pause_status": pause.value}
