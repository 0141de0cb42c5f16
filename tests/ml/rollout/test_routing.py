"""A request's version is settled by its own values: the proportion holds, and nobody goes back as the percentage grows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.rollout.routing import is_challengers, place_of

KEYS = st.lists(st.one_of(st.text(max_size=12), st.integers(), st.none()), min_size=1, max_size=3)


@given(KEYS, st.text(max_size=8))
def test_a_place_lies_from_0_to_1_and_is_always_the_same(values: list[object], salt: str) -> None:
    """Whatever process asks, since no seed of the process is in it."""
    assert 0 <= place_of(values, salt) < 1
    assert place_of(values, salt) == place_of(tuple(values), salt)
    assert not is_challengers(values, salt=salt, percentage=0)
    assert is_challengers(values, salt=salt, percentage=100)


@given(KEYS, st.text(max_size=8), st.integers(0, 100), st.integers(0, 100))
def test_who_gets_the_challenger_at_a_percentage_gets_it_at_every_larger_one(
    values: list[object], salt: str, one: int, other: int
) -> None:
    """A key in the 10% stays in the 50%."""
    small, large = sorted((one, other))
    assert is_challengers(values, salt=salt, percentage=small) <= is_challengers(values, salt=salt, percentage=large)


@pytest.mark.parametrize("percentage", [1, 10, 50, 90])
def test_the_challenger_gets_its_percentage_of_the_keys(percentage: int) -> None:
    """Within four standard errors of 20,000 keys, for keys as plain as numbers."""
    chosen = [is_challengers([str(number)], salt="r1", percentage=percentage) for number in range(20_000)]
    share = percentage / 100
    assert abs(np.mean(chosen) - share) < 4 * np.sqrt(share * (1 - share) / 20_000)


def test_another_rollout_begins_with_other_keys() -> None:
    """Its salt is another one: two tenths have a hundredth in common, not a tenth."""
    first, second = (
        [is_challengers([str(number)], salt=salt, percentage=10) for number in range(20_000)] for salt in ("a", "b")
    )
    assert 100 < np.sum(np.logical_and(first, second)) < 300


def test_values_that_would_read_alike_together_are_different_places() -> None:
    """The length of each value is part of what is hashed."""
    assert place_of(["ab", "c"], "s") != place_of(["a", "bc"], "s")
    assert place_of(["a"], "sb") != place_of(["ba"], "s")
