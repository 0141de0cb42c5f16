"""Which days of a file are trained on, judged, and left to score: as many are left as the gate can do without."""

import datetime as dt

import pandas as pd
import pyarrow as pa
import pytest

from ml.spec.estimator import Problem
from pipelines.scaffold.columns import FileColumn, columns_of
from pipelines.scaffold.first_windows import Demanded, FirstWindows, asked_of, first_windows

DEFAULT = Demanded(rows=1_000, days=14, what="1,000 rows")


def windows(
    days: int, a_day: int, *, due: int = 7, first: str = "2022-01-01", asked: Demanded = DEFAULT
) -> FirstWindows:
    """Return the windows of a file with so many rows on each of so many days."""
    instants = pd.Series(pd.date_range(f"{first}T06:00Z", periods=days).repeat(a_day))
    return first_windows(instants, due, asked)


def column(values: list[str]) -> FileColumn:
    """Return a label with these values."""
    return columns_of(pa.table({"label": values}), ())[0]


def test_whole_months_are_left_of_a_long_file() -> None:
    """The training is as of the first of a month, and everything before it is trained on, judged or waited for."""
    found = windows(730, 40)
    assert (found.until, found.scored) == (dt.date(2023, 10, 1), True)
    assert found.end == dt.datetime(2023, 12, 31, 7, tzinfo=dt.UTC)
    assert found.training_days + found.evaluation_days + 2 * 7 == (found.until - dt.date(2022, 1, 1)).days
    assert found.rows == 40 * found.evaluation_days
    assert found.suffice(DEFAULT)


@pytest.mark.parametrize(
    ("days", "a_day", "due", "scored", "evaluated"),
    [(91, 40, 13, 23, 28), (120, 25, 13, 30, 44), (300, 9, 30, 57, 123)],
    ids=["few days are left", "more days are judged", "many days are judged"],
)
def test_more_days_are_judged_or_fewer_left_where_the_gate_needs_them(
    days: int, a_day: int, due: int, scored: int, evaluated: int
) -> None:
    """A champion comes first, then as much to score as can be; the scored days are more than an outcome needs."""
    found = windows(days, a_day, due=due)
    assert found.suffice(DEFAULT)
    assert ((found.end.date() - found.until).days + 1, found.evaluation_days) == (scored, evaluated)
    assert scored >= due + 7


def test_a_file_of_too_few_rows_leaves_some_and_says_that_they_are_too_few() -> None:
    """What would be enough is a longer file of the same kind."""
    found = windows(91, 8)
    assert found.scored
    assert not found.suffice(DEFAULT)
    assert windows(found.enough, 8).suffice(DEFAULT)


def test_a_file_of_few_days_is_trained_on_as_a_whole() -> None:
    """The training then waits for the last outcome, and nothing is left to score."""
    found = windows(24, 200)
    assert (found.scored, found.until) == (False, dt.date(2022, 2, 1))
    assert (found.end.date(), found.suffice(DEFAULT)) == (found.until, False)
    assert windows(36, 200).suffice(DEFAULT)
    assert windows(found.enough, 200).scored


@pytest.mark.parametrize("days", [1, 2, 5, 15, 16, 29, 30, 31, 60])
@pytest.mark.parametrize("due", [1, 7, 30])
def test_windows_are_days_of_the_file_whatever_its_length(days: int, due: int) -> None:
    """At least a day is trained on and one is judged."""
    found = windows(days, 3, due=due)
    assert min(found.training_days, found.evaluation_days) >= 1
    assert found.until <= found.end.date()
    assert not found.scored or found.training_days + found.evaluation_days + 2 * due == (
        found.until - dt.date(2022, 1, 1)
    ).days  # fmt: skip


def test_the_file_ends_with_its_last_hour_or_day() -> None:
    """Until later the file would look like a feed that has stopped."""
    days = pd.Series(pd.date_range("2022-01-01", periods=120, tz="UTC").repeat(30))
    assert first_windows(days, 7, DEFAULT).end == dt.datetime(2022, 5, 1, tzinfo=dt.UTC)
    hours = days + pd.Timedelta(hours=9, minutes=59)
    assert first_windows(hours, 7, DEFAULT).end == dt.datetime(2022, 4, 30, 10, tzinfo=dt.UTC)


def test_only_days_with_rows_count() -> None:
    """Where nothing happens at weekends, fourteen days of the gate are nearly three weeks."""
    instants = pd.Series(pd.bdate_range("2022-01-03", periods=260, tz="UTC").repeat(100))
    found = first_windows(instants, 7, Demanded(rows=1_000, days=50, what=""))
    assert found.days >= 50
    assert found.evaluation_days >= 68


def test_a_rare_class_asks_for_more_rows_and_entities_for_more_days() -> None:
    """With as many rows of the rarest class as the gate's default policy demands."""
    rare = column(["yes", *["no"] * 49])
    asked = asked_of(Problem.BINARY, rare, has_entities=True)
    assert (asked.rows, asked.days) == (5_000, 28)
    assert asked.what == "5,000 rows, with 100 of the rarest class among them,"
    even = asked_of(Problem.BINARY, column(["yes", "no"]), has_entities=False)
    assert (even.rows, even.days, even.what) == (1_000, 14, "1,000 rows")
    assert asked_of(Problem.REGRESSION, column(["1", "2"]), has_entities=False).rows == 1_000
