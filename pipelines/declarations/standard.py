"""The tables and jobs that every use case has, made from what it declares."""

from collections.abc import Sequence

from ml.profile_columns import DRIFT_COLUMNS, PROFILE_COLUMNS
from ml.specification import EstimatorSpec
from pipelines.declarations.asset import Column, Layer, Model, Table
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


def column(name: str, kind: str, comment: str = "", *, required: bool = False) -> Column:
    """Return one declared column; `required` means that no row may lack it."""
    return Column(name=name, type=kind, nullable=not required, comment=comment)


PROFILE_KEY = ("window_start", "model_id", "column_name")
DRIFT_KEY = (*PROFILE_KEY, "drift_type")


def described(columns: Sequence[tuple[str, str, str]], required: Sequence[str]) -> tuple[Column, ...]:
    """Return columns that `ml` describes as (name, type, comment)."""
    return tuple(column(name, kind, comment, required=name in required) for name, kind, comment in columns)


def key(name: str, kind: str = "string", comment: str = "") -> Column:
    """Return one column that no row may lack."""
    return column(name, kind, comment, required=True)


def standard_tables(use_case: str, inputs: Sequence[Column]) -> dict[str, Table]:
    """Return the tables that the standard jobs of a use case write, by name.

    Parameters
    ----------
    use_case
        The use case's name.
    inputs
        The columns that reach the estimator; kept with every training row and every prediction.
    """

    def table(layer: Layer, name: str, comment: str, columns: Sequence[Column], primary_key: tuple[str, ...]) -> Table:
        return Table(
            use_case=use_case, layer=layer, name=name, comment=comment, columns=tuple(columns), primary_key=primary_key
        )

    window = (key("window_start", "timestamp"), key("window_end", "timestamp"))
    slices = (key("slice_key"), key("slice_value"))
    declared = (
        table(
            Layer.BRONZE,
            "quarantine",
            "rows that broke their source's contract, with the reasons",
            (
                key("source"),
                key("batch_id"),
                key("row_number", "bigint"),
                key("reasons"),
                key("row", comment="as JSON"),
                key("quarantined_at", "timestamp"),
            ),
            ("source", "batch_id", "row_number"),
        ),
        table(
            Layer.MONITORING,
            "ingests",
            "read = kept + quarantined, for every batch of every source",
            (
                key("source"),
                key("batch_id"),
                key("since", "timestamp"),
                key("until", "timestamp"),
                key("rows_read", "bigint"),
                key("rows_kept", "bigint"),
                key("rows_quarantined", "bigint"),
                key("rows_new", "bigint", "kept rows that no earlier batch had brought"),
                column("earliest_event", "timestamp"),
                key("ingested_at", "timestamp"),
            ),
            ("source", "batch_id"),
        ),
        table(
            Layer.MONITORING,
            "refreshes",
            "which batches each feature table has taken in",
            (
                key("feature_table"),
                key("batch_id"),
                key("since", "timestamp"),
                key("rows", "bigint"),
                key("refreshed_at", "timestamp"),
            ),
            ("feature_table", "batch_id"),
        ),
        table(
            Layer.FEATURES,
            "training_set",
            "the rows each training run saw, as they were joined",
            (
                key("training_set_id"),
                key("request_key"),
                key("prediction_at", "timestamp"),
                key("label_known_at", "timestamp"),
                key("part", comment="training or evaluation"),
                key("table_versions", comment="of the tables it was joined from, as JSON"),
                key("label", "double"),
                *inputs,
            ),
            ("training_set_id", "request_key"),
        ),
        table(
            Layer.INFERENCE,
            "predictions",
            "append-only: every prediction with what made it",
            (
                key("request_key"),
                key("alias"),
                key("model_version", "bigint"),
                key("prediction_at", "timestamp"),
                key("scored_at", "timestamp"),
                key("batch_id"),
                key("features_version", comment="table versions as JSON"),
                key("score", "double"),
                *inputs,
            ),
            ("request_key", "alias"),
        ),
        table(
            Layer.MONITORING,
            "metrics",
            "realised quality per window, model version and slice",
            (
                *window,
                key("alias", comment="evaluation: what the evaluation of the version said"),
                key("model_version", "bigint"),
                *slices,
                key("metric"),
                column("value", "double"),
                column("standard_error", "double"),
                key("predictions", "bigint"),
                key("labelled", "bigint"),
                column("without_label", "bigint", "outcome known, no label will come"),
                key("missing_labels", "bigint", "past their due date without an outcome"),
                key("computed_at", "timestamp"),
            ),
            ("window_start", "alias", "model_version", "slice_key", "slice_value", "metric"),
        ),
        table(
            Layer.MONITORING,
            "estimates",
            "quality estimated without labels, and what the labels said of it",
            (
                *window,
                key("alias"),
                key("model_version", "bigint"),
                key("metric"),
                column("estimated", "double", "expected over all predictions, from calibrated scores"),
                column("realised", "double", "on the predictions whose labels are known"),
                column("error", "double", "estimated less realised, both on the predictions whose labels are known"),
                column("standard_error", "double", "of the realised value"),
                key("predictions", "bigint"),
                key("labelled", "bigint"),
                key("computed_at", "timestamp"),
            ),
            ("window_start", "alias", "model_version", "metric"),
        ),
        table(
            Layer.MONITORING,
            "profiles",
            "what was scored, column by column, in the words of Databricks data profiling",
            (*described(PROFILE_COLUMNS, PROFILE_KEY), key("computed_at", "timestamp")),
            PROFILE_KEY,
        ),
        table(
            Layer.MONITORING,
            "drift",
            "how it differs from the training rows and from the window before",
            (*described(DRIFT_COLUMNS, DRIFT_KEY), key("computed_at", "timestamp")),
            DRIFT_KEY,
        ),
        table(
            Layer.MONITORING,
            "evaluations",
            "what was measured of candidates and champion, digest included",
            (
                key("evaluation_id"),
                key("evaluated_at", "timestamp"),
                column("champion", "bigint"),
                key("candidates", "bigint"),
                key("rows", "bigint"),
                key("complete", "boolean"),
                key("evaluation", comment="the whole record as JSON"),
            ),
            ("evaluation_id",),
        ),
        table(
            Layer.MONITORING,
            "verdicts",
            "what the gate decided about each evaluation, and why",
            (
                key("evaluation_id"),
                key("decided_at", "timestamp"),
                key("policy"),
                key("outcome"),
                column("champion", "bigint", "before the decision"),
                column("promoted", "bigint"),
                column("challenger", "bigint"),
                key("sentence"),
                key("reasons", comment="as JSON"),
            ),
            ("evaluation_id",),
        ),
        table(
            Layer.MONITORING,
            "findings",
            "what was found: what, where, how much, threshold, since when",
            (
                *window,
                key("kind"),
                key("column_name"),
                *slices,
                key("statistic"),
                column("value", "double"),
                column("threshold", "double"),
                key("since", "timestamp"),
                key("message"),
            ),
            ("window_start", "kind", "column_name", "slice_key", "slice_value", "statistic"),
        ),
        table(
            Layer.MONITORING,
            "retrainings",
            "every decision to retrain or not, with its cause",
            (
                key("decided_at", "timestamp"),
                key("retrain", "boolean"),
                key("cause"),
                key("reasons", comment="as JSON"),
            ),
            ("decided_at",),
        ),
        table(
            Layer.MONITORING,
            "runs",
            "what ran: job, task, state, seconds, rows",
            (
                key("run_id"),
                key("job"),
                key("task"),
                key("attempt", "bigint"),
                key("state"),
                key("as_of", "timestamp", "the instant that the run took for the present"),
                key("started_at", "timestamp"),
                key("seconds", "double"),
                column("rows", "bigint"),
                key("cause"),
                column("error", "string"),
                key("values", comment="as JSON"),
            ),
            ("run_id", "task", "attempt"),
        ),
    )
    return {table.name: table for table in declared}


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
