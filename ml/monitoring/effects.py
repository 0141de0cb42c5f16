"""Effects in words that a person can weigh: by how much a metric fell, and how many rows of a column moved where."""

import math

import numpy as np
from scipy import stats

from ml.drift.statistics import STATISTICS, Tally
from ml.profiles.column_profile import ColumnProfile
from ml.profiles.numeric_grid import NumericColumn

CONFIDENCE = 0.95


def metric_effect(before: float, now: float, standard_error: float, *, freedom: float, unit: str = "") -> str:
    """Return the difference of two values of a metric with its 95% interval, for example ``+2.8 minutes, …``.

    Parameters
    ----------
    standard_error
        Of the difference.
    freedom
        Degrees of freedom of Student's distribution.
    unit
        Of the metric; empty for one without.
    """
    reach = float(stats.t.isf((1 - CONFIDENCE) / 2, freedom)) * standard_error
    difference = now - before
    shown = f"{_signed(difference)} {unit}".rstrip()
    return f"{shown}, {CONFIDENCE:.0%} interval {_signed(difference - reach)} to {_signed(difference + reach)}"


def drift_effect(before: ColumnProfile, now: ColumnProfile) -> str:
    """Return how large a share of a column's rows is elsewhere, and where most of it is."""
    moved = STATISTICS["tv_distance"](before, now)
    return (
        f"{moved:.1%} of the rows would have to move back, most visibly {_largest(before, now)}{_middle(before, now)}"
    )


def _largest(before: ColumnProfile, now: ColumnProfile) -> str:
    column, (a, b) = before.column, (Tally.of(one).shares for one in (before, now))
    if isinstance(column, NumericColumn):
        a, b = np.cumsum(a)[:-1], np.cumsum(b)[:-1]
        place = int(np.argmax(np.abs(b - a)))
        where = f"values up to {column.boundaries[place]:.4g}"
    else:
        place = int(np.argmax(np.abs(b - a)))
        where = f"category {column.categories[place]!r}" if place < len(column.categories) else "new categories"
    return f"{where} ({a[place]:.1%} -> {b[place]:.1%} of the rows)"


def _middle(before: ColumnProfile, now: ColumnProfile) -> str:
    if math.isnan(before.mean) or math.isnan(now.mean):
        return ""
    medians = (before.quantile(0.5), now.quantile(0.5))
    return f"; median {medians[0]:.4g} -> {medians[1]:.4g}, mean {before.mean:.4g} -> {now.mean:.4g}"


def _signed(value: float) -> str:
    return f"{value:+.3g}"
