"""The tasks by which a candidate becomes champion: training and delivery end with them, a rollback with the last one."""

from typing import TYPE_CHECKING

from pipelines.declarations.job import RunIf, Task
from pipelines.declarations.standard_jobs.parameters import SEED

if TYPE_CHECKING:
    from pipelines.declarations.use_case import UseCase


def evaluate_and_promote(use_case: "UseCase", *, after: tuple[Task, ...]) -> tuple[Task, ...]:
    """Return the tasks that follow once candidates and evaluation rows exist: evaluate, promote, model_card, serve.

    One candidate is enough: an estimator that could not be trained does not stop the others.
    """
    evaluations, model = use_case.table("evaluations"), use_case.model
    evaluate = Task(
        key="evaluate",
        entry="pipelines.tasks.versions.evaluation:evaluate",
        description="score candidates and champion on the same rows, none of which any of them was trained on",
        parameters=(SEED,),
        after=after,
        run_if=RunIf.AT_LEAST_ONE_SUCCESS if len(after) > 1 else RunIf.ALL_SUCCESS,
        reads=(use_case.table("training_set"), evaluations, use_case.table("verdicts"), model),
        writes=(evaluations, use_case.table("metrics")),
    )
    promote = Task(
        key="promote",
        entry="pipelines.tasks.versions.promotion:promote",
        description="move the alias champion if, and only if, the verdict says so",
        after=(evaluate,),
        retries=0,
        reads=(evaluations, model),
        writes=(use_case.table("verdicts"), model),
    )
    model_card = Task(
        key="model_card",
        entry="pipelines.tasks.versions.model_card:write_model_cards",
        description="write the model card of each candidate from what is recorded of it",
        after=(promote,),
        reads=(
            evaluations,
            use_case.table("metrics"),
            use_case.table("verdicts"),
            use_case.table("training_set"),
            model,
        ),
        writes=(use_case.table("model_cards"), model),
    )
    return evaluate, promote, model_card, serve(use_case, after=promote)


def serve(use_case: "UseCase", *, after: Task) -> Task:
    """Return the task that points the endpoint at the champion; every job that may move the alias ends with it."""
    return Task(
        key="serve",
        entry="pipelines.tasks.versions.serving:serve",
        description="let the endpoint serve the champion, where the environment has one",
        after=(after,),
        reads=(use_case.model,),
    )
