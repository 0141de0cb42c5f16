"""Tasks of the training job: assemble the rows, then fit each estimator and register it as a candidate."""

import datetime as dt
import time

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.models.fitting import fit
from pipelines.dataframes.training_rows import feature_tables, requests, sampled, versions_read, with_inputs
from pipelines.declarations.asset import Table
from pipelines.declarations.standard_jobs.delivery import DELIVERY
from pipelines.execution.context import Context, TaskError, TaskResult
from pipelines.lakehouse.tables.arrow import to_pandas
from pipelines.lakehouse.tables.store import Written
from pipelines.tasks.candidates import Fitted, register_candidate, registered_candidate
from pipelines.tasks.labels import known_labels, with_labels

TRAINING, EVALUATION = "training", "evaluation"


def assemble(
    context: Context, *, until: dt.datetime | None, training_days: int, evaluation_days: int, sample: float, seed: int
) -> TaskResult:
    """Join labels with what was known at prediction time; the last days are kept for evaluation.

    A row is trained on only if its label was known before the first evaluated prediction.

    Raises
    ------
    TaskError
        If this environment receives the use case's model instead of training it, or no request of the window has a label.
    """
    use_case, here = context.use_case, context.lakehouse.environment.name
    if here not in use_case.trained_in:
        raise TaskError(
            f"{use_case.name} is not trained in {here!r} but in {', '.join(use_case.trained_in)} (its declaration says "
            f"so in trained_in): run {use_case.job(DELIVERY).address} here."
        )
    end = until or context.now
    evaluation_from = end - dt.timedelta(days=evaluation_days)
    training_from = evaluation_from - dt.timedelta(days=training_days)
    asked, due = requests(context, training_from, end), F.col(use_case.spine.prediction_time)
    trained = with_labels(context, asked.where(due < F.lit(evaluation_from)), known_by=evaluation_from)
    evaluated = with_labels(context, asked.where(due >= F.lit(evaluation_from)), known_by=end)
    chosen = sample_of(context, trained.unionByName(evaluated), sample, seed)
    written = append_rows(context, chosen, evaluation_from=evaluation_from, since=training_from, until=end)
    if not written.rows:
        raise TaskError(_nothing_labelled(context, training_from, end))
    context.say(f"training set {context.run_id}: {written.rows:,} rows, evaluation from {evaluation_from:%Y-%m-%d}")
    return TaskResult(rows=written.rows, values={"training_set_id": context.run_id})


def _nothing_labelled(context: Context, since: dt.datetime, until: dt.datetime) -> str:
    """Return why there is nothing to train on, with the range of the labels that there are."""
    labels = known_labels(context, dt.datetime.max.replace(tzinfo=dt.UTC))
    span = labels.agg(F.min("known_at").alias("first"), F.max("known_at").alias("last")).toArrow().to_pylist()[0]
    window = (
        f"no request from {since:%Y-%m-%d} to {until:%Y-%m-%d} has a label in {context.lakehouse.environment.name!r}"
    )
    if span["first"] is None:
        return f"{window}, nor has any other: run {context.use_case.job('features').address} there first."
    last = span["last"].astimezone(dt.UTC) + dt.timedelta(days=1)
    return (
        f"{window}; labels became known from {span['first']:%Y-%m-%d} to {span['last']:%Y-%m-%d}: name the end of the "
        f"window, for example --param until={last:%Y-%m-%d}."
    )


def sample_of(context: Context, rows: DataFrame, share: float, seed: int) -> DataFrame:
    """Return a share of the requests, drawn by their key."""
    return rows.where(sampled(F.col(context.use_case.spine.request_key), share, seed)) if share < 1 else rows


def append_rows(
    context: Context, rows: DataFrame, *, evaluation_from: dt.datetime, since: dt.datetime, until: dt.datetime
) -> Written:
    """Add labelled requests with their inputs to the training sets, as the run's, each as training or evaluation row.

    A row that is neither, because its label became known while evaluated predictions were being made, is left out. A run's
    set is one commit: a run that goes on keeps the one that it has, also if it has moved the champion since, by whose
    training rows a delivery chooses.
    """
    use_case, tables = context.use_case, context.lakehouse.tables
    training_set = use_case.table("training_set")
    own = tables.find_batch(training_set, context.run_id)
    if own is not None:
        return Written(rows=own.added, version=own.version, skipped=True)
    due, known = F.col(use_case.spine.prediction_time), F.col("label_known_at")
    part = F.when(due >= F.lit(evaluation_from), EVALUATION).when(known < F.lit(evaluation_from), TRAINING)
    parted = rows.withColumn("part", part).where(F.col("part").isNotNull())
    joined = with_inputs(context, parted, since, until)
    joined_from = versions_read(context, [use_case.spine.table, use_case.labels.table, *feature_tables(context)])
    identified = joined.withColumns({"training_set_id": F.lit(context.run_id), "table_versions": F.lit(joined_from)})
    return tables.append_once(training_set, identified.select(_names(training_set)), batch_id=context.run_id)


def train(context: Context, *, estimator: str, seed: int, cause: str) -> TaskResult:
    """Fit one estimator of the use case on the run's training set and register it as a candidate, once in a run."""
    use_case = context.use_case
    spec = next(spec for spec in use_case.estimators if spec.name == estimator)
    if (made := registered_candidate(context, spec, seed=seed)) is not None:
        context.say(f"{spec.name}: version {made.number} was registered by this run already")
        return TaskResult(values={"version": str(made.number)})
    rows = read_part(context, TRAINING)
    begun = time.perf_counter()
    model = fit(
        spec, rows[list(use_case.inputs)], rows["label"].to_numpy(np.float64), problem=use_case.problem,
        numeric=use_case.numeric_inputs, categorical=use_case.categorical_inputs, seed=seed,
    )  # fmt: skip
    seconds = time.perf_counter() - begun
    version = register_candidate(
        context, Fitted(spec=spec, model=model, rows=rows, seed=seed, cause=cause, seconds=seconds)
    )
    context.say(f"{spec.name}: version {version.number}, trained on {len(rows):,} rows in {seconds:.1f} s")
    return TaskResult(rows=len(rows), values={"version": str(version.number)})


def read_part(context: Context, part: str) -> pd.DataFrame:
    """Return one part of the run's training set, in the order of prediction.

    Raises
    ------
    TaskError
        If the run has no such rows.
    """
    training_set = context.lakehouse.tables.read(context.use_case.table("training_set"))
    found = training_set.where((F.col("training_set_id") == context.run_id) & (F.col("part") == part))
    rows = to_pandas(found.select("request_key", "prediction_at", "label", *context.use_case.inputs))
    if rows.empty:
        raise TaskError(
            f"training set {context.run_id!r} has no rows for {part}: run the task assemble of this run first, "
            "and widen its window (its parameters that end in _days) if it found none."
        )
    # The same long text on every row: fetched once.
    versions = found.select("table_versions").limit(1).toArrow()["table_versions"][0].as_py()
    ordered = rows.sort_values(["prediction_at", "request_key"], ignore_index=True)
    return ordered.assign(table_versions=versions)


def _names(table: Table) -> list[str]:
    return [column.name for column in table.columns]
