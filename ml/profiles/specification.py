"""How each column is profiled, fixed once from a sample of the reference so that all profiles are comparable.

A numeric column gets a fine grid of equal width between robust quantiles, with one bin below and one above: the bin of
a value is arithmetic, and one outlier cannot widen the bins for all. A categorical column gets its most frequent
categories and one place for all others. Rows are counted in `ml.profiles.table_profile`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.profiles.column_values import Categories, Numbers, categories, data_type_of, numbers

BINS = 512
GROUPS = 10
KEPT_CATEGORIES = 50
NAMES = frozenset({"string", "boolean"})
"""The types whose columns are always categorical."""


@dataclass(frozen=True, kw_only=True)
class NumericColumn:
    """The grid of one numeric column; dates count in days and timestamps in seconds since 1970.

    Attributes
    ----------
    low, width, bins
        Bin ``i`` of ``1..bins`` holds ``low + (i - 1) * width <= value < low + i * width``; bin 0 is what lies below,
        bin ``bins + 1`` what lies above.
    groups
        First bin of each coarse group: below, about ten groups of equal mass in the sample, above. Statistics that
        compare bin by bin use groups, since a fine bin of a small window holds too few rows.
    """

    name: str
    data_type: str
    low: float
    width: float
    bins: int
    groups: tuple[int, ...]

    @property
    def high(self) -> float:
        """Upper end of the grid."""
        return self.low + self.bins * self.width

    @property
    def places(self) -> int:
        """Number of counters: the bins and the two outer ones."""
        return self.bins + 2


@dataclass(frozen=True, kw_only=True)
class CategoricalColumn:
    """The categories of one column, most frequent first; any other value counts at the last place."""

    name: str
    data_type: str
    categories: tuple[str, ...]

    @property
    def places(self) -> int:
        """Number of counters: the categories and one for all others."""
        return len(self.categories) + 1

    @property
    def groups(self) -> tuple[int, ...]:
        """Every category is a group of its own."""
        return tuple(range(self.places))


Column = NumericColumn | CategoricalColumn


@dataclass(frozen=True)
class ProfileSpec:
    """How every column of a data set is profiled; only profiles of one specification merge and compare."""

    columns: tuple[Column, ...]

    @classmethod
    def from_sample(
        cls,
        sample: Mapping[str, Any],
        *,
        categorical: Sequence[str] = (),
        bins: int = BINS,
        groups: int = GROUPS,
        kept_categories: int = KEPT_CATEGORIES,
    ) -> "ProfileSpec":
        """Fix grids and categories from a sample of the reference; ten thousand rows are enough.

        Parameters
        ----------
        sample
            Column name to values of shape (rows,): numbers, booleans, dates, timestamps or texts.
        categorical
            Columns of numbers that are to be profiled as categories.
        bins, groups, kept_categories
            Number of fine bins and of coarse groups per numeric column, of categories kept by name.

        Raises
        ------
        ValueError
            If `categorical` names a column that the sample lacks.
        """
        unknown = sorted(set(categorical) - set(sample))
        if unknown:
            raise ValueError(
                f"categorical names {', '.join(unknown)}, which the sample lacks: it has {', '.join(sample)}."
            )
        columns: list[Column] = []
        for name, raw in sample.items():
            data_type = data_type_of(raw)
            if name in categorical or data_type in NAMES:
                columns.append(categorical_column(name, data_type, categories(raw), kept_categories))
            else:
                columns.append(numeric_column(name, data_type, numbers(raw), bins, groups))
        return cls(tuple(columns))

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in order."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that differ between specifications."""
        return hashlib.sha256(json.dumps(self.to_json()).encode()).hexdigest()[:16]

    def to_json(self) -> list[dict[str, Any]]:
        """Return the columns as plain values that JSON can hold."""
        return [asdict(column) for column in self.columns]

    @classmethod
    def from_json(cls, columns: Sequence[Mapping[str, Any]]) -> "ProfileSpec":
        """Rebuild the specification that `to_json` wrote."""
        return cls(tuple(_column_from_json(column) for column in columns))


def categorical_column(name: str, data_type: str, sample: Categories, kept: int = KEPT_CATEGORIES) -> CategoricalColumn:
    """Return the column with its most frequent categories, ties in alphabetical order."""
    ranked = sorted(zip(sample.values, sample.counts, strict=True), key=lambda item: (-item[1], item[0]))
    return CategoricalColumn(name=name, data_type=data_type, categories=tuple(value for value, _ in ranked[:kept]))


def numeric_column(name: str, data_type: str, sample: Numbers, bins: int = BINS, groups: int = GROUPS) -> NumericColumn:
    """Return the column with a grid that follows the bulk of the sample's finite values."""
    finite = sample.values[np.isfinite(sample.values)]
    low, width, bins = _grid(finite, bins)
    counts = np.bincount(_bins_of(finite, low, width, bins), minlength=bins + 2)
    return NumericColumn(
        name=name, data_type=data_type, low=low, width=width, bins=bins, groups=_equal_mass(counts, groups)
    )


def _grid(finite: NDArray[np.float64], bins: int) -> tuple[float, float, int]:
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


def _robust_range(finite: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 0.1% and 99.9% quantiles, narrowed if a heavy tail would leave too few bins to most values."""
    outer_low, low, high, outer_high = np.quantile(finite, (0.001, 0.05, 0.95, 0.999), method="nearest")
    reach = 1.5 * (high - low)
    if reach == 0:
        return float(outer_low), float(outer_high)
    return float(max(outer_low, low - reach)), float(min(outer_high, high + reach))


def _bins_of(finite: NDArray[np.float64], low: float, width: float, bins: int) -> NDArray[np.intp]:
    return np.asarray(np.clip(np.floor((finite - low) / width) + 1, 0, bins + 1), dtype=np.intp)


def _equal_mass(counts: NDArray[np.intp], groups: int) -> tuple[int, ...]:
    inner = counts[1:-1]
    cumulative = np.cumsum(inner)
    cuts = np.searchsorted(cumulative, cumulative[-1] * np.arange(1, groups) / groups) + 2
    starts = {0, 1, len(counts) - 1, *(int(cut) for cut in cuts if cut < len(counts) - 1)}
    return tuple(sorted(starts))


def _column_from_json(column: Mapping[str, Any]) -> Column:
    if "categories" in column:
        return CategoricalColumn(**{**column, "categories": tuple(column["categories"])})
    return NumericColumn(**{**column, "groups": tuple(column["groups"])})
