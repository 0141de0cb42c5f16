"""What a point-in-time join costs on the embedded engine: ``python -m benchmarks.joins``.

Joins 1 M spine rows with 5 M feature rows of 1,000 entities, then again with one entity that holds half of all rows.
The alternative is the plain formulation: a window over the union of both. Both read Delta tables from disk. Counts and
sums are compared to prove that both give the same rows.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from deltalake import write_deltalake
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 - its usual name

from benchmarks.limits import Figure, Limit, judge
from pipelines.dataframes.point_in_time import point_in_time_join
from pipelines.declarations.asset import Column, Layer, Table
from pipelines.declarations.feature_table import Lookup
from pipelines.lakehouse.engines.embedded import session

ENTITIES = 1_000
HOURS = 24 * 30
WINDOW = "window functions"
EVEN = Limit(what="join by bucket, entities of equal size", alternative=WINDOW, at_most=1 / 2)
SKEWED = Limit(what="join by bucket, one entity with half of all rows", alternative=WINDOW, at_most=1 / 2)
LIMITS = (EVEN, SKEWED)
"""For the default numbers of rows."""
ROUNDS = 2
TABLE = Table(
    use_case="benchmark",
    layer=Layer.FEATURES,
    name="history",
    comment="",
    primary_key=("entity",),
    time_key="known_at",
    columns=(
        Column(name="entity", type="string", nullable=False),
        Column(name="known_at", type="timestamp", nullable=False),
        Column(name="value", type="double"),
        Column(name="events", type="bigint"),
    ),
)
LOOKUP = Lookup(
    table=TABLE,
    keys={"entity": "entity"},
    columns={"value": "value", "events": "events"},
    lookback_hours=HOURS,
    age_as="age",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Time both formulations for both distributions of keys; return 1 if one is above its limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spine", type=int, default=1_000_000, help="spine rows (default %(default)s)")
    parser.add_argument("--features", type=int, default=5_000_000, help="feature rows (default %(default)s)")
    options = parser.parse_args(arguments)
    print(f"Point-in-time join of {options.spine:,} rows with {options.features:,} of {ENTITIES:,} entities")
    code = 0
    for limit, share in ((EVEN, 0.0), (SKEWED, 0.5)):
        with tempfile.TemporaryDirectory() as folder:
            spine, features = _stored(Path(folder), options.spine, options.features, share)
            own, other = timed([bucketed(spine, features), windowed(spine, features)])
        code |= judge([Figure(limit=limit, seconds=own, alternative_seconds=other)])
    return code


def bucketed(spine: DataFrame, features: DataFrame) -> DataFrame:
    """Return the join as the product makes it."""
    return point_in_time_join(spine, spine_time="at", lookups=[(LOOKUP, features)])


def windowed(spine: DataFrame, features: DataFrame) -> DataFrame:
    """Return the join by a window: the latest time known before each spine row of the union, then an equal join.

    The other plain window, ``last(..., ignorenulls=True)``, takes quadratic time in the rows of an entity here.
    """
    never, nobody = F.lit(None).cast("timestamp"), F.lit(None).cast("bigint")
    asked = spine.select("id", "entity", "at", never.alias("known_at"), F.lit(0).alias("is_feature"))
    union = asked.unionAll(features.select(nobody, "entity", "known_at", "known_at", F.lit(1)))
    # At the same instant the spine row stands first: what becomes known then was not known before.
    window = Window.partitionBy("entity").orderBy("at", "is_feature").rowsBetween(Window.unboundedPreceding, 0)
    latest = union.withColumn("known_at", F.max("known_at").over(window)).where("is_feature = 0")
    joined = latest.join(features, ["entity", "known_at"], "left")
    aged = joined.withColumn("age", (F.unix_micros("at") - F.unix_micros("known_at")) / 3.6e9)
    recent = F.col("age") <= HOURS
    return aged.select("id", *(F.when(recent, F.col(name)).alias(name) for name in ("value", "events", "age")))


def timed(joins: Sequence[DataFrame]) -> list[float]:
    """Return the best time of each join in seconds.

    The joins take turns, so that a change of the machine's load concerns all of them.

    Raises
    ------
    AssertionError
        If two joins give different rows, by counts and sums.
    """
    sums = [F.count(F.lit(1)), F.count("value"), F.sum("value"), F.sum("events").cast("double"), F.sum("age")]
    rounds: list[list[float]] = []
    expected: list[float] = []
    for _ in range(ROUNDS):
        rounds.append([])
        for joined in joins:
            started = time.perf_counter()
            totals = [float(total) for total in joined.agg(*sums).collect()[0]]
            rounds[-1].append(time.perf_counter() - started)
            expected = expected or totals
            if not np.allclose(totals, expected):
                raise AssertionError(f"two joins differ: {totals} and {expected}")
    return [min(seconds) for seconds in zip(*rounds, strict=True)]


def _stored(folder: Path, spine_rows: int, feature_rows: int, share: float) -> tuple[DataFrame, DataFrame]:
    """Write both sides as Delta tables; no two feature rows share an entity and a time."""
    random = np.random.default_rng(0)

    def entities(count: int) -> pa.Array:
        drawn = random.integers(0, ENTITIES, count)
        drawn[random.random(count) < share] = 0
        return pa.array([f"entity {n}" for n in range(ENTITIES)]).take(pa.array(drawn))

    def times(micros: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> pa.Array:
        return pa.array(micros + 1_356_998_400_000_000, pa.timestamp("us", "UTC"))

    year = 365 * 86_400_000_000
    known = random.permutation(feature_rows) * (year // feature_rows)
    spine = pa.table(
        {
            "id": np.arange(spine_rows),
            "entity": entities(spine_rows),
            "at": times(random.integers(0, year, spine_rows)),
        }
    )
    features = pa.table(
        {
            "entity": entities(feature_rows),
            "known_at": times(known),
            "value": random.random(feature_rows),
            "events": random.integers(0, 100, feature_rows),
        }
    )
    for name, rows in (("spine", spine), ("features", features)):
        write_deltalake(str(folder / name), rows)
    return tuple(session().read.format("delta").load(str(folder / name)) for name in ("spine", "features"))


if __name__ == "__main__":
    sys.exit(main())
