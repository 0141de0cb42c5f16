"""The job by which an environment receives a model that it does not train."""

from typing import TYPE_CHECKING

from pipelines.declarations.job import ConditionTask, Job, Operator, Size, Task
from pipelines.declarations.standard_jobs.parameters import (
    EVALUATION_DAYS,
    SAMPLE,
    SEED,
    SOURCE,
    UNTIL,
    VERSION,
    declared_days,
)
from pipelines.declarations.standard_jobs.promotion import evaluate_and_promote

if TYPE_CHECKING:
    from pipelines.declarations.use_case import UseCase

DELIVERY = "delivery"
"""The name of the job."""


def delivery_job(use_case: "UseCase") -> Job:
    """Return the job that copies a version from another environment and puts it before this one's gate."""
    model = use_case.model
    copy = Task(
        key="copy",
        entry="pipelines.tasks.versions.delivery:copy",
        description="copy the version with its signature, lineage and evaluation; here it is the one candidate",
        parameters=(SOURCE, VERSION),
        # The tables where it completes the cards of a delivery that was cut off.
        reads=(*(use_case.table(name) for name in ("evaluations", "metrics", "verdicts", "training_set")), model),
        writes=(use_case.table("model_cards"), model),
    )
    needs_evaluation = ConditionTask(
        key="to_be_judged",
        description="is it neither the champion already nor one that was rolled back here?",
        value=copy.value("judged"),
        operator=Operator.EQUAL_TO,
        right="true",
        after=(copy,),
    )
    assemble = Task(
        key="assemble",
        entry="pipelines.tasks.versions.delivery:assemble",
        description="join labels with what was known at prediction time, after all it was trained and chosen on",
        parameters=(UNTIL, declared_days(EVALUATION_DAYS, use_case), SAMPLE, SEED),
        after=(needs_evaluation.if_true,),
        reads=(use_case.spine.table, *use_case.feature_tables, use_case.labels.table, model),
        writes=(use_case.table("training_set"),),
    )
    return Job(
        use_case=use_case.name,
        name=DELIVERY,
        description="copy a model version from another environment, evaluate it on rows of this one, promote it if better",
        size=Size.MEDIUM,
        tasks=(copy, needs_evaluation, assemble, *evaluate_and_promote(use_case, after=(assemble,))),
    )
