"""The variances of metrics and of differences of segments, from the sums of the second pass (`ml.metrics.influence_sums`)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ml.metrics.cluster_sums import ROWS, ClusterSums, WaySums
from ml.metrics.clusters import DAY, ClusteredVariance
from ml.metrics.influence_sums import SecondPass
from ml.metrics.quality_metrics import MetricError
from ml.metrics.segment_summary import Quantity, Segment
from ml.metrics.segment_sums import SQUARES, ranks_part, way_part
from ml.metrics.standard_errors import Difference
from ml.spec.estimator import Problem

SHARES = "shares"
"""The sum of the shares of rows in their class."""
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
        Quantity, or `WEIGHTS`, to the sum over negative and over positive rows of its squared influences.
    """

    segment: Segment
    sums: ClusterSums
    squares: Mapping[str, tuple[float, float]]

    def variance(self, quantity: Quantity, *, entities: bool = True) -> ClusteredVariance:
        """Return the variance of a quantity by its units.

        Raises
        ------
        MetricError
            If there are fewer than two of a unit, or a class has no row.
        """
        if quantity[0] == "roc_auc_score":
            self._both_classes(1)
        sums = self.sums if entities else self.sums.without_entities()
        of_all = WEIGHTS if self.segment.layout.weight else ROWS
        return sums.variance(quantity_name(quantity), SHARES if quantity[0] == "roc_auc_score" else of_all)

    def difference(self, quantity: Quantity, *, by_unit: bool, entities: bool = True) -> Difference:
        """Return the difference of two models with its standard error, by units or by single rows.

        Raises
        ------
        MetricError
            As `ml.metrics.standard_errors.delong` and `ml.metrics.standard_errors.paired_mean` on the rows.
        """
        name, first, second = quantity
        if name == "roc_auc_score":
            self._both_classes(2)
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
        if segment.layout.problem is Problem.BINARY:
            shares = 1 - segment.mean_label, segment.mean_label
            rarer = min(_effective(share, one) for share, one in zip(shares, squares, strict=True))
        return _effective(1.0, sum(squares)), rarer, self.sums.ways[DAY,].effective(WEIGHTS)

    def _by_row(self, quantity: Quantity) -> tuple[float, float]:
        of_negatives, of_positives = self.squares[quantity_name(quantity)]
        if quantity[0] != "roc_auc_score":
            rows = self.segment.rows
            return (of_negatives + of_positives) * rows / (rows - 1), float(rows - 1)
        positives, negatives = self.segment.positives, self.segment.rows - self.segment.positives
        variance = of_positives * positives / (positives - 1) + of_negatives * negatives / (negatives - 1)
        return variance, float("inf")

    def _both_classes(self, least: int) -> None:
        positives, negatives = self.segment.positives, self.segment.rows - self.segment.positives
        if min(positives, negatives) < least:
            raise MetricError(
                f"the test of ROC AUC needs {least} rows of each class, got {positives:.0f} positive and {negatives:.0f} "
                "negative: widen the window."
            )


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
    named = [*map(quantity_name, second.quantities), ROWS, SHARES, *([WEIGHTS] if second.layout.weight else [])]
    days = parts[way_part((DAY,))]
    squares = parts[SQUARES].set_index("key").reindex([0, 1], fill_value=0.0)
    return Errors(
        segment=segment,
        sums=ClusterSums(
            days={name: days[f"sum_{i}"].to_numpy(np.float64) for i, name in enumerate(named)},
            ways={ways: _way(parts[way_part(ways)], named) for ways in second.layout.ways},
            entities=second.layout.entities,
            day_memory=second.layout.day_memory,
        ),
        squares={
            name: (float(squares[f"sum_{i}"][0]), float(squares[f"sum_{i}"][1]))
            for i, name in enumerate(named)
            if name not in (ROWS, SHARES)
        },
    )


def _way(rows: pd.DataFrame, named: list[str]) -> WaySums:
    return WaySums(
        clusters=int(rows["clusters"].sum()),
        sums={name: float(rows[f"sum_{i}"].sum()) for i, name in enumerate(named)},
        squares={name: float(rows[f"square_{i}"].sum()) for i, name in enumerate(named)},
    )
