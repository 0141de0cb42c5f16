"""Compares inputs as they were scored with inputs as they were trained on, request by request, in the engine.

A frame of pairs has a row for each request of a training set: ``request_key``, ``window``, ``trained_for``, what scoring
recorded of it, and each input twice, with the prefixes `TRAINED` and `SCORED`. Only counts leave the engine.
"""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from types import MappingProxyType
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.monitoring.skew import KNOWN_EQUAL

TRAINED, SCORED = "trained__", "scored__"
IN_BOTH = "in_both"


@dataclass(frozen=True, kw_only=True)
class ComparedInputs:
    """The inputs that are compared, by how they are."""

    numeric: tuple[str, ...]
    categorical: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.numeric, *self.categorical)

    def differ(self, name: str, left: str, right: str) -> Column:
        """Return whether an input differs between two prefixes: two missing values are equal, one is not."""
        a, b = F.col(f"{left}{name}"), F.col(f"{right}{name}")
        if name in self.categorical:
            return ~a.eqNullSafe(b)
        a, b = (F.when(~F.isnan(value), value) for value in (a, b))
        larger = F.greatest(F.abs(a), F.abs(b))
        close = (F.abs(a - b) <= F.lit(KNOWN_EQUAL) * larger) & (larger < F.lit(float("inf")))
        return F.coalesce((a != b) & ~close, a.isNull() != b.isNull())

    def any_differ(self, left: str, right: str) -> Column:
        """Return whether any input differs."""
        return reduce(or_, [self.differ(name, left, right) for name in self.names])

    def prefixed(self, prefix: str) -> list[Column]:
        """Return every input under its name with a prefix."""
        return [F.col(name).alias(f"{prefix}{name}") for name in self.names]


def pairs(
    trained: DataFrame,
    scored: DataFrame,
    inputs: ComparedInputs,
    *,
    length: str,
    without: Mapping[str, Collection[int]] = MappingProxyType({}),
) -> DataFrame:
    """Return each trained request with how it was scored, if it was.

    Parameters
    ----------
    trained
        Rows of one training set.
    scored
        Rows of predictions of one alias, each request once.
    length
        Of the windows.
    without
        By input the versions that do not have it, because it was declared later: what they scored does not differ in it.
    """
    left = trained.select("request_key", F.col("prediction_at").alias("trained_for"), *inputs.prefixed(TRAINED))
    right = scored.select(
        "request_key", F.col("prediction_at").alias("scored_for"), "scored_at", "features_version", "model_version",
        *inputs.prefixed(SCORED),
    )  # fmt: skip
    joined = left.join(right, on="request_key", how="left")
    for name, versions in without.items():
        unused = F.coalesce(F.col("model_version").isin(*versions), F.lit(False))
        value = F.when(unused, F.col(f"{TRAINED}{name}")).otherwise(F.col(f"{SCORED}{name}"))
        joined = joined.withColumn(f"{SCORED}{name}", value)
    return joined.withColumns(
        {
            "window": F.date_trunc(length, "trained_for"),
            IN_BOTH: F.coalesce(F.col("scored_for") == F.col("trained_for"), F.lit(False)),
        }
    )


def counts(paired: DataFrame, inputs: ComparedInputs) -> list[dict[str, Any]]:
    """Return a row for each window: requests trained, in both, moved, and for each input those that differ and one of them."""
    both = F.col(IN_BOTH)
    moved = F.col("scored_for").isNotNull() & ~both
    wanted = [
        F.count(F.lit(1)).alias("trained"), _sum(both).alias("requests"), _sum(moved).alias("moved"),
        _sum(both & inputs.any_differ(SCORED, TRAINED)).alias("differing"),
    ]  # fmt: skip
    for name in inputs.names:
        differs = both & inputs.differ(name, SCORED, TRAINED)
        wanted += [
            _sum(differs).alias(f"differing__{name}"),
            F.min(F.when(differs, F.col("request_key"))).alias(f"example__{name}"),
        ]
    rows: list[dict[str, Any]] = paired.groupBy("window").agg(*wanted).toArrow().to_pylist()
    return rows


def examples(paired: DataFrame, inputs: ComparedInputs, keys: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
    """Return the inputs of some requests, as scored and as trained on, by request key."""
    shown = [
        F.col(f"{prefix}{name}").cast("string").alias(f"{prefix}{name}")
        for prefix in (SCORED, TRAINED)
        for name in inputs.names
    ]
    found = paired.where(F.col("request_key").isin(*keys)).select("request_key", *shown).toArrow().to_pylist()
    return {row["request_key"]: row for row in found}


@dataclass(frozen=True, kw_only=True)
class ScoredBy:
    """Requests that differ and were scored from the same versions of the tables.

    Attributes
    ----------
    first, last
        The instants of the first and of the last of their predictions.
    """

    features_version: str
    requests: int
    first: dt.datetime
    last: dt.datetime


def scored_by(paired: DataFrame, inputs: ComparedInputs, *, scored_since: dt.datetime, most: int) -> list[ScoredBy]:
    """Return from which versions the requests that differ were scored, those of most requests first."""
    differing = paired.where(F.col(IN_BOTH) & inputs.any_differ(SCORED, TRAINED))
    recent = differing.where(F.col("scored_at") >= F.lit(scored_since))
    grouped = recent.groupBy("features_version").agg(
        F.count(F.lit(1)).alias("requests"), F.min("trained_for").alias("first"), F.max("trained_for").alias("last")
    )
    rows = grouped.orderBy(F.col("requests").desc(), "features_version").limit(most).toArrow().to_pylist()
    return [
        ScoredBy(**{**row, "first": row["first"].astimezone(dt.UTC), "last": row["last"].astimezone(dt.UTC)})
        for row in rows
    ]


def sums(paired: DataFrame, wanted: Mapping[str, Column]) -> list[dict[str, Any]]:
    """Return for each window how many rows fulfil each condition."""
    conditions = [_sum(F.coalesce(condition, F.lit(False))).alias(name) for name, condition in wanted.items()]
    rows: list[dict[str, Any]] = paired.groupBy("window").agg(*conditions).toArrow().to_pylist()
    return rows


def _sum(condition: Column) -> Column:
    return F.sum(F.when(condition, F.lit(1)).otherwise(F.lit(0))).cast("bigint")
