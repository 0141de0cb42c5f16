"""The jobs that every use case has, made from what it declares: features, training, scoring, monitoring, rollback.

A use case that some environment receives instead of training it there has one more: delivery.
"""

from collections.abc import Sequence

from ml.spec.estimator import EstimatorSpec
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
from pipelines.declarations.standard_parameters import ALIAS, LOCATION, MONITORED_SINCE, SINCE, UNTIL
from pipelines.declarations.standard_training import Assets, delivery_job, rollback_job, training_job
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
    """Return the jobs of a use case: features, training, scoring, monitoring, rollback; delivery where it is received.

    Parameters
    ----------
    tables
        Those of `standard_tables`, by name.
    trained_in
        The use case's environments that train their own model.
    """
    of = Assets(
        use_case=use_case,
        bronze=tuple(source.table.address for source in sources),
        features=tuple(feature.table.address for feature in features),
        labels=labels.table.address,
        spine=spine.address,
        model=model.address,
        tables={name: table.address for name, table in tables.items()},
    )
    received = set(trained_in) != set(ENVIRONMENTS)
    jobs = (_features_job(of), training_job(of, estimators), _scoring_job(of), _monitoring_job(of, received=received))
    return (*jobs, rollback_job(of), *((delivery_job(of),) if received else ()))


def _features_job(of: Assets) -> Job:
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


def _scoring_job(of: Assets) -> Job:
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


def _monitoring_job(of: Assets, *, received: bool) -> Job:
    return Job(
        use_case=of.use_case,
        name="monitoring",
        description="measure the predictions whose labels have arrived, look for drift, decide on retraining",
        schedule=Schedule(cron="0 0 6 * * ?"),
        parameters=(MONITORED_SINCE, UNTIL),
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
