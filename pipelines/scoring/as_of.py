"""The point-in-time match of one bucket of rows in Arrow: by one sort and one binary search, without Spark.

The rule is stated in `pipelines.dataframes.point_in_time`, which brings the buckets together.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

MICROSECONDS_PER_MINUTE = 60_000_000
MICROSECONDS_PER_HOUR = 60 * MICROSECONDS_PER_MINUTE
LIMIT = 2**62
"""Pairs of key and time are sorted as one integer below this."""

Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]


def match_bucket(spine: pa.Table, features: pa.Table, **how: Any) -> pa.Table:
    """Return the spine's rows with the columns of the feature row that each matches; `how` is that of `matched`.

    Returns
    -------
    pa.Table
        As many rows as the spine, in its order; unmatched ones lack every added column.
    """
    added = matched(spine, features, **how)
    return pa.Table.from_arrays([*spine.columns, *added.values()], names=[*spine.column_names, *added])


def matched(
    spine: pa.Table,
    features: pa.Table,
    *,
    keys: Mapping[str, str],
    spine_time: str,
    feature_time: str,
    columns: Mapping[str, str],
    lookback_hours: int,
    age_as: str | None,
    available_after_minutes: int = 0,
) -> dict[str, pa.ChunkedArray]:
    """Return the columns of the feature row that each row of the spine matches.

    Parameters
    ----------
    spine, features
        All rows of the bucket, none or more.
    keys
        Spine column to feature column.
    columns
        Feature column to output name.
    available_after_minutes
        A feature row counts only once it is older than this.

    Returns
    -------
    dict
        Output name to as many values as the spine has rows, in its order; missing in unmatched ones. Then the age in hours.
    """
    if features.column(feature_time).null_count:  # nobody knows from when on such a row was known
        features = features.filter(features.column(feature_time).is_valid())
    spine_codes, feature_codes = _codes(spine, features, keys)
    asked, known = instants(spine.column(spine_time)), instants(features.column(feature_time))
    asking = _present(spine, [*keys, spine_time])
    wait = available_after_minutes * MICROSECONDS_PER_MINUTE
    order, sorted_pairs, queries = _sort(feature_codes, known, spine_codes, asked - wait)
    order = _settle_ties(order, sorted_pairs, features, columns)
    rows, found = _newest(sorted_pairs, queries, order)
    found &= asking
    found[found] &= feature_codes[rows[found]] == spine_codes[found]
    since = np.zeros(len(rows), np.int64)
    since[found] = known[rows[found]]
    found &= counts(asked, since, available_after_minutes=available_after_minutes, lookback_hours=lookback_hours)
    return _taken(features, pa.array(rows, mask=~found), columns, age_as, np.where(found, asked - since, 0))


def counts(asked: Integers, known: Integers, *, available_after_minutes: int, lookback_hours: int) -> Booleans:
    """Return of each feature row whether the request beside it may use it: known strictly before it, and not too long before.

    Parameters
    ----------
    asked, known
        The instants of the requests and from which the rows were known, in microseconds since 1970, shape ``(rows,)`` each.
    available_after_minutes
        A row counts only once it is older than this.
    lookback_hours
        And as long as it is not older than this.
    """
    known_early_enough: Booleans = known < asked - available_after_minutes * MICROSECONDS_PER_MINUTE
    return known_early_enough & (asked - known <= lookback_hours * MICROSECONDS_PER_HOUR)


def _newest(sorted_pairs: Integers, queries: Integers, order: Integers) -> tuple[Integers, Booleans]:
    """Return for each query the feature row of the greatest pair below it, and whether there is one."""
    position = np.searchsorted(sorted_pairs, queries, side="left") - 1
    found = position >= 0
    rows = np.zeros(len(queries), np.int64)
    rows[found] = order[position[found]]
    return rows, found


def _sort(
    feature_codes: Integers, known: Integers, spine_codes: Integers, asked: Integers
) -> tuple[Integers, Integers, Integers]:
    """Return the order of the feature rows by key and time, their sorted pairs, and the spine's pairs to search."""
    if not len(known):
        return np.empty(0, np.int64), np.empty(0, np.int64), np.zeros(len(asked), np.int64)
    lowest, highest = int(known.min()), int(known.max())
    span = highest - lowest + 2
    codes = int(max(feature_codes.max(), spine_codes.max(initial=0))) + 1
    # Clipping keeps what matters: whether a known time lies before the asked one.
    known, asked = known - lowest, np.clip(asked, lowest, highest + 1) - lowest
    if codes > LIMIT // span:
        distinct = np.sort(known)
        distinct = distinct[np.append(True, distinct[1:] != distinct[:-1])]
        known, asked = np.searchsorted(distinct, known), np.searchsorted(distinct, asked)
        span = len(distinct) + 1
    pairs = feature_codes * span + known
    order = np.argsort(pairs)
    return order, pairs[order], spine_codes * span + asked


def _codes(spine: pa.Table, features: pa.Table, keys: Mapping[str, str]) -> tuple[Integers, Integers]:
    """Return a number for the key of each row: equal numbers for equal keys, below the count of all rows; a missing part counts as a value."""
    codes = np.zeros(spine.num_rows + features.num_rows, np.int64)
    for spine_column, feature_column in keys.items():
        left, right = spine.column(spine_column), features.column(feature_column)
        right = right if right.type == left.type else right.cast(left.type)
        encoded = pa.concat_arrays([*left.chunks, *right.chunks]).dictionary_encode(null_encoding="encode")
        codes = codes * len(encoded.dictionary) + encoded.indices.to_numpy()
        if len(keys) > 1:
            codes = pa.array(codes).dictionary_encode().indices.to_numpy().astype(np.int64)
    return codes[: spine.num_rows], codes[spine.num_rows :]


def instants(times: "pa.ChunkedArray | pa.Array") -> Integers:
    """Return microseconds since 1970; 0 where missing."""
    exact = times if times.type.unit == "us" else times.cast(pa.timestamp("us", times.type.tz))
    count = exact.cast(pa.int64())
    filled: Integers = (pc.fill_null(count, 0) if count.null_count else count).to_numpy()
    return filled


def _present(rows: pa.Table, names: Sequence[str]) -> Booleans:
    present = np.ones(rows.num_rows, np.bool_)
    for name in names:
        if (column := rows.column(name)).null_count:
            present &= column.is_valid().to_numpy()
    return present


def _settle_ties(order: Integers, sorted_pairs: Integers, features: pa.Table, names: Iterable[str]) -> Integers:
    """Return the order with rows of equal key and time sorted by value, missing values before all others."""
    same = sorted_pairs[1:] == sorted_pairs[:-1]
    if not same.any():
        return order
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
    values = features.select(list(names)).take(order[tied])
    rows = [pa.array(sorted_pairs[tied]), *values.columns]
    places = [str(place) for place in range(len(rows))]
    settled = pc.sort_indices(
        pa.table(rows, names=places), sort_keys=[(place, "ascending") for place in places], null_placement="at_start"
    )
    order[tied] = order[tied][settled.to_numpy()]
    return order


def _taken(
    features: pa.Table,
    rows: pa.Array,
    columns: Mapping[str, str],
    age_as: str | None,
    age: Integers,
) -> dict[str, pa.ChunkedArray]:
    taken = features.select(list(columns)).take(rows)
    found = dict(zip(columns.values(), taken.columns, strict=True))
    if age_as:
        hours = pa.array(age / MICROSECONDS_PER_HOUR, mask=rows.is_null().to_numpy(zero_copy_only=False))
        found[age_as] = pa.chunked_array([hours])
    return found
