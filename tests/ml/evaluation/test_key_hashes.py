"""Hashes of keys count exactly the rows that two sets share, whatever their order."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.evaluation.key_hashes import count_known_keys, key_hashes

KEYS = st.lists(st.text(max_size=12), max_size=30, unique=True)


@given(KEYS, KEYS)
def test_the_count_is_that_of_the_keys_themselves(trained: list[str], evaluated: list[str]) -> None:
    """The oracle is the set of both."""
    assert count_known_keys(key_hashes(trained), evaluated) == len(set(trained) & set(evaluated))


@given(KEYS, st.randoms())
def test_the_order_of_the_keys_does_not_matter(keys: list[str], random: random.Random) -> None:
    """The same rows in another order have the same hashes, eight bytes each."""
    shuffled = random.sample(keys, len(keys))
    assert key_hashes(keys) == key_hashes(shuffled)
    assert len(key_hashes(keys)) == 8 * len(keys)


def test_no_rows_have_no_hashes() -> None:
    """The limits: no training rows, no evaluation rows, one known row and one unknown row."""
    assert key_hashes([]) == b""
    assert count_known_keys(b"", ["a"]) == count_known_keys(key_hashes(["a"]), []) == 0
    assert (count_known_keys(key_hashes(["a"]), ["a"]), count_known_keys(key_hashes(["a"]), ["b"])) == (1, 0)


def test_hashes_are_the_same_in_every_process() -> None:
    """They are stored with a model and read by another machine: no random seed may enter."""
    assert key_hashes(["2013-01-01 EWR 1545"]).hex() == "bc7f9aa6fe7cfb40"


def test_truncated_hashes_are_refused() -> None:
    """An incomplete file is an error."""
    with pytest.raises(ValueError, match="have 8 bytes each, got 9 bytes in all"):
        count_known_keys(b"123456789", ["a"])
