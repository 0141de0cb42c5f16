"""Reads how the outcomes of requests become known with their age: the data of the report's maturity curve."""

import datetime as dt
import math
from collections import defaultdict

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.spec.target import MultiClass
from pipelines.dataframes.training_rows import requests
from pipelines.declarations.use_case import UseCase
from pipelines.execution.context import Context
from pipelines.lakehouse.lakehouse import Lakehouse
from pipelines.report.records import Maturity

REACH = 2
"""The curve reaches to so many times the due time, so that what comes late is seen."""
CLASS_LINES = 3
"""The chart has so many lines beside that of all requests."""
DAY_SECONDS = 24 * 60 * 60
ALL = "all"
THIRDS = {"low": 1 / 3, "high": 2 / 3}
"""The shares of the labels up to which the lowest and the middle third reach."""
THIRD_NAMES = ("lowest third of labels", "middle third of labels", "highest third of labels")


def read_maturity(lakehouse: Lakehouse, use_case: UseCase, *, at: dt.datetime) -> Maturity | None:
    """Return how outcomes became known, of the requests that were old enough at an instant; None without any.

    The engine counts them by whole days of age and by label, so what is read does not grow with the requests.
    """
    due = use_case.label_due_days
    for horizon in (REACH * due, due):
        counts = _counts(lakehouse, use_case, at, horizon)
        if counts:
            return _maturity(counts, due, horizon)
    return None


Counts = list[tuple[str, int | None, int]]
"""Group, age in days at which the outcome became known, rounded up, and requests; an age of None is not by the horizon."""


def _counts(lakehouse: Lakehouse, use_case: UseCase, at: dt.datetime, horizon: int) -> Counts:
    context = Context(lakehouse=lakehouse, use_case=use_case, run_id="report", now=at, say=lambda _: None)
    key, time = use_case.spine.request_key, use_case.spine.prediction_time
    asked = requests(context, None, at - dt.timedelta(days=horizon)).select(key, time)
    labels = lakehouse.tables.read(use_case.labels.table).where(F.col("known_at") < F.lit(at))
    first = labels.groupBy(F.col("request_key").alias(key)).agg(
        F.min("known_at").alias("first_known_at"), F.max("label").alias("label")
    )
    joined = asked.join(first, on=key, how="left")
    age = F.ceil((F.col("first_known_at").cast("bigint") - F.col(time).cast("bigint")) / DAY_SECONDS)
    aged = joined.select(
        _group(use_case, labels).alias("group"), F.when((age >= 0) & (age <= horizon), age.cast("int")).alias("age")
    )
    rows = aged.groupBy("group", "age").agg(F.count(F.lit(1)).alias("requests")).toArrow().to_pylist()
    return [(row["group"] or "", row["age"], row["requests"]) for row in rows]


def _group(use_case: UseCase, labels: DataFrame) -> Column:
    """Return the label of a binary problem, the class, or the third in which a regression's label lies; missing without one."""
    label, problem = F.col("label"), use_case.problem
    if isinstance(problem, MultiClass):
        return _class_group(label, problem)
    if problem.classes:
        return F.when(label == 1, "label 1").when(label == 0, "label 0")
    # The embedded engine takes one share a call.
    cuts = labels.agg(*(F.percentile_approx("label", share).alias(name) for name, share in THIRDS.items())).toArrow()
    low, high = (cuts[name][0].as_py() for name in THIRDS)
    if low is None:
        return F.lit(None).cast("string")
    lowest, middle, highest = THIRD_NAMES
    return F.when(label <= low, lowest).when(label <= high, middle).when(label > high, highest)


def _class_group(label: Column, problem: MultiClass) -> Column:
    """Return the class of a label; the last of the lines that the chart has is for all classes that get none of their own."""
    own = problem.classes if len(problem.classes) <= CLASS_LINES else problem.classes[: CLASS_LINES - 1]
    group = F.when(label == 0, own[0])
    for place, name in enumerate(own[1:], start=1):
        group = group.when(label == place, name)
    return group.when(label >= len(own), f"the other {len(problem.classes) - len(own)} classes")


def _maturity(counts: Counts, due: int, horizon: int) -> Maturity:
    requests_of: dict[str, int] = {ALL: 0}
    known: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for group, age, number in sorted(counts, key=_place):
        for name in (ALL, *((group,) if group else ())):
            requests_of[name] = requests_of.get(name, 0) + number
            if age is not None:
                known[name][age] += number
    return Maturity(
        due_days=due,
        horizon_days=horizon,
        requests=requests_of,
        known={name: dict(ages) for name, ages in known.items()},
    )


def _place(row: tuple[str, int | None, int]) -> tuple[int, str, float]:
    """Return where the count of a group and age stands: thirds from the lowest on, other groups by name, each by age."""
    group, age, _ = row
    return THIRD_NAMES.index(group) if group in THIRD_NAMES else 0, group, math.inf if age is None else age
