"""The job by which a challenger becomes champion step by step, or is returned; only where a use case declares such a way."""

from typing import TYPE_CHECKING

from pipelines.declarations.job import Job, Schedule, Task
from pipelines.declarations.standard_jobs.parameters import STOP, UNTIL
from pipelines.declarations.standard_jobs.promotion import serve

if TYPE_CHECKING:
    from pipelines.declarations.use_case import UseCase

ROLLOUT = "rollout"
"""The name of the job."""


def rollout_job(use_case: "UseCase") -> Job:
    """Return the job that judges the challenger of a rollout every hour and moves it on or back."""
    answers, failures, decisions = (use_case.table(name) for name in ("answers", "failed_answers", "rollouts"))
    verdicts, findings, model = use_case.table("verdicts"), use_case.table("findings"), use_case.model
    collect = Task(
        key="collect",
        entry="pipelines.tasks.rollout.replay:collect",
        description="bring what the endpoint has logged into the table of answers, scored by the version that did not answer",
        reads=(answers, failures, model),
        writes=(answers, failures),
    )
    decide = Task(
        key="decide",
        entry="pipelines.tasks.rollout.decision:decide",
        description="judge the challenger by guards and gate; let it go on, wait, or return it",
        parameters=(UNTIL, STOP),
        after=(collect,),
        reads=(
            answers,
            failures,
            decisions,
            use_case.labels.table,
            use_case.spine.table,
            use_case.table("training_set"),
            verdicts,
            findings,
            model,
        ),
        writes=(decisions, verdicts, findings, use_case.table("findings_history"), model),
    )
    return Job(
        use_case=use_case.name,
        name=ROLLOUT,
        description="move the challenger of a rollout to its next stage, or return it",
        schedule=Schedule(cron="0 10 * * * ?"),
        tasks=(collect, decide, serve(use_case, after=decide)),
    )
