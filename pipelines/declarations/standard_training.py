"""The standard jobs that may move the alias champion: a training, a delivery from another environment, a rollback."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ml.spec.estimator import EstimatorSpec
from pipelines.declarations.job import ConditionTask, Job, Operator, Size, Task
from pipelines.declarations.standard_parameters import (
    CAUSE,
    EVALUATION_DAYS,
    REASON,
    SAMPLE,
    SEED,
    SOURCE,
    TRAINING_DAYS,
    UNTIL,
    VERSION,
)
from pipelines.declarations.use_case import DELIVERY


@dataclass(frozen=True, kw_only=True)
class Assets:
    """The addresses of what a use case's tasks read and write.

    Attributes
    ----------
    tables
        Those of `standard_tables`, by name; ``assets[name]`` gives one.
    """

    use_case: str
    bronze: tuple[str, ...]
    features: tuple[str, ...]
    labels: str
    spine: str
    model: str
    tables: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        return self.tables[name]


def training_job(of: Assets, estimators: Sequence[EstimatorSpec]) -> Job:
    """Return the job that trains every estimator, evaluates candidates and champion, and promotes the better."""
    fits = tuple(
        Task(
            key=f"train_{spec.name}",
            entry="pipelines.tasks.training:train",
            description=f"fit {spec.name} and register it as a candidate",
            arguments={"estimator": spec.name},
            parameters=("seed", "cause"),
            after=("assemble",),
            reads=(of["training_set"],),
            writes=(of.model,),
        )
        for spec in estimators
    )
    return Job(
        use_case=of.use_case,
        name="training",
        description="train every estimator, evaluate candidates and champion on the same later rows, promote the better",
        size=Size.LARGE,
        parameters=(UNTIL, TRAINING_DAYS, EVALUATION_DAYS, SAMPLE, SEED, CAUSE),
        tasks=(
            Task(
                key="assemble",
                entry="pipelines.tasks.training:assemble",
                description="join labels with what was known at prediction time, split by time",
                parameters=("until", "training_days", "evaluation_days", "sample", "seed"),
                reads=(of.spine, *of.features, of.labels),
                writes=(of["training_set"],),
            ),
            *fits,
            *_decided(of, after=tuple(task.key for task in fits)),
        ),
    )


def delivery_job(of: Assets) -> Job:
    """Return the job that copies a version from another environment and puts it before this one's gate."""
    return Job(
        use_case=of.use_case,
        name=DELIVERY,
        description="copy a model version from another environment, evaluate it on rows of this one, promote it if better",
        size=Size.MEDIUM,
        parameters=(SOURCE, VERSION, UNTIL, EVALUATION_DAYS, SAMPLE, SEED),
        tasks=(
            Task(
                key="copy",
                entry="pipelines.tasks.delivery:copy",
                description="copy the version with its signature, lineage and evaluation; here it is the one candidate",
                parameters=("source", "version"),
                reads=(of.model,),
                writes=(of.model,),
            ),
            ConditionTask(
                key="to_be_judged",
                description="is it neither the champion already nor one that was rolled back here?",
                task="copy",
                value="judged",
                operator=Operator.EQUAL_TO,
                right="true",
                after=("copy",),
            ),
            Task(
                key="assemble",
                entry="pipelines.tasks.delivery:assemble",
                description="join labels with what was known at prediction time, after all it was trained and chosen on",
                parameters=("until", "evaluation_days", "sample", "seed"),
                after=("to_be_judged:true",),
                reads=(of.spine, *of.features, of.labels, of.model),
                writes=(of["training_set"],),
            ),
            *_decided(of, after=("assemble",)),
        ),
    )


def rollback_job(of: Assets) -> Job:
    """Return the job that gives the alias back to the champion before; only a person starts it."""
    return Job(
        use_case=of.use_case,
        name="rollback",
        description="give the alias champion back to the version that had it before, as the verdicts tell",
        parameters=(REASON,),
        tasks=(
            Task(
                key="take_back",
                entry="pipelines.tasks.rollback:take_back",
                description="find the previous champion in the verdicts, keep the reason, move the alias",
                parameters=("reason",),
                retries=0,
                reads=(of["verdicts"], of.model),
                writes=(of["verdicts"], of.model),
            ),
            _serve(of, after="take_back"),
        ),
    )


def _decided(of: Assets, *, after: tuple[str, ...]) -> tuple[Task, ...]:
    """Return what follows once candidates and evaluation rows are there: evaluate, promote, serve."""
    return (
        Task(
            key="evaluate",
            entry="pipelines.tasks.evaluation:evaluate",
            description="score candidates and champion on the same rows, none of which any of them was trained on",
            parameters=("seed",),
            after=after,
            reads=(of["training_set"], of.model),
            writes=(of["evaluations"], of["metrics"]),
        ),
        Task(
            key="promote",
            entry="pipelines.tasks.promotion:promote",
            description="move the alias champion if, and only if, the verdict says so",
            after=("evaluate",),
            retries=0,
            reads=(of["evaluations"], of.model),
            writes=(of["verdicts"], of.model),
        ),
        _serve(of, after="promote"),
    )


def _serve(of: Assets, *, after: str) -> Task:
    return Task(
        key="serve",
        entry="pipelines.tasks.serving:serve",
        description="let the endpoint serve the champion, where the environment has one",
        after=(after,),
        reads=(of.model,),
    )
