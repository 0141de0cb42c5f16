"""The interval of each of several comparisons, as wide as the correction for their number makes it.

The test and its interval say the same: an interval leaves out the bound of its test if, and only if, the corrected p-value is
at most the level.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from scipy import special

from ml.evaluation.comparison import CONFIDENCE
from ml.gate.case import corrected
from ml.spec.gate_policy import Correction

ONE_SIDED = (1 - CONFIDENCE) / 2
"""The one-sided level of an interval that a comparison reports."""


@dataclass(frozen=True, kw_only=True)
class DifferenceToJudge:
    """A difference that was tested: positive where the candidate is better, in the metric's unit.

    Attributes
    ----------
    standard_error, degrees_of_freedom
        Of Student's t; infinite where rows are independent and many. The error is None where the test was a bootstrap,
        whose resamples are not kept, or there was none.
    p_value
        One-sided, of the test that decides.
    low, high
        Two-sided, 95%, of this comparison alone; None where the difference has none.
    """

    difference: float
    standard_error: float | None
    degrees_of_freedom: float | None
    p_value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class CorrectedInterval:
    """An interval and what it holds for.

    Attributes
    ----------
    level
        One-sided, of all tests together; that of a single comparison where nothing was corrected.
    together
        The number of tests that share the level; 1 where nothing was corrected.
    p_value
        As corrected.
    """

    low: float | None
    high: float | None
    level: float
    together: int
    p_value: float

    @property
    def coverage(self) -> float:
        """The share of repetitions in which both ends hold, for all comparisons together."""
        return 1 - 2 * self.level


def corrected_intervals(
    estimates: Sequence[DifferenceToJudge], *, level: float, correction: Correction, others: Sequence[float] = ()
) -> tuple[CorrectedInterval, ...]:
    """Return the interval of each estimate at a level that all of them share.

    Holm's and Bonferroni's corrections multiply a p-value by some number; a test whose p-value is multiplied by ``m`` is one
    at the level divided by ``m``, and the interval is that of this level.

    Parameters
    ----------
    level
        One-sided.
    others
        P-values of further tests that share the level and have no interval here.
    """
    raw = [one.p_value for one in estimates]
    adjusted = corrected([*raw, *others], correction)
    together = 1 if correction is Correction.NONE else len(adjusted)
    return tuple(
        corrected_interval(one, p_value=p, level=level, together=together)
        for one, p in zip(estimates, adjusted[: len(estimates)], strict=True)
    )


def alone(estimate: DifferenceToJudge) -> CorrectedInterval:
    """Return the interval of one comparison by itself, as it was reported."""
    return CorrectedInterval(
        low=estimate.low, high=estimate.high, level=ONE_SIDED, together=1, p_value=estimate.p_value
    )


def corrected_interval(
    estimate: DifferenceToJudge, *, p_value: float, level: float, together: int
) -> CorrectedInterval:
    """Return the interval of one of several tests from its corrected p-value; that of a bootstrap stays as it was reported."""
    error = estimate.standard_error
    if error is None:
        return replace(alone(estimate), p_value=p_value)
    factor = p_value / estimate.p_value if estimate.p_value > 0 else float(together)
    share = level / min(max(factor, 1.0), float(together))
    freedom = estimate.degrees_of_freedom
    finite = freedom is not None and math.isfinite(freedom)
    steps = -float(special.stdtrit(freedom, share) if finite else special.ndtri(share))
    return CorrectedInterval(
        low=estimate.difference - steps * error, high=estimate.difference + steps * error, level=level,
        together=together, p_value=p_value,
    )  # fmt: skip
