"""The variance of a sum whose parts depend on each other by day and by entity: several ways of clustering at once.

One way alone, with days that are independent of each other, is the sum of squared sums. With entities too it is the
estimator of Cameron, Gelbach and Miller: the variance by day plus that by entity less that by both, which was counted
twice. The difference may be too small by chance, even negative; it then is replaced by the largest of the ways, so the
result is never below the variance by one way alone.

References
----------
Cameron, Gelbach and Miller (2011), Journal of Business and Economic Statistics 29, 238-249, for several ways, G / (G - 1)
and Student's t with the fewest clusters less one degrees of freedom. MacKinnon, Nielsen and Webb (2024), arXiv
2406.08880, for the largest of the ways. Kish (1965), Survey Sampling, section 11.7, for the effective number of clusters of
unequal size, days too: Student's t has as many degrees of freedom as these, less one. Lazarus, Lewis, Stock and Watson (2018), Journal of Business
and Economic Statistics 36, 541-559, for days that depend on each other: equally weighted cosines, and Student's t with
as many degrees of freedom as cosines. Satterthwaite (1946), Biometrics Bulletin 2, 110-114, for the freedom of a sum.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.metrics.quality_metrics import MetricError
from ml.spec.clusters import Clusters, cosines_per_day

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

DAY = "day"
"""The name of the way of clustering that every use case has."""
LEAST_FREEDOM = 0.01
"""Of Student's t where one day has nearly all rows: no difference is beyond chance there."""
_DENSE = 4
"""Up to so many cells for each row, days by entities are counted in a table instead of being sorted."""


@dataclass(frozen=True, kw_only=True)
class Units:
    """Which rows depend on each other.

    Attributes
    ----------
    days
        Shape (rows,): the day of each row as a number.
    entities
        Name of each sampled entity to the number of its entity, shape (rows,), from 0 on.
    day_memory
        The largest correlation of a day with the day before; 0 for independent days.
    """

    days: Integers
    entities: Mapping[str, Integers] = field(default_factory=dict)
    day_memory: float = 0.0

    def take(self, chosen: "NDArray[Any] | slice") -> "Units":
        """Return the units of some of the rows."""
        return replace(
            self, days=self.days[chosen], entities={name: codes[chosen] for name, codes in self.entities.items()}
        )

    def without_entities(self) -> "Units":
        """Return the days alone."""
        return replace(self, entities={})


@dataclass(frozen=True, kw_only=True)
class ClusteredVariance:
    """The variance of a sum, and what it rests on.

    Attributes
    ----------
    value
        The variance.
    freedom
        Degrees of freedom of Student's t.
    clusters
        Name of each way of clustering to its number of clusters.
    dominant
        The way with the largest variance.
    """

    value: float
    freedom: float
    clusters: Mapping[str, int]
    dominant: str

    @property
    def standard_error(self) -> float:
        """The square root of the variance."""
        return float(np.sqrt(self.value))


def units_of(days: Integers, entities: pd.DataFrame, clusters: Clusters) -> Units:
    """Return the units of rows, of which `entities` has the columns; a missing value is an entity of its own."""
    return Units(
        days=days,
        entities={name: codes_of(entities[name]) for name in clusters.sampled},
        day_memory=clusters.day_memory,
    )


def codes_of(values: "pd.Series[Any] | NDArray[Any]") -> Integers:
    """Return a number from 0 on for each distinct value, shape (rows,)."""
    return np.asarray(pd.factorize(np.asarray(values), use_na_sentinel=False)[0], dtype=np.int64)


def effective_clusters(codes: Integers, weights: Floats | None = None) -> float:
    """Return the number of equally large clusters that are worth as much as these, Kish's effective size.

    Parameters
    ----------
    codes, weights
        Shape (rows,): the cluster of each row, and how much it counts; one if not given. Weights of one sign.
    """
    sizes = np.bincount(codes, weights=weights).astype(np.float64)
    squares = float(np.sum(sizes**2))
    return float(sizes.sum()) ** 2 / squares if squares > 0 else 0.0


def clustered_variance(influence: Floats, units: Units, weights: Floats | None = None) -> ClusteredVariance:
    """Return the variance of a sum of influences that depend on each other within days and within entities.

    Parameters
    ----------
    influence
        Shape (rows,): what each row adds; its sum over all rows is 0.
    weights
        Shape (rows,): how much a row counts in its cluster; one if not given.

    Raises
    ------
    MetricError
        If there are fewer than two days, or fewer than two entities.
    """
    ways = {DAY: codes_in_order(units.days), **units.entities}
    sums = {name: _sums(codes, influence) for name, codes in ways.items()}
    require_two({name: values.size for name, values in sums.items()})
    return combined_variance(
        sums[DAY],
        variance={name: _sum_of_squares(values) for name, values in sums.items()},
        clusters={name: int(values.size) for name, values in sums.items()},
        effective={name: effective_clusters(codes, weights) for name, codes in ways.items()},
        counted_twice=_counted_twice(influence, ways),
        day_memory=units.day_memory,
    )


def require_two(clusters: Mapping[str, int]) -> None:
    """Raise a `MetricError` if a way of clustering has fewer than two clusters."""
    for name, count in clusters.items():
        if count < 2:
            what = "groups" if name == DAY else f"{name!r}"
            raise MetricError(f"a test by {what} needs two of them, got {count}: widen the window.")


def combined_variance(
    by_day: Floats,
    *,
    variance: Mapping[str, float],
    clusters: Mapping[str, int],
    effective: Mapping[str, float],
    counted_twice: float,
    day_memory: float,
) -> ClusteredVariance:
    """Return the variance of a sum from what each way of clustering alone gives.

    Parameters
    ----------
    by_day
        Shape (days,): the sum of each day, in their order.
    variance, clusters
        Name of each way to the variance by it alone, and to its number of clusters.
    effective
        Name of each way to the effective number of its clusters.
    counted_twice
        What is added to the sum of the variances, by inclusion and exclusion.
    day_memory
        The largest correlation of a day with the day before; 0 for independent days.
    """
    variance = dict(variance)
    freedom = {name: max(1.0, count - 1.0) for name, count in effective.items()}
    # One day with most of the rows leaves nothing to compare its own deviation with: fewer than one degree is right there.
    freedom[DAY] = most = min(float(by_day.size - 1), max(LEAST_FREEDOM, effective[DAY] - 1.0))
    if day_memory:
        variance[DAY], cosines = slow_variance(by_day, day_memory)
        freedom[DAY] = min(cosines, most)
    dominant = max(variance, key=lambda name: variance[name])
    value = max(variance[dominant], sum(variance.values()) + counted_twice)
    return ClusteredVariance(
        value=value, freedom=min(most, _freedom(value, variance[DAY], freedom)), clusters=clusters, dominant=dominant
    )


def cosines_of(days: int, day_memory: float) -> int:
    """Return how many of the slowest cosines over so many days vary as their mean does, at least one.

    Their number grows with that of the days by Lazarus and others' rule, and no cosine is faster than one that varies as
    the mean does, to the share that the rule itself allows at `DAY_MEMORY` and `LEAST_DEPENDENT_DAYS`: the spectrum of
    a process of first order, relative to its value at 0, falls with 4 memory sin(pi frequency)^2 / (1 - memory)^2.
    """
    return max(1, min(days - 1, round(0.4 * math.pow(days, 2 / 3)), int(days * cosines_per_day(day_memory) + 1e-9)))


def slow_variance(sums: Floats, day_memory: float) -> tuple[float, float]:
    """Return the variance of the total of days that may depend on the days before, and its degrees of freedom.

    Equally weighted cosines: each of the first few cosines over the days, whose periods are long, is uncorrelated with
    the others and varies as much as the total does; `cosines_of` says how many of them do.

    Parameters
    ----------
    sums
        Shape (days,), in the order of the days.
    day_memory
        The largest correlation of a day with the day before, more than 0.
    """
    days = sums.size
    cosines = cosines_of(days, day_memory)
    angles = np.pi * np.outer(np.arange(1, cosines + 1), np.arange(days) + 0.5) / days
    projected = np.cos(angles) @ (sums - sums.mean())
    return float(2 * np.mean(projected**2)), float(cosines)


def codes_in_order(days: Integers) -> Integers:
    """Return the number of each row's day among the days that occur, in their order."""
    if days.size == 0:
        return days
    first = int(days.min())
    if int(days.max()) - first > _DENSE * days.size:
        return np.asarray(np.unique(days, return_inverse=True)[1], dtype=np.int64)
    present = np.bincount(days - first) > 0
    return np.asarray((np.cumsum(present) - 1)[days - first], dtype=np.int64)


def _freedom(value: float, by_day: float, freedom: Mapping[str, float]) -> float:
    """Return the degrees of freedom of a variance of which `by_day` is the part by day and the rest is by entity."""
    entities = [found for name, found in freedom.items() if name != DAY]
    if not entities:
        return freedom[DAY]
    parts = by_day**2 / freedom[DAY] + (value - by_day) ** 2 / min(entities)
    return min(*entities, value**2 / parts if parts > 0 else freedom[DAY])


def _counted_twice(influence: Floats, ways: Mapping[str, Integers]) -> float:
    """Return what the sum of the ways counts too often, by inclusion and exclusion over their combinations."""
    found = 0.0
    for names in combinations(tuple(ways)):
        if len(names) > 1:
            sums = _sums(_cells([ways[name] for name in names]), influence)
            found += (-1) ** (len(names) - 1) * _sum_of_squares(sums)
    return found


def combinations(ways: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return every combination of some of the ways, each in their order."""
    chosen: list[tuple[str, ...]] = [()]
    for name in ways:
        chosen += [(*names, name) for names in chosen]
    return chosen[1:]


def _cells(codes: list[Integers]) -> Integers:
    """Return a number for each row's combination of clusters."""
    cells = codes[0]
    for other in codes[1:]:
        cells = cells * (int(other.max()) + 1) + other
        if int(cells.max()) > _DENSE * cells.size:
            cells = codes_of(cells)
    return cells


def _sums(codes: Integers, influence: Floats) -> Floats:
    """Return the sum of each cluster that occurs, in the order of their numbers."""
    counts = np.bincount(codes)
    sums = np.bincount(codes, weights=influence)
    return np.asarray(sums if counts.all() else sums[counts > 0], dtype=np.float64)


def _sum_of_squares(sums: Floats) -> float:
    if sums.size < 2:
        return 0.0
    return float(np.sum((sums - sums.mean()) ** 2) * sums.size / (sums.size - 1))
