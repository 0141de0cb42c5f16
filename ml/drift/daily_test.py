"""A test of every column on every day, whose rate of false alarms is stated per month.

The monthly judgement waits for the end of a month. This test looks each day, for changes that cannot wait: a unit, a new
category, values that are gone. It compares a low, the middle and a high quantile of numbers, and the share of each
category and of missing values. Days differ by more than their rows do, so the unit is the day: what a figure does from
day to day in the history (the champion's training rows, and days scored before the month) is its noise.

Quantiles are compared on the scale of the inverse hyperbolic sine, linear within the spread of the rows and logarithmic
outside, and shares on that of the arcsine of their root, on which their variance does not depend on their size
(Anscombe 1948). The variance between days is estimated, with fewer degrees of freedom the more a day resembles the one
before (first-order autoregression); what the number of rows adds is known. Two looks are taken each day: at the day,
and at the mean of the month's days so far, which finds smaller changes that last.

The level of a month is divided equally over its days, over the columns, over a column's figures, over the two looks and
over both directions (Bonferroni), so that the probability of any alarm in a month without change is at most the stated
one, whatever depends on what. An alarm must also exceed every day of the history, or every run of as many days, because some days have
rare bursts. Whoever calls it ends the test of a column for the month at its first alarm.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ml.drift.daily_figures import QUANTILES, Quantiles, Shares, quantiles_of, shares_of
from ml.drift.statistics import Tally
from ml.profiles.column_profile import ColumnProfile
from ml.profiles.numeric_grid import NumericColumn
from ml.profiles.specification import CategoricalColumn

DAYS_OF_A_MONTH = 31
"""Over so many days a month's level is divided; shorter months use less."""
MINIMUM_DAYS = 14
"""A column whose history has fewer days is not tested."""
MINIMUM_ROWS = 20
"""A day with fewer rows is not tested, and does not count as history."""
FEWEST_TOGETHER = 3
"""From so many days of a month on their mean is tested as well."""
TIED = 0.1
"""A quantile that is the same on a larger share of the days is tested by single days only."""
STRONGEST_MEMORY = 0.9
LEAST_SPREAD = 0.2
"""Least standard deviation of a day's quantile, in half-spreads of the rows: a small move of a column that hardly ever
moves can wait for the end of the month."""
Floats = NDArray[np.float64]


class Look(StrEnum):
    """What is compared with the history."""

    DAY = "day"
    MONTH_TO_DATE = "month to date"


class Place(StrEnum):
    """Which of a column's figures moved."""

    QUANTILE = "quantile"
    CATEGORY = "category"
    UNSEEN = "unseen"
    MISSING = "missing"


@dataclass(frozen=True, kw_only=True)
class Move:
    """One figure of a column that is not what chance explains, and the share of rows that it is about.

    Attributes
    ----------
    quantile, boundary, upward
        For `Place.QUANTILE`: which one, and the value above which the shares are counted, or up to which.
    category
        For `Place.CATEGORY`.
    before, now
        The share in the history and now.
    lowest, highest
        The share on single days of the history.
    rows, days
        How many rows the share now is of, and how many days.
    """

    column: str
    look: Look
    place: Place
    before: float
    now: float
    lowest: float
    highest: float
    rows: int
    days: int
    quantile: float | None = None
    boundary: float | None = None
    upward: bool = True
    category: str | None = None


def daily_moves(
    history: Mapping[str, Sequence[ColumnProfile]],
    month: Mapping[str, Sequence[ColumnProfile]],
    *,
    false_alarms_per_month: float,
    negligible: float,
) -> tuple[Move, ...]:
    """Return the largest move of every column that moved on the last day of `month`, by more than chance explains.

    Parameters
    ----------
    history
        Column to its profiles of single days before the month, in order.
    month
        Column to its profiles of the days of the month so far; the last one is the day that is judged.
    false_alarms_per_month
        Probability that any column raises an alarm within a month without change, all its days tested.
    negligible
        Least difference of a share that is of interest, as a share of the rows.
    """
    level = false_alarms_per_month / DAYS_OF_A_MONTH / max(1, len(month)) / len(Look) / 2
    enough = {name: [day for day in days if day.rows >= MINIMUM_ROWS] for name, days in history.items()}
    found = [
        _column_moves(enough[name], days, level)
        for name, days in month.items()
        if len(enough.get(name, ())) >= MINIMUM_DAYS and days and days[-1].rows >= MINIMUM_ROWS
    ]
    kept = ([move for move in moves if abs(move.now - move.before) >= negligible] for moves in found)
    return tuple(max(moves, key=_plainest) for moves in kept if moves)


def _plainest(move: Move) -> tuple[float, bool, float]:
    """Return by what the move of a column is chosen that is told: the most rows, and the median before other quantiles."""
    moved = abs(move.now - move.before)
    return round(moved, 1), move.quantile == 0.5, moved


def _column_moves(history: Sequence[ColumnProfile], month: Sequence[ColumnProfile], level: float) -> list[Move]:
    days = [day for day in month if day.rows >= MINIMUM_ROWS]
    tallies = Tally.stack(history), Tally.stack(days)
    past, now = shares_of(tallies[0]), shares_of(tallies[1])
    figures = past.counts.shape[1]
    if isinstance(month[-1].column, NumericColumn):
        figures += len(QUANTILES)
    moves = _moved_shares(month[-1], past, now, level / figures)
    if isinstance(month[-1].column, NumericColumn) and month[-1].finite and _days_with_values(history) >= MINIMUM_DAYS:
        usual = quantiles_of(history, tallies[0])
        moves += _moved_quantiles(month[-1], usual, quantiles_of(days, tallies[1], usual), level / figures)
    return moves


def _days_with_values(history: Sequence[ColumnProfile]) -> int:
    return sum(day.finite > 0 for day in history)


@dataclass(frozen=True, kw_only=True)
class _Noise:
    """What is known from the history about the means of days of some figures.

    Attributes
    ----------
    spread
        Variance between days, shape (figures,).
    memory
        Correlation of a day with the one before.
    days
        Length of the history.
    """

    spread: Floats
    memory: float
    days: int

    @classmethod
    def of(cls, past: Floats) -> "_Noise":
        return cls(spread=past.var(axis=0, ddof=1), memory=_memory(past), days=len(past))

    @property
    def freedom(self) -> float:
        return max(2.0, self.days * (1 - self.memory**2) / (1 + self.memory**2) - 1)

    def between(self, days: int) -> float:
        """Return the variance of the difference of two means of days, as a multiple of that between days."""
        # A mean over several days depends on the memory, which is only estimated: one standard error more is assumed.
        memory = min(STRONGEST_MEMORY, self.memory + (self.days**-0.5 if days > 1 else 0.0))
        return _growth(memory, days) / days + _growth(memory, self.days) / self.days


def _moved_quantiles(last: ColumnProfile, past: Quantiles, now: Quantiles, level: float) -> list[Move]:
    noise = _Noise.of(past.scaled)
    spread = np.sqrt(np.maximum(noise.spread, LEAST_SPREAD**2))
    mean = past.scaled.mean(axis=0)
    tail = float(stats.t.isf(level, noise.freedom))
    moves = []
    for look, days in _looks(len(now.values)):
        together = now.scaled[-days:].mean(axis=0)
        lowest, highest = (now.scaled_low, now.scaled_high) if look is Look.DAY else (together, together)
        margin = np.maximum(tail * spread * np.sqrt(noise.between(days)), _farthest(past.scaled, days))
        for i, quantile in enumerate(QUANTILES):
            if look is Look.MONTH_TO_DATE and _is_tied(past.scaled[:, i]):
                continue
            upward = bool(lowest[i] > mean[i] + margin[i])
            if upward or highest[i] < mean[i] - margin[i]:
                limit = past.unscaled(mean[i] + (margin[i] if upward else -margin[i]))
                where = past.shares_beyond(now, limit, upward=upward, days=days)
                moves.append(
                    Move(
                        column=last.column.name, look=look, place=Place.QUANTILE, quantile=quantile, days=days, **where
                    )
                )
    return moves


def _moved_shares(last: ColumnProfile, past: Shares, now: Shares, level: float) -> list[Move]:
    noise, mean = _Noise.of(past.scaled), past.scaled.mean(axis=0)
    # The variance between days alone is a difference of estimates: its own error is the least that it may be.
    spread = np.maximum(noise.spread - past.noise.mean(axis=0), noise.spread * np.sqrt(2 / noise.freedom))
    moves = []
    for look, days in _looks(len(now.counts)):
        some = now.last(days)
        between = spread * noise.between(days)
        total = between + some.noise.mean(axis=0) / days + past.noise.mean(axis=0) / noise.days
        freedom = np.minimum(noise.freedom * (total / np.maximum(between, 1e-12)) ** 2, 1e9)
        margin = np.maximum(stats.t.isf(level, freedom) * np.sqrt(total), _farthest(past.scaled, days))
        for i in np.flatnonzero(np.abs(some.scaled.mean(axis=0) - mean) > margin):
            place = _place(last.column, int(i), past.counts.shape[1])
            moves.append(Move(column=last.column.name, look=look, days=days, **place, **past.shares(some, int(i))))
    return moves


def _looks(days: int) -> list[tuple[Look, int]]:
    """Return what is compared, and of how many days it is the mean."""
    return [(Look.DAY, 1), *([(Look.MONTH_TO_DATE, days)] if days >= FEWEST_TOGETHER else [])]


def _is_tied(past: Floats) -> bool:
    """Return whether a quantile rests on one value on many days: its mean then has no distribution that is known."""
    return bool(np.unique(past, return_counts=True)[1].max() > TIED * len(past))


def _farthest(past: Floats, days: int) -> Floats:
    """Return how far from the history's mean the mean of so many of its consecutive days has been, shape (figures,)."""
    span = min(days, len(past))
    sums = np.cumsum(np.concatenate([np.zeros_like(past[:1]), past]), axis=0)
    return np.asarray(np.abs((sums[span:] - sums[:-span]) / span - past.mean(axis=0)).max(axis=0))


def _place(column: NumericColumn | CategoricalColumn, share: int, shares: int) -> dict[str, Any]:
    """Return what a share is a share of, as fields of a `Move`."""
    if share == shares - 1:
        return {"place": Place.MISSING}
    if isinstance(column, NumericColumn) or share == len(column.categories):
        return {"place": Place.UNSEEN}
    return {"place": Place.CATEGORY, "category": column.categories[share]}


def _memory(past: Floats) -> float:
    """Return the correlation of a day with the day before over all figures of a column, corrected for its bias."""
    spread = past.std(axis=0)
    moving = spread > 0
    if not moving.any():
        return 0.0
    centred = (past - past.mean(axis=0))[:, moving] / spread[moving]
    measured = float((centred[1:] * centred[:-1]).mean())
    return float(np.clip(measured + (1 + 3 * measured) / len(past), 0, STRONGEST_MEMORY))


def _growth(memory: float, days: int) -> float:
    """Return the variance of the mean of consecutive days as a multiple of that of independent ones."""
    lags = np.arange(1, days)
    return 1 + 2 * float(((1 - lags / days) * memory**lags).sum())
