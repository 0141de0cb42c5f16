"""The variances of metrics and of differences of segments, from the sums of the second pass (`ml.metrics.influence_sums`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.metrics.cluster_sums import ROWS, ClusterSums, WaySums
from ml.metrics.clusters import DAY, ClusteredVariance
from ml.metrics.influence_sums import SecondPass
from ml.metrics.quality_metrics import MetricError
from ml.metrics.segment_summary import Quantity, Segment
from ml.metrics.segment_sums import SQUARES, ranks_part, way_part
from ml.metrics.standard_errors import Difference

Floats = NDArray[np.float64]

WEIGHTS = "weights"
"""The sum of the shares of rows in all rows, where they have weights."""


@dataclass(frozen=True, kw_only=True)
class Errors:
    """One segment as the second pass summed it: the variance of every quantity.

    Attributes
    ----------
    sums
        The variances by cluster.
    squares
        Quantity, or `WEIGHTS`, to the sums of its squared influences over the rows of each class, shape (classes,); of a
        quantity all rows are one class.
    """

    segment: Segment
    sums: ClusterSums
    squares: Mapping[str, Floats]

    def variance(self, quantity: Quantity, *, entities: bool = True) -> ClusteredVariance:
        """Return the variance of a quantity by its units.

        Raises
        ------
        MetricError
            If there are fewer than two of a unit, or a class has no row.
        """
        name = quantity[0]
        if places := self._ranked.get(name):
            # As `ml.metrics.standard_errors.mean_auc_error`.
            self._both_classes(places, least=1 if len(places) == 1 else 2)
        sums = self.sums if entities else self.sums.without_entities()
        of_all = WEIGHTS if self.segment.layout.weight else ROWS
        return sums.variance(quantity_name(quantity), shares_name(name) if name in self._ranked else of_all)

    def difference(self, quantity: Quantity, *, by_unit: bool, entities: bool = True) -> Difference:
        """Return the difference of two models with its standard error, by units or by single rows.

        Raises
        ------
        MetricError
            As `ml.metrics.standard_errors.delong` and `ml.metrics.standard_errors.paired_mean` on the rows.
        """
        name, first, second = quantity
        if name in self._ranked:
            self._both_classes(self._ranked[name], least=2)
        elif self.segment.rows < 2:
            raise MetricError(f"a paired test needs two rows, got {self.segment.rows}: widen the window.")
        values = self.segment.value(name, first)[0], self.segment.value(name, str(second))[0]
        variance, freedom = self._by_row(quantity)
        found = Difference(
            first=values[0], second=values[1], value=values[0] - values[1], standard_error=float(np.sqrt(variance)),
            degrees_of_freedom=freedom,
        )  # fmt: skip
        if not by_unit:
            return found
        units = self.variance(quantity, entities=entities)
        return replace(
            found, standard_error=units.standard_error, degrees_of_freedom=units.freedom, clusters=units.clusters,
            dominant=units.dominant,
        )  # fmt: skip

    @property
    def worth(self) -> tuple[float, float | None, float]:
        """How many rows, rows of the rarer class (None for a quantity), and days of equal weight these are worth.

        Kish's effective size, as `ml.metrics.clusters.effective_clusters` of the weights themselves.
        """
        squares, segment = self.squares[WEIGHTS], self.segment
        rarer = None
        if segment.layout.classes:
            rarer = min(_effective(share, one) for share, one in zip(segment.shares, squares, strict=True))
        return _effective(1.0, float(squares.sum())), rarer, self.sums.ways[DAY,].effective(WEIGHTS)

    def _by_row(self, quantity: Quantity) -> tuple[float, float]:
        squares, rows = self.squares[quantity_name(quantity)], self.segment.rows
        places = self._ranked.get(quantity[0], ())
        if len(places) != 1:
            return float(squares.sum()) * rows / (rows - 1), float("inf") if places else float(rows - 1)
        value = self.segment.layout.classes[places[0]]
        own, counted = float(squares[value]), float(self.segment.class_rows[value])
        others, rest = float(squares.sum()) - own, rows - counted
        return own * counted / (counted - 1) + others * rest / (rest - 1), float("inf")

    @property
    def _ranked(self) -> Mapping[str, tuple[int, ...]]:
        return self.segment.layout.ranked

    def _both_classes(self, places: Sequence[int], *, least: int) -> None:
        for place in places:
            own = float(self.segment.class_rows[self.segment.layout.classes[place]])
            others = self.segment.rows - own
            if min(own, others) < least:
                raise MetricError(
                    f"the test of ROC AUC needs {least} rows of each class, got {own:.0f} positive and {others:.0f} "
                    "negative: widen the window."
                )


def shares_name(metric: str) -> str:
    """Return the name of the sum of the shares of rows in their class, for a ROC AUC or the mean of several."""
    return f"shares {metric}"


def _effective(total: float, squares: float) -> float:
    return total**2 / squares if squares > 0 else 0.0


def quantity_name(quantity: Quantity) -> str:
    """Return the name of the sums of a quantity."""
    return " ".join(str(part) for part in quantity)


def errors_of(
    totals: pd.DataFrame, segments: Mapping[str, Segment], second: SecondPass
) -> tuple[dict[str, Segment], dict[str, Errors]]:
    """Return the segments with what the second pass adds to them, and the errors of each.

    Parameters
    ----------
    totals
        The merged sums of the second pass: of each way the number, sums and sums of squares of its clusters, for days and
        what has one key of each alone (`pipelines.dataframes.segment_sums.squared`).
    """
    by_segment = dict(list(totals.groupby("segment", sort=False)))
    complete: dict[str, Segment] = {}
    errors: dict[str, Errors] = {}
    for name, segment in segments.items():
        own = by_segment.get(name)
        if own is None:
            complete[name] = segment
            continue
        parts = {str(part): rows.sort_values("key") for part, rows in own.groupby("part", sort=False)}
        products = {
            column: float(parts[ranks_part(column)]["sum_0"].sum())
            for column in second.layout.scores
            if ranks_part(column) in parts
        }
        complete[name] = replace(segment, products=products)
        errors[name] = _errors(complete[name], parts, second)
    return complete, errors


def _errors(segment: Segment, parts: Mapping[str, pd.DataFrame], second: SecondPass) -> Errors:
    weights = [WEIGHTS] if second.layout.weight else []
    named = [*map(quantity_name, second.quantities), ROWS, *map(shares_name, second.layout.ranked), *weights]
    days = parts[way_part((DAY,))]
    classes = max(len(second.layout.problem.classes), 1)
    squares = parts[SQUARES].set_index("key").reindex(range(classes), fill_value=0.0)
    return Errors(
        segment=segment,
        sums=ClusterSums(
            days={name: days[f"sum_{i}"].to_numpy(np.float64) for i, name in enumerate(named)},
            ways={ways: _way(parts[way_part(ways)], named) for ways in second.layout.ways},
            entities=second.layout.entities,
            day_memory=second.layout.day_memory,
        ),
        squares={
            name: squares[f"sum_{i}"].to_numpy(np.float64)
            for i, name in enumerate(named)
            if i < len(second.quantities) or name == WEIGHTS
        },
    )


def _way(rows: pd.DataFrame, named: list[str]) -> WaySums:
    return WaySums(
        clusters=int(rows["clusters"].sum()),
        sums={name: float(rows[f"sum_{i}"].sum()) for i, name in enumerate(named)},
        squares={name: float(rows[f"square_{i}"].sum()) for i, name in enumerate(named)},
    )
