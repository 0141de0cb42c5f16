"""Thresholds for drift statistics, drawn from the reference itself so that false alarms have a stated rate.

A statistic above 0 means nothing yet: how large it gets by chance depends on the window's size, on the column and on
how much the rows of a day resemble each other. So the reference's own days are drawn again in blocks of consecutive
days (moving block bootstrap, Künsch 1989), once to stand for the reference and once for the window, and the two are
compared. One factor is then chosen for all columns together such that the largest excess over all of them, statistics
included, stays below it with the stated probability (single-step maximum, Westfall and Young 1993). What changes
slowly over more than the reference's own length, as seasons do, the reference cannot know: the README shows what that
costs.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from ml.drift import STATISTICS, Tally
from ml.monitoring_policy import FIXED_THRESHOLDS
from ml.profile_specification import Column
from ml.profiles import Profile

DAYS_PER_MONTH = 365.25 / 12
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """From which value on one statistic of one column counts as drift."""

    column: str
    statistic: str
    value: float


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """The thresholds of all columns and how they came about; stored with the model version they belong to."""

    method: str
    false_alarms_per_month: float | None
    window_days: float | None
    thresholds: tuple[Threshold, ...]

    def value(self, column: str, statistic: str) -> float | None:
        """Return one threshold; None if the statistic of that column raises no finding."""
        return self._by_name().get((column, statistic))

    def to_json(self) -> str:
        """Return the thresholds as one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Thresholds":
        """Rebuild what `to_json` wrote."""
        record = json.loads(text)
        return cls(**{**record, "thresholds": tuple(Threshold(**each) for each in record["thresholds"])})

    def _by_name(self) -> Mapping[tuple[str, str], float]:
        return {(each.column, each.statistic): each.value for each in self.thresholds}


def fixed(name: str, columns: Sequence[Column]) -> Thresholds:
    """Return a rule of thumb of `ml.monitoring_policy.FIXED_THRESHOLDS` for these columns.

    Raises
    ------
    ValueError
        If there is no rule of that name.
    """
    if name not in FIXED_THRESHOLDS:
        raise ValueError(f"no fixed thresholds {name!r}: known are {', '.join(FIXED_THRESHOLDS)}.")
    return Thresholds(
        method=name,
        false_alarms_per_month=None,
        window_days=None,
        thresholds=tuple(
            Threshold(column=column.name, statistic=statistic, value=value)
            for column in columns
            for statistic, value in FIXED_THRESHOLDS[name].items()
            if STATISTICS[statistic].applies_to(column)
        ),
    )


def calibrate(
    days: Sequence[Profile],
    *,
    window_days: int,
    statistics: Sequence[str],
    false_alarms_per_month: float,
    seed: int,
    block_days: int = 7,
    resamples: int = 500,
) -> Thresholds:
    """Draw thresholds from the reference's daily profiles.

    Parameters
    ----------
    days
        One profile per consecutive day of the reference, in order.
    window_days
        Length of the windows that will be compared with the reference.
    statistics
        Names of the statistics that raise findings; those that do not apply to a column are left out for it.
    false_alarms_per_month
        Probability that a month without change exceeds any threshold of any column.
    block_days
        How many consecutive days are drawn together; a week keeps weekdays and the weather's memory in step.
    resamples
        Number of pairs drawn.

    Raises
    ------
    ValueError
        If there are fewer than two blocks of days, or a statistic is unknown.
    """
    _require(days, window_days, statistics, block_days)
    random = np.random.default_rng(seed)
    reference = _drawn_days(random, len(days), len(days), block_days, resamples)
    window = _drawn_days(random, len(days), window_days, block_days, resamples)
    pairs = [
        (column, name) for column in days[0].spec.columns for name in statistics if STATISTICS[name].applies_to(column)
    ]
    stacks = {column.name: _stack([day.columns[column.name] for day in days]) for column in days[0].spec.columns}
    values = np.stack(
        [
            STATISTICS[name].compare(
                _resampled(stacks[column.name], reference), _resampled(stacks[column.name], window)
            )
            for column, name in pairs
        ]
    )
    alpha = 1 - (1 - false_alarms_per_month) ** min(1.0, window_days / DAYS_PER_MONTH)
    return Thresholds(
        method="calibrated",
        false_alarms_per_month=false_alarms_per_month,
        window_days=window_days,
        thresholds=tuple(
            Threshold(column=column.name, statistic=name, value=float(value))
            for (column, name), value in zip(pairs, _jointly_exceeded(values, alpha), strict=True)
        ),
    )


def _jointly_exceeded(values: Floats, alpha: float) -> Floats:
    """Return one threshold per row of `values` (pairs, resamples) that all together are exceeded with rate `alpha`."""
    centre = np.median(values, axis=1, keepdims=True)
    spread = np.maximum(np.quantile(values, 0.9, axis=1, keepdims=True) - centre, 1e-12)
    factor = np.quantile(((values - centre) / spread).max(axis=0), 1 - alpha, method="higher")
    return np.asarray((centre + factor * spread)[:, 0])


def _drawn_days(random: np.random.Generator, days: int, length: int, block: int, resamples: int) -> Floats:
    """Return how often each day is drawn, shape (resamples, days), in blocks that wrap around the end."""
    blocks = -(-length // block)
    starts = random.integers(0, days, (resamples, blocks))
    drawn = (starts[..., None] + np.arange(block)) % days
    drawn = drawn.reshape(resamples, -1)[:, :length]
    weights = np.zeros((resamples, days))
    np.add.at(weights, (np.arange(resamples)[:, None], drawn), 1.0)
    return weights


def _stack(days: Sequence[object]) -> Tally:
    tallies = [Tally.of(day) for day in days]  # type: ignore[arg-type] # column profiles
    return Tally(
        column=tallies[0].column,
        counts=np.stack([t.counts for t in tallies]),
        outside=np.stack([t.outside for t in tallies]),
        missing=np.stack([t.missing for t in tallies]),
        rows=np.stack([t.rows for t in tallies]),
    )


def _resampled(days: Tally, weights: Floats) -> Tally:
    return Tally(
        column=days.column,
        counts=weights @ days.counts,
        outside=weights @ days.outside,
        missing=weights @ days.missing,
        rows=weights @ days.rows,
    )


def _require(days: Sequence[Profile], window_days: int, statistics: Sequence[str], block_days: int) -> None:
    unknown = sorted(set(statistics) - set(STATISTICS))
    mistakes = [
        f"unknown statistic {', '.join(unknown)} (known: {', '.join(STATISTICS)})" if unknown else "",
        f"{len(days)} days of reference are fewer than two blocks of {block_days}"
        if len(days) < 2 * block_days
        else "",
        f"window_days is {window_days}, less than 1" if window_days < 1 else "",
    ]
    said = [mistake for mistake in mistakes if mistake]
    if said:
        raise ValueError(f"cannot calibrate thresholds: {'; '.join(said)}.")
