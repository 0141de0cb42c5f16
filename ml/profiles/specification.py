"""How each column is profiled, fixed once from a sample of the reference so that all profiles are comparable.

A categorical column gets its most frequent categories, without those that come once where most do, and one place for all others. How a numeric column is divided is
in `ml.profiles.numeric_grid`. Rows are counted in `ml.profiles.table_profile`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from ml.profiles.column_values import Categories, categories, data_type_of, numbers
from ml.profiles.numeric_grid import ADDED, BINS, GROUPS, NumericColumn, numeric_column

KEPT_CATEGORIES = 50
NAMES = frozenset({"string", "boolean"})
"""The types whose columns are always categorical."""


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
        return [_plain(column) for column in self.columns]

    @classmethod
    def from_json(cls, columns: Sequence[Mapping[str, Any]]) -> "ProfileSpec":
        """Rebuild the specification that `to_json` wrote."""
        return cls(tuple(_column_from_json(column) for column in columns))


def categorical_column(name: str, data_type: str, sample: Categories, kept: int = KEPT_CATEGORIES) -> CategoricalColumn:
    """Return the column with its most frequent categories, ties in alphabetical order.

    Where most categories have come once beside some that come often, those are left to all others: a window has new ones of their
    kind, which are no change.
    """
    ranked = sorted(zip(sample.values, sample.counts, strict=True), key=lambda item: (-item[1], item[0]))
    again = [item for item in ranked if item[1] > 1]
    if sum(sample.counts) >= 2 * len(ranked) > 4 * len(again):
        ranked = again
    return CategoricalColumn(name=name, data_type=data_type, categories=tuple(value for value, _ in ranked[:kept]))


def _plain(column: Column) -> dict[str, Any]:
    """Return a column as plain values, without what columns of an earlier release lack: their fingerprints stay."""
    values = asdict(column)
    return {name: value for name, value in values.items() if name not in ADDED or value != ADDED[name]}


def _column_from_json(column: Mapping[str, Any]) -> Column:
    if "categories" in column:
        return CategoricalColumn(**{**column, "categories": tuple(column["categories"])})
    lists = {name: tuple(column[name]) for name in ("groups", "atoms") if name in column}
    return NumericColumn(**{**column, **lists})
