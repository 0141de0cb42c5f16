"""What a delivery changes depends on how its feed corrects itself; the same rows again change nothing."""

import datetime as dt
from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.declarations.mistakes import DeclarationError
from pipelines.declarations.source import Corrections
from pipelines.sources.contract import check
from pipelines.sources.deliveries import DeliveryChange, changes, digest, outside_window
from tests.pipelines.sources.trips import SOURCE, TABLE, delivery

SOURCES = {mode: replace(SOURCE, corrections=mode) for mode in Corrections}
EARLY, LATE = {"at": "2013-01-01T08:00:00Z"}, {"at": "2013-01-01T12:00:00Z"}


def change(mode: Corrections, before: pa.Table, now: pa.Table) -> DeliveryChange:
    """What the second delivery changes about the first."""
    return changes(check(now, SOURCES[mode]), check(before, SOURCES[mode]).kept, SOURCES[mode])


@pytest.mark.parametrize("mode", Corrections)
def test_the_same_rows_again_change_nothing(mode: Corrections) -> None:
    """Missing values included."""
    rows = delivery({"fare": None}, {"trip": "b"})
    found = change(mode, rows, rows)
    assert (found.new.num_rows, found.removed, found.earliest, found.checked.broken.num_rows) == (0, 0, None, 0)


@pytest.mark.parametrize("mode", Corrections)
def test_every_row_of_a_first_delivery_is_new(mode: Corrections) -> None:
    """The earliest of them is where what depends on them has to be built again."""
    found = change(mode, delivery(), delivery(LATE, {**EARLY, "trip": "b"}))
    assert found.new.num_rows == 2
    assert found.earliest == dt.datetime(2013, 1, 1, 8, tzinfo=dt.UTC)


def test_a_feed_without_corrections_quarantines_a_row_that_contradicts_a_stored_one() -> None:
    """The other rows of the delivery are taken."""
    found = change(
        Corrections.NEVER, delivery({}, {"trip": "b"}), delivery({}, {"trip": "b", "fare": "9"}, {"trip": "c"})
    )
    assert found.new["trip"].to_pylist() == ["c"]
    assert found.checked.kept["trip"].to_pylist() == ["a", "c"]
    assert found.checked.broken["row_number"].to_pylist() == [1]
    assert "contradicts" in found.checked.broken["reasons"][0].as_py()


def test_a_newer_row_takes_the_place_of_the_stored_row_of_its_key() -> None:
    """A row that the delivery does not repeat stays."""
    found = change(Corrections.NEWER_ROW, delivery({}, {"trip": "b"}), delivery({"fare": "9"}))
    assert found.new["fare"].to_pylist() == [9.0]
    assert (found.removed, found.checked.broken.num_rows) == (0, 0)


def test_a_replaced_window_loses_the_rows_that_are_no_longer_delivered() -> None:
    """What depends on them is built again from the first removed row on."""
    found = change(Corrections.REPLACE_WINDOW, delivery(EARLY, {**LATE, "trip": "b"}), delivery({**LATE, "trip": "b"}))
    assert (found.new.num_rows, found.removed) == (0, 1)
    assert found.earliest == dt.datetime(2013, 1, 1, 8, tzinfo=dt.UTC)


def test_an_empty_delivery_replaces_nothing() -> None:
    """A file that lost its rows on the way is no correction."""
    found = change(Corrections.REPLACE_WINDOW, delivery({}), delivery())
    assert (found.removed, found.earliest) == (0, None)


def test_a_row_outside_of_the_window_that_is_replaced_is_quarantined() -> None:
    """It would be stored a second time by the delivery of its own window."""
    since, until = (dt.datetime(2013, 1, 1, hour, tzinfo=dt.UTC) for hour in (9, 12))
    found = outside_window(check(delivery({}, {**LATE, "trip": "b"}), SOURCE), TABLE, since, until)
    assert found.kept["trip"].to_pylist() == ["a"]
    assert found.broken["reasons"].to_pylist() == ["at: lies outside of the window that the delivery replaces"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["1", "2", None])), max_size=6))
def test_after_a_correction_the_stored_rows_are_those_of_the_delivery(rows: list[tuple[str, str | None]]) -> None:
    """For a feed of newer rows: applied to what is stored, the change gives the delivered value of every delivered key."""
    mode = Corrections.NEWER_ROW
    before = delivery(*({"trip": trip, "fare": "50"} for trip in "abc"))
    now = delivery(*({"trip": trip, "fare": fare} for trip, fare in rows))
    stored = {row["trip"]: row["fare"] for row in check(before, SOURCES[mode]).kept.to_pylist()}
    stored |= {row["trip"]: row["fare"] for row in change(mode, before, now).new.to_pylist()}
    kept = {row["trip"]: row["fare"] for row in check(now, SOURCES[mode]).kept.to_pylist()}
    assert stored == {**dict.fromkeys("abc", 50.0), **kept}


def test_a_digest_follows_the_content_and_nothing_else() -> None:
    """Not how the rows are divided in memory."""
    one, two = delivery({}, {"trip": "b"}), delivery({}, {"trip": "c"})
    assert digest(one) == digest(pa.concat_tables([one.slice(0, 1), one.slice(1)]))
    assert len({digest(one), digest(two), digest(one.slice(0, 1)), digest(one.select(["trip"]))}) == 4


def test_corrections_that_the_table_cannot_hold_are_refused() -> None:
    """A window needs a time, a newer row a key."""
    with pytest.raises(DeclarationError, match="need a table with a time_key"):
        replace(SOURCES[Corrections.REPLACE_WINDOW], table=replace(TABLE, time_key=None))
    with pytest.raises(DeclarationError, match="need a table with a primary key"):
        replace(SOURCES[Corrections.NEWER_ROW], table=replace(TABLE, primary_key=(), time_key=None))
    with pytest.raises(DeclarationError, match="late_days is -1; give 0 or more"):
        replace(SOURCE, late_days=-1)
