"""Repeated looks of the gate spend its level once."""

import math

import pytest

from ml.rollout.looks import policy_of_look
from ml.spec.gate_policy import ARTICLE, DEFAULT_BINARY


def test_the_levels_of_all_looks_add_up_to_the_level_of_the_gate() -> None:
    """Over any number of looks; the first has half of it."""
    levels = [policy_of_look(DEFAULT_BINARY, look).alpha or 0.0 for look in range(1, 2_000)]
    assert levels[0] == (DEFAULT_BINARY.alpha or 0.0) / 2
    assert math.fsum(levels) < (DEFAULT_BINARY.alpha or 0.0)
    assert math.fsum(levels) == pytest.approx(DEFAULT_BINARY.alpha, rel=1e-3)


def test_a_share_of_resamples_grows_likewise() -> None:
    """What it may lose is divided."""
    shares = [1 - (policy_of_look(ARTICLE, look).minimum_win_share or 0.0) for look in range(1, 500)]
    assert math.fsum(shares) <= 1 - (ARTICLE.minimum_win_share or 0.0) + 1e-9


def test_looks_begin_with_one() -> None:
    """There is no look 0."""
    with pytest.raises(ValueError, match="counted from 1"):
        policy_of_look(DEFAULT_BINARY, 0)
