"""On which days of one's own file a first training trains and is judged, and which days are left to score and to monitor.

The last part of the file is left out of the training, so that there is something to predict whose outcomes the file has.
"""

import datetime as dt
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pandas as pd
import pyarrow.compute as pc

from ml.spec.gate_policy import policy
from ml.spec.target import Target
from pipelines.scaffold.columns import FileColumn

SPARE_ROWS = 1.1
"""So many times the rows that the gate asks for are evaluated: of some a label may be missing."""
SCORED_SHARE, MOST_SCORED_DAYS = 0.25, 92
"""So much of the file is left to score, and no more days than these."""
LEAST_SCORED_DAYS = 7
"""So many scored days have outcomes that are due at the end of the file, where the file allows it."""
EVALUATED_SHARE, MOST_EVALUATED_DAYS = 0.4, 60
"""So much of the rest is evaluated, and no more days than these, unless the gate asks for more rows than they have."""
LEAST_TRAINED_SHARE = 0.3


@dataclass(frozen=True, kw_only=True)
class Demanded:
    """What the gate asks of an evaluation, before it judges.

    Attributes
    ----------
    rows
        So many of all, with which there are as many of the rarest class as are asked for.
    days
        So many different days.
    what
        The rows, in words.
    """

    rows: int
    days: int
    what: str


@dataclass(frozen=True, kw_only=True)
class FirstWindows:
    """The days of a first training, and of the scoring and monitoring after it.

    Attributes
    ----------
    until
        The training is as of this day.
    scored
        Whether requests from `until` on are left to score.
    end
        The hour after the last request that is scored, or the day after it where requests have days only: later, the file would
        look like a feed that has stopped. Where none is scored, the day on which the last outcome is due.
    rows, days
        Of the evaluation.
    enough
        A file of about so many days has what the gate asks for, and leaves some to score.
    """

    until: dt.date
    scored: bool
    end: dt.datetime
    training_days: int
    evaluation_days: int
    rows: int
    days: int
    enough: int

    def suffice(self, asked: Demanded) -> bool:
        """Return whether the gate finds what it asks for."""
        return self.rows >= asked.rows and self.days >= asked.days


def asked_of(problem: Target, label: FileColumn, *, has_entities: bool) -> Demanded:
    """Return how many rows and days the gate's default policy asks for, given how rare the rarest class of a file is."""
    default = policy("default", problem)
    days = max(default.minimum_days, default.minimum_dependent_days if has_entities else 0)
    counts = (
        [one["counts"] for one in pc.value_counts(pc.drop_null(label.values)).to_pylist()] if problem.classes else [1]
    )
    rare = math.ceil(default.minimum_positives * sum(counts) / min(counts)) if problem.classes else 0
    if rare <= default.minimum_rows:
        return Demanded(rows=default.minimum_rows, days=days, what=f"{default.minimum_rows:,} rows")
    what = f"{rare:,} rows, with {default.minimum_positives} of the rarest class among them,"
    return Demanded(rows=rare, days=days, what=what)


def first_windows(instants: "pd.Series[pd.Timestamp]", due_days: int, asked: Demanded) -> FirstWindows:
    """Return the windows that leave the most days to score among those in which the gate finds what it asks for.

    Where none has it, days are left to score all the same, unless the file is too short for it.

    Parameters
    ----------
    instants
        Of prediction, in UTC.
    due_days
        After so many days an outcome is due.
    """
    known = instants.dropna()
    days = known.dt.floor("D")
    whole_days = bool((known == days).all())
    after = known.max().floor("h") + pd.Timedelta(hours=24 if whole_days else 1)
    length = (days.max() - days.min()).days + 1
    wished = [
        _window(days, scored, due_days, asked)
        for scored in _scored_days(days, length, due_days)
        if length - scored - 2 * due_days >= 2
    ]
    whole = _window(days, 0, due_days, asked)
    best = next((one for one in [*wished, whole] if one.suffice(asked)), None)
    found = best or next(reversed(wished), whole)
    return replace(found, end=after.to_pydatetime()) if found.scored else found


def _scored_days(days: "pd.Series[pd.Timestamp]", length: int, due_days: int) -> Iterator[int]:
    """Yield how many days to leave, the most welcome first: whole months where a quarter of the file has them."""
    end = days.max() + pd.Timedelta(days=1)
    wished = max(min(round(SCORED_SHARE * length), MOST_SCORED_DAYS), due_days + LEAST_SCORED_DAYS)
    begin = end - pd.Timedelta(days=wished)
    months = [begin.replace(day=1), begin.replace(day=1) + pd.offsets.MonthBegin(1)]
    nearest = sorted(months, key=lambda month: abs((month - begin).days))
    yield from ((end - month).days for month in nearest if (end - month).days >= due_days + LEAST_SCORED_DAYS)
    yield wished
    yield from (
        scored for scored in (due_days + 2 * LEAST_SCORED_DAYS, due_days + LEAST_SCORED_DAYS) if scored < wished
    )


def _window(days: "pd.Series[pd.Timestamp]", scored: int, due_days: int, asked: Demanded) -> FirstWindows:
    """Return the windows with so many days left to score; with none of them, the training waits for the last outcome."""
    last = days.max() + pd.Timedelta(days=1)
    until = last - pd.Timedelta(days=scored) if scored else last + pd.Timedelta(days=due_days)
    judged_until = until - pd.Timedelta(days=due_days)
    usable = max((judged_until - days.min()).days - due_days, 2)
    due, evaluation = days[days < judged_until], max(round(EVALUATED_SHARE * usable), 1)
    sufficient = _days_that_suffice(due, judged_until, asked)
    if sufficient <= (1 - LEAST_TRAINED_SHARE) * usable:
        evaluation = max(min(evaluation, MOST_EVALUATED_DAYS), sufficient)
    judged = due[due >= judged_until - pd.Timedelta(days=evaluation)]
    return FirstWindows(
        until=until.date(), scored=scored > 0, end=until.to_pydatetime(),
        training_days=usable - evaluation, evaluation_days=evaluation, rows=len(judged), days=int(judged.nunique()),
        enough=math.ceil(_days_on_average(days, asked) / (1 - LEAST_TRAINED_SHARE)) + 3 * due_days + LEAST_SCORED_DAYS,
    )  # fmt: skip


def _days_on_average(days: "pd.Series[pd.Timestamp]", asked: Demanded) -> float:
    """Return on how many days of such a file there is what is asked for."""
    length = (days.max() - days.min()).days + 1
    return max(SPARE_ROWS * asked.rows * length / len(days), asked.days * length / days.nunique())


def _days_that_suffice(days: "pd.Series[pd.Timestamp]", end: pd.Timestamp, asked: Demanded) -> int:
    """Return how many days before an end have the rows and the different days that are asked for; all of them if too few."""
    newest = days.sort_values(ascending=False, ignore_index=True)
    different = newest.drop_duplicates(ignore_index=True)
    needed = math.ceil(SPARE_ROWS * asked.rows)
    if len(newest) < needed or len(different) < asked.days:
        return int((end - days.min()).days) if len(days) else 1
    return int((end - min(newest[needed - 1], different[asked.days - 1])).days)
