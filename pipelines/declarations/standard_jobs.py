"""The four jobs that every use case has, made from what it declares: features, training, scoring, monitoring."""

from collections.abc import Sequence

from ml.specification import EstimatorSpec
from pipelines.declarations.asset import Model, Table
from pipelines.declarations.job import (
    ConditionTask,
    Job,
    Kind,
    Operator,
    Parameter,
    RunJobTask,
    Schedule,
    Size,
    Task,
)
from pipelines.declarations.use_case import FeatureTable, Source

SINCE = Parameter(
    name="since", default="", kind=Kind.INSTANT, description="begin of the window, UTC; empty: where the last run ended"
)
UNTIL = Parameter(
    name="until", default="", kind=Kind.INSTANT, description="end of the window, exclusive, UTC; empty: now"
)
LOCATION = Parameter(name="location", default="", description="folder of the source files; empty: the packaged data")
SEED = Parameter(name="seed", default="20130101", kind=Kind.WHOLE, description="seed of everything random in the run")
SAMPLE = Parameter(
    name="sample", default="1.0", kind=Kind.FRACTION, description="share of the requests to train on, by request key"
)
EVALUATION_DAYS = Parameter(
    name="evaluation_days", default="28", kind=Kind.WHOLE, description="days before `until` kept for evaluation"
)
TRAINING_DAYS = Parameter(
    name="training_days", default="120", kind=Kind.WHOLE, description="days before those that are trained on"
)
CAUSE = Parameter(name="cause", default="requested", description="why the training runs; recorded with its models")
ALIAS = Parameter(name="alias", default="champion", description="alias of the model version that scores")


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
) -> tuple[Job, ...]:
    """Return the four jobs of a use case: features, training, scoring, monitoring."""
    bronze = tuple(source.table.address for source in sources)
    feature_tables = tuple(feature.table.address for feature in features)
    address = {name: table.address for name, table in tables.items()}
    label_table = labels.table.address

    features_job = Job(
        use_case=use_case,
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
                reads=(address["ingests"],),
                writes=(*bronze, address["quarantine"], address["ingests"]),
            ),
            Task(
                key="build_features",
                entry="pipelines.tasks.features:build_features",
                description="refresh the feature tables by what is new in bronze",
                after=("ingest",),
                reads=(*bronze, address["ingests"], address["refreshes"]),
                writes=(*feature_tables, address["refreshes"]),
            ),
            Task(
                key="build_labels",
                entry="pipelines.tasks.features:build_labels",
                description="add the labels that have become known",
                after=("ingest",),
                reads=(*bronze, address["ingests"], address["refreshes"]),
                writes=(label_table, address["refreshes"]),
            ),
        ),
    )
    fits = tuple(
        Task(
            key=f"train_{spec.name}",
            entry="pipelines.tasks.training:train",
            description=f"fit {spec.name} and register it as a candidate",
            arguments={"estimator": spec.name},
            parameters=("seed", "cause"),
            after=("assemble",),
            reads=(address["training_set"],),
            writes=(model.address,),
        )
        for spec in estimators
    )
    training_job = Job(
        use_case=use_case,
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
                reads=(spine.address, *feature_tables, label_table),
                writes=(address["training_set"],),
            ),
            *fits,
            Task(
                key="evaluate",
                entry="pipelines.tasks.evaluation:evaluate",
                description="score candidates and champion on the same rows, none of which any of them was trained on",
                parameters=("seed",),
                after=tuple(task.key for task in fits),
                reads=(address["training_set"], model.address),
                writes=(address["evaluations"], address["metrics"]),
            ),
            Task(
                key="promote",
                entry="pipelines.tasks.promotion:promote",
                description="move the alias champion if, and only if, the verdict says so",
                after=("evaluate",),
                retries=0,
                reads=(address["evaluations"], model.address),
                writes=(address["verdicts"], model.address),
            ),
            Task(
                key="serve",
                entry="pipelines.tasks.serving:serve",
                description="let the endpoint serve the champion, where the environment has one",
                after=("promote",),
                reads=(model.address,),
            ),
        ),
    )
    scoring_job = Job(
        use_case=use_case,
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
                reads=(spine.address, *feature_tables, model.address),
                writes=(address["predictions"],),
            ),
        ),
    )
    monitoring_job = Job(
        use_case=use_case,
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
                reads=(address["predictions"], label_table),
                writes=(address["metrics"],),
            ),
            Task(
                key="estimate",
                entry="pipelines.tasks.estimation:estimate",
                description="estimate the metrics from calibrated scores, before labels arrive; the realised ones beside",
                parameters=("since", "until"),
                reads=(address["predictions"], address["training_set"], label_table, model.address),
                writes=(address["estimates"],),
            ),
            Task(
                key="detect_drift",
                entry="pipelines.tasks.monitoring:detect_drift",
                description="compare inputs and predictions with the champion's training profile",
                parameters=("since", "until"),
                reads=(address["predictions"], model.address),
                writes=(address["profiles"], address["drift"]),
            ),
            Task(
                key="decide",
                entry="pipelines.tasks.monitoring:decide",
                description="turn measurements into findings and findings into a decision on retraining",
                parameters=("since", "until"),
                after=("measure", "detect_drift"),
                reads=(
                    address["metrics"],
                    address["profiles"],
                    address["findings"],
                    address["retrainings"],
                    model.address,
                ),
                writes=(address["findings"], address["retrainings"]),
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
            RunJobTask(
                key="retrain",
                description="run the training job, with the finding as its cause",
                job="training",
                parameters={"until": "{{job.parameters.until}}", "cause": "{{tasks.decide.values.cause}}"},
                after=("retraining_needed:true",),
            ),
        ),
    )
    return (features_job, training_job, scoring_job, monitoring_job)
