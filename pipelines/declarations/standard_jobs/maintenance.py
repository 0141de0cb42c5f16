"""The job that keeps tables small: fewer files, short logs, no versions that nobody needs."""

from typing import TYPE_CHECKING

from pipelines.declarations.job import Job, Schedule, Task

if TYPE_CHECKING:
    from pipelines.declarations.use_case import UseCase

HISTORY_DAYS = 30
"""How long old versions of a table stay by default: a month's monitoring can be read as it was, and a mistake be undone."""
LEAST_HISTORY_DAYS = 7
"""A reader or a writer may be at work on an old version for so long: Delta's own least retention."""


def maintenance_job(use_case: "UseCase") -> Job:
    """Return the job that maintains every table of the use case, except for what versions in use were trained on.

    The task rewrites files and no rows, so it counts as a writer of none of them.
    """
    maintain = Task(
        key="maintain",
        entry="pipelines.tasks.maintenance:maintain",
        description="compact files, write checkpoints, remove versions of tables that nothing needs any more",
        retries=0,
        reads=(use_case.table("verdicts"), use_case.model),
        timeout_minutes=120,
    )
    return Job(
        use_case=use_case.name,
        name="maintenance",
        description="keep tables and their logs small; what a model in use was trained on stays as it was",
        schedule=Schedule(cron="0 0 3 ? * SUN"),
        tasks=(maintain,),
    )
