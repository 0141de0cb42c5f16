"""Thresholds for drift statistics, computed from the reference itself so that false alarms have a stated rate.

A statistic above 0 is no alarm: how large it gets by chance depends on the window's size, on the column and on how
similar the rows of a day and the days of a week are. So the reference's own days are resampled in blocks of consecutive
days (circular block bootstrap; Politis and Romano 1992), once as the reference and once as the window, and the two are
compared. One factor is then chosen for all columns together such that the largest
excess over all of them, statistics included, stays below it with the stated probability (single-step maximum; Westfall
and Young 1993).

A quarter of a year holds few blocks, so resampling alone understates how far windows stray: in the streams of
`benchmarks.simulation.drift_streams` it alarms eight times as often as stated. `_stretch` corrects for what is known to
be missing. Resampling cannot represent what the reference does not contain, such as other seasons; the README of `ml`
shows what that costs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ml.drift.statistics import STATISTICS, Tally
from ml.profiles.specification import Column
from ml.profiles.table_profile import Profile
from ml.spec.monitoring_policy import FIXED_THRESHOLDS, NEGLIGIBLE

DAYS_PER_MONTH = 365.25 / 12
MINIMUM_DAYS = 14
"""A reference of fewer days gives no thresholds."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """The value above which one statistic of one column counts as drift."""

    column: str
    statistic: str
    value: float


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """The thresholds of all columns and how they were made."""

    method: str
    false_alarms_per_month: float | None
    window_days: float | None
    thresholds: tuple[Threshold, ...]

    def value(self, column: str, statistic: str) -> float | None:
        """Return one threshold; None if the statistic of that column raises no finding."""
        return self._by_name().get((column, statistic))

    def _by_name(self) -> Mapping[tuple[str, str], float]:
        return {(each.column, each.statistic): each.value for each in self.thresholds}


def fixed(name: str, columns: Sequence[Column]) -> Thresholds:
    """Return a rule of thumb of `ml.spec.monitoring_policy.FIXED_THRESHOLDS` for these columns.

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
    window_rows: int | None = None,
    statistics: Sequence[str],
    false_alarms_per_month: float,
    seed: int,
    negligible: Mapping[str, float] = NEGLIGIBLE,
    block_days: int = 7,
    resamples: int = 500,
) -> Thresholds:
    """Compute thresholds from the reference's daily profiles.

    Parameters
    ----------
    days
        One profile per consecutive day of the reference, in order.
    window_days
        Number of days in the windows that will be compared with the reference.
    window_rows
        Number of rows in them; None for as many a day as the reference has. Fewer rows scatter more.
    statistics
        Names of the statistics that raise findings; one that does not apply to a column is skipped for it.
    false_alarms_per_month
        Probability that a month without change exceeds any threshold of any column.
    negligible
        Lower bound of each statistic's threshold; 0 for a statistic that is not named.
    block_days
        Number of consecutive days that are drawn together; a week preserves weekdays and the autocorrelation of days.
        It is reduced for a reference of less than four such blocks, and its thresholds become higher.
    resamples
        Number of pairs drawn.

    Raises
    ------
    ValueError
        If there are fewer than `MINIMUM_DAYS` days, or a statistic is unknown.
    """
    _require(days, window_days, window_rows, statistics)
    block_days = min(block_days, len(days) // 4)
    alpha = 1 - (1 - false_alarms_per_month) ** min(1.0, window_days / DAYS_PER_MONTH)
    stacks = [Tally.stack([day.columns[name] for day in days]) for name in days[0].spec.names]
    stretch = _stretch(stacks, block_days, alpha)
    random = np.random.default_rng(seed)
    reference = _drawn_days(random, len(days), len(days), block_days, resamples, stretch)
    window = _drawn_days(random, len(days), window_days, block_days, resamples, stretch)
    pairs: list[tuple[str, str]] = []
    values: list[Floats] = []
    for stack in stacks:
        drawn_reference, drawn_window = stack.weighted(reference), stack.weighted(window)
        if window_rows is not None:
            drawn_window = drawn_window.thinned(window_rows, random)
        for name in statistics:
            if STATISTICS[name].applies_to(stack.column):
                pairs.append((stack.column.name, name))
                values.append(STATISTICS[name].compare(drawn_reference, drawn_window))
    floors = np.array([negligible.get(name, 0.0) for _, name in pairs])
    return Thresholds(
        method="calibrated",
        false_alarms_per_month=false_alarms_per_month,
        window_days=window_days,
        thresholds=tuple(
            Threshold(column=column, statistic=name, value=float(value))
            for (column, name), value in zip(pairs, _jointly_exceeded(np.stack(values), floors, alpha), strict=True)
        ),
    )


def _jointly_exceeded(values: Floats, floors: Floats, alpha: float) -> Floats:
    """Return one threshold per row of `values` (pairs, resamples): any is exceeded at rate `alpha`, none below its floor.

    Excesses over the median are divided by their root mean square, to which rare large values contribute.
    """
    centre = np.median(values, axis=1)
    excess = np.maximum(values - np.maximum(centre, floors)[:, None], 0)
    spread = np.sqrt(np.mean(np.maximum(values - centre[:, None], 0) ** 2, axis=1))
    comparable = np.divide(excess, spread[:, None], out=np.zeros_like(excess), where=spread[:, None] > 0)
    factor = np.quantile(comparable.max(axis=0), 1 - alpha, method="higher")
    return np.asarray(np.maximum(centre, floors) + factor * spread)


def _drawn_days(
    random: np.random.Generator, days: int, length: int, block: int, resamples: int, stretch: float
) -> Floats:
    """Return the weight of each day in each resample, shape (resamples, days): how often it is drawn, stretched.

    Blocks wrap around the end, so that every day is as likely as any other.
    """
    blocks = -(-length // block)
    starts = random.integers(0, days, (resamples, blocks, 1))
    drawn = ((starts + np.arange(block)) % days).reshape(resamples, -1)[:, :length]
    flat = (drawn + days * np.arange(resamples)[:, None]).ravel()
    times = np.bincount(flat, minlength=resamples * days).reshape(resamples, days)
    return np.asarray(length / days + stretch * (times - length / days))


def _stretch(stacks: Sequence[Tally], block: int, alpha: float) -> float:
    """Return the factor by which the deviations of resamples from the mean must be enlarged, for three reasons.

    Days are drawn around the reference's own mean, not the true one. Blocks cut dependence that lasts longer than a
    block; the growth of the variance with longer blocks, over all columns, measures it. And the variance is estimated
    from few blocks, hence a quantile of Student's distribution instead of the normal one: overlapping blocks of ``L``
    out of ``D`` days give ``1.5 * D / L`` degrees of freedom, of which half are subtracted for the estimated growth.
    """
    days = len(stacks[0].rows)
    tail = alpha / len(stacks)
    few_blocks = stats.t.isf(tail, 0.75 * days / block) / stats.norm.isf(tail)
    longer = min(4 * block, days // 3)
    growth = max(1.0, _block_variance(stacks, longer) / _block_variance(stacks, block)) if longer > block else 1.0
    return float(few_blocks * np.sqrt(growth * days / (days - block)))


def _block_variance(stacks: Sequence[Tally], block: int) -> float:
    """Return the variance of sums of consecutive days, divided by that of single days, over all columns and groups."""
    ratios = []
    for stack in stacks:
        shares = stack.grouped / np.maximum(stack.total, 1)[:, None]
        shares = shares - shares.mean(axis=0)
        sums = np.cumsum(np.concatenate([np.zeros_like(shares[:1]), shares, shares[: block - 1]]), axis=0)
        single = (shares**2).mean(axis=0).sum()
        if single > 0:
            ratios.append(((sums[block:] - sums[:-block]) ** 2).mean(axis=0).sum() / block / single)
    return float(np.mean(ratios) / (1 - block / len(stacks[0].rows))) if ratios else 1.0


def _require(days: Sequence[Profile], window_days: int, window_rows: int | None, statistics: Sequence[str]) -> None:
    unknown = sorted(set(statistics) - set(STATISTICS))
    mistakes = [
        f"unknown statistic {', '.join(unknown)} (known: {', '.join(STATISTICS)})" if unknown else "",
        f"{len(days)} days of reference, at least {MINIMUM_DAYS} are needed" if len(days) < MINIMUM_DAYS else "",
        f"window_days is {window_days}, less than 1" if window_days < 1 else "",
        f"window_rows is {window_rows}, less than 1" if window_rows is not None and window_rows < 1 else "",
    ]
    said = [mistake for mistake in mistakes if mistake]
    if said:
        raise ValueError(f"cannot calibrate thresholds: {'; '.join(said)}.")
