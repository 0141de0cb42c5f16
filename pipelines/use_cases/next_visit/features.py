"""Feature rows and labels of the use case, built from bronze rows; Spark expressions only.

A row of the history has the instant of a basket and includes it: the point-in-time join takes only rows from before the
prediction, so the basket about which is asked is not in it.
"""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

DAY = 24 * 60 * 60


def labels(visits: DataFrame) -> DataFrame:
    """Return 1 for every basket whose household is back, and 0 again where that visit was taken back."""
    returned = F.when(F.col("outcome") == "returned", 1.0).otherwise(0.0)
    return visits.select(
        F.col("basket_id").alias("request_key"), F.col("seen_at").alias("known_at"), "outcome", returned.alias("label")
    )


def household_history(checkouts: DataFrame) -> DataFrame:
    """Return, at each checkout of a household, its visits of the last 7 and 28 days and what it paid on average."""
    moments = checkouts.groupBy("household_id", F.col("paid_at").alias("known_at")).agg(
        F.count(F.lit(1)).cast("double").alias("baskets"), F.sum("amount").alias("paid")
    )
    by_time = Window.partitionBy("household_id").orderBy(F.col("known_at").cast("bigint"))
    week, weeks = by_time.rangeBetween(-7 * DAY, 0), by_time.rangeBetween(-28 * DAY, 0)
    return moments.select(
        "household_id", "known_at",
        F.sum("baskets").over(week).alias("visits_7d"),
        F.sum("baskets").over(weeks).alias("visits_28d"),
        (F.sum("paid").over(weeks) / F.sum("baskets").over(weeks)).alias("mean_amount_28d"),
    )  # fmt: skip
