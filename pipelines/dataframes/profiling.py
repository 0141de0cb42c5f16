"""Profiles of Spark data frames: one pass over the data, of which only small partial profiles reach the driver.

Each worker profiles its share of the rows on Arrow batches with the numpy code of `ml.profiles.table_profile`; the driver merges.
Everything here keeps to the Spark Connect API.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 # the name Spark's own documentation uses
from pyspark.sql.types import BinaryType, StructField, StructType

from ml.profiles.column_profile import profile_column
from ml.profiles.column_values import Categories, Numbers
from ml.profiles.numeric_grid import numeric_column
from ml.profiles.specification import (
    KEPT_CATEGORIES,
    CategoricalColumn,
    Column,
    ProfileSpec,
    categorical_column,
)
from ml.profiles.table_profile import Profile, empty, merge

SAMPLE_ROWS = 20_000
"""Rows a specification is made from; the 0.1% quantile then rests on some twenty of them."""
GATHERED_ROWS = 131_072
"""Rows a worker gathers before it sorts them into groups; without groups every batch is profiled as it comes."""
PARTIAL = "_profile"
Key = tuple[Any, ...]


def profile_frame(frame: DataFrame, spec: ProfileSpec) -> Profile:
    """Profile all rows of a data frame in one pass.

    Raises
    ------
    ValueError
        If the data frame lacks a column of the specification.
    """
    return profile_frame_by(frame, spec, ()).get((), empty(spec))


def profile_frame_by(frame: DataFrame, spec: ProfileSpec, by: Sequence[str]) -> dict[Key, Profile]:
    """Profile the rows of each combination of values of some columns, all in one pass.

    Parameters
    ----------
    by
        Columns of few distinct values: a day, a month, a slice.

    Returns
    -------
    dict
        Values of `by`, in that order, to profile; no entry where there is no row.

    Raises
    ------
    ValueError
        If the data frame lacks a column of the specification or of `by`.
    """
    _require_columns(frame, (*by, *spec.names))
    keys = [frame.schema[name] for name in by]
    partials = frame.select(
        *(F.col(name).alias(f"_by_{i}") for i, name in enumerate(by)), *(F.col(name) for name in spec.names)
    ).mapInArrow(
        _Profiler(spec, len(by)),
        StructType(
            [*(StructField(f"_by_{i}", key.dataType) for i, key in enumerate(keys)), StructField(PARTIAL, BinaryType())]
        ),
    )
    merged: dict[Key, Profile] = {}
    # Not `collect`, which hands out timestamps without a zone, in that of this machine.
    for row in partials.toArrow().to_pylist():
        *values, data = row.values()
        part = Profile.from_bytes(data, spec)
        key = tuple(values)
        merged[key] = merge(merged[key], part) if key in merged else part
    return merged


def profile_days(frame: DataFrame, spec: ProfileSpec, time_column: str) -> list[Profile]:
    """Profile each day from the first to the last that has rows, in order; days without rows are empty profiles."""
    _require_columns(frame, (time_column, *spec.names))
    by_day = profile_frame_by(frame.withColumn("_day", F.to_date(time_column)), spec, ("_day",))
    days: list[date] = sorted(day for (day,) in by_day if day is not None)
    if not days:
        return []
    return [by_day.get((days[0] + timedelta(days=i),), empty(spec)) for i in range((days[-1] - days[0]).days + 1)]


def reference_spec(
    frame: DataFrame,
    *,
    numeric: Sequence[str],
    categorical: Sequence[str],
    seed: int,
    sample_rows: int = SAMPLE_ROWS,
    kept_categories: int = KEPT_CATEGORIES,
) -> ProfileSpec:
    """Fix grids and categories from a seeded sample of the reference's rows.

    Parameters
    ----------
    numeric, categorical
        Columns to profile as numbers (dates and timestamps too) and as names (booleans too).

    Raises
    ------
    ValueError
        If the data frame lacks one of the columns.
    """
    _require_columns(frame, (*numeric, *categorical))
    rows = frame.count()
    selected = frame.select(*numeric, *categorical)
    sample = (selected.sample(fraction=sample_rows / rows, seed=seed) if rows > sample_rows else selected).toArrow()
    types = dict(frame.dtypes)
    columns: list[Column] = [
        *(numeric_column(name, types[name], _numbers(sample.column(name))) for name in numeric),
        *(
            categorical_column(name, types[name], _counted(sample.column(name)), kept_categories)
            for name in categorical
        ),
    ]
    return ProfileSpec(tuple(columns))


class _Profiler:
    """What each worker does with its batches; a class so that it is pickled by name, with the specification."""

    def __init__(self, spec: ProfileSpec, keys: int) -> None:
        self.spec = spec
        self.keys = keys

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        merged: dict[Key, Profile] = {}
        key_types: list[pa.DataType] = [pa.null()] * self.keys
        for chunk in _chunks(batches, GATHERED_ROWS if self.keys else 1):
            key_types = [field.type for field in chunk.schema][: self.keys]
            for key, rows in self._groups(chunk):
                part = self._profile(rows)
                merged[key] = merge(merged[key], part) if key in merged else part
        if merged:
            columns = [pa.array([key[i] for key in merged], type=kind) for i, kind in enumerate(key_types)]
            partials = pa.array([profile.to_bytes() for profile in merged.values()], type=pa.binary())
            yield pa.RecordBatch.from_arrays(
                [*columns, partials], names=[*(f"_by_{i}" for i in range(self.keys)), PARTIAL]
            )

    def _groups(self, chunk: pa.Table) -> Iterator[tuple[Key, pa.Table]]:
        if not self.keys:
            yield (), chunk
            return
        names = chunk.column_names[: self.keys]
        order = pc.sort_indices(chunk.select(names), sort_keys=[(name, "ascending") for name in names])
        ordered = chunk.take(order)
        counted = ordered.select(names).group_by(names, use_threads=False).aggregate([([], "count_all")])
        start = 0
        for row in counted.to_pylist():
            count = row.pop("count_all")
            yield tuple(row[name] for name in names), ordered.slice(start, count)
            start += count

    def _profile(self, rows: pa.Table) -> Profile:
        return Profile(
            self.spec,
            {
                column.name: profile_column(
                    column,
                    _categories(rows.column(self.keys + i), column)
                    if isinstance(column, CategoricalColumn)
                    else _numbers(rows.column(self.keys + i)),
                )
                for i, column in enumerate(self.spec.columns)
            },
        )


def _chunks(batches: Iterable[pa.RecordBatch], enough: int) -> Iterator[pa.Table]:
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        if rows >= enough:
            yield pa.Table.from_batches(held)
            held, rows = [], 0
    if rows:
        yield pa.Table.from_batches(held)


def _numbers(column: pa.ChunkedArray) -> Numbers:
    nulls = column.null_count
    present = column.drop_null() if nulls else column
    if pa.types.is_timestamp(present.type):
        micros = present.cast(pa.timestamp("us", tz=present.type.tz)).cast(pa.int64())
        return Numbers(values=micros.to_numpy() / 1e6, nulls=nulls)
    if pa.types.is_date32(present.type):
        present = present.cast(pa.int32())
    return Numbers(values=np.asarray(present.to_numpy(), dtype=np.float64), nulls=nulls)


def _categories(column: pa.ChunkedArray, specified: CategoricalColumn) -> Categories:
    """Count the specified categories and all others by lookup, whatever the number of distinct values."""
    texts = column.cast(pa.string())
    places = pc.index_in(texts.drop_null(), value_set=pa.array(specified.categories, pa.string()))
    counts = np.bincount(places.fill_null(len(specified.categories)).to_numpy(), minlength=specified.places)
    return Categories(
        values=specified.categories, counts=counts[:-1].tolist(), others=int(counts[-1]), nulls=texts.null_count
    )


def _counted(column: pa.ChunkedArray) -> Categories:
    counted = pc.value_counts(column.cast(pa.string()).drop_null())
    return Categories(
        values=counted.field("values").to_pylist(), counts=counted.field("counts").to_pylist(), nulls=column.null_count
    )


def _require_columns(frame: DataFrame, names: Sequence[str]) -> None:
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise ValueError(
            f"cannot profile: column {', '.join(missing)} missing; the data frame has {', '.join(frame.columns)}."
        )
