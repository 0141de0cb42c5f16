"""Repeated looks of the gate spend its level once."""

import math
from dataclasses import replace

import pytest

from ml.rollout.looks import policy_of_faults, policy_of_look, policy_turned
from ml.spec.gate_policy import ARTICLE, DEFAULT_BINARY, NON_INFERIOR_BINARY


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


@pytest.mark.parametrize("level", ["guard_alpha", "slice_alpha", "small_slice_alpha"])
def test_a_guard_shows_a_fault_by_all_looks_together_at_its_level(level: str) -> None:
    """And keeps a challenger from going on at its whole level, at every look."""
    stated = getattr(DEFAULT_BINARY, level)
    levels = [getattr(policy_of_faults(DEFAULT_BINARY, look), level) for look in range(1, 2_000)]
    assert math.fsum(levels) == pytest.approx(stated, rel=1e-3)
    assert math.fsum(levels) < stated
    assert getattr(policy_of_look(DEFAULT_BINARY, 7), level) == stated


def test_with_the_roles_exchanged_the_margin_that_a_gate_accepts_has_to_be_exceeded() -> None:
    """What may be worse by less than 0.005 is worse only if it is by more; what must be better is, if it is worse at all."""
    assert policy_turned(NON_INFERIOR_BINARY, 1).margin == 0.005
    assert policy_turned(DEFAULT_BINARY, 1).margin == 0
    assert policy_turned(replace(DEFAULT_BINARY, margin=0.01), 1).margin == 0
    assert policy_turned(NON_INFERIOR_BINARY, 3).alpha == policy_of_look(NON_INFERIOR_BINARY, 3).alpha
