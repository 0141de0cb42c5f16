"""Tasks of the training job: assemble the rows, then fit each estimator and register it as a candidate."""

import datetime as dt
import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict
from functools import reduce
from typing import Any

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.labels.windows import training_windows
from ml.spec.weights import SAMPLE_WEIGHT
from pipelines.dataframes.label_maturity import counts_of
from pipelines.dataframes.training_rows import feature_tables, requests, sampled, versions_read, with_inputs
from pipelines.declarations.asset import Table
from pipelines.declarations.standard_jobs.delivery import DELIVERY
from pipelines.execution.context import Context, TaskError, TaskResult
from pipelines.lakehouse.tables.arrow import to_pandas
from pipelines.lakehouse.tables.store import Written
from pipelines.tasks import row_limits
from pipelines.tasks.data.labels import labelled_by
from pipelines.tasks.versions.candidates import TRAINING_SHARE, Training, registered_candidate, train_candidate

TRAINING, EVALUATION = "training", "evaluation"


def assemble(
    context: Context, *, until: dt.datetime | None, training_days: int, evaluation_days: int, sample: float, seed: int
) -> TaskResult:
    """Join labels with what was known at prediction time; the last days whose outcomes are due are kept for evaluation.

    Only requests whose outcome is due decide, and days are counted back from there (`ml.labels.windows`).

    Raises
    ------
    TaskError
        If this environment receives the use case's model instead of training it, or no request of the window decides.
    """
    use_case, here = context.use_case, context.lakehouse.environment.name
    if here not in use_case.trained_in:
        raise TaskError(
            f"{use_case.name} is not trained in {here!r} but in {', '.join(use_case.trained_in)} (its declaration says "
            f"so in trained_in): run {use_case.job(DELIVERY).address} here."
        )
    windows = training_windows(
        until or context.now, due_days=use_case.label_due_days, evaluation_days=evaluation_days,
        training_days=training_days,
    )  # fmt: skip
    since, split, end = windows.training_from, windows.evaluation_from, windows.end
    asked, time = requests(context, since, end), F.col(use_case.spine.prediction_time)
    chosen = sample_of(context, asked, sample, seed)
    parts = {
        TRAINING: labelled_by(context, chosen.where(time < F.lit(split)), at=split),
        EVALUATION: labelled_by(context, chosen.where(time >= F.lit(split)), at=end),
    }
    written = append_rows(context, parts, since=since, until=end, sample=sample, seed=seed)
    if not written.rows:
        raise TaskError(_nothing_due(context, since, end))
    context.say(f"training set {context.run_id}: {written.rows:,} rows, evaluation from {split:%Y-%m-%d}")
    return TaskResult(rows=written.rows, values={"training_set_id": context.run_id})


def _nothing_due(context: Context, since: dt.datetime, until: dt.datetime) -> str:
    """Return why there is nothing to train on, with the range that there would be."""
    use_case, time = context.use_case, context.use_case.spine.prediction_time
    asked = requests(context, None, dt.datetime.max.replace(tzinfo=dt.UTC))
    judged = labelled_by(context, asked, at=dt.datetime.max.replace(tzinfo=dt.UTC))
    span = (
        judged.where(F.col("label").isNotNull()).agg(F.min(time).alias("first"), F.max(time).alias("last")).toArrow()
    ).to_pylist()[0]
    window = (
        f"no request from {since:%Y-%m-%d} to {until:%Y-%m-%d} has a label that was due ({use_case.label_due_days} days "
        f"after its prediction) in {context.lakehouse.environment.name!r}"
    )
    if span["first"] is None:
        return f"{window}, nor has any other: run {use_case.job('features').address} there first."
    first, last = (span[name].astimezone(dt.UTC) for name in ("first", "last"))
    end = last + dt.timedelta(days=use_case.label_due_days + 1)
    return (
        f"{window}; requests from {first:%Y-%m-%d} to {last:%Y-%m-%d} have one: name the end of the window, for example "
        f"--param until={end:%Y-%m-%d}."
    )


def sample_of(context: Context, rows: DataFrame, share: float, seed: int) -> DataFrame:
    """Return a share of the requests, drawn by their key."""
    return rows.where(sampled(F.col(context.use_case.spine.request_key), share, seed)) if share < 1 else rows


def training_share(rows: int) -> float:
    """Return the share of so many training rows that is drawn by key: 1 up to `row_limits.MOST_TRAINING_ROWS`.

    It is stated to four digits, as `pipelines.dataframes.training_rows.sampled` draws.
    """
    limit = row_limits.MOST_TRAINING_ROWS
    return 1.0 if rows <= limit else max(math.floor(10_000 * limit / rows), 1) / 10_000


def append_rows(
    context: Context, parts: Mapping[str, DataFrame], *, since: dt.datetime, until: dt.datetime, sample: float = 1.0,
    seed: int = 0,
) -> Written:  # fmt: skip
    """Add the requests that decide, with their inputs, to the training sets, as the run's.

    A run's set is one commit: a run that goes on keeps the one that it has, also if it has moved the champion since, by
    whose training rows a delivery chooses.

    Parameters
    ----------
    parts
        Part to its requests as `labelled_by` returns them; those that do not decide are counted with every row.
    sample, seed
        The share of the requests that `parts` were drawn with. Where more rows decide than fit an estimator, a smaller
        share of the training rows is drawn the same way, and recorded with the counts.
    """
    use_case, tables = context.use_case, context.lakehouse.tables
    training_set = use_case.table("training_set")
    own = tables.find_batch(training_set, context.run_id)
    if own is not None:
        return Written(rows=own.added, version=own.version, skipped=True)
    counts = {part: counts_of(rows) for part, rows in parts.items()}
    share = training_share(counts[TRAINING].deciding) if TRAINING in counts else 1.0
    recorded: dict[str, Any] = {part: asdict(counted) for part, counted in counts.items()}
    if share < 1:
        parts = {**parts, TRAINING: sample_of(context, parts[TRAINING], sample * share, seed)}
        recorded[TRAINING_SHARE] = share
        context.say(
            f"{counts[TRAINING].deciding:,} training rows, more than {row_limits.MOST_TRAINING_ROWS:,}: {share:.2%} drawn "
            "by request key"
        )
    marked = [rows.withColumn("part", F.lit(part)) for part, rows in parts.items()]
    deciding = reduce(DataFrame.unionByName, marked).where(F.col("label").isNotNull()).drop("standing")
    joined = with_inputs(context, deciding, since, until)
    joined_from = versions_read(context, [use_case.spine.table, use_case.labels.table, *feature_tables(context)])
    identified = joined.withColumns(
        {
            "training_set_id": F.lit(context.run_id),
            "table_versions": F.lit(joined_from),
            "label_counts": F.lit(json.dumps(recorded, sort_keys=True)),
        }
    )
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
    version = train_candidate(context, Training(spec=spec, rows=rows, seed=seed, cause=cause))
    seconds = time.perf_counter() - begun
    context.say(f"{spec.name}: version {version.number}, trained on {len(rows):,} rows in {seconds:.1f} s")
    return TaskResult(rows=len(rows), values={"version": str(version.number)})


def part_of(context: Context, part: str) -> DataFrame:
    """Return one part of the run's training set as the engine reads it."""
    training_set = context.lakehouse.tables.read(context.use_case.table("training_set"))
    return training_set.where((F.col("training_set_id") == context.run_id) & (F.col("part") == part))


def read_part(context: Context, part: str, *, share: float = 1.0, seed: int = 0) -> pd.DataFrame:
    """Return one part of the run's training set, or a share of it drawn by key, in the order of prediction.

    Raises
    ------
    TaskError
        If the run has no such rows.
    """
    use_case, found = context.use_case, part_of(context, part)
    if share < 1:
        found = found.where(sampled(F.col("request_key"), share, seed))
    weights = (SAMPLE_WEIGHT,) if use_case.weight is not None else ()
    rows = to_pandas(found.select("request_key", "prediction_at", "label", *use_case.kept_columns, *weights))
    if use_case.weight is not None:  # a training set of before the weight was declared has none
        rows[SAMPLE_WEIGHT] = rows[SAMPLE_WEIGHT].astype(float).fillna(use_case.weight.missing)
    if rows.empty:
        raise TaskError(
            f"training set {context.run_id!r} has no rows for {part}: run the task assemble of this run first, "
            "and widen its window (its parameters that end in _days) if it found none."
        )
    # The same long texts on every row: fetched once.
    (same,) = found.select("table_versions", "label_counts").limit(1).toArrow().to_pylist()
    ordered = rows.sort_values(["prediction_at", "request_key"], ignore_index=True)
    return ordered.assign(**same)


def _names(table: Table) -> list[str]:
    return [column.name for column in table.columns]
