"""Windows are days, weeks from Monday or months: half-open, without gap, and as many as labels need."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.spec.monitoring_policy import WINDOWS
from pipelines.execution.windows import (
    finding_label,
    window_before,
    window_label,
    window_of,
    windows,
    windows_to_monitor,
)

INSTANTS = st.integers(0, 40 * 365 * 86_400).map(
    lambda s: dt.datetime(2000, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=s)
)
JULY = dt.datetime(2013, 7, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize("length", WINDOWS)
@given(instant=INSTANTS)
def test_every_instant_lies_in_one_window_and_windows_touch(length: str, instant: dt.datetime) -> None:
    """The window before ends where the next one begins."""
    window = window_of(instant, length)
    assert window.start <= instant < window.end
    assert window_before(window, length).end == window.start
    assert window_of(window.end, length).start == window.end
    assert window_of(window.start, length) == window


@given(instant=INSTANTS)
def test_weeks_begin_on_monday_and_months_on_the_first(instant: dt.datetime) -> None:
    """As the engines cut instants."""
    assert window_of(instant, "week").start.weekday() == 0
    assert window_of(instant, "month").start.day == 1
    assert window_of(instant, "day").start.date() == instant.date()


@pytest.mark.parametrize(("length", "count"), [("month", 2), ("week", 2), ("day", 8)])
def test_the_windows_whose_labels_still_arrive_are_measured_again(length: str, count: int) -> None:
    """Labels are due after a week: two months, two weeks, or eight days; all since an instant on request."""
    found = windows_to_monitor(None, JULY, length, 7)
    assert (len(found), found[-1].end) == (count, JULY)
    assert len(windows_to_monitor(None, JULY, length, 60)) > count
    since = JULY - dt.timedelta(days=200)
    assert windows_to_monitor(since, JULY, length, 7) == windows(since, JULY, length)


def test_a_window_is_named_by_its_month_or_by_its_first_day() -> None:
    """What the daily alarm found is of a day, whatever the length of the windows."""
    assert [window_label(JULY, length) for length in WINDOWS] == ["2013-07-01", "2013-07-01", "2013-07"]
    assert finding_label(JULY, "sudden_change", "month") == "2013-07-01"
    assert finding_label(JULY, "drift", "month") == "2013-07"
