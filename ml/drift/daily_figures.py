"""The figures of single days that the daily test compares: quantiles of numbers, and shares of rows.

They come from profiles, on scales on which days are comparable; `ml.drift.daily_test` says why.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.drift.day_noise import DayNoise
from ml.drift.statistics import Tally
from ml.profiles.column_profile import ColumnProfile
from ml.profiles.numeric_grid import NumericColumn

QUANTILES = (0.05, 0.5, 0.95)
CERTAIN = 5.0
"""How many standard errors of its level a day's quantile is moved towards the history before it counts as far away."""
LEAST_SCALE = 1e-6
"""Of a column's middle: the scale of a column whose rows do not differ."""
LEAST_SPREAD = 0.2
"""Least standard deviation of a day's quantile, in half-spreads of the rows: a small move of a column that hardly ever
moves can wait for the end of the month."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Shares:
    """Shares of the rows of single days: each category or unseen values, then missing ones; shape (days, shares)."""

    counts: Floats
    totals: Floats

    @cached_property
    def scaled(self) -> Floats:
        """Arcsine of the root of the shares."""
        return np.asarray(np.arcsin(np.sqrt(np.clip((self.counts + 3 / 8) / (self.totals + 3 / 4), 0, 1))))

    @cached_property
    def noise(self) -> Floats:
        """Variance of the scaled shares of so many independent rows."""
        return 1 / (4 * self.totals + 2)

    @cached_property
    def corrected(self) -> Floats:
        """The shares with half a row more for and against, so that log odds exist."""
        return np.asarray((self.counts + 1 / 2) / (self.totals + 1))

    @property
    def scales(self) -> tuple[Floats, Floats, Floats]:
        """The shares on three scales: the arcsine of their root, themselves, their log odds."""
        return self.scaled, self.corrected, np.log(self.corrected / (1 - self.corrected))

    @cached_property
    def between(self) -> tuple[DayNoise, ...]:
        """How days differ by chance on each scale; on the first one at least as much as so many independent rows do."""
        arcsine, own, log_odds = self.scales
        return DayNoise.of(arcsine, self.noise.mean(axis=0)), DayNoise.of(own), DayNoise.of(log_odds)

    def pvalues(self, now: "Shares", *, upward: bool) -> Floats:
        """Return the probability of a mean of days as high (or as low) as that of `now`, on the scale where it is largest."""
        more = np.maximum(now.noise.mean(axis=0) - self.noise.mean(axis=0), 0)
        root = np.sqrt((self.corrected * (1 - self.corrected)).mean(axis=0))
        slopes = (np.ones_like(root), 2 * root, 2 / root)
        return np.asarray(
            np.max(
                [
                    noise.pvalues(scale.mean(axis=0), len(scale), upward=upward, more=more * slope**2)
                    for noise, scale, slope in zip(self.between, now.scales, slopes, strict=True)
                ],
                axis=0,
            )
        )

    def last(self, days: int) -> "Shares":
        """Return the last so many days."""
        return Shares(counts=self.counts[-days:], totals=self.totals[-days:])

    def shares(self, now: "Shares", share: int) -> dict[str, Any]:
        """Return one share in these days and in others, as fields of a `Move`."""
        return _compared(self.counts[:, share], self.totals[:, share], now.counts[:, share], now.totals[:, share])


@dataclass(frozen=True, kw_only=True)
class Quantiles:
    """Quantiles of single days on a scale of their own.

    Attributes
    ----------
    values
        Shape (days, quantiles).
    low, high
        Shape (quantiles,): how low and how high those of the last day may be, given so many rows.
    counts
        Shape (days, places): finite values by place.
    middle, scale
        Median of all days, and half the distance from their 5% to their 95% quantile.
    """

    column: NumericColumn
    values: Floats
    low: Floats
    high: Floats
    counts: Floats
    middle: float
    scale: float

    @cached_property
    def scaled(self) -> Floats:
        """The quantiles, linear within the spread of the rows and logarithmic outside."""
        return self._scaled(self.values)

    @cached_property
    def noise(self) -> DayNoise:
        """How days differ by chance."""
        return DayNoise.of(self.scaled, LEAST_SPREAD**2)

    @property
    def scaled_low(self) -> Floats:
        """How low those of the last day may be, given so many rows."""
        return self._scaled(self.low)

    @property
    def scaled_high(self) -> Floats:
        """How high those of the last day may be, given so many rows."""
        return self._scaled(self.high)

    def unscaled(self, value: float) -> float:
        """Return the value of the column at a place on the scale."""
        return float(self.middle + self.scale * np.sinh(value))

    def shares_beyond(self, now: "Quantiles", limit: float, *, upward: bool, days: int) -> dict[str, Any]:
        """Return the shares of rows beyond a limit in these days and in the last ones of others, as fields of a `Move`."""
        edges = self.column.boundaries
        place = int(np.searchsorted(edges, limit, side="left" if upward else "right")) - (0 if upward else 1)
        place = int(np.clip(place, 0, len(edges) - 1))
        part = slice(place + 1, None) if upward else slice(0, place + 1)
        now_counts = now.counts[-days:]
        return {
            **_compared(
                self.counts[:, part].sum(axis=1), self.counts.sum(axis=1),
                now_counts[:, part].sum(axis=1), now_counts.sum(axis=1),
            ),
            "boundary": float(edges[place]),
            "upward": upward,
        }  # fmt: skip

    def _scaled(self, values: Floats) -> Floats:
        return np.asarray(np.arcsinh((values - self.middle) / self.scale))


def shares_of(tally: Tally) -> Shares:
    """Return the shares of single days: of each category and all others, or of unseen numbers; of missing values."""
    own = tally.counts
    if isinstance(tally.column, NumericColumn):
        own = tally.counts[:, tally.column.between].sum(axis=1, keepdims=True)
    counts = np.concatenate([own, tally.missing[:, None]], axis=1)
    totals = np.repeat(np.asarray(tally.total)[:, None], counts.shape[1], axis=1)
    totals[:, -1] = tally.rows
    return Shares(counts=counts, totals=totals)


def quantiles_of(days: Sequence[ColumnProfile], tally: Tally, scale: "Quantiles | None" = None) -> Quantiles:
    """Return the quantiles of single days of a numeric column that have values, on a scale of their own or a given one.

    Parameters
    ----------
    tally
        The counts of the same days, stacked.
    """
    column = tally.column
    assert isinstance(column, NumericColumn)  # noqa: S101 - callers ask for numbers only
    filled = np.asarray(tally.total) > 0
    counts = tally.counts[filled]
    ends = np.array([[day.minimum, day.maximum] for day in days])[filled]
    levels = np.array(QUANTILES)
    error = CERTAIN * np.sqrt(levels * (1 - levels) / np.maximum(counts[-1:].sum(), 1))
    values = _at(column, counts, ends, np.broadcast_to(levels, (len(counts), len(levels))))
    low, high = (_at(column, counts[-1:], ends[-1:], (levels + sign * error)[None, :])[0] for sign in (-1, 1))
    if scale is not None:
        middle, half = scale.middle, scale.scale
    else:
        pooled = np.array([[ends[:, 0].min(), ends[:, 1].max()]])
        bottom, middle, top = _at(column, counts.sum(axis=0, keepdims=True), pooled, levels[None, :])[0]
        half = max((top - bottom) / 2, LEAST_SCALE * abs(middle), np.finfo(np.float64).tiny)
    return Quantiles(
        column=column, values=values, low=low, high=high, counts=counts, middle=float(middle), scale=float(half)
    )


def _at(column: NumericColumn, counts: Floats, ends: Floats, levels: Floats) -> Floats:
    """Return quantiles of stacked counts, shape (days, quantiles); `ends` are the smallest and the largest value of a day."""
    reached = np.cumsum(counts, axis=1)
    wanted = np.clip(levels, 0, 1) * reached[:, -1:]
    inner = column.boundaries
    found = np.empty((len(counts), levels.shape[-1]))
    rows = np.arange(len(counts))
    for i in range(levels.shape[-1]):
        place = np.minimum((reached < wanted[:, i, None]).sum(axis=1), counts.shape[1] - 1)
        left = np.where(place > 0, inner[np.maximum(place - 1, 0)], ends[:, 0])
        right = np.where(place < len(inner), inner[np.minimum(place, len(inner) - 1)], ends[:, 1])
        held = counts[rows, place]
        within = (wanted[:, i] - reached[rows, place] + held) / np.maximum(held, 1)
        found[:, i] = np.clip(left + np.clip(within, 0, 1) * (right - left), ends[:, 0], ends[:, 1])
    return found


def _compared(counts: Floats, totals: Floats, now_counts: Floats, now_totals: Floats) -> dict[str, Any]:
    single = counts / np.maximum(totals, 1)
    return {
        "before": float(counts.sum() / max(totals.sum(), 1)), "now": float(now_counts.sum() / max(now_totals.sum(), 1)),
        "lowest": float(single.min()), "highest": float(single.max()), "rows": int(now_totals.sum()),
    }  # fmt: skip
