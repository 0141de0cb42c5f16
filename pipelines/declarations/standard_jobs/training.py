"""The job that trains a candidate with every estimator and promotes the best if it beats the champion."""

from typing import TYPE_CHECKING

from pipelines.declarations.job import Job, Size, Task
from pipelines.declarations.standard_jobs.parameters import (
    CAUSE,
    EVALUATION_DAYS,
    SAMPLE,
    SEED,
    TRAINING_DAYS,
    UNTIL,
    declared_days,
)
from pipelines.declarations.standard_jobs.promotion import evaluate_and_promote

if TYPE_CHECKING:
    from pipelines.declarations.use_case import UseCase


def training_job(use_case: "UseCase") -> Job:
    """Return the job that trains every estimator, evaluates candidates and champion, and promotes the better."""
    training_set = use_case.table("training_set")
    assemble = Task(
        key="assemble",
        entry="pipelines.tasks.versions.training:assemble",
        description="join labels with what was known at prediction time, split by time",
        parameters=(
            UNTIL,
            declared_days(TRAINING_DAYS, use_case),
            declared_days(EVALUATION_DAYS, use_case),
            SAMPLE,
            SEED,
        ),
        reads=(use_case.spine.table, *use_case.feature_tables, use_case.labels.table),
        writes=(training_set,),
    )
    fits = tuple(
        Task(
            key=f"train_{spec.name}",
            entry="pipelines.tasks.versions.training:train",
            description=f"fit {spec.name} and register it as a candidate",
            arguments={"estimator": spec.name},
            parameters=(SEED, CAUSE),
            after=(assemble,),
            reads=(training_set,),
            writes=(use_case.model,),
        )
        for spec in use_case.estimators
    )
    return Job(
        use_case=use_case.name,
        name="training",
        description="train every estimator, evaluate candidates and champion on the same later rows, promote the better",
        size=Size.LARGE,
        tasks=(assemble, *fits, *evaluate_and_promote(use_case, after=fits)),
    )
