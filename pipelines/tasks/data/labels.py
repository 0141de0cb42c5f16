"""Labels, which arrive late: the task that adds them, and the two joins that use them.

A request is joined with its label for training and evaluation, a prediction for monitoring. Both joins follow one rule,
`pipelines.dataframes.label_maturity`: only requests whose outcome is due decide, each by its outcome as known when due.
"""

import datetime as dt
from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.spec.target import made_columns
from ml.spec.weights import SAMPLE_WEIGHT
from pipelines.dataframes.label_maturity import with_standing
from pipelines.dataframes.training_rows import newest, weight_of
from pipelines.execution.context import Context, TaskResult
from pipelines.tasks.data.features import refresh
from pipelines.tasks.data.ingest import delivered_until


def build_labels(context: Context) -> TaskResult:
    """Add the labels that have become known."""
    return TaskResult(rows=refresh(context, context.use_case.labels))


def labelled_by(context: Context, asked: DataFrame, *, at: dt.datetime) -> DataFrame:
    """Return the requests with ``standing``, and ``label_known_at`` and ``label`` of those that decide at an instant.

    A request decides once its outcome is due, by its outcome as it was known then (`ml.labels.maturity`).
    """
    use_case = context.use_case
    return with_standing(
        asked, context.lakehouse.tables.read(use_case.labels.table), key=use_case.spine.request_key,
        time=use_case.spine.prediction_time, due_days=use_case.label_due_days, at=at,
        without_outcome=use_case.without_outcome, delivered=delivered_until(context, use_case.labels.sources),
        further=use_case.label_columns[1:],
    ).drop("late_days")  # fmt: skip


def predictions_with_labels(
    context: Context, since: dt.datetime, until: dt.datetime, *, inputs: Sequence[str]
) -> DataFrame:
    """Return the live predictions of a window with ``standing``, ``label`` and ``late_days`` as of its end.

    The label is missing where the prediction does not decide, by the same rule as in training and evaluation.

    Parameters
    ----------
    inputs
        The inputs to keep with each prediction.
    """
    use_case = context.use_case
    made = live_predictions(context, since, until)
    weight = use_case.weight if use_case.weight_in_metrics else None
    of_label = () if weight is None else use_case.label_columns[1:]
    of_request = (SAMPLE_WEIGHT,) if weight is not None and not of_label else ()
    found = with_standing(
        made.select("request_key", "alias", "model_version", "prediction_at", *made_columns(use_case.problem), *inputs, *of_request),
        context.lakehouse.tables.read(use_case.labels.table), key="request_key", time="prediction_at",
        due_days=use_case.label_due_days, at=until, without_outcome=use_case.without_outcome,
        delivered=delivered_until(context, use_case.labels.sources), further=of_label,
    ).drop("label_known_at")  # fmt: skip
    if weight is None:
        return found
    (name,) = of_label or of_request
    return found.withColumn(SAMPLE_WEIGHT, weight_of(F.col(name), weight)).drop(*of_label)


def live_predictions(context: Context, since: dt.datetime, until: dt.datetime) -> DataFrame:
    """Return the predictions of a window that were not made in hindsight: only these enter what is monitored.

    A prediction is made in hindsight if its request was due before the end of what its version was trained and
    evaluated on.
    """
    return _predictions(context, since, until).where(made_live())


def predictions_in_hindsight(context: Context, since: dt.datetime, until: dt.datetime) -> DataFrame:
    """Return the other predictions of a window, which measure nothing."""
    return _predictions(context, since, until).where(~made_live())


def _predictions(context: Context, since: dt.datetime, until: dt.datetime) -> DataFrame:
    due = F.col("prediction_at")
    stored = context.lakehouse.tables.read(context.use_case.table("predictions"))
    return stored.where((due >= F.lit(since)) & (due < F.lit(until)))


def made_live() -> Column:
    """Return whether a prediction was not made in hindsight; an older release said of none that it was."""
    return ~F.coalesce(F.col("hindsight"), F.lit(False))


def known_labels(context: Context, until: dt.datetime) -> DataFrame:
    """Return the newest row of each request's label that was known before an instant."""
    labels = context.lakehouse.tables.read(context.use_case.labels.table)
    return newest(labels.where(F.col("known_at") < F.lit(until)), key="request_key", time="known_at")
