"""Feature rows and labels of the air-time use case, built from bronze rows; Spark expressions only.

A row of a history has the instant at which its last report was filed, and includes that report: the point-in-time join
takes only rows from before the prediction.
"""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

DAY = 24 * 60 * 60


def labels(reports: DataFrame) -> DataFrame:
    """Return the minutes in the air of every reported flight; missing if it never landed as scheduled."""
    landed = F.col("outcome") == "landed"
    return reports.select(
        F.col("flight_id").alias("request_key"), F.col("reported_at").alias("known_at"), "outcome",
        F.when(landed, F.col("air_time")).alias("label"),
    )  # fmt: skip


def route_history(reports: DataFrame) -> DataFrame:
    """Return, at each report of a route, the mean air time over the reports of the last 7 and 21 days.

    The winds aloft change a route's air time for days, and differently in another season.
    """
    keys = ("origin", "destination")
    landed = reports.where((F.col("outcome") == "landed") & F.col("air_time").isNotNull())
    moments = landed.groupBy(*keys, F.col("reported_at").alias("known_at")).agg(
        F.count(F.lit(1)).alias("flights"), F.sum("air_time").alias("minutes")
    )
    means = {}
    for days in (7, 21):
        window = Window.partitionBy(*keys).orderBy(F.col("known_at").cast("bigint")).rangeBetween(-days * DAY, 0)
        means[f"mean_air_time_{days}d"] = F.sum("minutes").over(window) / F.sum("flights").over(window)
    return moments.select(*keys, "known_at", *(value.alias(name) for name, value in means.items()))
