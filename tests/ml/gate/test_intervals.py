"""An interval and the test of the gate say the same, after correction, for every number of comparisons."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from ml.gate.case import corrected
from ml.gate.intervals import DifferenceToJudge, alone, corrected_intervals
from ml.spec.gate_policy import Correction

LEVEL = 0.025
OTHER = 0.3
"""The p-value of a further test that has no interval."""


def estimate(difference: float, error: float, freedom: float | None) -> DifferenceToJudge:
    """An estimate whose test is about a difference above 0."""
    steps = -difference / error
    p = special.stdtr(freedom, steps) if freedom else special.ndtr(steps)
    usual = -(special.stdtrit(freedom, LEVEL) if freedom else special.ndtri(LEVEL)) * error
    return DifferenceToJudge(
        difference=difference, standard_error=error, degrees_of_freedom=freedom, p_value=float(p),
        low=difference - usual, high=difference + usual,
    )  # fmt: skip


ESTIMATES = st.builds(
    estimate, st.floats(-3, 3), st.floats(0.1, 1), st.one_of(st.none(), st.floats(3, 60)),
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(ESTIMATES, min_size=1, max_size=8), st.sampled_from(list(Correction)))
def test_an_interval_leaves_out_the_bound_exactly_if_the_corrected_test_passes(
    found: list[DifferenceToJudge], correction: Correction
) -> None:
    """For each correction, with a further test that shares the level."""
    p_values = corrected([*(one.p_value for one in found), OTHER], correction)
    for one, p, interval in zip(found, p_values, corrected_intervals(found, level=LEVEL, correction=correction, others=[OTHER]), strict=False):  # fmt: skip
        assert interval.p_value == p
        if abs(p - LEVEL) > 1e-9:
            assert (interval.low > 0) == (p <= LEVEL)
        assert interval.low <= one.low + 1e-9
        assert interval.high >= one.high - 1e-9


def test_one_comparison_is_not_corrected_and_several_are_wider() -> None:
    """Alone it is the 95% interval that was reported; together it says of how many, at the level that they share."""
    one = estimate(0.5, 0.3, 12)
    (single,) = corrected_intervals([one], level=LEVEL, correction=Correction.HOLM)
    assert (single.low, single.together, single.coverage) == (pytest.approx(one.low), 1, pytest.approx(0.95))
    widened = corrected_intervals([one] * 4, level=LEVEL, correction=Correction.BONFERRONI)[0]
    assert (widened.together, widened.coverage) == (4, pytest.approx(0.95))
    assert widened.low < one.low - 0.2


def test_a_bootstrap_keeps_the_interval_that_it_reported() -> None:
    """Its resamples are gone, so nothing wider can be computed."""
    kept = DifferenceToJudge(
        difference=0.2, standard_error=None, degrees_of_freedom=None, p_value=0.01, low=0.1, high=0.4
    )
    found = corrected_intervals([kept] * 3, level=LEVEL, correction=Correction.HOLM)[0]
    assert (found.low, found.high, found.together) == (0.1, 0.4, 1)
    assert alone(kept).low == 0.1
