"""A test of every column on every day, whose rate of false alarms is stated per month.

The monthly judgement waits for the end of a month. This test looks each day, for changes that cannot wait: a unit, a new
category, values that are gone. It compares shares of rows: of each category, of missing values, and up to each group's
end for numbers. Days differ by more than their rows do, so the unit is the day: what a share does from day to day in
the history (the champion's training rows, and days scored before the month) is the noise.

Shares are compared on the scale on which their variance does not depend on their size (arcsine of the root; Anscombe
1948). The variance of a day has two parts: that of so many rows, which is known, and that between days, which is
estimated, with fewer degrees of freedom the more a day resembles the one before (first-order autoregression). Two looks
are taken each day: at the day, and at the mean of the month's days so far, which finds smaller changes that last.

The level of a month is divided equally over its days, over the columns, over a column's shares, over the two looks and over both
directions (Bonferroni), so the probability that a month without change raises any alarm is at most the stated one, whatever
depends on what. An alarm about a single day must also exceed every day of the history, for days with rare bursts.
Whoever calls it ends the test of a column for the month at its first alarm.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ml.drift.statistics import Tally
from ml.profiles.column_profile import ColumnProfile
from ml.profiles.numeric_grid import NumericColumn
from ml.profiles.specification import Column

DAYS_OF_A_MONTH = 31
"""Over so many days a month's level is divided; shorter months use less."""
MINIMUM_DAYS = 14
"""A column whose history has fewer days is not tested."""
MINIMUM_ROWS = 20
"""A day with fewer values of a column is not tested, and does not count as history."""
STRONGEST_MEMORY = 0.9
Floats = NDArray[np.float64]


class Look(StrEnum):
    """What is compared with the history."""

    DAY = "day"
    MONTH_TO_DATE = "month to date"


class Place(StrEnum):
    """Which share of a column's rows moved."""

    UP_TO = "up to"
    CATEGORY = "category"
    UNSEEN = "unseen"
    MISSING = "missing"


@dataclass(frozen=True, kw_only=True)
class Move:
    """One share of a column's rows that is not what chance explains.

    Attributes
    ----------
    boundary
        The value up to which rows are counted, for `Place.UP_TO`.
    category
        The category, for `Place.CATEGORY`.
    before, now
        The share in the history and now.
    lowest, highest
        The share on single days of the history.
    limit
        The share up to which, or down to which, chance explains it.
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
    limit: float
    rows: int
    days: int
    boundary: float | None = None
    category: str | None = None


@dataclass(frozen=True, kw_only=True)
class _Shares:
    """Shares of the rows of several days: `counts` of shape (days, shares), `totals` likewise."""

    counts: Floats
    totals: Floats

    @property
    def shares(self) -> Floats:
        return self.counts / np.maximum(self.totals, 1)

    @property
    def scaled(self) -> Floats:
        return np.asarray(np.arcsin(np.sqrt(np.clip((self.counts + 3 / 8) / (self.totals + 3 / 4), 0, 1))))

    @property
    def noise(self) -> Floats:
        """Variance of the scaled shares of so many independent rows."""
        return 1 / (4 * self.totals + 2)

    def where(self, days: NDArray[np.bool_]) -> "_Shares":
        return _Shares(counts=self.counts[days], totals=self.totals[days])


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
    level = false_alarms_per_month / DAYS_OF_A_MONTH / max(1, len(month))
    found = [_column_moves(history.get(name, ()), days, level, negligible) for name, days in month.items()]
    return tuple(max(moves, key=lambda move: abs(move.now - move.before)) for moves in found if moves)


def _column_moves(
    history: Sequence[ColumnProfile], month: Sequence[ColumnProfile], level: float, negligible: float
) -> list[Move]:
    if len(history) < MINIMUM_DAYS or not month:
        return []
    column = month[-1].column
    before, now = (_shares_of(Tally.stack(days)) for days in (history, month))
    enough = [shares.totals.max(axis=1) >= MINIMUM_ROWS for shares in (before, now)]
    if np.count_nonzero(enough[0]) < MINIMUM_DAYS or not enough[1][-1]:
        return []
    before, now = before.where(enough[0]), now.where(enough[1])
    tail = level / before.counts.shape[1] / len(Look) / 2
    moves = _tested(
        column, before, now.where(np.arange(len(now.counts)) == len(now.counts) - 1), Look.DAY, tail, negligible
    )
    if len(now.counts) > 1:
        moves += _tested(column, before, now, Look.MONTH_TO_DATE, tail, negligible)
    return moves


def _shares_of(tally: Tally) -> _Shares:
    """Return the shares that are tested, of shape (days, shares): those of values first, that of missing ones last."""
    grouped, column = tally.grouped, tally.column
    if isinstance(column, NumericColumn):
        ordered = grouped[:, : len(column.groups)]
        grouped = np.concatenate([np.cumsum(ordered, axis=1)[:, :-1], grouped[:, len(column.groups) :]], axis=1)
    counts = np.concatenate([grouped, tally.missing[:, None]], axis=1)
    totals = np.repeat(tally.total[:, None], counts.shape[1], axis=1)
    totals[:, -1] = tally.rows
    return _Shares(counts=counts, totals=totals)


def _tested(column: Column, before: _Shares, now: _Shares, look: Look, tail: float, negligible: float) -> list[Move]:
    """Return the shares whose mean over the days of `now` lies beyond what chance explains at the level `tail`."""
    past, days = before.scaled, len(now.counts)
    mean = past.mean(axis=0)
    memory = _memory(past)
    freedom = max(2.0, len(past) * (1 - memory**2) / (1 + memory**2) - 1)
    spread = past.var(axis=0, ddof=1)
    # The part of days alone is estimated as a difference: its own error is the least that it may be.
    between = np.maximum(spread - before.noise.mean(axis=0), spread * np.sqrt(2 / freedom))
    between = between * (_growth(memory, days) / days + _growth(memory, len(past)) / len(past))
    total = between + now.noise.mean(axis=0) / days + before.noise.mean(axis=0) / len(past)
    known = freedom * (total / np.maximum(between, 1e-12)) ** 2
    margin = stats.t.isf(tail, np.minimum(known, 1e9)) * np.sqrt(total)
    distance = now.scaled.mean(axis=0) - mean
    exceeds = np.abs(distance) > margin
    if look is Look.DAY:
        exceeds &= np.abs(distance) > np.abs(past - mean).max(axis=0)
    share_before, share_now = (s.counts.sum(axis=0) / np.maximum(s.totals.sum(axis=0), 1) for s in (before, now))
    exceeds &= np.abs(share_now - share_before) >= negligible
    limits = np.sin(np.clip(mean + np.sign(distance) * margin, 0, np.pi / 2)) ** 2
    singles = before.shares
    return [
        Move(
            column=column.name, look=look, before=float(share_before[i]), now=float(share_now[i]),
            lowest=float(singles[:, i].min()), highest=float(singles[:, i].max()), limit=float(limits[i]),
            rows=int(now.totals[:, i].sum()), days=days, **_place(column, i, len(share_now)),
        )
        for i in np.flatnonzero(exceeds)
    ]  # fmt: skip


def _place(column: Column, share: int, shares: int) -> dict[str, "Place | float | str"]:
    """Return what a share is a share of, as fields of a `Move`."""
    if share == shares - 1:
        return {"place": Place.MISSING}
    if isinstance(column, NumericColumn):
        if share >= len(column.groups) - 1:
            return {"place": Place.UNSEEN}
        return {"place": Place.UP_TO, "boundary": float(column.boundaries[column.groups[share + 1] - 1])}
    if share == len(column.categories):
        return {"place": Place.UNSEEN}
    return {"place": Place.CATEGORY, "category": column.categories[share]}


def _memory(past: Floats) -> float:
    """Return the correlation of a day with the day before over all shares of a column, corrected for its bias."""
    centred = past - past.mean(axis=0)
    total = float((centred**2).sum())
    if total <= 0:
        return 0.0
    measured = float((centred[1:] * centred[:-1]).sum()) / total
    return float(np.clip(measured + (1 + 3 * measured) / len(past), 0, STRONGEST_MEMORY))


def _growth(memory: float, days: int) -> float:
    """Return the variance of the mean of consecutive days as a multiple of that of independent ones."""
    lags = np.arange(1, days)
    return 1 + 2 * float(((1 - lags / days) * memory**lags).sum())
