"""Whether sources and labels still arrive: the newest row and the rows of a day against what usually arrives.

The usual gap is declared, or learned from eight weeks of deliveries. Which deliveries those are is read in
`pipelines.tasks.monitoring.daily_alarm`. A gap is judged by when the source was last read, so a features job that did not run is no
fault of a source.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from scipy import stats

from ml.drift.daily_test import DAYS_OF_A_MONTH, MINIMUM_DAYS
from ml.monitoring.findings import Finding, FindingKind, Window

LEARNED_DAYS = 56
"""The usual gap and the usual number of rows are those of so many days."""
FEWEST_GAPS = 3
"""With fewer gaps, or over less than two weeks, nothing is learned."""
MANY_GAPS = 200
"""From so many gaps on, the two largest are taken for outages and do not count."""
OF_MANY, OF_FEW = 1.5, 2.0
"""How many usual gaps are still within chance, where many gaps are known and where few are."""
FEWER, MORE = 0.5, 2.0
"""Rows of a day between these multiples of the usual number are of no interest."""


@dataclass(frozen=True, kw_only=True)
class Hour:
    """The rows of one hour: their number, and the instants of the first and of the last."""

    first: datetime
    last: datetime
    rows: int


@dataclass(frozen=True, kw_only=True)
class Arrivals:
    """What has arrived from one source, or in the table of labels.

    Attributes
    ----------
    name
        As sentences name it, for example ``source weather``.
    hours
        Every hour that has rows, the oldest first.
    read_until
        The end of the last window that was read.
    expected_every_hours
        The longest usual gap as declared; None to learn it.
    """

    name: str
    hours: Sequence[Hour]
    read_until: datetime
    expected_every_hours: float | None = None

    @property
    def newest(self) -> datetime | None:
        """The instant of the last row; None without any."""
        return self.hours[-1].last if self.hours else None

    @property
    def usual_gap(self) -> timedelta | None:
        """The longest time that usually passes without a row; None if too little is known."""
        if self.expected_every_hours is not None:
            return timedelta(hours=self.expected_every_hours)
        known = len(self.hours) > FEWEST_GAPS and self.hours[-1].last - self.hours[0].first >= timedelta(MINIMUM_DAYS)
        if not known:
            return None
        gaps = sorted(after.first - before.last for before, after in zip(self.hours, self.hours[1:], strict=False))
        # Within an hour gaps are shorter than it; they matter only where a source never pauses.
        return max(gaps[-3] if len(gaps) >= MANY_GAPS else gaps[-1], timedelta(hours=1))

    @property
    def allowed_gap(self) -> timedelta | None:
        """The time without a row from which on it has stopped; None if too little is known."""
        usual = self.usual_gap
        if usual is None or self.expected_every_hours is not None:
            return usual
        return usual * (OF_MANY if len(self.hours) > MANY_GAPS else OF_FEW)

    @property
    def has_stopped(self) -> bool:
        """Whether more time has passed since the last row than usually does."""
        return self.newest is not None and self.allowed_gap is not None and self.silent_for > self.allowed_gap

    @property
    def silent_for(self) -> timedelta:
        """The time from the last row to the last reading."""
        return self.read_until - (self.newest or self.read_until)

    @property
    def silence(self) -> str:
        """Say when the last row was, how long before the last reading, and what is usual."""
        usual = self.usual_gap or timedelta()
        known = "declared" if self.expected_every_hours is not None else "learned"
        return (
            f"the last row is of {self.newest:%Y-%m-%d %H:%M}, {_hours(self.silent_for)} before the last reading "
            f"({self.read_until:%Y-%m-%d %H:%M}); the longest usual gap is {_hours(usual)} ({known})"
        )


def arrival_findings(
    sources: Sequence[Arrivals], labels: Arrivals, *, labels_from: str, day: Window, false_alarms_per_month: float
) -> tuple[Finding, ...]:
    """Return what has stopped, and the sources of which unusually few or many rows arrived on a day.

    Parameters
    ----------
    labels_from
        The name in `sources` of the one that labels are made of.
    day
        The day that has just ended.
    false_alarms_per_month
        Probability that any source's number of rows is found unusual within a month without change.
    """
    stopped = [source for source in sources if source.has_stopped]
    found = [
        _finding(FindingKind.SOURCE_STOPPED, day, source, f"{source.name} has stopped: {source.silence}. It was read, so "
                 "it is the source that has to be repaired, not the scoring.")
        for source in stopped
    ]  # fmt: skip
    if labels.has_stopped:
        cause = f"check {labels_from}, the builder of labels and the features job"
        if labels_from in [source.name for source in stopped]:
            cause = f"{labels_from} has stopped too"
        elif labels_from in [source.name for source in sources]:
            cause = f"{labels_from} still delivers: check the builder of labels and the features job"
        message = f"no outcome becomes known any more: {labels.silence}; {cause}. Scoring does not need them."
        found.append(_finding(FindingKind.LABELS_STOPPED, day, labels, message))
    level = false_alarms_per_month / DAYS_OF_A_MONTH / max(1, len(sources)) / 2
    return (*found, *(f for source in sources if source not in stopped for f in _volume(source, day, level)))


def _volume(source: Arrivals, day: Window, level: float) -> list[Finding]:
    """Return a finding if a day has far fewer or far more rows than the days before."""
    rows = Counter[datetime]()
    for hour in source.hours:
        rows[hour.first.replace(hour=0, minute=0, second=0, microsecond=0)] += hour.rows
    first = min(rows, default=day.start)
    before = [rows[first + timedelta(days=i)] for i in range((day.start - first).days)]
    if len(before) < MINIMUM_DAYS or source.read_until < day.end:
        return []
    past, now = np.sqrt(np.array(before)), float(np.sqrt(rows[day.start]))
    usual, spread = float(past.mean()), max(float(past.std(ddof=1)), 0.5)
    margin = max(
        float(stats.t.isf(level, len(past) - 1)) * spread * np.sqrt(1 + 1 / len(past)),
        float(np.abs(past - usual).max()),
    )
    if abs(now - usual) <= margin or FEWER * usual**2 <= now**2 <= MORE * usual**2:
        return []
    message = (
        f"{source.name} delivered {rows[day.start]:,} rows of {day.start:%Y-%m-%d}; the {len(before)} days before had "
        f"{min(before):,} to {max(before):,}, in the mean {np.mean(before):,.0f}."
    )
    return [
        _finding(
            FindingKind.SOURCE_VOLUME, day, source, message, value=rows[day.start], threshold=(usual - margin) ** 2
        )
    ]


def _finding(
    kind: FindingKind, day: Window, arrivals: Arrivals, message: str, *,
    value: float | None = None, threshold: float | None = None,
) -> Finding:  # fmt: skip
    allowed = arrivals.allowed_gap
    return Finding.of_a_day(
        day, kind, statistic=arrivals.name, since=arrivals.newest or day.start, message=message,
        value=arrivals.silent_for / timedelta(hours=1) if value is None else value,
        threshold=allowed / timedelta(hours=1) if threshold is None and allowed is not None else threshold,
    )  # fmt: skip


def _hours(span: timedelta) -> str:
    hours = span / timedelta(hours=1)
    return f"{hours:.0f} hours" if hours >= 1.5 else "an hour"
