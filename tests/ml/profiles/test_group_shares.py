"""The shares of groups are those that the statistics compare: they add up, and their words say which values they hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.profiles.group_shares import MISSING, MOST_GROUPS, OTHER, group_shares
from ml.profiles.specification import ProfileSpec
from ml.profiles.table_profile import Profile, profile


def both(before: object, after: object, name: str = "x") -> tuple[Profile, Profile]:
    """Return the profiles of two sets of one column, by the grid of the first."""
    spec = ProfileSpec.from_sample({name: np.array(before)})
    return profile({name: np.array(before)}, spec), profile({name: np.array(after)}, spec)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=60), st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=60))
def test_the_shares_of_either_set_add_up_to_one(before: list[float], after: list[float]) -> None:
    """Whatever the numbers are, also outside the range of the first set."""
    old, new = both(before, after)
    found = group_shares(old.columns["x"], new.columns["x"])
    assert sum(group.before for group in found) == pytest.approx(1)
    assert sum(group.after for group in found) == pytest.approx(1)


def test_a_shift_is_seen_in_the_groups_and_their_words() -> None:
    """Numbers between 0 and 1 before, ten times as large after: all of them lie above."""
    random = np.random.default_rng(1)
    values = random.random(5_000)
    old, new = both(values, values + 10)
    found = group_shares(old.columns["x"], new.columns["x"])
    above = [group for group in found if group.after > 0]
    assert sum(group.after for group in above) == pytest.approx(1)
    assert all(group.before == 0 for group in above)
    assert max(group.before for group in found) < 0.2
    assert found[len(found) // 2].label.startswith("0.")


def test_whole_numbers_are_named_with_both_ends_and_single_ones_alone() -> None:
    """Seven days of the week have a group each; of many minutes a group says from which to which."""
    days, minutes = both(np.arange(700) % 7, np.zeros(10)), both(np.arange(3_000), np.arange(3_000))
    assert [group.label for group in group_shares(days[0].columns["x"], days[1].columns["x"])] == list("0123456")
    labels = [group.label for group in group_shares(minutes[0].columns["x"], minutes[1].columns["x"])]
    bounds = [text.replace(",", "").split(" to ") for text in labels]
    assert all(len(pair) == 2 for pair in bounds)
    assert [int(low) for low, _ in bounds][1:] == [int(high) + 1 for _, high in bounds][:-1]


def test_years_have_no_separator_and_large_numbers_have() -> None:
    """And a number with a fraction has four digits."""
    old, new = both(np.array([1956.0, 2004.0, 2013.0] * 50), np.array([2004.0]))
    assert [group.label for group in group_shares(old.columns["x"], new.columns["x"])] == ["1956", "2004", "2013"]
    old, new = both(np.array([12_500.0, 20_000.0] * 50), np.array([20_000.0]))
    assert [group.label for group in group_shares(old.columns["x"], new.columns["x"])] == ["12,500", "20,000"]


def test_missing_values_and_rare_categories_are_groups_of_their_own() -> None:
    """A new category counts among the others, as in the statistics."""
    names = [f"c{number % 40}" for number in range(400)] + [None] * 100
    old, new = both(np.array(names, dtype=object), np.array(["c1", "new"], dtype=object))
    found = {group.label: group for group in group_shares(old.columns["x"], new.columns["x"])}
    assert len(found) == MOST_GROUPS + 2
    assert found[MISSING].before == pytest.approx(0.2)
    assert found["c1"].after == found[OTHER].after == pytest.approx(0.5)


def test_dates_are_named_as_dates() -> None:
    """Days are counted since 1970."""
    dates = np.arange("2013-01-01", "2014-01-01", dtype="datetime64[D]")
    old, new = both(dates, dates)
    assert group_shares(old.columns["x"], new.columns["x"])[0].label.startswith("2013-01-01 to 2013-0")


def test_without_rows_there_is_nothing_to_compare() -> None:
    """A profile of no rows has no shares."""
    old, new = both([1.0, 2.0], np.zeros(0))
    assert group_shares(old.columns["x"], new.columns["x"]) == ()
