"""The job that scores requests."""

from typing import TYPE_CHECKING

from pipelines.declarations.job import Job, Schedule, Task
from pipelines.declarations.standard_jobs.parameters import ALIAS, SINCE, UNTIL

if TYPE_CHECKING:
    from pipelines.declarations.use_case import UseCase


def scoring_job(use_case: "UseCase") -> Job:
    """Return the job that scores the requests of a window with the version that an alias points to.

    Where requests are scored as they come, it has no schedule: it scores the windows that somebody names.
    """
    score = Task(
        key="score",
        entry="pipelines.tasks.predictions.scoring:score",
        description="join what was known at prediction time, score, append the predictions once",
        parameters=(SINCE, UNTIL, ALIAS),
        reads=(use_case.spine.table, *use_case.feature_tables, use_case.model),
        writes=(use_case.table("predictions"),),
    )
    return Job(
        use_case=use_case.name,
        name="scoring",
        description="score the requests of a window with the model version an alias points to",
        schedule=None if use_case.streaming else Schedule(cron="0 30 * * * ?"),
        tasks=(score,),
    )
