"""Values to add up by segment, part and key: the form in which parts of the rows are summed and the sums are merged.

A segment is all rows of a group, or those of it with one value of a slice column. Sums of sums are sums: rows may be
divided anyhow among batches, workers and days.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

KEYS = ("segment", "part", "key")
"""The columns that sums are identified by; the values follow."""
HELD = 400_000
"""Sums that are held before equal keys are merged."""
_DENSE = 4
"""Up to so many combinations for each row, sums are made in a table instead of being sorted."""


@dataclass(frozen=True, kw_only=True)
class Segments:
    """Which segment each row of a batch belongs to.

    Attributes
    ----------
    names
        Of the segments that occur, as `segment_name` makes them.
    codes
        Shape (rows,): places among the names.
    """

    names: Sequence[str]
    codes: Integers

    def take(self, chosen: NDArray[np.bool_]) -> "Segments":
        """Return the segments of some of the rows."""
        return Segments(names=self.names, codes=self.codes[chosen])


def segment_name(group: Sequence[Any], key: str | None = None, value: Any = None) -> str:
    """Return the name of a segment: the group, the slice column (None for all rows) and its value."""
    return json.dumps([*(_plain(part) for part in group), key, None if _is_missing(value) else str(value)])


def each_segmentation(
    batch: pd.DataFrame, groups: Sequence[str], slices: Sequence[str]
) -> Iterator[tuple[bool, Segments]]:
    """Yield the segments of a batch's rows: first as a whole, then by each slice column; and whether they are whole."""
    size = len(batch)
    codes, found = _codes([batch[name] for name in groups], size)
    yield True, Segments(names=[segment_name(group) for group in found], codes=codes)
    for key in slices:
        codes, found = _codes([*(batch[name] for name in groups), batch[key]], size)
        names = [segment_name(group[:-1], key, group[-1]) for group in found]
        yield False, Segments(names=names, codes=codes)


def added(segments: Segments, part: str, keys: Integers | None, values: Floats) -> pd.DataFrame:
    """Return the sum of each segment and key.

    Parameters
    ----------
    keys
        Shape (rows,); None for one key, 0.
    values
        Shape (rows, values).
    """
    distinct: Integers = np.zeros(1, dtype=np.int64)
    cells = segments.codes
    if keys is not None:
        places, distinct = pd.factorize(keys)
        cells = cells * distinct.size + places
    size = len(segments.names) * distinct.size
    if size > _DENSE * cells.size + 1_000:
        present, cells = np.unique(cells, return_inverse=True)
    else:
        present = np.flatnonzero(np.bincount(cells, minlength=size))
        place = np.zeros(size, dtype=np.int64)
        place[present] = np.arange(present.size)
        cells = place[cells]
    sums = {i: np.bincount(cells, weights=column, minlength=present.size) for i, column in enumerate(values.T)}
    width = max(distinct.size, 1)
    names = np.array(segments.names, dtype=object)[present // width]
    keyed = {"segment": names, "part": part, "key": distinct[present % width]}
    return pd.DataFrame({**keyed, **{f"sum_{i}": column for i, column in sums.items()}})


def merged(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return sums of the same values as one: those of equal segment, part and key are added."""
    whole = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(KEYS))
    return whole.groupby(list(KEYS), sort=True, observed=True, as_index=False).sum() if len(whole) else whole


def merged_as_they_come(parts: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Yield the sums of a stream of parts; where keys hardly repeat, in several pieces, so that memory stays bounded."""
    held: list[pd.DataFrame] = []
    rows = 0
    for part in parts:
        held.append(part)
        rows += len(part)
        if rows < HELD:
            continue
        whole = merged(held)
        held, rows = [whole], len(whole)
        if rows > HELD // 2:
            yield whole
            held, rows = [], 0
    if rows:
        yield merged(held)


def hashed(values: "pd.Series[Any]") -> Integers:
    """Return 64 bits for each value, the same on every machine; all missing ones are equal."""
    texts = values.astype(object)
    absent = texts.isna().to_numpy()
    found = pd.util.hash_array(texts.where(~absent, "").astype(str).to_numpy(dtype=object)).astype(np.uint64)
    found[absent] = 1
    return found.view(np.int64)


def combined_key(first: Integers, second: Integers) -> Integers:
    """Return 64 bits for each pair of keys."""
    mixed = first.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(29)
    return ((mixed + second.view(np.uint64)) * np.uint64(0xBF58476D1CE4E5B9)).view(np.int64)


def _codes(columns: "Sequence[pd.Series[Any]]", rows: int) -> tuple[Integers, list[tuple[Any, ...]]]:
    """Return the number of each row's combination of values, and the combinations that occur."""
    codes, found = np.zeros(rows, dtype=np.int64), [()] if rows else []
    for column in columns:
        places, distinct = pd.factorize(column, use_na_sentinel=False)
        present, codes = np.unique(codes * max(len(distinct), 1) + places, return_inverse=True)
        found = [(*found[code // len(distinct)], distinct[code % len(distinct)]) for code in present]
    return np.asarray(codes, dtype=np.int64), found


def _plain(value: Any) -> Any:
    if isinstance(value, pd.Timestamp):
        return (value.tz_localize("UTC") if value.tzinfo is None else value.tz_convert("UTC")).isoformat()
    return value.item() if isinstance(value, np.generic) else value


def _is_missing(value: Any) -> bool:
    return value is None or bool(pd.isna(value))
