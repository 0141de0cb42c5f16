"""The outcome of each request as it was known when due: the rule of `ml.labels.maturity` as Spark expressions."""

import datetime as dt
from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.labels.maturity import LabelCounts, OutcomeState

DECIDING = (OutcomeState.LABELLED.value, OutcomeState.ASSUMED.value)
DAY_SECONDS = 24 * 60 * 60


def with_standing(
    rows: DataFrame, labels: DataFrame, *, key: str, time: str, due_days: int, at: dt.datetime,
    without_outcome: float | None, delivered: dt.datetime | None = None, further: Sequence[str] = (),
) -> DataFrame:  # fmt: skip
    """Return the rows with what is known of their outcomes at an instant.

    Parameters
    ----------
    rows
        One row for each request.
    labels
        ``request_key``, ``known_at`` and ``label``; of several rows of a request the newest counts that was
        known when the outcome was due.
    key, time
        Columns of `rows` with the request's key and the instant of prediction.
    due_days, at, without_outcome
        As of `ml.labels.maturity.standings`.
    delivered
        Outcomes are delivered until then; None for no bound. Where a feed has stopped, only what was known early is there,
        so a request that is due later is without an outcome, whatever is known of it and whatever none of it means.

    further
        Other columns of `labels` to join with the label; missing where it was assumed.

    Returns
    -------
    DataFrame
        With ``label_known_at`` and ``label``, missing where the request does not decide, ``standing``, and ``late_days``:
        the age at which an outcome became known that was late, missing for all others.
    """
    before = F.lit(at)
    due_at, known_at = F.col("label_due_at"), F.col("label_known_at")
    known = labels.where(F.col("known_at") < before).select(
        F.col("request_key").alias(key), F.col("known_at").alias("label_known_at"), "label", *further
    )
    dated = rows.withColumn("label_due_at", F.col(time) + F.expr(f"INTERVAL {due_days} DAYS"))
    moments = (
        dated.select(key, "label_due_at")
        .join(known.select(key, "label_known_at"), on=key)
        .groupBy(key, "label_due_at")
        .agg(
            F.max(F.when(known_at <= due_at, known_at)).alias("known_when_due"),
            F.min(F.when(known_at > due_at, known_at)).alias("known_late"),
        )
    )
    joined = (
        dated.join(moments, on=[key, "label_due_at"], how="left")
        .withColumnRenamed("known_when_due", "label_known_at")
        .join(known, on=[key, "label_known_at"], how="left")
    )
    standing = _standing(before, without_outcome)
    if delivered is not None:
        unknown = (due_at < before) & (due_at >= F.lit(delivered))
        standing = F.when(unknown, OutcomeState.WITHOUT_OUTCOME.value).otherwise(standing)
    is_assumed, decides = standing == OutcomeState.ASSUMED.value, standing.isin(*DECIDING)
    is_late = known_at.isNull() & (due_at < before)
    age = (F.col("known_late").cast("bigint") - F.col(time).cast("bigint")) / DAY_SECONDS
    return joined.select(
        *rows.columns,
        F.when(is_assumed, due_at).when(decides, known_at).alias("label_known_at"),
        F.when(is_assumed, F.lit(without_outcome).cast("double")).when(decides, F.col("label")).alias("label"),
        standing.alias("standing"),
        F.when(is_late, age).alias("late_days"),
        *(F.when(decides & ~is_assumed, F.col(name)).alias(name) for name in further),
    )


def _standing(before: Column, without_outcome: float | None) -> Column:
    is_late = F.col("known_late").isNotNull()
    absent = F.when(is_late, OutcomeState.LATE.value).otherwise(OutcomeState.WITHOUT_OUTCOME.value)
    return (
        F.when(F.col("label_due_at") >= before, OutcomeState.NOT_DUE.value)
        .when(F.col("label").isNotNull(), OutcomeState.LABELLED.value)
        .when(F.col("label_known_at").isNotNull(), OutcomeState.WITHOUT_LABEL.value)
        .otherwise(absent if without_outcome is None else F.lit(OutcomeState.ASSUMED.value))
    )


def counts_of(rows: DataFrame) -> LabelCounts:
    """Return how many rows have each standing."""
    counted = rows.groupBy("standing").agg(F.count(F.lit(1)).alias("requests")).toArrow().to_pylist()
    return LabelCounts.of({row["standing"]: row["requests"] for row in counted})
