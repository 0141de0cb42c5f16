"""A source that stopped is found by its own usual gap, and a pause that it usually makes is no finding."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from ml.monitoring.findings import Finding, Window
from ml.monitoring.freshness import Arrivals, Hour, arrival_findings

START = datetime(2013, 5, 1, tzinfo=UTC)
READ = START + timedelta(days=50, hours=6)
DAY = Window(start=START + timedelta(days=49), end=START + timedelta(days=50))


def always(_at: datetime) -> bool:
    """Every hour."""
    return True


def arrivals(when: Callable[[datetime], bool], until: datetime, name: str = "source a", rows: int = 20) -> Arrivals:
    """A source that delivers in certain hours, with a number of rows that differs from hour to hour."""
    random = np.random.default_rng(1)
    hours = [START + timedelta(hours=i) for i in range(int((until - START) / timedelta(hours=1)))]
    found = [
        Hour(first=at, last=at + timedelta(minutes=50), rows=int(rows + random.integers(0, 5)))
        for at in hours
        if when(at)
    ]
    return Arrivals(name=name, hours=found, read_until=READ)


def said(*sources: Arrivals, labels: Arrivals | None = None) -> tuple[Finding, ...]:
    """What is found as of the last reading."""
    return arrival_findings(
        sources,
        labels or arrivals(always, READ, "labels"),
        labels_from="source a",
        day=DAY,
        false_alarms_per_month=0.01,
    )


@pytest.mark.parametrize(
    "when",
    [
        always,
        lambda at: at.hour >= 6,
        lambda at: at.hour == 3,
        lambda at: at.weekday() < 5 and at.hour == 3,
        lambda at: at.weekday() == 0 and at.hour == 3,
    ],
    ids=["hourly", "by day", "once a day", "on working days", "weekly"],
)
def test_a_source_that_delivers_as_usual_is_no_finding_and_one_that_stopped_is(
    when: Callable[[datetime], bool],
) -> None:
    """Nights, weekends and weeks are usual gaps; twice as long is not."""
    assert [f.kind for f in said(arrivals(when, READ))] == []
    usual = arrivals(when, READ).usual_gap
    assert usual is not None
    stopped = arrivals(when, READ - 2 * usual - timedelta(hours=2))
    assert "source_stopped" in [f.kind for f in said(stopped)]


def test_an_hourly_source_that_stopped_is_found_on_the_next_morning() -> None:
    """The words have the source, its last row and the usual gap, and say that it is not the scoring."""
    (found,) = said(arrivals(always, READ - timedelta(hours=20)))
    for words in (
        "source a has stopped",
        "2013-06-19 09:50",
        "20 hours before",
        "an hour (learned)",
        "not the scoring",
    ):
        assert words in found.message
    assert (found.window_start, found.statistic) == (DAY.start, "source a")


def test_a_declared_gap_needs_no_history_and_replaces_the_learned_one() -> None:
    """Two days old, and a row is expected every day."""
    young = replace(
        arrivals(always, READ), hours=[Hour(first=READ - timedelta(hours=40), last=READ - timedelta(hours=30), rows=9)]
    )
    assert said(young) == ()
    (found,) = said(replace(young, expected_every_hours=24))
    assert "24 hours (declared)" in found.message
    assert said(replace(young, expected_every_hours=36)) == ()


def test_a_source_that_was_not_read_has_not_stopped() -> None:
    """The features job is at fault, and it has failed by itself."""
    source = arrivals(always, READ - timedelta(days=5))
    assert said(replace(source, read_until=READ - timedelta(days=5))) == ()


def test_an_earlier_outage_does_not_hide_the_next_one() -> None:
    """The two longest of many gaps do not count."""
    outage = lambda at: not 10 <= (at - START).days < 14  # noqa: E731 - a schedule
    assert [f.kind for f in said(arrivals(outage, READ - timedelta(hours=20)))] == ["source_stopped"]


def test_labels_that_stopped_name_where_to_look() -> None:
    """The source of the labels if it has stopped as well, else their builder."""
    labels = arrivals(always, READ - timedelta(hours=30), "labels")
    (alone,) = said(arrivals(always, READ), labels=labels)
    assert (alone.kind, "check the builder of labels" in alone.message) == ("labels_stopped", True)
    both = said(arrivals(always, READ - timedelta(hours=30)), labels=labels)
    assert "source a has stopped too" in next(f.message for f in both if f.kind == "labels_stopped")


def test_a_day_with_a_tenth_of_the_rows_is_a_finding_and_a_weekend_is_none() -> None:
    """Compared with the days before; weekends are among them."""
    weekday = arrivals(lambda at: at.weekday() < 5 or at.hour < 12, READ)
    assert said(weekday) == ()
    few = [replace(hour, rows=2) if DAY.start <= hour.first < DAY.end else hour for hour in weekday.hours]
    (found,) = said(replace(weekday, hours=few))
    assert found.kind == "source_volume"
    assert "delivered 48 rows of 2013-06-19; the 49 days before had" in found.message
    many = [replace(hour, rows=hour.rows * 40) if DAY.start <= hour.first < DAY.end else hour for hour in weekday.hours]
    assert [f.kind for f in said(replace(weekday, hours=many))] == ["source_volume"]
