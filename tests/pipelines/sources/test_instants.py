"""Instants are understood by the zone, the unit and the range that their source declares; nothing is guessed."""

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest

from pipelines.declarations.delivery import Delivered
from pipelines.sources.contract import check
from tests.pipelines.sources.trips import delivered

TEN = dt.datetime(2013, 1, 1, 10, tzinfo=dt.UTC)
NAIVE = TEN.replace(tzinfo=None)
SECONDS = int(TEN.timestamp())
NEEDS_ZONE = "has no time zone: declare time_zone, or deliver an offset"


def outcome(values: pa.Array, *how: Delivered, name: str = "at", **options: Any) -> tuple[list[Any], list[str]]:
    """The instants that are kept and the reasons of the others, without the column."""
    source, rows = delivered(name, values, *how, **options)
    checked = check(rows, source)
    return checked.kept[name].to_pylist(), [r.removeprefix(f"{name}: ") for r in checked.broken["reasons"].to_pylist()]


@pytest.mark.parametrize(
    "values",
    [
        pa.array(["2013-01-01T10:00:00", "2013-01-01 10:00"]),
        pa.array([NAIVE], pa.timestamp("us")), pa.array([NAIVE], pa.timestamp("ns")), pa.array([NAIVE], pa.timestamp("s")),
    ],
)  # fmt: skip
def test_an_instant_without_a_zone_needs_one_declared_text_or_typed(values: pa.Array) -> None:
    """It is quarantined without a zone, and read on the clocks of the declared one."""
    kept, reasons = outcome(values)
    assert kept == []
    assert all(reason.endswith(NEEDS_ZONE) for reason in reasons)
    assert outcome(values, time_zone="UTC") == ([TEN] * len(values), [])
    assert outcome(values, time_zone="America/New_York") == ([TEN + dt.timedelta(hours=5)] * len(values), [])
    zone = Delivered(column="at", time_zone="Europe/Berlin")
    assert outcome(values, zone, time_zone="UTC") == ([TEN - dt.timedelta(hours=1)] * len(values), [])


def test_a_declared_zone_leaves_instants_with_an_offset_as_they_are() -> None:
    """One delivery may have both."""
    both = pa.array(["2013-01-01T10:00:00Z", "2013-01-01T12:00+02:00", "2013-01-01T05:00:00"])
    assert outcome(both, time_zone="America/New_York") == ([TEN] * 3, [])
    typed = pa.array([TEN], pa.timestamp("ms", "Asia/Tokyo"))
    assert outcome(typed, time_zone="America/New_York") == ([TEN], [])


def test_an_hour_that_the_clocks_skip_or_repeat_is_quarantined() -> None:
    """In New York 2:30 did not exist on 10 March 2013, and 1:30 came twice on 3 November."""
    values = pa.array(["2013-03-10T02:30:00", "2013-11-03T01:30:00", "2013-11-03T03:30:00"])
    kept, reasons = outcome(values, time_zone="America/New_York")
    assert kept == [dt.datetime(2013, 11, 3, 8, 30, tzinfo=dt.UTC)]
    assert [reason.partition(" is ")[2] for reason in reasons] == [
        "in an hour that the clocks in America/New_York skip or repeat: deliver an offset"
    ] * 2


@pytest.mark.parametrize(("unit", "factor"), [("s", 1), ("ms", 1_000), ("us", 1_000_000), ("ns", 1_000_000_000)])
def test_a_number_is_an_instant_only_in_a_declared_unit(unit: str, factor: int) -> None:
    """Without a unit it is quarantined, as the same digits in text are."""
    values = pa.array([SECONDS * factor, None])
    assert outcome(values, time_unit=unit) == ([TEN, None], [])
    said = f"{SECONDS * factor} is a number without a unit: declare time_unit (s, ms, us or ns)"
    assert outcome(values) == ([None], [said])
    assert outcome(values.cast(pa.string())) == ([None], [f"'{SECONDS * factor}' is not a timestamp"])


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_a_count_that_overflows_or_is_in_too_coarse_a_unit_is_one_quarantined_row(unit: str) -> None:
    """No integer of 64 bits ends the check, signed or not; zero and seconds read as milliseconds are of 1970."""
    values = pa.array([2**64 - 1, 2**63, 2**63 - 1, 0, SECONDS if unit != "s" else 1], pa.uint64())
    kept, reasons = outcome(values, time_unit=unit)
    assert kept == []
    assert len(reasons) == 5


def test_nanoseconds_are_kept_only_where_microseconds_hold_them() -> None:
    """Text with zeros after the microseconds is the same instant; a nanosecond more is another."""
    typed = pa.array([SECONDS * 10**9, SECONDS * 10**9 + 1]).cast(pa.timestamp("ns", "UTC"))
    kept, (reason,) = outcome(typed)
    assert kept == [TEN]
    assert "has nanoseconds, where microseconds are stored" in reason
    text = pa.array(["2013-01-01T10:00:00.0000000Z", "2013-01-01T10:00:00.000000001Z"])
    assert outcome(text) == ([TEN], ["'2013-01-01T10:00:00.000000001Z' is not a timestamp"])


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("9999-12-31T00:00:00Z", dt.datetime(9999, 12, 31, tzinfo=dt.UTC)),
        ("2999-01-01T00:00:00Z", dt.datetime(2999, 1, 1, tzinfo=dt.UTC)),
        ("1970-01-01T00:00:00Z", dt.datetime(1970, 1, 1, tzinfo=dt.UTC)),
    ],
)
def test_an_implausible_instant_is_quarantined_text_or_typed_and_taken_where_declared(
    text: str, typed: dt.datetime
) -> None:
    """Both have the same reason, and both are kept with a range that has them."""
    values = pa.array([text]), pa.array([typed], pa.timestamp("us", "UTC"))
    reasons = {outcome(one)[1][0].partition(" is ")[2] for one in values}
    assert reasons == {"not from 1980-01-01 to 2099-12-31: declare earliest and latest if such a date can be right"}
    wide = Delivered(column="at", earliest=dt.date(1900, 1, 1), latest=dt.date(9999, 12, 31))
    assert [outcome(one, wide) for one in values] == [([typed], [])] * 2


@pytest.mark.parametrize(
    "values",
    [
        pa.array(["2013-01-01", "2013-01-01 00:00:00"]), pa.array([NAIVE.date()]), pa.array([NAIVE.date()], pa.date64()),
        pa.array([NAIVE.replace(hour=0)], pa.timestamp("ns")),
    ],
)  # fmt: skip
def test_a_day_is_taken_where_the_value_is_one(values: pa.Array) -> None:
    """Also with a clock at midnight, as pandas writes it; no zone is needed."""
    assert outcome(values, name="on_day") == ([NAIVE.date()] * len(values), [])


@pytest.mark.parametrize(
    "values", [pa.array([NAIVE], pa.timestamp("us")), pa.array([TEN]), pa.array(["2013-01-01T00:00:00Z"])]
)
def test_an_instant_is_not_a_day(values: pa.Array) -> None:
    """Which day it is depends on a zone."""
    assert "is an instant, not a day" in outcome(values, name="on_day")[1][0]


@pytest.mark.parametrize("text", ["2012-02-29", "2000-02-29", "2013-12-31", "2013-04-30"])
def test_every_day_of_the_calendar_is_a_day(text: str) -> None:
    """The last days of months and leap days too."""
    assert outcome(pa.array([text]), name="on_day") == ([dt.date.fromisoformat(text)], [])


@pytest.mark.parametrize("text", ["2013-02-29", "1900-02-29", "2013-04-31", "2013-13-01", "2013-00-10", "2013-01-00"])
def test_no_other_day_is(text: str) -> None:
    """The reason says so."""
    assert outcome(pa.array([text]), name="on_day") == ([], [f"'{text}' is not a date"])
    assert outcome(pa.array([f"{text}T10:00:00Z"])) == ([], [f"'{text}T10:00:00Z' is not a timestamp"])
