"""Labels, which arrive late: the task that adds them, and the two joins that use them.

A request is joined with its label for training and evaluation, a prediction for monitoring. Both joins take only
labels that were known before the end of their window.
"""

import datetime as dt
from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from pipelines.dataframes.training_rows import requests
from pipelines.execution.context import Context, TaskResult
from pipelines.tasks.features import refresh


def build_labels(context: Context) -> TaskResult:
    """Add the labels that have become known."""
    return TaskResult(rows=refresh(context, context.use_case.labels))


def labelled_requests(context: Context, since: dt.datetime, until: dt.datetime) -> DataFrame:
    """Return the requests of a window whose label was known by its end, with ``label_known_at`` and ``label``."""
    key = context.use_case.spine.request_key
    known = _known_labels(context, until).where(F.col("label").isNotNull())
    named = known.select(F.col("request_key").alias(key), F.col("known_at").alias("label_known_at"), "label")
    return requests(context, since, until).join(named, on=key)


def predictions_with_labels(
    context: Context, since: dt.datetime, until: dt.datetime, *, inputs: Sequence[str]
) -> DataFrame:
    """Return the predictions of a window with ``outcome`` and ``label``, missing where not known by its end.

    Parameters
    ----------
    inputs
        The inputs to keep with each prediction.
    """
    due = F.col("prediction_at")
    stored = context.lakehouse.tables.read(context.use_case.table("predictions"))
    made = stored.where((due >= F.lit(since)) & (due < F.lit(until)))
    return made.select("request_key", "alias", "model_version", "prediction_at", "score", *inputs).join(
        _known_labels(context, until).select("request_key", "outcome", "label"), on="request_key", how="left"
    )


def _known_labels(context: Context, until: dt.datetime) -> DataFrame:
    labels = context.lakehouse.tables.read(context.use_case.labels.table)
    return labels.where(F.col("known_at") < F.lit(until))
