"""The variance of a sum whose parts depend on each other by day and by entity: several ways of clustering at once.

One way alone, with days that are independent of each other, is the sum of squared sums. With entities too it is the
estimator of Cameron, Gelbach and Miller: the variance by day plus that by entity less that by both, which was counted
twice. The difference may be too small by chance, even negative; it then is replaced by the largest of the ways, so the
result is never below the variance by one way alone.

References
----------
Cameron, Gelbach and Miller (2011), Journal of Business and Economic Statistics 29, 238-249, for several ways; the same,
section 2.4, and Donald and Lang (2007), Review of Economics and Statistics 89, 221-233, for G / (G - 1) and Student's t
with the fewest clusters less one degrees of freedom. MacKinnon, Nielsen and Webb (2024), arXiv 2406.08880, for the
largest of the ways. Carter, Schnepel and Steigerwald (2017), Review of Economics and Statistics 99, 698-709, for the
effective number of clusters of unequal size. Zwiers and von Storch (1995), Journal of Climate 8, 336-351, for the
equivalent number of independent days; Marriott and Pope (1954), Biometrika 41, 390-402, for the bias of a correlation
with the day before.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.metrics.quality_metrics import MetricError
from ml.spec.clusters import Clusters

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

DAY = "day"
"""The name of the way of clustering that every use case has."""
LARGEST_MEMORY = 0.9
"""The correlation with the day before is cut off here: beyond it a month is hardly more than one day."""
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
    days_depend
        Whether a day may depend on the day before.
    """

    days: Integers
    entities: Mapping[str, Integers] = field(default_factory=dict)
    days_depend: bool = False

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
        days_depend=clusters.days_depend,
    )


def codes_of(values: "pd.Series[Any] | NDArray[Any]") -> Integers:
    """Return a number from 0 on for each distinct value, shape (rows,)."""
    return np.asarray(pd.factorize(np.asarray(values), use_na_sentinel=False)[0], dtype=np.int64)


def effective_clusters(codes: Integers, weights: Floats | None = None) -> float:
    """Return the number of equally large clusters that vary as much as these do.

    Parameters
    ----------
    codes, weights
        Shape (rows,): the cluster of each row, and how much it counts; one if not given. Weights of one sign.
    """
    if codes.size == 0:
        return 0.0
    squared = np.bincount(codes, weights=weights).astype(np.float64) ** 2
    return float(squared.sum() ** 2 / np.sum(squared**2))


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
    days = codes_in_order(units.days)
    ways = {DAY: days, **units.entities}
    sums = {name: _sums(codes, influence) for name, codes in ways.items()}
    for name, values in sums.items():
        if values.size < 2:
            what = "groups" if name == DAY else f"{name!r}"
            raise MetricError(f"a test by {what} needs two of them, got {values.size}: widen the window.")
    variance = {name: _sum_of_squares(values) for name, values in sums.items()}
    freedom = [sums[DAY].size - 1.0]
    if units.days_depend:
        inflation = serial_inflation(sums[DAY])
        variance[DAY] *= inflation
        freedom = [max(1.0, sums[DAY].size / inflation - 1.0)]
    freedom += [max(1.0, effective_clusters(codes, weights) - 1.0) for codes in units.entities.values()]
    dominant = max(variance, key=lambda name: variance[name])
    return ClusteredVariance(
        value=max(variance[dominant], sum(variance.values()) + _counted_twice(influence, ways)),
        freedom=min(freedom),
        clusters={name: int(values.size) for name, values in sums.items()},
        dominant=dominant,
    )


def serial_inflation(sums: Floats) -> float:
    """Return how many times larger the variance of a sum of days is than if they were independent, at least 1.

    Days are taken for a process that remembers the day before. The correlation of consecutive days is corrected for its
    bias in short series, cut off at `LARGEST_MEMORY`, and never below 0.
    """
    days = sums.size
    centred = sums - sums.mean()
    total = float(centred @ centred)
    if days < 5 or total == 0:
        return 1.0
    raw = float(centred[1:] @ centred[:-1]) / total
    memory = min(max((raw * days + 1) / (days - 4), 0.0), LARGEST_MEMORY)
    inflation = (1 + memory) / (1 - memory) - 2 * memory * (1 - memory**days) / (days * (1 - memory) ** 2)
    # Days that remember lie closer to their own mean, so their spread is too small as well.
    return max(1.0, inflation * (1 - 1 / days) / (1 - min(inflation, 0.9 * days) / days))


def codes_in_order(days: Integers) -> Integers:
    """Return the number of each row's day among the days that occur, in their order."""
    if days.size == 0:
        return days
    first = int(days.min())
    if int(days.max()) - first > _DENSE * days.size:
        return np.asarray(np.unique(days, return_inverse=True)[1], dtype=np.int64)
    present = np.bincount(days - first) > 0
    return np.asarray((np.cumsum(present) - 1)[days - first], dtype=np.int64)


def _counted_twice(influence: Floats, ways: Mapping[str, Integers]) -> float:
    """Return what the sum of the ways counts too often, by inclusion and exclusion over their combinations."""
    found = 0.0
    for count in range(2, len(ways) + 1):
        for names in combinations(ways, count):
            found += (-1) ** (count - 1) * _sum_of_squares(_sums(_cells([ways[name] for name in names]), influence))
    return found


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
    return sums if counts.all() else sums[counts > 0]


def _sum_of_squares(sums: Floats) -> float:
    if sums.size < 2:
        return 0.0
    return float(np.sum((sums - sums.mean()) ** 2) * sums.size / (sums.size - 1))
