"""Drift statistics: how far apart two column profiles are, as pure functions of their counts.

A statistic compares the distributions of finite values (missing values have a statistic of their own), knows nothing
of thresholds (`ml.drift.thresholds`), and works on stacks of resampled counts as well as on two single profiles.

Smoothing: only the population stability index needs it, since it takes the logarithm of a ratio. Every group of the
smaller side gets half a row (the Jeffreys prior; Krichevsky and Trofimov 1981), and every group of the larger side the
same share, so an empty group costs little in a small window, nothing explodes, and equal shares stay equal. Small
windows: all statistics except the missing rate are positive by chance alone, by about
``(groups - 1) * (1 / n + 1 / m)`` for the index (Yurdakul 2018), which is why a threshold must know the window's size.
If one side has no values there is nothing to compare, and every statistic is 0.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, kolmogorov, rel_entr

from ml.profiles.column_profile import ColumnProfile
from ml.profiles.numeric_grid import NumericColumn
from ml.profiles.specification import Column
from ml.profiles.table_profile import Profile

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Tally:
    """The additive counts of a column profile, for one set of rows or a stack of them.

    Attributes
    ----------
    counts
        Shape (..., places).
    outside
        Shape (..., 2): summed distance of the values below and above the grid.
    missing, rows
        Shape (...).
    """

    column: Column
    counts: Floats
    outside: Floats
    missing: Floats
    rows: Floats

    @classmethod
    def of(cls, profile: ColumnProfile) -> "Tally":
        """Return the tally of one profile."""
        return cls(
            column=profile.column,
            counts=profile.counts.astype(np.float64),
            outside=np.array([profile.below, profile.above]),
            missing=np.float64(profile.missing) * np.ones(()),
            rows=np.float64(profile.rows) * np.ones(()),
        )

    @classmethod
    def stack(cls, profiles: Sequence[ColumnProfile]) -> "Tally":
        """Return the tallies of several profiles of one column, stacked on the first axis."""
        tallies = [cls.of(profile) for profile in profiles]
        return cls(
            column=tallies[0].column,
            counts=np.stack([tally.counts for tally in tallies]),
            outside=np.stack([tally.outside for tally in tallies]),
            missing=np.stack([tally.missing for tally in tallies]),
            rows=np.stack([tally.rows for tally in tallies]),
        )

    def weighted(self, weights: Floats) -> "Tally":
        """Return weighted sums over a stack, for weights of shape (sums, stacked): resamples of days, for example."""
        return Tally(
            column=self.column,
            counts=np.maximum(weights @ self.counts, 0),
            outside=np.maximum(weights @ self.outside, 0),
            missing=np.maximum(weights @ self.missing, 0),
            rows=weights @ self.rows,
        )

    def thinned(self, rows: int, random: np.random.Generator) -> "Tally":
        """Return the tallies as if each were of at most `rows` rows; those with fewer rows stay as they are.

        Fewer rows scatter more. The additional scatter is drawn as a sample whose size is chosen so that its variance
        and the variance already present add up to that of `rows` rows.
        """
        cells = np.concatenate([self.counts, np.asarray(self.missing)[..., None]], axis=-1)
        total = cells.sum(axis=-1)
        fewer = total >= rows + 1
        more = total[fewer]
        sample = np.rint(rows * more / (more - rows)).astype(np.int64)
        thin = cells.copy()
        thin[fewer] = random.multinomial(sample, _shares(cells[fewer])) * (rows / sample)[..., None]
        kept = np.where(fewer, rows / np.maximum(total, 1), 1.0)
        return Tally(
            column=self.column,
            counts=thin[..., :-1],
            outside=self.outside * kept[..., None],
            missing=thin[..., -1],
            rows=self.rows * kept,
        )

    @property
    def total(self) -> Floats:
        """Number of finite values, shape (...)."""
        return np.asarray(self.counts.sum(axis=-1))

    @property
    def shares(self) -> Floats:
        """Share of the finite values in each place, shape (..., places); zeros without values."""
        return self.counts / np.maximum(self.total, 1)[..., None]

    @property
    def grouped(self) -> Floats:
        """Number of finite values in each coarse group, shape (..., groups).

        A discrete column has one group more: the values within its grid that its sample did not have.
        """
        if not (isinstance(self.column, NumericColumn) and self.column.between.size):
            return np.add.reduceat(self.counts, self.column.groups, axis=-1)
        seen = self.counts.copy()
        seen[..., self.column.between] = 0
        unseen = self.counts[..., self.column.between].sum(axis=-1, keepdims=True)
        return np.concatenate([np.add.reduceat(seen, self.column.groups, axis=-1), unseen], axis=-1)


Compare = Callable[[Tally, Tally], Floats]


@dataclass(frozen=True, kw_only=True)
class Statistic:
    """One measure of how far apart two profiles of a column are; 0 means no difference.

    Attributes
    ----------
    numeric, categorical
        Whether it applies to columns of this kind.
    upper
        Its largest possible value.
    of_missing
        Whether it compares missing values instead of values.
    """

    name: str
    compare: Compare
    numeric: bool
    categorical: bool
    upper: float
    of_missing: bool = False

    def applies_to(self, column: Column) -> bool:
        """Return whether the statistic is defined for this kind of column."""
        return self.numeric if isinstance(column, NumericColumn) else self.categorical

    def __call__(self, reference: ColumnProfile, current: ColumnProfile) -> float:
        """Return the statistic for two profiles of one column.

        Raises
        ------
        ValueError
            If they were made with different specifications, or the statistic is not defined for the column.
        """
        if reference.column != current.column:
            raise ValueError(
                f"the two profiles of column {reference.column.name!r} have different grids or categories."
            )
        if not self.applies_to(reference.column):
            raise ValueError(
                f"{self.name} is not defined for {type(reference.column).__name__} {reference.column.name!r}."
            )
        return float(self.compare(Tally.of(reference), Tally.of(current)))


def drift(reference: Profile, current: Profile) -> dict[str, dict[str, float]]:
    """Return every statistic that applies, by column and statistic.

    Raises
    ------
    ValueError
        If the profiles were made with different specifications.
    """
    if reference.spec != current.spec:
        raise ValueError(
            "profiles of different specifications cannot be compared: profile both with one specification."
        )
    result: dict[str, dict[str, float]] = {}
    for name, column in reference.columns.items():
        a, b = Tally.of(column), Tally.of(current.columns[name])
        result[name] = {s.name: float(s.compare(a, b)) for s in STATISTICS.values() if s.applies_to(column.column)}
    return result


def population_stability_index(a: Tally, b: Tally) -> Floats:
    """Sum over groups of ``(p - q) * ln(p / q)``, the symmetrised Kullback-Leibler divergence (Jeffreys 1946).

    The groups are deciles of the reference's sample, frequent values, and the values outside its range by their distance
    from it, or the categories.
    """
    smaller = np.maximum(np.minimum(a.total, b.total), 1)[..., None]
    p, q = (_shares(_shares(tally.grouped) + 0.5 / smaller) for tally in (a, b))
    return _where_both(a, b, np.sum((p - q) * np.log(p / q), axis=-1))


def js_distance(a: Tally, b: Tally) -> Floats:
    """Square root of the Jensen-Shannon divergence to base 2 over the groups (Lin 1991; Endres and Schindelin 2003)."""
    p, q = _shares(a.grouped), _shares(b.grouped)
    middle = (p + q) / 2
    divergence = np.sum(rel_entr(p, middle) + rel_entr(q, middle), axis=-1) / (2 * math.log(2))
    return _where_both(a, b, np.sqrt(np.clip(divergence, 0, 1)))


def wasserstein_distance(a: Tally, b: Tally) -> Floats:
    """Area between the two distribution functions, in the column's unit.

    Exact beyond the grid if the functions do not cross there; within it to the width of one bin.
    """
    column = a.column
    assert isinstance(column, NumericColumn)  # noqa: S101 # callers check applies_to first
    gap = np.abs(np.cumsum(a.shares - b.shares, axis=-1))[..., :-1]
    widths = np.diff(np.clip(column.boundaries, column.low, column.high))
    inside = (widths * (gap[..., :-1] + gap[..., 1:])).sum(axis=-1) / 2
    mean_outside = [t.outside / np.maximum(t.total, 1)[..., None] for t in (a, b)]
    return _where_both(a, b, inside + np.abs(mean_outside[0] - mean_outside[1]).sum(axis=-1))


def ks_test(a: Tally, b: Tally) -> Floats:
    """Largest gap between the two distribution functions at the boundaries of the places."""
    return _where_both(a, b, np.abs(np.cumsum(a.shares - b.shares, axis=-1)).max(axis=-1))


def chi_squared_test(a: Tally, b: Tally) -> Floats:
    """Pearson's statistic of homogeneity over the groups; groups that are empty on both sides are left out."""
    observed = np.stack(np.broadcast_arrays(a.grouped, b.grouped))
    per_group = observed.sum(axis=0)
    share = observed.sum(axis=-1, keepdims=True) / np.maximum(per_group.sum(axis=-1), 1)[..., None]
    expected = share * per_group
    terms = np.divide((observed - expected) ** 2, expected, out=np.zeros_like(expected), where=expected > 0)
    return _where_both(a, b, terms.sum(axis=(0, -1)))


def tv_distance(a: Tally, b: Tally) -> Floats:
    """Total variation over the groups: the share of rows that would have to change group."""
    return _where_both(a, b, np.abs(_shares(a.grouped) - _shares(b.grouped)).sum(axis=-1) / 2)


def l_infinity_distance(a: Tally, b: Tally) -> Floats:
    """Largest change of one category's share."""
    return _where_both(a, b, np.abs(a.shares - b.shares).max(axis=-1))


def missing_rate_difference(a: Tally, b: Tally) -> Floats:
    """Absolute difference of the shares of null and NaN values."""
    rates = [t.missing / np.maximum(t.rows, 1) for t in (a, b)]
    return np.where((a.rows > 0) & (b.rows > 0), np.abs(rates[0] - rates[1]), 0.0)


def ks_pvalue(reference: ColumnProfile, current: ColumnProfile) -> float:
    """Return the asymptotic p-value of the gap for independent rows of one distribution; 1 without values."""
    n, m = reference.finite, current.finite
    if not (n and m):
        return 1.0
    return float(kolmogorov(math.sqrt(n * m / (n + m)) * STATISTICS["ks_test"](reference, current)))


def chi_squared_pvalue(reference: ColumnProfile, current: ColumnProfile) -> float:
    """Return the asymptotic p-value of the statistic for independent rows; 1 without values."""
    groups = int(np.count_nonzero(Tally.of(reference).grouped + Tally.of(current).grouped))
    if groups < 2:
        return 1.0
    return float(chdtrc(groups - 1, STATISTICS["chi_squared_test"](reference, current)))


STATISTICS: Mapping[str, Statistic] = MappingProxyType(
    {
        statistic.name: statistic
        for statistic in (
            Statistic(
                name="population_stability_index",
                compare=population_stability_index,
                numeric=True,
                categorical=True,
                upper=math.inf,
            ),
            Statistic(name="js_distance", compare=js_distance, numeric=True, categorical=True, upper=1.0),
            Statistic(
                name="wasserstein_distance",
                compare=wasserstein_distance,
                numeric=True,
                categorical=False,
                upper=math.inf,
            ),
            Statistic(name="ks_test", compare=ks_test, numeric=True, categorical=False, upper=1.0),
            Statistic(
                name="chi_squared_test", compare=chi_squared_test, numeric=True, categorical=True, upper=math.inf
            ),
            Statistic(name="tv_distance", compare=tv_distance, numeric=True, categorical=True, upper=1.0),
            Statistic(
                name="l_infinity_distance", compare=l_infinity_distance, numeric=False, categorical=True, upper=1.0
            ),
            Statistic(
                name="missing_rate_difference",
                compare=missing_rate_difference,
                numeric=True,
                categorical=True,
                upper=1.0,
                of_missing=True,
            ),
        )
    }
)
"""Every drift statistic by name; statistics that Databricks data profiling also has are named as there."""


def _shares(counts: Floats) -> Floats:
    total = counts.sum(axis=-1, keepdims=True)
    return np.asarray(np.divide(counts, total, out=np.zeros_like(counts), where=total > 0))


def _where_both(a: Tally, b: Tally, value: Floats) -> Floats:
    return np.where((a.total > 0) & (b.total > 0), value, 0.0)
