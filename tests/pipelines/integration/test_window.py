"""The rule that places the window of an integration run: on the newest data, within the gate's demands, or not at all."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.spec.estimator import Problem
from ml.spec.gate_policy import GatePolicy, policy
from pipelines.declarations.integration_window import IntegrationWindow
from pipelines.integration.window import ENOUGH_ROWS, MEASURED_ROWS, DayCounts, Minimums, Placement, place_window

GATE = policy("default", Problem.BINARY)
FIRST, HORIZON = dt.date(2025, 1, 1), dt.date(2026, 1, 1)
DAY = dt.timedelta(days=1)
DUE = 7


def days(
    number: int, *, first: dt.date = FIRST, rows: int = 200, positives: int = 60, every: int = 1
) -> list[DayCounts]:
    """Return so many days with labelled requests."""
    return [
        DayCounts(day=first + n * every * DAY, requests=rows, labelled=rows, positives=positives) for n in range(number)
    ]


def place(
    counts: Sequence[DayCounts],
    *,
    gate: GatePolicy = GATE,
    problem: Problem = Problem.BINARY,
    horizon: dt.date = HORIZON,
    due: int = DUE,
    demanded: int = 0,
) -> Placement:
    """Place a window on days."""
    return place_window(counts, problem=problem, gate=gate, demanded_days=demanded, label_due_days=due, horizon=horizon)


def placed(counts: Sequence[DayCounts], **options: object) -> IntegrationWindow:
    """Return the window that the days allow."""
    found = place(counts, **options)  # type: ignore[arg-type] # passed on as given
    assert found.window is not None, found.reason
    return found.window


def labelled(counts: Sequence[DayCounts], first: dt.date, end: dt.date, *, due: int = DUE) -> list[DayCounts]:
    """Return the days of a part whose labels are due by its end."""
    return [one for one in counts if first <= one.day and one.day + (due + 1) * DAY <= end and one.labelled]


def requirements_hold(counts: Sequence[DayCounts], window: IntegrationWindow, *, due: int = DUE) -> bool:
    """Return whether training and evaluation rows of a window meet the gate's minimums, counted independently."""
    assert window.training_days is not None
    evaluated_from = window.trained_until - (due + window.evaluation_days) * DAY
    trained_from = evaluated_from - (due + window.training_days) * DAY
    minimums = Minimums.of(Problem.BINARY, GATE)
    parts = (
        labelled(counts, trained_from, evaluated_from, due=due),
        labelled(counts, evaluated_from, window.trained_until, due=due),
    )
    return all(minimums.smallest_sample(part) <= window.sample and len(part) >= 14 for part in parts)


@pytest.mark.parametrize(("number", "demanded", "evaluated"), [(180, 28, 28), (180, 60, 60), (60, 28, 14)])
def test_as_many_days_are_evaluated_as_the_gate_demands_where_the_data_allow_them(
    number: int, demanded: int, evaluated: int
) -> None:
    """Days that depend on each other have to be more; where they are not there, a window for a verdict is placed all the same."""
    window = placed(days(number), demanded=demanded)
    assert window.evaluation_days == evaluated
    assert requirements_hold(days(number), window)


def test_the_window_lies_at_the_end_of_the_data() -> None:
    """It ends when the last labels are due, and the newest fifth of the days is scored."""
    counts = days(180)
    window = placed(counts)
    assert window.until == counts[-1].day + (DUE + 1) * DAY
    assert (counts[-1].day - window.trained_until).days + 1 == 21
    assert window.since is None
    assert requirements_hold(counts, window)


def test_the_year_of_the_data_does_not_matter() -> None:
    """The same days in another year give the same window in that year."""
    one, other = placed(days(150)), placed(days(150, first=FIRST.replace(year=1995)))
    assert (other.trained_until.year, other.until.year) == (1995, 1995)
    assert (one.until - one.trained_until, one.sample) == (other.until - other.trained_until, other.sample)


def test_a_live_feed_is_cut_at_the_horizon() -> None:
    """Requests of the last days have no due label yet; the window never ends after the horizon."""
    counts = [replace(one, labelled=0, positives=0) if n > 170 else one for n, one in enumerate(days(175))]
    horizon = counts[-1].day + DAY
    window = placed(counts, horizon=horizon)
    assert window.until <= horizon
    assert requirements_hold(counts, window)


def needed_days() -> int:
    """Return the smallest number of days in a row that allow a window."""
    return next(n for n in range(1, 100) if place(days(n)).window is not None)


def test_the_refusal_states_what_is_needed() -> None:
    """14 days to train on, 14 to evaluate, 7 to score, and 7 days between the parts, as the sentence says."""
    assert needed_days() == 14 + 7 + 14 + 7 + 7
    found = place(days(48))
    assert found.window is None
    assert found.reason == (
        "too little data: the sources have 9,600 requests from 2025-01-01 to 2025-02-17, 9,600 of them with a label, on "
        "48 days; needed are 14 days with labels to train on, then 14 to evaluate (each part with 1,000 labels, 100 of "
        "each class), then 7 to score, and after each part 7 days until its labels are due: deliver more, or declare a "
        "window (UseCase.integration)."
    )


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ([], "the sources have no request yet that fell due before "),
        (days(1, rows=1, positives=0), "1 requests from 2025-01-01 to 2025-01-01, 1 of them with a label, on 1 days"),
        ([replace(one, labelled=0, positives=0) for one in days(90)], "0 of them with a label, on 0 days"),
        (days(180, rows=5, positives=2), "900 requests"),
        (days(180, positives=0), "100 of each class"),
        (days(180, positives=200), "100 of each class"),
    ],
    ids=["no rows", "one row", "no labels", "few rows", "no positives", "no negatives"],
)
def test_data_that_allow_no_window_are_refused(counts: Sequence[DayCounts], said: str) -> None:
    """The sentence names the range that was found."""
    found = place(counts)
    assert found.window is None
    assert said in found.reason


def test_a_feed_with_few_rows_a_day_takes_more_days() -> None:
    """The evaluation is extended until it holds the gate's minimums."""
    counts = days(176, rows=30, positives=10)
    window = placed(counts)
    assert window.evaluation_days > 28
    assert window.sample == 1.0
    assert requirements_hold(counts, window)


def test_a_weekly_feed_is_counted_by_its_days() -> None:
    """Days without requests do not count, so the parts span more of the calendar."""
    counts = days(60, rows=2_000, positives=500, every=7)
    window = placed(counts, horizon=HORIZON.replace(year=2028))
    assert window.evaluation_days >= 14 * 7
    assert requirements_hold(counts, window)


def test_a_request_of_another_century_moves_nothing() -> None:
    """One mistaken date far before the others changes neither the days nor the sample."""
    outlier = DayCounts(day=dt.date(1970, 1, 1), requests=1, labelled=1, positives=0)
    assert placed([outlier, *days(150)]) == placed(days(150))


def test_a_large_feed_is_sampled() -> None:
    """About the same number of rows is left, whatever the feed delivers."""
    counts = days(180, rows=100_000, positives=20_000)
    window = placed(counts)
    assert window.sample == 0.01
    assert requirements_hold(counts, window)
    rare = days(180, rows=100_000, positives=30)
    assert placed(rare).sample == 0.29, "a sample keeps 200 of the 690 positives of the evaluation"
    assert placed(days(180, rows=ENOUGH_ROWS // 180)).sample == 1.0


def test_a_month_that_could_not_be_measured_is_not_scored() -> None:
    """The window ends with the month before one that has a single label, and begins where both classes are seen."""
    counts = [*days(151), DayCounts(day=dt.date(2025, 6, 1), requests=1, labelled=1, positives=0)]
    window = placed(counts, due=0)
    assert window.until == dt.date(2025, 6, 1)
    quiet = [replace(one, positives=0) if one.day.month == 5 and one.day.day > 5 else one for one in days(150)]
    scored_from = placed(quiet, due=0).trained_until
    assert scored_from == dt.date(2025, 5, 5), "the scored part of May has both classes"


def test_a_gate_that_counts_no_days_needs_a_week() -> None:
    """The article's gate has no demands, and a week is the least all the same."""
    minimums = Minimums.of(Problem.BINARY, policy("article", Problem.BINARY))
    assert (minimums.days, minimums.rows, minimums.of_each_class) == (7, 1, 1)
    assert Minimums.of(Problem.REGRESSION, policy("default", Problem.REGRESSION)).of_each_class == 0


@given(
    st.lists(st.integers(min_value=0, max_value=400), min_size=1, max_size=220),
    st.integers(min_value=0, max_value=30),
    st.integers(min_value=0, max_value=250),
)
def test_every_window_meets_the_demands(rows: list[int], due: int, reach: int) -> None:
    """Whatever the data: parts in order, minimums met, every scored month measurable, nothing after the horizon."""
    counts = [
        DayCounts(day=FIRST + n * DAY, requests=one, labelled=one * 9 // 10, positives=one // 3)
        for n, one in enumerate(rows)
    ]
    horizon = FIRST + reach * DAY
    window = place(counts, due=due, horizon=horizon).window
    if window is None:
        return
    assert window.until <= horizon
    assert requirements_hold(counts, window, due=due)
    scored = [one for one in counts if window.trained_until <= one.day < window.until - due * DAY]
    assert len([one for one in scored if one.labelled]) >= 7
    for month in {one.day.month for one in scored if one.labelled}:
        assert sum(one.labelled for one in scored if one.day.month == month) >= MEASURED_ROWS
