"""A delivery that is mostly quarantined is an alarm with its commonest reasons."""

from dataclasses import replace

import pytest

from pipelines.sources.alarm import joined, quarantine_alarm, quarantined, recorded_alarm
from pipelines.sources.contract import check
from pipelines.sources.deliveries import changes
from tests.pipelines.sources.trips import SOURCE, delivery

BAD, WORSE = {"fare": "x"}, {"fare": "y", "seats": "z"}


def test_the_record_has_the_share_and_the_commonest_reasons_with_an_example() -> None:
    """A row with two reasons counts in both."""
    found = quarantined(SOURCE, check(delivery({}, BAD, WORSE, {"trip": "b"}), SOURCE))
    assert (found.read, found.quarantined, found.share) == (4, 2, 0.5)
    assert [(kind.column, kind.wrong, kind.rows) for kind in found.commonest] == [
        ("fare", "is not a finite number", 2), ("seats", "is not a whole number", 1),
    ]  # fmt: skip
    assert found.commonest[0].example == "fare: 'x' is not a finite number"


def test_only_more_than_the_limit_of_a_source_is_an_alarm() -> None:
    """Half is none by default, all is one, and a source may allow less or more."""
    half, most = check(delivery({}, BAD), SOURCE), check(delivery({}, BAD, WORSE), SOURCE)
    assert quarantine_alarm(SOURCE, half) is None
    assert quarantine_alarm(replace(SOURCE, quarantine_limit=0.4), half) is not None
    assert quarantine_alarm(replace(SOURCE, quarantine_limit=1.0), check(delivery(BAD), SOURCE)) is None
    alarm = quarantine_alarm(SOURCE, most)
    assert alarm is not None
    assert alarm.startswith(
        "source trips: 2 of 3 rows (67%) are quarantined, most often: 2 rows like (fare: 'x' is not a finite number); "
        "1 rows like (seats: 'z' is not a whole number). All rows are written"
    )
    assert joined([None, alarm, None]) == alarm


def test_an_alarm_is_told_again_from_what_was_recorded() -> None:
    """A repeat of the window finds the counts; the reasons are in the table quarantine."""
    alarm = recorded_alarm(SOURCE, [{"rows_read": 4, "rows_quarantined": 3}])
    assert alarm is not None
    assert alarm.startswith("source trips: 3 of 4 rows (75%) are quarantined. All rows are written")
    assert recorded_alarm(SOURCE, [{"rows_read": 4, "rows_quarantined": 2}]) is None


def test_an_empty_delivery_is_no_alarm() -> None:
    """Nothing of it is quarantined."""
    assert quarantine_alarm(replace(SOURCE, quarantine_limit=0.0), check(delivery(), SOURCE)) is None


def test_rows_that_contradict_earlier_ones_count_too() -> None:
    """The reasons of the check stay known after the comparison."""
    before = check(delivery({}), SOURCE).kept
    found = changes(check(delivery({"fare": "99"}, {"trip": "b", "fare": "x"}), SOURCE), before, SOURCE)
    held = quarantined(SOURCE, found.checked)
    assert held.share == 1
    assert [kind.wrong for kind in held.commonest] == [
        "is not a finite number", "contradicts the row of its key that an earlier delivery brought",
    ]  # fmt: skip


@pytest.mark.parametrize("rows", [1, 1_000])
def test_a_delivery_that_is_quarantined_to_the_last_row_is_an_alarm(rows: int) -> None:
    """However many they are."""
    alarm = quarantine_alarm(SOURCE, check(delivery(*[BAD] * rows), SOURCE))
    assert alarm is not None
    assert f"{rows:,} of {rows:,} rows (100%)" in alarm
