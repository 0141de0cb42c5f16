"""A run without dates ends where its data ends: by job, by what there is, and never later than now."""

import datetime as dt

import pytest

from pipelines.day_one.ranges import DataRanges, Span, choose_dates

NOW = dt.datetime(2026, 11, 28, 9, 30, tzinfo=dt.UTC)


def span(first: str, last: str) -> Span:
    """A span between two instants of 2013, UTC."""
    return Span(
        first=dt.datetime.fromisoformat(f"2013-{first}+00:00"), last=dt.datetime.fromisoformat(f"2013-{last}+00:00")
    )


THERE = DataRanges(
    requests=span("01-01T05:00", "03-09T23:00"),
    labels=span("01-04T08:00", "03-12T07:00"),
    predictions=span("02-20T05:00", "03-08T20:00"),
)


@pytest.mark.parametrize(
    ("job", "until"),
    [("training", "2013-03-13"), ("delivery", "2013-03-13"), ("scoring", "2013-03-10"), ("monitoring", "2013-03-13")],
)
def test_a_run_without_dates_ends_at_the_midnight_after_the_last_row_that_its_job_reads(job: str, until: str) -> None:
    """And the sentence has every range, and the parameter as it can be given."""
    chosen = choose_dates(job, {"seed": "1"}, THERE, now=NOW)
    assert chosen.parameters == {"until": until}
    assert chosen.sentence is not None
    assert f"--param until={until}" in chosen.sentence
    assert "requests from 2013-01-01 to 2013-03-09; labels known from 2013-01-04 to 2013-03-12" in chosen.sentence


def test_monitoring_waits_for_no_label_that_is_late() -> None:
    """Where predictions are newer than labels, they say where the data ends."""
    newer = DataRanges(labels=THERE.labels, predictions=span("02-20T05:00", "04-08T20:00"))
    assert choose_dates("monitoring", {}, newer, now=NOW).parameters == {"until": "2013-04-09"}


@pytest.mark.parametrize("given", [{"until": "2013-02-01"}, {"since": "2013-02-01"}])
def test_a_date_that_a_person_gives_is_kept(given: dict[str, str]) -> None:
    """Nothing is chosen beside it, and nothing is said."""
    chosen = choose_dates("training", given, THERE, now=NOW)
    assert (chosen.parameters, chosen.sentence) == ({}, None)


def test_the_features_job_asks_its_sources_and_takes_no_dates() -> None:
    """What they have is what it reads."""
    assert choose_dates("features", {}, THERE, now=NOW).parameters == {}


@pytest.mark.parametrize("ranges", [DataRanges(), THERE], ids=["no row", "a feed that goes on"])
def test_a_run_never_ends_in_the_future_and_never_without_a_date(ranges: DataRanges) -> None:
    """By its date a task knows that a person waits for the result."""
    now = dt.datetime(2013, 3, 9, 9, 30, tzinfo=dt.UTC)
    assert choose_dates("scoring", {}, ranges, now=now).parameters == {"until": "2013-03-09T09:30:00+00:00"}
