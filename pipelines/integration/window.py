"""The window of an integration run: as the use case declares it, or placed by one rule at the end of what is there.

Pure. The rule: a day counts if it has requests whose labels came within `label_due_days`. Of the newest days that count,
the last fifth is scored and monitored, three tenths of the days before are evaluated, and the rest is trained on; between
two parts lie the days in which the labels of the first become due. No part is smaller than the gate's minimums, no month
is scored that could not be measured, and the sample leaves about `ENOUGH_ROWS` rows. Too little data is a refusal.
"""

import datetime as dt
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from ml.spec.gate_policy import GatePolicy
from ml.spec.target import Target
from pipelines.declarations.integration_window import IntegrationWindow

SCORED_SHARE, EVALUATED_SHARE = 0.2, 0.3
"""Shares of the days that count: of all of them, and of those before the scored ones."""
SCORED_DAYS, EVALUATED_DAYS, TRAINED_DAYS = 21, 28, 56
"""Days that count in each part, at most: more would only take longer."""
MINIMUM_DAYS = 7
"""Days that count in each part, at least; the gate may demand more."""
MEASURED_ROWS = 20
"""Labels of a scored month, at least: fewer may leave a metric without a value."""
ENOUGH_ROWS = 20_000
"""Rows to train on and evaluate; of more, a sample is drawn."""
MARGIN = 2.0
"""A sample keeps this many times what the gate demands: it is drawn by key, so its size is not exact."""

DAY = dt.timedelta(days=1)
DAY_SECONDS = 24 * 60 * 60


@dataclass(frozen=True, kw_only=True)
class DayCounts:
    """The requests whose prediction falls due on one day, UTC.

    Attributes
    ----------
    labelled
        Requests whose label became known within `label_due_days` of the prediction.
    positives
        Those of them with a label above one half; without a meaning for a regression.
    """

    day: dt.date
    requests: int
    labelled: int
    positives: int


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where the window lies and why, or why there is none.

    Attributes
    ----------
    window
        None if there is too little data.
    reason
        One sentence: what the window follows from, or the range that was found and what is needed.
    """

    window: IntegrationWindow | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class Minimums:
    """What each part of the window must hold at least: the gate's demands, and a week where it demands no days.

    Attributes
    ----------
    evaluated_days
        Days to evaluate on that a promotion takes; where the data do not allow them, `days` are enough for a verdict.
    """

    days: int
    evaluated_days: int
    rows: int
    of_each_class: int

    @classmethod
    def of(cls, problem: Target, gate: GatePolicy, demanded_days: int = 0) -> "Minimums":
        """Return the minimums for a use case's problem and gate, and the evaluated days that the gate demands."""
        days = max(MINIMUM_DAYS, gate.minimum_days if gate.method.by_day else 0)
        return cls(
            days=days,
            evaluated_days=max(days, demanded_days if gate.method.by_day else 0),
            rows=gate.minimum_rows,
            # Of several classes all but the first are counted together.
            of_each_class=gate.minimum_positives * max(1, len(problem.classes) - 1) if problem.classes else 0,
        )

    def met_by(self, days: Sequence[DayCounts]) -> bool:
        """Return whether days hold enough to train on, or to evaluate on."""
        return len(days) >= self.days and self.smallest_sample(days) <= 1.0

    def smallest_sample(self, days: Sequence[DayCounts], *, margin: float = 1.0) -> float:
        """Return the smallest share of the rows that holds so many times the demands; above 1 if not even all rows do."""
        labelled = sum(day.labelled for day in days)
        positives = sum(day.positives for day in days)
        found = [(self.rows, labelled)]
        if self.of_each_class:
            found += [(self.of_each_class, positives), (self.of_each_class, labelled - positives)]
        return max(margin * needed / there if there else math.inf for needed, there in found)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The days that count, split: trained on, evaluated, scored; each in order."""

    trained: Sequence[DayCounts]
    evaluated: Sequence[DayCounts]
    scored: Sequence[DayCounts]


def declared(window: IntegrationWindow) -> Placement:
    """Return the window that a use case declares, with what it is in words."""
    return Placement(window=window, reason=f"as declared: {_in_words(window)}")


def place_window(
    days: Sequence[DayCounts],
    *,
    problem: Target,
    gate: GatePolicy,
    demanded_days: int,
    label_due_days: int,
    horizon: dt.date,
) -> Placement:
    """Return the newest window that the data allow.

    Parameters
    ----------
    days
        Every day that has requests, in any order.
    problem, gate, label_due_days
        Of the use case.
    demanded_days
        Evaluated days that the gate demands where days may depend on each other (`GatePolicy.least_days`).
    horizon
        No part of the window ends later.
    """
    minimums = Minimums.of(problem, gate, demanded_days)
    counting = sorted((one for one in days if one.labelled and one.day < horizon), key=lambda one: one.day)
    for end in _ends(counting, horizon):
        parts = _split(counting, end, minimums, label_due_days)
        if parts is not None:
            return _placed(parts, minimums, label_due_days)
    return Placement(window=None, reason=_refusal(days, counting, minimums, label_due_days, horizon))


def _ends(counting: Sequence[DayCounts], horizon: dt.date) -> Iterator[dt.date]:
    """Return where a window may end, the newest first: a month that has just begun may be too short to be measured."""
    yield horizon
    if counting:
        month = counting[-1].day.replace(day=1)
        yield from (month, (month - DAY).replace(day=1))


def _split(counting: Sequence[DayCounts], end: dt.date, minimums: Minimums, label_due_days: int) -> Parts | None:
    """Return the parts of the newest window until an end; None if the data do not allow one."""
    evaluated_days = max(EVALUATED_DAYS, minimums.evaluated_days)
    usable = _due_by(counting, end, label_due_days)[-(SCORED_DAYS + evaluated_days + TRAINED_DAYS) :]
    if not usable:
        return None
    share = _share(SCORED_SHARE, usable, MINIMUM_DAYS, SCORED_DAYS)
    for number in (*range(share, MINIMUM_DAYS - 1, -1), *range(share + 1, len(usable))):
        scored = usable[-number:]
        until = scored[-1].day + DAY * (label_due_days + 1)
        labelled = [one for one in counting if scored[0].day <= one.day < until]
        before = _due_by(usable, scored[0].day, label_due_days)
        parts = _trained_and_evaluated(before, scored, minimums, label_due_days)
        if parts is not None and _every_month_is_measured(scored, labelled, minimums):
            return parts
    return None


def _trained_and_evaluated(
    before: Sequence[DayCounts], scored: Sequence[DayCounts], minimums: Minimums, label_due_days: int
) -> Parts | None:
    """Split the days before the scored ones: no more days are evaluated than it takes, so that the rest is trained on."""
    share = _share(EVALUATED_SHARE, before, minimums.days, EVALUATED_DAYS)
    demanded = max(share, minimums.evaluated_days)
    return _split_before(before, scored, range(demanded, len(before)), minimums, label_due_days) or _split_before(
        before, scored, range(share, min(demanded, len(before))), minimums, label_due_days
    )


def _split_before(
    before: Sequence[DayCounts],
    scored: Sequence[DayCounts],
    evaluated_days: range,
    minimums: Minimums,
    label_due_days: int,
) -> Parts | None:
    for number in evaluated_days:
        evaluated = before[-number:]
        if minimums.met_by(evaluated):
            trained = _due_by(before, evaluated[0].day, label_due_days)[-TRAINED_DAYS:]
            return Parts(trained=trained, evaluated=evaluated, scored=scored) if minimums.met_by(trained) else None
    return None


def _due_by(days: Sequence[DayCounts], end: dt.date, label_due_days: int) -> Sequence[DayCounts]:
    """Return the days of which every label is due by an end."""
    return [one for one in days if one.day + DAY * (label_due_days + 1) <= end]


def _share(share: float, days: Sequence[DayCounts], least: int, most: int) -> int:
    return max(least, min(most, round(share * len(days))))


def _every_month_is_measured(scored: Sequence[DayCounts], labelled: Sequence[DayCounts], minimums: Minimums) -> bool:
    """Return whether each calendar month that has labels by the end of the window has enough of them for every metric."""
    by_month = {month: list(days) for month, days in groupby(scored, key=lambda one: one.day.replace(day=1))}
    return all(_is_measured(by_month.get(one.day.replace(day=1), []), minimums) for one in labelled)


def _is_measured(days: Sequence[DayCounts], minimums: Minimums) -> bool:
    labelled, positives = sum(one.labelled for one in days), sum(one.positives for one in days)
    return labelled >= MEASURED_ROWS and (not minimums.of_each_class or 0 < positives < labelled)


def _placed(parts: Parts, minimums: Minimums, label_due_days: int) -> Placement:
    first, evaluated_from, trained_until = (days[0].day for days in (parts.trained, parts.evaluated, parts.scored))
    window = IntegrationWindow(
        trained_until=trained_until,
        until=parts.scored[-1].day + DAY * (label_due_days + 1),
        # A training counts its days back from where outcomes are due.
        evaluation_days=(trained_until - evaluated_from).days - label_due_days,
        training_days=(evaluated_from - first).days - label_due_days,
        sample=_sample(parts, minimums),
    )
    counts = ", ".join(
        f"{len(days)} {what}"
        for days, what in ((parts.trained, "trained on"), (parts.evaluated, "evaluated"), (parts.scored, "scored"))
    )
    return Placement(
        window=window,
        reason=f"{_in_words(window)}; days with labels: {counts}; labels are due {label_due_days} days after a request",
    )


def _sample(parts: Parts, minimums: Minimums) -> float:
    """Return the share of the requests that leaves enough rows, in whole percent."""
    rows = sum(one.labelled for one in (*parts.trained, *parts.evaluated))
    least = max(minimums.smallest_sample(days, margin=MARGIN) for days in (parts.trained, parts.evaluated))
    return min(1.0, math.ceil(100 * max(ENOUGH_ROWS / rows, least)) / 100)


def _in_words(window: IntegrationWindow) -> str:
    trained = f"on {window.training_days} days and evaluated" if window.training_days else "and evaluated"
    return (
        f"trained {trained} on {window.evaluation_days} days until {window.trained_until}, "
        f"{window.sample:.0%} of the requests; scored until {window.until}"
    )


def _refusal(
    days: Sequence[DayCounts], counting: Sequence[DayCounts], minimums: Minimums, label_due_days: int, horizon: dt.date
) -> str:
    if not days:
        found = f"the sources have no request yet that fell due before {horizon}"
    else:
        labelled = sum(one.labelled for one in counting)
        found = (
            f"the sources have {sum(one.requests for one in days):,} requests from {min(one.day for one in days)} to "
            f"{max(one.day for one in days)}, {labelled:,} of them with a label, on {len(counting)} days"
        )
    classes = f", {minimums.of_each_class:,} of each class" if minimums.of_each_class else ""
    return (
        f"too little data: {found}; needed are {minimums.days} days with labels to train on, then {minimums.days} to "
        f"evaluate (each part with {minimums.rows:,} labels{classes}), then {MINIMUM_DAYS} to score, and after each part "
        f"{label_due_days} days until its labels are due: deliver more, or declare a window (UseCase.integration)."
    )
