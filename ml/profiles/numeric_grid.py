"""How the values of a numeric column are divided into places that can be counted and merged.

Three layers, each of which one sample fixes. A fine grid of equal width between robust quantiles: the bin of a value is
arithmetic, and one outlier cannot widen the bins for all. Beyond it, on both sides, bins whose width doubles: a value
that moves from 50 to 500 changes its bin, however far outside it was. And atoms: single values that are frequent have a
place of their own, apart from what lies just beside them, so a constant that changes in its fifth digit is seen.

A value's place is the number of boundaries up to it, so places are in the order of the values.
"""

from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.profiles.column_values import Numbers

BINS = 512
GROUPS = 10
TAILS = 32
"""Bins beyond the nearest one, on each side: the last begins a hundred million grids away."""
NEAREST = 1 / 16
"""How far the nearest bin outside reaches, as a share of the grid."""
FEW_VALUES = 128
"""A sample of at most so many different values has a place for each of them."""
FREQUENT = 1 / 128
"""A single value of so large a share has a place of its own."""
OWN_GROUP = 1 / 20
"""A single value of so large a share is a coarse group of its own."""
ADDED = MappingProxyType({"tails": 0, "atoms": (), "discrete": False})
"""What columns have that earlier releases stored without it, and what it is for those."""
Floats = NDArray[np.float64]
Places = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class NumericColumn:
    """The places of one numeric column; dates count in days and timestamps in seconds since 1970.

    Attributes
    ----------
    low, width, bins
        The grid: bin ``i`` of ``1..bins`` holds ``low + (i - 1) * width <= value < low + i * width``.
    groups
        First place of each coarse group: below, about ten groups of equal mass in the sample, above. Statistics that
        compare place by place use groups, since a fine bin of a small window holds too few rows.
    tails
        Number of bins beyond the nearest one below the grid, and as many above.
    atoms
        The values that have places of their own, in order.
    discrete
        Whether the sample had these values only; all others within the grid are then one more group.
    """

    name: str
    data_type: str
    low: float
    width: float
    bins: int
    groups: tuple[int, ...]
    tails: int = 0
    atoms: tuple[float, ...] = ()
    discrete: bool = False

    @property
    def high(self) -> float:
        """Upper end of the grid."""
        return self.low + self.bins * self.width

    @property
    def places(self) -> int:
        """Number of counters."""
        return self.bins + 2 + 2 * self.tails + 2 * len(self.atoms)

    @cached_property
    def boundaries(self) -> Floats:
        """Right end of every place but the last, shape (places - 1,); an atom's place begins and ends at its value."""
        reach = NEAREST * self.bins * self.width * 2.0 ** np.arange(self.tails)
        grid = self.low + self.width * np.arange(self.bins + 1)
        return np.sort(np.concatenate([self.low - reach, grid, self.high + reach, self.atoms, self.atoms]))

    @cached_property
    def between(self) -> Places:
        """Places within the grid that are not an atom's, of a discrete column; empty for any other."""
        if not self.discrete:
            return np.zeros(0, np.intp)
        return np.setdiff1d(np.arange(*_inner(self)), places_of(self, np.array(self.atoms)))


def places_of(column: NumericColumn, finite: Floats) -> Places:
    """Return the place of each finite value, shape (values,)."""
    scratch = np.subtract(finite, column.low - column.width)
    scratch /= column.width
    np.clip(scratch, 0, column.bins + 1, out=scratch)
    places = scratch.astype(np.intp)
    if column.tails:
        outside_below, outside_above = np.flatnonzero(places == 0), np.flatnonzero(places > column.bins)
        places += column.tails
        places[outside_below] -= _doublings(column, column.low - finite[outside_below])
        places[outside_above] += _doublings(column, finite[outside_above] - column.high)
    if column.atoms:
        atoms = np.array(column.atoms)
        before = np.searchsorted(atoms, finite)
        places += 2 * before
        places += atoms[np.minimum(before, len(atoms) - 1)] == finite
    return places


def numeric_column(name: str, data_type: str, sample: Numbers, bins: int = BINS, groups: int = GROUPS) -> NumericColumn:
    """Return the column with places that follow the sample's finite values."""
    finite = sample.values[np.isfinite(sample.values)]
    low, width, bins = _grid(finite, bins)
    atoms, discrete = _atoms(finite)
    described: dict[str, Any] = {"name": name, "data_type": data_type, "low": low, "width": width, "bins": bins}
    column = NumericColumn(**described, groups=(), tails=TAILS, atoms=atoms, discrete=discrete)
    counts = np.bincount(places_of(column, finite), minlength=column.places)
    return NumericColumn(
        **described, groups=_groups(column, counts, groups), tails=TAILS, atoms=atoms, discrete=discrete
    )


def _doublings(column: NumericColumn, distance: Floats) -> Places:
    """Return in which bin beyond the nearest one values outside the grid lie, by their distance from it."""
    with np.errstate(divide="ignore", over="ignore"):
        doubled = np.ceil(np.log2(distance / (NEAREST * column.bins * column.width)))
    return np.asarray(np.clip(doubled, 0, column.tails), dtype=np.intp)


def _inner(column: NumericColumn) -> tuple[int, int]:
    """Return the first place within the grid and the first one above it."""
    atoms = np.array(column.atoms)
    below, inside = (int(np.count_nonzero(atoms < end)) for end in (column.low, column.high))
    return column.tails + 1 + 2 * below, column.tails + column.bins + 1 + 2 * inside


def _atoms(finite: Floats) -> tuple[tuple[float, ...], bool]:
    """Return the frequent values, and whether they are all that the sample has."""
    values, counts = np.unique(finite, return_counts=True)
    # Of a column that is discrete, most values come again. Rare amounts beside a frequent 0 do not, and a window has others.
    repeated = 2 * np.count_nonzero(counts > 1) >= len(values) and len(finite) >= 2 * len(values)
    repeated = repeated or len(values) == 1 or np.array_equal(values, np.rint(values))
    if len(values) <= FEW_VALUES and repeated:
        return tuple(values.tolist()), len(values) > 0
    return tuple(values[(counts >= FREQUENT * len(finite)) & (counts > 1)].tolist()), False


def _grid(finite: Floats, bins: int) -> tuple[float, float, int]:
    if not finite.size:
        return 0.0, 1.0, 1
    low, high = _robust_range(finite)
    if np.array_equal(finite, np.rint(finite)) and high - low < 2**50:
        # Whole numbers: the same number of them in each bin, so that the grid adds no pattern.
        width = float(max(1, int(np.ceil((high - low + 1) / bins))))
        return low - 0.5, width, int(np.ceil((high - low + 1) / width))
    if high == low:
        margin = max(abs(low), 1.0) * 1e-6
        return low - margin, 2 * margin, 1
    return low, (high - low) / bins * (1 + 1e-9), bins  # the largest value falls into the last bin, not above it


def _robust_range(finite: Floats) -> tuple[float, float]:
    """Return the 0.1% and 99.9% quantiles, narrowed if a heavy tail would leave too few bins to most values."""
    outer_low, low, high, outer_high = np.quantile(finite, (0.001, 0.05, 0.95, 0.999), method="nearest")
    reach = 1.5 * (high - low)
    if reach == 0:
        return float(outer_low), float(outer_high)
    return float(max(outer_low, low - reach)), float(min(outer_high, high + reach))


def _groups(column: NumericColumn, counts: Places, groups: int) -> tuple[int, ...]:
    """Return the first place of each group: equal mass within the grid, fourfold distances outside, frequent atoms."""
    first, above = _inner(column)
    cumulative = np.cumsum(counts[first:above])
    cuts = first + 1 + np.searchsorted(cumulative, cumulative[-1] * np.arange(1, groups) / groups)
    starts = {0, first, above, *(int(cut) for cut in cuts if cut < above)}
    far = column.boundaries
    for distance in NEAREST * column.bins * column.width * 4.0 ** np.arange(column.tails // 2):
        starts.add(int(np.searchsorted(far, column.low - distance, side="left")) + 1)
        starts.add(int(np.searchsorted(far, column.high + distance, side="right")))
    for value, place in zip(column.atoms, places_of(column, np.array(column.atoms)), strict=True):
        if counts[place] >= OWN_GROUP * counts.sum() or not column.low <= value < column.high:
            starts |= {int(place), int(place) + 1}
    return tuple(sorted(start for start in starts if start < column.places))
