"""How two sets of rows are spread over the groups of a column, in words: what a drift statistic compared, to be seen."""

import datetime as dt
import math
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.profiles.column_profile import ColumnProfile
from ml.profiles.numeric_grid import NumericColumn
from ml.profiles.specification import CategoricalColumn

MOST_GROUPS = 14
"""More bars are not read; the rarest categories beyond are added up."""
OTHER, MISSING = "other values", "missing"
LARGE = 10_000
"""From here on thousands are separated."""
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, kw_only=True)
class GroupShare:
    """The share of the rows of either set in one group, between 0 and 1."""

    label: str
    before: float
    after: float


def group_shares(before: ColumnProfile, after: ColumnProfile) -> tuple[GroupShare, ...]:
    """Return the share of the rows in each group that holds any, and of those without a value.

    Numbers are in the order of their values, categories from the most to the least frequent; empty without rows.

    Parameters
    ----------
    before, after
        Profiles of the same column, made with the same specification.
    """
    if not before.rows or not after.rows:
        return ()
    shares = [_grouped(profile) / profile.rows for profile in (before, after)]
    found = [
        GroupShare(label=_label(before.column, group), before=float(old), after=float(new))
        for group, (old, new) in enumerate(zip(*shares, strict=True))
        if old or new
    ]
    if isinstance(before.column, CategoricalColumn):
        found = _most_frequent(found)
    if before.missing or after.missing:
        found.append(GroupShare(label=MISSING, before=before.missing_rate, after=after.missing_rate))
    return tuple(found)


def _grouped(profile: ColumnProfile) -> NDArray[np.int64]:
    return np.asarray(np.add.reduceat(profile.counts, profile.column.groups), dtype=np.int64)


def _most_frequent(groups: list[GroupShare]) -> list[GroupShare]:
    """Return the categories, those that are rare on both sides as one."""
    named = sorted((g for g in groups if g.label != OTHER), key=lambda group: -max(group.before, group.after))
    rest = [*named[MOST_GROUPS:], *(g for g in groups if g.label == OTHER)]
    kept = named[:MOST_GROUPS]
    if rest:
        kept.append(GroupShare(label=OTHER, before=sum(g.before for g in rest), after=sum(g.after for g in rest)))
    return kept


def _label(column: NumericColumn | CategoricalColumn, group: int) -> str:
    if isinstance(column, CategoricalColumn):
        return [*column.categories, OTHER][group]
    edges = np.concatenate([[-math.inf], column.boundaries, [math.inf]])
    starts = [*column.groups, column.places]
    return _range(column, float(edges[starts[group]]), float(edges[starts[group + 1]]))


def _range(column: NumericColumn, low: float, high: float) -> str:
    """Return a group in words: a single value, or from where to where; of whole numbers with both ends."""
    if _whole(column) and low < high:
        low, high = math.ceil(low) if math.isfinite(low) else low, math.floor(high) if math.isfinite(high) else high
    if low == high:
        return _value(column, low)
    if low == -math.inf:
        return f"up to {_value(column, high)}"
    return f"{_value(column, low)} and more" if high == math.inf else f"{_value(column, low)} to {_value(column, high)}"


def _whole(column: NumericColumn) -> bool:
    """Return whether the grid is one of whole numbers, whose bins end between two of them."""
    return float(column.low + 0.5).is_integer() and float(column.width).is_integer()


def _value(column: NumericColumn, value: float) -> str:
    if column.data_type in ("date", "timestamp"):
        with suppress(OverflowError):  # before the first year or after the last that a calendar has
            return f"{EPOCH + dt.timedelta(days=value if column.data_type == 'date' else value / 86_400):%Y-%m-%d}"
    if abs(value) < LARGE:  # a year has no separator
        return f"{value:.0f}" if float(value).is_integer() else f"{value:.4g}"
    return f"{value:,.0f}"
