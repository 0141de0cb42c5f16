"""Feature rows and labels of the flight-delay use case, built from bronze rows; Spark expressions only.

Every builder takes the rows of its source and returns rows of its table. A row of a history has the instant at which
its last flight landed, and includes that flight: the point-in-time join takes only rows from before the prediction.
"""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window, WindowSpec
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

LATE_MINUTES = 15
DAY = 24 * 60 * 60


def labels(reports: DataFrame) -> DataFrame:
    """Return a label per reported flight: 1.0 if more than 15 minutes late, missing if it never landed as scheduled."""
    landed = F.col("outcome") == "landed"
    late = (F.col("arrival_delay") > LATE_MINUTES).cast("double")
    return reports.select(
        F.col("flight_id").alias("request_key"), F.col("reported_at").alias("known_at"), "outcome",
        F.when(landed & F.col("arrival_delay").isNotNull(), late).alias("label"),
    )  # fmt: skip


def carrier_history(arrivals: DataFrame) -> DataFrame:
    """Return, at each landing of a carrier, its punctuality over the last day and the last 28 days."""
    return _history(arrivals, ("carrier",))


def route_history(arrivals: DataFrame) -> DataFrame:
    """Return, at each landing on a route, its punctuality over the last day and the last 28 days."""
    return _history(arrivals, ("origin", "destination"))


def airport_hour_history(arrivals: DataFrame) -> DataFrame:
    """Return, at each landing of a flight of that airport and hour, their punctuality over 1 and 28 days."""
    return _history(arrivals, ("origin", "departure_hour"))


def tail_history(arrivals: DataFrame) -> DataFrame:
    """Return, at each landing of an aircraft, how late it was then and over the last seven days."""
    keys = ("tailnum",)
    moments = _moments(arrivals.where(F.col("tailnum").isNotNull()), keys)
    week = _trailing(keys, days=7)
    return moments.select(
        "tailnum", "known_at", (F.col("delay") / F.col("flights")).alias("last_arrival_delay"),
        F.sum("flights").over(week).alias("flights_7d"), _mean("delay", week).alias("mean_delay_7d"),
    )  # fmt: skip


def weather(observations: DataFrame) -> DataFrame:
    """Return each observation with the instant of its publication."""
    names = ("temperature", "humidity", "wind_speed", "precipitation", "pressure", "visibility")
    return observations.select("origin", F.col("published_at").alias("known_at"), *names)


def aircraft(register: DataFrame) -> DataFrame:
    """Return the entry of each aircraft in the register."""
    return register.select(
        "tailnum", F.col("registered_at").alias("known_at"), F.col("built").cast("double").alias("built"),
        F.col("seats").cast("double").alias("seats"), "manufacturer",
    )  # fmt: skip


def _history(arrivals: DataFrame, keys: Sequence[str]) -> DataFrame:
    moments = _moments(arrivals, keys)
    columns: dict[str, Column] = {}
    for days in (1, 28):
        window = _trailing(keys, days=days)
        columns[f"flights_{days}d"] = F.sum("flights").over(window)
        columns[f"late_rate_{days}d"] = _mean("late", window)
        columns[f"mean_delay_{days}d"] = _mean("delay", window)
    return moments.select(*keys, "known_at", *(value.alias(name) for name, value in columns.items()))


def _moments(arrivals: DataFrame, keys: Sequence[str]) -> DataFrame:
    """Return flights, late flights and minutes of delay per entity and instant, so that each key has one row."""
    landed = arrivals.where((F.col("outcome") == "landed") & F.col("arrival_delay").isNotNull())
    return landed.groupBy(*keys, "known_at").agg(
        F.count(F.lit(1)).alias("flights"),
        F.sum((F.col("arrival_delay") > LATE_MINUTES).cast("double")).alias("late"),
        F.sum("arrival_delay").alias("delay"),
    )


def _trailing(keys: Sequence[str], *, days: int) -> WindowSpec:
    """Return the window of an entity's rows from `days` before a row to the row itself, both included."""
    return Window.partitionBy(*keys).orderBy(F.col("known_at").cast("bigint")).rangeBetween(-days * DAY, 0)


def _mean(total: str, window: WindowSpec) -> Column:
    return F.sum(total).over(window) / F.sum("flights").over(window)
