"""Labels, which arrive late: the task that adds them, and the two joins that use them.

A request is joined with its label for training and evaluation, a prediction for monitoring. Both joins take only
labels that were known before the end of their window.
"""

import datetime as dt
from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from pipelines.dataframes.training_rows import newest
from pipelines.execution.context import Context, TaskResult
from pipelines.tasks.features import refresh


def build_labels(context: Context) -> TaskResult:
    """Add the labels that have become known."""
    return TaskResult(rows=refresh(context, context.use_case.labels))


def with_labels(context: Context, asked: DataFrame, *, known_by: dt.datetime) -> DataFrame:
    """Return the requests whose label was known before an instant, with ``label_known_at`` and ``label``.

    Of a label that was corrected, the newest value known before the instant counts.
    """
    key = context.use_case.spine.request_key
    known = known_labels(context, known_by).where(F.col("label").isNotNull())
    named = known.select(F.col("request_key").alias(key), F.col("known_at").alias("label_known_at"), "label")
    return asked.join(named, on=key)


def predictions_with_labels(
    context: Context, since: dt.datetime, until: dt.datetime, *, inputs: Sequence[str]
) -> DataFrame:
    """Return the live predictions of a window with ``outcome`` and ``label``, missing where not known by its end.

    Parameters
    ----------
    inputs
        The inputs to keep with each prediction.
    """
    made = live_predictions(context, since, until)
    return made.select("request_key", "alias", "model_version", "prediction_at", "score", *inputs).join(
        known_labels(context, until).select("request_key", "outcome", "label"), on="request_key", how="left"
    )


def live_predictions(context: Context, since: dt.datetime, until: dt.datetime) -> DataFrame:
    """Return the predictions of a window that were not made in hindsight: only these enter what is monitored.

    A prediction is made in hindsight if its request was due before the end of what its version was trained and
    evaluated on.
    """
    due = F.col("prediction_at")
    stored = context.lakehouse.tables.read(context.use_case.table("predictions"))
    in_hindsight = F.coalesce(F.col("hindsight"), F.lit(False))
    return stored.where((due >= F.lit(since)) & (due < F.lit(until)) & ~in_hindsight)


def known_labels(context: Context, until: dt.datetime) -> DataFrame:
    """Return the newest row of each request's label that was known before an instant."""
    labels = context.lakehouse.tables.read(context.use_case.labels.table)
    return newest(labels.where(F.col("known_at") < F.lit(until)), key="request_key", time="known_at")
