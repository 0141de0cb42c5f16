"""The clustered variance from sums that were added up elsewhere, in parts of the rows: `ml.metrics.clusters` without rows."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.metrics.clusters import DAY, ClusteredVariance, combinations, combined_variance, require_two

Floats = NDArray[np.float64]

ROWS = "rows"
"""The sum that counts rows."""


@dataclass(frozen=True, kw_only=True)
class WaySums:
    """What the clusters of one way of clustering, or of several together, sum to.

    Attributes
    ----------
    clusters
        Their number.
    sums, squares
        Name of each quantity to the sum over the clusters of their own sums, and of the squares of these.
    """

    clusters: int
    sums: Mapping[str, float]
    squares: Mapping[str, float]

    def variance(self, name: str) -> float:
        """Return the variance of a quantity's total; 0 with fewer than two clusters."""
        if self.clusters < 2:
            return 0.0
        spread = self.squares[name] - self.sums[name] ** 2 / self.clusters
        return max(spread, 0.0) * self.clusters / (self.clusters - 1)

    def effective(self, name: str) -> float:
        """Return the number of equally large clusters that are worth as much as these, by a quantity of one sign."""
        squares = self.squares[name]
        return self.sums[name] ** 2 / squares if squares > 0 else 0.0


@dataclass(frozen=True, kw_only=True)
class ClusterSums:
    """What the rows of one segment sum to by every way of clustering.

    Attributes
    ----------
    days
        Name of each quantity to its sum of each day, in their order, shape (days,).
    ways
        Every combination of ways to what its clusters sum to.
    entities
        Names of the sampled entities.
    """

    days: Mapping[str, Floats]
    ways: Mapping[tuple[str, ...], WaySums]
    entities: tuple[str, ...]
    day_memory: float

    def without_entities(self) -> "ClusterSums":
        """Return the days alone."""
        return ClusterSums(days=self.days, ways=self.ways, entities=(), day_memory=self.day_memory)

    def variance(self, name: str, weights: str = ROWS) -> ClusteredVariance:
        """Return the variance of a quantity's total, as `ml.metrics.clusters.clustered_variance` of the rows would.

        Parameters
        ----------
        weights
            The quantity that says how much a row counts in its cluster.

        Raises
        ------
        ml.metrics.quality_metrics.MetricError
            If there are fewer than two days, or fewer than two entities.
        """
        names = (DAY, *self.entities)
        alone = {way: self.ways[way,] for way in names}
        clusters = {way: found.clusters for way, found in alone.items()}
        require_two(clusters)
        several = [ways for ways in combinations(names) if len(ways) > 1]
        return combined_variance(
            self.days[name],
            variance={way: found.variance(name) for way, found in alone.items()},
            clusters=clusters,
            effective={way: found.effective(weights) for way, found in alone.items()},
            counted_twice=sum((-1.0) ** (len(ways) - 1) * self.ways[ways].variance(name) for ways in several),
            day_memory=self.day_memory,
        )

    def effective(self, entity: str) -> float:
        """Return the effective number of an entity's clusters by their rows."""
        return self.ways[entity,].effective(ROWS)
