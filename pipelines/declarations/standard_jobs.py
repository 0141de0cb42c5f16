"""The jobs that every use case has, made from what it declares: features, training, scoring, monitoring.

A use case that some environment receives instead of training it there has a fifth: delivery.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ml.specification import EstimatorSpec
from pipelines.declarations.asset import Model, Table
from pipelines.declarations.environment import ENVIRONMENTS
from pipelines.declarations.job import (
    ConditionTask,
    Job,
    Operator,
    RunJobTask,
    Schedule,
    Size,
    Task,
)
from pipelines.declarations.standard_parameters import (
    ALIAS,
    CAUSE,
    EVALUATION_DAYS,
    LOCATION,
    SAMPLE,
    SEED,
    SINCE,
    SOURCE,
    TRAINING_DAYS,
    UNTIL,
    VERSION,
)
from pipelines.declarations.use_case import DELIVERY, FeatureTable, Source


def standard_jobs(
    *,
    use_case: str,
    sources: Sequence[Source],
    features: Sequence[FeatureTable],
    labels: FeatureTable,
    spine: Table,
    model: Model,
    estimators: Sequence[EstimatorSpec],
    tables: dict[str, Table],
    trained_in: Sequence[str] = tuple(ENVIRONMENTS),
) -> tuple[Job, ...]:
    """Return the jobs of a use case: features, training, scoring, monitoring; delivery where a model is received.

    Parameters
    ----------
    tables
        Those of `standard_tables`, by name.
    trained_in
        The use case's environments that train their own model.
    """
    of = _Assets(
        use_case=use_case,
        bronze=tuple(source.table.address for source in sources),
        features=tuple(feature.table.address for feature in features),
        labels=labels.table.address,
        spine=spine.address,
        model=model.address,
        tables={name: table.address for name, table in tables.items()},
    )
    received = set(trained_in) != set(ENVIRONMENTS)
    jobs = (_features_job(of), _training_job(of, estimators), _scoring_job(of), _monitoring_job(of, received=received))
    return (*jobs, _delivery_job(of)) if received else jobs


@dataclass(frozen=True, kw_only=True)
class _Assets:
    """The addresses of what a use case's tasks read and write."""

    use_case: str
    bronze: tuple[str, ...]
    features: tuple[str, ...]
    labels: str
    spine: str
    model: str
    tables: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        return self.tables[name]


def _features_job(of: _Assets) -> Job:
    return Job(
        use_case=of.use_case,
        name="features",
        description="read the sources, quarantine what breaks their contracts, refresh feature tables and labels",
        size=Size.MEDIUM,
        schedule=Schedule(cron="0 15 * * * ?"),
        parameters=(SINCE, UNTIL, LOCATION),
        tasks=(
            Task(
                key="ingest",
                entry="pipelines.tasks.ingest:ingest",
                description="read each source's window, check its contract, append what holds, quarantine the rest",
                parameters=("since", "until", "location"),
                reads=(of["ingests"],),
                writes=(*of.bronze, of["quarantine"], of["ingests"]),
            ),
            Task(
                key="build_features",
                entry="pipelines.tasks.features:build_features",
                description="refresh the feature tables by what is new in bronze",
                after=("ingest",),
                reads=(*of.bronze, of["ingests"], of["refreshes"]),
                writes=(*of.features, of["refreshes"]),
            ),
            Task(
                key="build_labels",
                entry="pipelines.tasks.features:build_labels",
                description="add the labels that have become known",
                after=("ingest",),
                reads=(*of.bronze, of["ingests"], of["refreshes"]),
                writes=(of.labels, of["refreshes"]),
            ),
        ),
    )


def _training_job(of: _Assets, estimators: Sequence[EstimatorSpec]) -> Job:
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


def _decided(of: _Assets, *, after: tuple[str, ...]) -> tuple[Task, ...]:
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
        Task(
            key="serve",
            entry="pipelines.tasks.serving:serve",
            description="let the endpoint serve the champion, where the environment has one",
            after=("promote",),
            reads=(of.model,),
        ),
    )


def _delivery_job(of: _Assets) -> Job:
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
                description="copy the version with its signature, lineage and evaluation; here it is a candidate",
                parameters=("source", "version"),
                reads=(of.model,),
                writes=(of.model,),
            ),
            Task(
                key="assemble",
                entry="pipelines.tasks.delivery:assemble",
                description="join labels with what was known at prediction time, after everything it was trained on",
                parameters=("until", "evaluation_days", "sample", "seed"),
                after=("copy",),
                reads=(of.spine, *of.features, of.labels, of.model),
                writes=(of["training_set"],),
            ),
            *_decided(of, after=("assemble",)),
        ),
    )


def _scoring_job(of: _Assets) -> Job:
    return Job(
        use_case=of.use_case,
        name="scoring",
        description="score the requests of a window with the model version an alias points to",
        schedule=Schedule(cron="0 30 * * * ?"),
        parameters=(SINCE, UNTIL, ALIAS),
        tasks=(
            Task(
                key="score",
                entry="pipelines.tasks.scoring:score",
                description="join what was known at prediction time, score, append the predictions once",
                parameters=("since", "until", "alias"),
                reads=(of.spine, *of.features, of.model),
                writes=(of["predictions"],),
            ),
        ),
    )


def _monitoring_job(of: _Assets, *, received: bool) -> Job:
    return Job(
        use_case=of.use_case,
        name="monitoring",
        description="measure the predictions whose labels have arrived, look for drift, decide on retraining",
        schedule=Schedule(cron="0 0 6 * * ?"),
        parameters=(SINCE, UNTIL),
        tasks=(
            Task(
                key="measure",
                entry="pipelines.tasks.monitoring:measure",
                description="join labels to predictions; metrics per window, model version and slice",
                parameters=("since", "until"),
                reads=(of["predictions"], of.labels),
                writes=(of["metrics"],),
            ),
            Task(
                key="estimate",
                entry="pipelines.tasks.estimation:estimate",
                description="estimate the metrics before labels arrive; what the labels say as they come stands beside",
                parameters=("since", "until"),
                reads=(of["predictions"], of["training_set"], of.labels, of.model),
                writes=(of["estimates"],),
            ),
            Task(
                key="detect_drift",
                entry="pipelines.tasks.monitoring:detect_drift",
                description="compare inputs and predictions with the champion's training profile",
                parameters=("since", "until"),
                reads=(of["predictions"], of.model),
                writes=(of["profiles"], of["drift"]),
            ),
            Task(
                key="decide",
                entry="pipelines.tasks.monitoring:decide",
                description="turn measurements into findings and findings into a decision on retraining",
                parameters=("since", "until"),
                after=("measure", "detect_drift"),
                reads=(
                    of["metrics"],
                    of["profiles"],
                    of["findings"],
                    of["retrainings"],
                    of.model,
                ),
                writes=(of["findings"], of["retrainings"]),
            ),
            ConditionTask(
                key="retraining_needed",
                description="did the findings ask for a retraining?",
                task="decide",
                value="retrain",
                operator=Operator.EQUAL_TO,
                right="true",
                after=("decide",),
            ),
            *(_trained_or_received() if received else (_retrain("retraining_needed:true"),)),
        ),
    )


def _retrain(after: str) -> RunJobTask:
    return RunJobTask(
        key="retrain",
        description="run the training job, with the finding as its cause",
        job="training",
        parameters={"until": "{{job.parameters.until}}", "cause": "{{tasks.decide.values.cause}}"},
        after=(after,),
    )


def _trained_or_received() -> tuple[ConditionTask | RunJobTask, ...]:
    """Return what a finding leads to where some environments receive their model: one job or the other."""
    return (
        ConditionTask(
            key="trained_here",
            description="does this environment train its own model?",
            task="decide",
            value="trained_here",
            operator=Operator.EQUAL_TO,
            right="true",
            after=("retraining_needed:true",),
        ),
        _retrain("trained_here:true"),
        RunJobTask(
            key="deliver",
            description="run the delivery job: is the champion of the environment before this one better here?",
            job=DELIVERY,
            parameters={"until": "{{job.parameters.until}}"},
            after=("trained_here:false",),
        ),
    )
