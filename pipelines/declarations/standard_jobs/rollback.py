"""The job that gives the alias champion back to the previous champion; only a person starts it."""

from typing import TYPE_CHECKING

from pipelines.declarations.job import Job, Task
from pipelines.declarations.standard_jobs.parameters import REASON
from pipelines.declarations.standard_jobs.promotion import serve

if TYPE_CHECKING:
    from pipelines.declarations.use_case import UseCase


def rollback_job(use_case: "UseCase") -> Job:
    """Return the job that gives the alias back, then serves the version that has it."""
    verdicts, model = use_case.table("verdicts"), use_case.model
    take_back = Task(
        key="take_back",
        entry="pipelines.tasks.versions.rollback:take_back",
        description="find the previous champion in the verdicts, keep the reason, move the alias",
        parameters=(REASON,),
        retries=0,
        reads=(verdicts, model),
        writes=(verdicts, model),
    )
    return Job(
        use_case=use_case.name,
        name="rollback",
        description="give the alias champion back to the version that had it before, as the verdicts tell",
        tasks=(take_back, serve(use_case, after=take_back)),
    )
