"""The tables that every use case has; the jobs that fill them are in `pipelines.declarations.standard_jobs`."""

from collections.abc import Sequence
from dataclasses import replace

from ml.spec.profile_columns import DRIFT_COLUMNS, PROFILE_COLUMNS
from pipelines.declarations.asset import Column, Layer, Table, column, key

PROFILE_KEY = ("window_start", "model_id", "column_name")
DRIFT_KEY = (*PROFILE_KEY, "drift_type")
CHECKPOINTS = "checkpoints"
"""The folder, on Databricks the volume, in which streams keep how far they have read."""
MEASURED = ("metrics", "drift")
"""The tables whose windows are measured again while labels arrive; each has a history beside it."""

_FINDING_KEY = ("kind", "column_name", "slice_key", "slice_value", "statistic")
_FINDING = (
    key("kind"),
    key("column_name"),
    key("slice_key"),
    key("slice_value"),
    key("statistic"),
    column("value", "double"),
    column("threshold", "double"),
    column("model_version", "bigint", "whose metric fell; missing for all else"),
    key("since", "timestamp"),
    key("message"),
)


def standard_tables(
    use_case: str,
    inputs: Sequence[Column],
    *,
    of_training: Sequence[Column] = (),
    of_predictions: Sequence[Column] = (),
) -> tuple[Table, ...]:
    """Return the tables that the jobs of every use case write.

    Parameters
    ----------
    use_case
        The use case's name.
    inputs
        The columns that are kept with every training row and every prediction: what reaches the estimator, and what
        rows are clustered by.
    of_training, of_predictions
        Further columns of training rows and of predictions.
    """
    tables = _newest(use_case, inputs, of_training, of_predictions)
    return (*tables, *(_history(table) for table in tables if table.name in MEASURED))


def _history(table: Table) -> Table:
    """Return the table that keeps every measurement of another, which has the newest one only."""
    return replace(
        table,
        name=f"{table.name}_history",
        comment=f"{table.comment}: a row for every time that a measurement was new or differed",
        columns=(key("recorded_at", "timestamp", "the end of what was measured"), *table.columns),
        primary_key=("recorded_at", *table.primary_key),
    )


def _newest(
    use_case: str, inputs: Sequence[Column], of_training: Sequence[Column], of_predictions: Sequence[Column]
) -> tuple[Table, ...]:

    def table(layer: Layer, name: str, comment: str, columns: Sequence[Column], primary_key: tuple[str, ...]) -> Table:
        return Table(
            use_case=use_case, layer=layer, name=name, comment=comment, columns=tuple(columns), primary_key=primary_key
        )

    window = (key("window_start", "timestamp"), key("window_end", "timestamp"))
    slices = (key("slice_key"), key("slice_value"))
    return (
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
                column("label_counts", "string", "of the run's requests, which decide and which are left out, as JSON"),
                *of_training,
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
                key("features_version", comment="of the spine and the feature tables, as JSON"),
                key("score", "double"),
                *inputs,
                column("hindsight", "boolean", "due before the end of what the version was trained and evaluated on"),
                *of_predictions,
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
                column("standard_error", "double", "by day, and by the sampled entities that are declared"),
                key("predictions", "bigint"),
                key("labelled", "bigint"),
                column("days", "bigint", "on which what is labelled was predicted"),
                column("without_label", "bigint", "outcome known, no label will come"),
                key("missing_labels", "bigint", "past their due date without an outcome"),
                column("assumed", "bigint", "of those labelled, due without an outcome: the stated value"),
                column("late_labels", "bigint", "outcome known only after its due time"),
                column("late_days", "double", "age in days by which nine in ten of the late outcomes were known"),
                column("not_due", "bigint", "outcome not due yet"),
                key("computed_at", "timestamp"),
                column("degrees_of_freedom", "double", "of the standard error, by Student's t"),
            ),
            ("window_start", "alias", "model_version", "slice_key", "slice_value", "metric"),
        ),
        table(
            Layer.MONITORING,
            "estimates",
            "quality estimated without labels, and as realised once labels arrived",
            (
                *window,
                key("alias"),
                key("model_version", "bigint"),
                key("metric"),
                column("estimated", "double", "expected over all predictions"),
                column("realised", "double", "on the predictions whose labels are known"),
                column("error", "double", "estimated less realised, both on the predictions whose labels are known"),
                column("standard_error", "double", "of the realised value"),
                key("predictions", "bigint"),
                key("labelled", "bigint"),
                column("not_due", "bigint", "outcome not due yet"),
                key("computed_at", "timestamp"),
            ),
            ("window_start", "alias", "model_version", "metric"),
        ),
        table(
            Layer.MONITORING,
            "profiles",
            "what was scored, column by column, in the words of Databricks data profiling",
            (*_described(PROFILE_COLUMNS, PROFILE_KEY), key("computed_at", "timestamp")),
            PROFILE_KEY,
        ),
        table(
            Layer.MONITORING,
            "drift",
            "how it differs from the training rows and from the window before",
            (*_described(DRIFT_COLUMNS, DRIFT_KEY), key("computed_at", "timestamp")),
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
                column(
                    "not_trained", "string", "estimators without a candidate because training failed, and why, as JSON"
                ),
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
            "model_cards",
            "the model card of each version, by the evaluation that judged it",
            (
                key("model_version", "bigint"),
                key("evaluation_id"),
                key("decided_at", "timestamp"),
                key("card", comment="its sections as JSON"),
            ),
            ("model_version", "evaluation_id"),
        ),
        table(
            Layer.MONITORING,
            "findings",
            "what was found: what, where, how much, threshold, since when",
            (*window, *_FINDING),
            ("window_start", *_FINDING_KEY),
        ),
        table(
            Layer.MONITORING,
            "findings_history",
            "what was found as of each decision: a row where a finding appeared, changed or was withdrawn",
            (key("recorded_at", "timestamp"), key("withdrawn", "boolean"), *window, *_FINDING),
            ("recorded_at", "window_start", *_FINDING_KEY),
        ),
        table(
            Layer.MONITORING,
            "alarm_days",
            "each day that the daily alarm has judged, once",
            (
                *window,
                key("model_version", "bigint", "the champion whose training rows it was compared with"),
                key("rows", "bigint", "scored on the day"),
                key("columns", "bigint", "that are watched"),
                key("alarms", "bigint"),
                key("false_alarms_per_month", "double", "over all columns and days of a month, as stated"),
                key("computed_at", "timestamp"),
            ),
            ("window_start",),
        ),
        table(
            Layer.MONITORING,
            "skew",
            "inputs as scored against inputs as trained on, for the requests that are in both",
            (
                *window,
                key("training_set_id"),
                key("column_name", comment="an input; :table: the requests themselves"),
                key("lookup", comment="what the input comes from"),
                key("trained", "bigint", "requests of the training set"),
                key("requests", "bigint", "of those, the ones that the champion had scored for the same instant"),
                key("moved", "bigint", "scored for another instant, and not compared"),
                key("differing", "bigint"),
                key("late", "bigint", "joined a row that reached the table after scoring"),
                key(
                    "replaced", "bigint", "joined the same row with other values, and its feed declares no corrections"
                ),
                key("corrected", "bigint", "joined a row that its feed has corrected, as it declares"),
                key("changed", "bigint", "lookup or builder was changed between"),
                column("example_key", "string", "of a request that differs"),
                column("scored_value", "string"),
                column("trained_value", "string"),
                key("computed_at", "timestamp"),
            ),
            ("window_start", "training_set_id", "column_name"),
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
                column("run_id", "string", "the run that decided"),
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
                column("trace_id", "string", "of the run's trace; missing where telemetry was off"),
            ),
            ("run_id", "task", "attempt"),
        ),
    )


def _described(columns: Sequence[tuple[str, str, str]], required: Sequence[str]) -> tuple[Column, ...]:
    """Return columns that `ml.spec` describes as (name, type, comment)."""
    return tuple(column(name, kind, comment, required=name in required) for name, kind, comment in columns)
