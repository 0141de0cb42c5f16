"""A test of every column on every day, whose rate of false alarms is stated per month.

The monthly judgement waits for the end of a month. This test looks each day, for changes that cannot wait: a unit, a new
category, values that are gone. It compares a low, the middle and a high quantile of numbers, and the share of each
category and of missing values. Days differ by more than their rows do, so the unit is the day: what a figure does from
day to day in the history (the champion's training rows, and days scored before the month) is its noise.

Quantiles are compared on the scale of the inverse hyperbolic sine, linear within the spread of the rows and logarithmic
outside. How the shares of a category are distributed over days is not known, and far from the middle the scale decides:
a share must be beyond chance on three of them, that of the arcsine of its root, on which the noise of rows does not depend
on the share (Anscombe 1948), its own, and that of log odds. What is beyond chance says `ml.drift.day_noise`. Two looks are
taken each day: at the day, and at the mean of the month's days so far, which finds smaller changes that last.

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


@dataclass(frozen=True, kw_only=True)
class ColumnHistory:
    """What single days of a column were like; `quantiles` only of numbers that have had values on enough days."""

    shares: Shares
    quantiles: Quantiles | None


def histories(columns: Mapping[str, Sequence[ColumnProfile]]) -> dict[str, ColumnHistory]:
    """Return what single days were like, for the columns of which enough days are known.

    Parameters
    ----------
    columns
        Column to its profiles of single days, in order.
    """
    found = {}
    for name, every in columns.items():
        days = [day for day in every if day.rows >= MINIMUM_ROWS]
        if len(days) >= MINIMUM_DAYS:
            tally, filled = Tally.stack(days), sum(day.finite > 0 for day in days)
            numeric = isinstance(tally.column, NumericColumn) and filled >= MINIMUM_DAYS
            quantiles = quantiles_of(days, tally) if numeric else None
            found[name] = ColumnHistory(shares=shares_of(tally), quantiles=quantiles)
    return found


def daily_moves(
    history: Mapping[str, ColumnHistory],
    month: Mapping[str, Sequence[ColumnProfile]],
    *,
    false_alarms_per_month: float,
    negligible: float,
) -> tuple[Move, ...]:
    """Return the largest move of every column that moved on the last day of `month`, by more than chance explains.

    Parameters
    ----------
    history
        Column to what its days before the month were like (`histories`).
    month
        Column to its profiles of the days of the month so far; the last one is the day that is judged.
    false_alarms_per_month
        Probability that any column raises an alarm within a month without change, all its days tested.
    negligible
        Least difference of a share that is of interest, as a share of the rows.
    """
    level = false_alarms_per_month / DAYS_OF_A_MONTH / max(1, len(month)) / len(Look) / 2
    found = [
        _column_moves(history[name], days, level)
        for name, days in month.items()
        if name in history and days and days[-1].rows >= MINIMUM_ROWS
    ]
    kept = ([move for move in moves if abs(move.now - move.before) >= negligible] for moves in found)
    return tuple(max(moves, key=_plainest) for moves in kept if moves)


def _plainest(move: Move) -> tuple[float, bool, float]:
    """Return by what the move of a column is chosen that is told: the most rows, and the median before other quantiles."""
    moved = abs(move.now - move.before)
    return round(moved, 1), move.quantile == 0.5, moved


def _column_moves(history: ColumnHistory, month: Sequence[ColumnProfile], level: float) -> list[Move]:
    days = [day for day in month if day.rows >= MINIMUM_ROWS]
    tally, usual = Tally.stack(days), history.quantiles
    figures = history.shares.counts.shape[1] + (len(QUANTILES) if usual is not None else 0)
    moves = _moved_shares(month[-1], history.shares, shares_of(tally), level / figures)
    if usual is not None and month[-1].finite:
        moves += _moved_quantiles(month[-1], usual, quantiles_of(days, tally, usual), level / figures)
    return moves


def _moved_quantiles(last: ColumnProfile, past: Quantiles, now: Quantiles, level: float) -> list[Move]:
    mean = past.scaled.mean(axis=0)
    moves = []
    for look, days in _looks(len(now.values)):
        together = now.scaled[-days:].mean(axis=0)
        farthest = _farthest(past.scaled, days)
        for upward in (True, False):
            values = together if look is not Look.DAY else now.scaled_low if upward else now.scaled_high
            beyond = values > mean + farthest if upward else values < mean - farthest
            for i in np.flatnonzero((past.noise.pvalues(values, days, upward=upward) < level) & beyond):
                if look is Look.MONTH_TO_DATE and _is_tied(past.scaled[:, i]):
                    continue
                limit = past.noise.limits(days, level, upward=upward)[i]
                limit = max(limit, mean[i] + farthest[i]) if upward else min(limit, mean[i] - farthest[i])
                where = past.shares_beyond(now, past.unscaled(limit), upward=upward, days=days)
                moves.append(
                    Move(
                        column=last.column.name, look=look, place=Place.QUANTILE, quantile=QUANTILES[i], days=days,
                        **where,
                    )
                )  # fmt: skip
    return moves


def _moved_shares(last: ColumnProfile, past: Shares, now: Shares, level: float) -> list[Move]:
    moves = []
    for look, days in _looks(len(now.counts)):
        some = now.last(days)
        chance = np.minimum(past.pvalues(some, upward=True), past.pvalues(some, upward=False))
        apart = np.abs(some.scaled.mean(axis=0) - past.scaled.mean(axis=0))
        for i in np.flatnonzero((chance < level) & (apart > _farthest(past.scaled, days))):
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
