"""Summaries of scored rows that the engine computes: of however many rows, only tables of a bounded size reach the driver.

Workers turn their batches into sums (`ml.metrics.segment_sums`), the engine adds the sums of equal keys, and for clusters
also their squares. The driver gets at most a row for each cell of a grid and segment, and one for each day and segment.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it
from pyspark.sql.types import DoubleType, LongType, StringType, StructField, StructType

from ml.metrics.addends import KEYS, merged_as_they_come
from ml.metrics.clusters import DAY
from ml.metrics.influence_sums import SecondPass
from ml.metrics.score_grid import CELLS, SAMPLE_ROWS, SLICE_CELLS, Grid
from ml.metrics.segment_errors import Errors, errors_of
from ml.metrics.segment_summary import Quantity, Segment, segments_of
from ml.metrics.segment_sums import LABEL, TIME, FirstPass, Grids, Layout, gridded_values, way_part
from ml.spec.estimator import Problem
from pipelines.dataframes.training_rows import sampled

GATHERED_ROWS = 131_072
"""Rows that a worker sums at once."""
GRID_SEED = 0
"""Of the sample that a grid is made from."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Segments by name, their errors where there are rows with labels, and the grids that they were counted on."""

    grids: Grids
    segments: dict[str, Segment]
    errors: dict[str, Errors]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the second pass adds up: quantities of segments, some of which are pools of others."""

    segments: dict[str, Segment]
    quantities: tuple[Quantity, ...]
    pools: Mapping[str, str] = field(default_factory=dict)


def summarise(
    rows: DataFrame,
    layout: Layout,
    *,
    key: str,
    count: int,
    asked: Callable[[dict[str, Segment]], Asked],
) -> Summary:
    """Return the summary of rows by passes: a sample for the grids, the tables, the sums of influences.

    Parameters
    ----------
    rows
        With the columns that `layout` names, ``prediction_at`` and ``label``.
    key
        The column that a row is drawn by for the sample: equal on every engine.
    count
        About how many rows there are.
    asked
        What the second pass adds up, for the segments that the first has found.
    """
    grids = _grids(rows, layout, key, count)
    needed = [TIME, LABEL, *layout.columns, *layout.groups, *layout.slices, *layout.entities, *layout.counts]
    selected = rows.select(*dict.fromkeys([*needed, *(name for name in (layout.ages, layout.weight) if name)]))
    segments = segments_of(
        added_up(selected, FirstPass(layout=layout, grids=grids)).toArrow().to_pandas(), layout, grids
    )
    wanted = asked(segments)
    placed = {name: one.placed(wanted.quantities) for name, one in wanted.segments.items()}
    second = SecondPass(layout=layout, grids=grids, placed=placed, quantities=wanted.quantities, pools=wanted.pools)
    totals = squared(added_up(selected, second), second.values).toArrow().to_pandas()
    complete, errors = errors_of(totals, wanted.segments, second)
    return Summary(grids=grids, segments=complete, errors=errors)


class Sums(Protocol):
    """What a pass adds up of each batch."""

    @property
    def values(self) -> int:
        """How many values a key has."""

    def __call__(self, batch: Any, /) -> Iterator[Any]:
        """Yield the sums of a batch: data frames with segment, part, key and ``sum_0`` and so on."""


def added_up(rows: DataFrame, sums: Sums) -> DataFrame:
    """Return the sums of all rows by segment, part and key."""
    columns = [f"sum_{i}" for i in range(sums.values)]
    fields = [StructField("segment", StringType()), StructField("part", StringType()), StructField("key", LongType())]
    partial = rows.mapInArrow(
        _Adder(sums), StructType([*fields, *(StructField(name, DoubleType()) for name in columns)])
    )
    return partial.groupBy(*KEYS).agg(*(F.sum(name).alias(name) for name in columns))


def squared(sums: DataFrame, values: int) -> DataFrame:
    """Return the number, sums and sums of squares of the clusters of each way; single days and parts of one key stay."""
    part = F.col("part")
    many = part.startswith("way ") & (part != way_part((DAY,)))
    names = [f"sum_{i}" for i in range(values)]
    kept = sums.select("segment", "part", F.when(many, F.lit(0)).otherwise(F.col("key")).alias("key"), *names)
    return kept.groupBy(*KEYS).agg(
        F.count(F.lit(1)).alias("clusters"),
        *(F.sum(name).alias(name) for name in names),
        *(F.sum(F.col(name) * F.col(name)).alias(name.replace("sum", "square")) for name in names),
    )


def flag(condition: Column) -> Column:
    """Return 1 where a condition holds and 0 where it does not, or is not known."""
    return F.when(condition, F.lit(1.0)).otherwise(F.lit(0.0))


def _grids(rows: DataFrame, layout: Layout, key: str, count: int) -> Grids:
    """Make the grids from a sample that is drawn by key."""
    places = 10_000
    share = min(1.0, math.ceil(places * SAMPLE_ROWS / max(count, 1)) / places)
    drawn = rows.where(sampled(F.col(key), share, GRID_SEED)) if share < 1 else rows
    if layout.problem is Problem.REGRESSION:
        drawn = drawn.where(F.col(LABEL).isNotNull())
    values = gridded_values(drawn.select(LABEL, *layout.columns).toArrow().to_pandas(), layout)
    return Grids(
        whole={name: Grid.of(found, CELLS) for name, found in values.items()},
        slices={name: Grid.of(found, SLICE_CELLS) for name, found in values.items()},
    )


class _Adder:
    """What each worker does with its batches; a class so that it is pickled by name, with the pass."""

    def __init__(self, sums: Sums) -> None:
        self.sums = sums

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        parts = (part for chunk in _chunks(batches) for part in self.sums(chunk.to_pandas()))
        for found in merged_as_they_come(parts):
            yield from pa.Table.from_pandas(found, preserve_index=False).to_batches()


def _chunks(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        if rows >= GATHERED_ROWS:
            yield pa.Table.from_batches(held)
            held, rows = [], 0
    if rows:
        yield pa.Table.from_batches(held)
