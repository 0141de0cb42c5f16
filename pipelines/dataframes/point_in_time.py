"""Joins to each row to predict what was known of its entities before the instant of prediction, and nothing later.

The rule, for every lookup and every spine row:

- the newest feature row of the same key whose time lies **strictly before** the spine's time is taken, as a whole: a
  missing value in it stays missing, none is filled from an older row;
- where its table declares how late rows reach it (`FeatureTable.available_after_minutes`), only rows that are older than that at
  the spine's time are looked at: the others had not arrived;
- it counts only if it is at most `lookback_hours` old, the bound included; otherwise all its columns are missing;
- where several feature rows have that key and time, the greatest by the looked-up columns in their declared order is
  taken, a missing value counting as the smallest (a feature table written by merge has no such rows);
- a spine row whose key or time is missing joins nothing, and a feature row without a time is joined to nothing. No spine row is
  lost or repeated.

It keeps to Spark Connect: rows of equal key meet in one bucket, where `pipelines.scoring.as_of` matches them in Arrow. A bucket
must fit the memory of one worker.
"""

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - its usual name
from pyspark.sql.types import DoubleType, StructField, StructType

from ml.spec.errors import LakehouseError
from pipelines.declarations.feature_table import Lookup
from pipelines.declarations.mistakes import unknown
from pipelines.scoring.as_of import match_bucket

BUCKETS = 32
"""Into how many parts the keys are hashed."""

BUCKET, ROW = "bucket", "row"


class JoinError(LakehouseError, ValueError):
    """Columns that cannot be joined; the message names each."""


def point_in_time_join(
    spine: DataFrame,
    *,
    spine_time: str,
    lookups: Sequence[tuple[Lookup, DataFrame]],
    available_after: Mapping[str, int] = MappingProxyType({}),
    buckets: int = BUCKETS,
) -> DataFrame:
    """Return the spine with what each lookup knew before the spine's time.

    Parameters
    ----------
    spine
        One row for each prediction.
    spine_time
        Its timestamp column with the instant of prediction.
    lookups
        Each lookup with the rows of its feature table.
    available_after
        Address of a feature table to the minutes after which a row has reached it; 0 for tables that are not there.
    buckets
        Into how many parts the keys are hashed; more of them need less memory at once.

    Returns
    -------
    DataFrame
        The spine's rows, in any order, with its columns and then each lookup's: the names on the right of
        `Lookup.columns`, and `Lookup.age_as` as hours between feature row and prediction.

    Raises
    ------
    JoinError
        If a column is missing, has another type than its counterpart, or would stand twice; all at once.
    """
    wrong = list(_mistakes(spine, spine_time, lookups))
    if wrong:
        raise JoinError(f"point-in-time join: {'; '.join(wrong)}")
    for lookup, features in lookups:
        wait = available_after.get(lookup.table.address, 0)
        spine = _join(spine, spine_time, lookup, features, buckets, wait)
    return spine


def _join(spine: DataFrame, spine_time: str, lookup: Lookup, features: DataFrame, buckets: int, wait: int) -> DataFrame:
    time_key = str(lookup.table.time_key)
    needed = dict.fromkeys((*lookup.keys.values(), time_key, *lookup.columns))
    match = functools.partial(
        match_bucket,
        keys=dict(lookup.keys),
        spine_time=spine_time,
        feature_time=time_key,
        columns=dict(lookup.columns),
        lookback_hours=lookup.lookback_hours,
        age_as=lookup.age_as,
        available_after_minutes=wait,
    )

    def matched(spine_rows: pa.Table, feature_rows: pa.Table) -> pa.Table:
        return match(_unpacked(spine_rows), _unpacked(feature_rows))

    left = _packed(spine, spine.columns, lookup.keys.keys(), buckets)
    right = _packed(features, needed, lookup.keys.values(), buckets)
    joined = left.groupBy(BUCKET).cogroup(right.groupBy(BUCKET))
    return joined.applyInArrow(matched, schema=_schema(spine, lookup, features))


def _packed(rows: DataFrame, names: Iterable[str], keys: Iterable[str], buckets: int) -> DataFrame:
    """Return each row as one struct beside its bucket: Sail cannot group columns that hold missing values."""
    bucket = F.pmod(F.hash(*keys), F.lit(buckets))
    return rows.select(bucket.alias(BUCKET), F.struct(*names).alias(ROW))


def _unpacked(rows: pa.Table) -> pa.Table:
    packed = rows.column(ROW)
    return pa.Table.from_arrays(packed.flatten(), names=[field.name for field in packed.type])


def _schema(spine: DataFrame, lookup: Lookup, features: DataFrame) -> StructType:
    types = {field.name: field.dataType for field in features.schema}
    added = [StructField(name, types[column]) for column, name in lookup.columns.items()]
    if lookup.age_as:
        added.append(StructField(lookup.age_as, DoubleType()))
    return StructType([*spine.schema, *added])


def _mistakes(spine: DataFrame, spine_time: str, lookups: Sequence[tuple[Lookup, DataFrame]]) -> Iterator[str]:
    present = {field.name: field.dataType for field in spine.schema}
    kind = present[spine_time].simpleString() if spine_time in present else "missing"
    if kind != "timestamp":
        yield f"the spine's time {spine_time!r} is {kind}, it must be a timestamp"
    added: set[str] = set()
    for lookup, features in lookups:
        table = lookup.table.address
        types = {field.name: field.dataType for field in features.schema}
        for name in (*lookup.keys.values(), str(lookup.table.time_key), *lookup.columns):
            if name not in types:
                yield f"{unknown(f'column of {table}', name, types)}"
        for spine_key, feature_key in lookup.keys.items():
            if spine_key not in present:
                yield f"{unknown(f'spine column (key of {table})', spine_key, present)}"
            elif types.get(feature_key, present[spine_key]) != present[spine_key]:
                yield (
                    f"spine column {spine_key!r} is {present[spine_key].simpleString()}, its counterpart "
                    f"{table}.{feature_key} is {types[feature_key].simpleString()}: cast one"
                )
        names = [*lookup.columns.values(), *([lookup.age_as] if lookup.age_as else [])]
        for name in names:
            if name in present or name in added:
                yield f"input {name!r} of {table} is already a column: give it another name"
            added.add(name)
