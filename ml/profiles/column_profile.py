"""The mergeable profile of one column: how it is counted and how two are merged.

Profiles of a table are in `ml.profiles.table_profile`.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.profiles.column_values import Categories, Numbers
from ml.profiles.numeric_grid import NumericColumn, places_of
from ml.profiles.specification import CategoricalColumn, Column

SCALARS = ("count", "nulls", "nans", "infinities", "zeros", "mean", "m2", "minimum", "maximum", "below", "above")


@dataclass(frozen=True, kw_only=True, eq=False)
class ColumnProfile:
    """Counts and moments of one column.

    Attributes
    ----------
    count
        Rows with a value, including NaN and infinities; `nulls` is the number of rows without.
    mean, m2, minimum, maximum
        Over the finite values; `m2` is the sum of squared distances from the mean. NaN where there are none.
    counts
        Shape (places,), int64: how many finite values each bin holds, or each category and the rest.
    below, above
        Sum of the distances by which values lie outside the grid; 0 for categorical columns.
    """

    column: Column
    counts: NDArray[np.int64]
    count: int = 0
    nulls: int = 0
    nans: int = 0
    infinities: int = 0
    zeros: int = 0
    mean: float = math.nan
    m2: float = 0.0
    minimum: float = math.nan
    maximum: float = math.nan
    below: float = 0.0
    above: float = 0.0

    @property
    def rows(self) -> int:
        """Number of rows seen."""
        return self.count + self.nulls

    @property
    def finite(self) -> int:
        """Number of values in `counts`."""
        return self.count - self.nans - self.infinities

    @property
    def missing(self) -> int:
        """Rows without a usable value: null or NaN."""
        return self.nulls + self.nans

    @property
    def missing_rate(self) -> float:
        """Share of missing rows; NaN without rows."""
        return self.missing / self.rows if self.rows else math.nan

    @property
    def standard_deviation(self) -> float:
        """Sample standard deviation of the finite values; NaN below two of them."""
        is_numeric = isinstance(self.column, NumericColumn)
        return math.sqrt(self.m2 / (self.finite - 1)) if is_numeric and self.finite > 1 else math.nan

    def quantile(self, share: float) -> float:
        """Return a quantile, interpolated within its bin; NaN for categories or without values."""
        if not isinstance(self.column, NumericColumn) or not self.finite:
            return math.nan
        edges = self.column.boundaries
        edges = np.concatenate([[min(self.minimum, edges[0])], edges, [max(self.maximum, edges[-1])]])
        reached = np.concatenate([[0], np.cumsum(self.counts)])
        place = int(np.clip(np.searchsorted(reached, share * self.finite), 1, len(self.counts)))
        within = (share * self.finite - reached[place - 1]) / max(self.counts[place - 1], 1)
        value = edges[place - 1] + np.clip(within, 0, 1) * (edges[place] - edges[place - 1])
        return float(np.clip(value, self.minimum, self.maximum))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ColumnProfile):
            return NotImplemented
        return (
            self.column == other.column
            and np.array_equal(self.counts, other.counts)
            and all(_same(getattr(self, name), getattr(other, name)) for name in SCALARS)
        )

    __hash__ = None  # type: ignore[assignment] # it holds an array


def profile_column(column: Column, values: Numbers | Categories) -> ColumnProfile:
    """Profile one column from its values as read by `ml.profiles.column_values`."""
    if isinstance(column, NumericColumn) and isinstance(values, Numbers):
        return _profile_numbers(column, values)
    if isinstance(column, CategoricalColumn) and isinstance(values, Categories):
        return _profile_categories(column, values)
    raise ValueError(
        f"column {column.name!r} is specified as {type(column).__name__} but holds {type(values).__name__}."
    )


def merge_columns(a: ColumnProfile, b: ColumnProfile) -> ColumnProfile:
    """Return the profile of both sets of rows together; both profiles must be of the same column."""
    mean, m2 = _merge_moments(a, b)
    added = {
        n: getattr(a, n) + getattr(b, n) for n in ("count", "nulls", "nans", "infinities", "zeros", "below", "above")
    }
    return ColumnProfile(
        column=a.column,
        counts=a.counts + b.counts,
        mean=mean,
        m2=m2,
        minimum=float(np.fmin(a.minimum, b.minimum)),
        maximum=float(np.fmax(a.maximum, b.maximum)),
        **added,
    )


def _profile_numbers(column: NumericColumn, values: Numbers) -> ColumnProfile:
    finite, nans, infinities = _finite(values.values)
    if not finite.size:
        return ColumnProfile(
            column=column,
            counts=np.zeros(column.places, np.int64),
            count=values.values.size,
            nulls=values.nulls,
            nans=nans,
            infinities=infinities,
        )
    counts = np.bincount(places_of(column, finite), minlength=column.places)
    mean, minimum, maximum = float(finite.mean()), float(finite.min()), float(finite.max())
    scratch = np.subtract(finite, mean)
    with np.errstate(over="ignore"):  # values near the largest float have an infinite variance
        m2 = float(np.dot(scratch, scratch))
    return ColumnProfile(
        column=column,
        counts=counts,
        count=values.values.size,
        nulls=values.nulls,
        nans=nans,
        infinities=infinities,
        zeros=int(np.count_nonzero(finite == 0)),
        mean=mean,
        m2=m2,
        minimum=minimum,
        maximum=maximum,
        below=float((column.low - finite[finite < column.low]).sum()) if minimum < column.low else 0.0,
        above=float((finite[finite >= column.high] - column.high).sum()) if maximum >= column.high else 0.0,
    )


def _finite(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], int, int]:
    with np.errstate(invalid="ignore", over="ignore"):
        if np.isfinite(values.sum()):  # one pass shows that every value is finite
            return values, 0, 0
    nans = int(np.isnan(values).sum())
    finite = values[np.isfinite(values)]
    return finite, nans, values.size - finite.size - nans


def _profile_categories(column: CategoricalColumn, values: Categories) -> ColumnProfile:
    place = {category: i for i, category in enumerate(column.categories)}
    counts = np.zeros(column.places, np.int64)
    for category, number in zip(values.values, values.counts, strict=True):
        counts[place.get(category, -1)] += number
    counts[-1] += values.others
    return ColumnProfile(column=column, counts=counts, count=int(counts.sum()), nulls=values.nulls)


def _merge_moments(a: ColumnProfile, b: ColumnProfile) -> tuple[float, float]:
    """Combine two means and sums of squares (Chan, Golub and LeVeque 1979)."""
    if not b.finite or not a.finite or isinstance(a.column, CategoricalColumn):
        kept = a if a.finite else b
        return kept.mean, kept.m2
    total = a.finite + b.finite
    difference = b.mean - a.mean
    mean = (a.finite * a.mean + b.finite * b.mean) / total
    return mean, a.m2 + b.m2 + difference * difference * (a.finite * b.finite / total)


def _same(a: float, b: float) -> bool:
    return a == b or (a != a and b != b)
