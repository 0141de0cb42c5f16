"""The differences that a verdict was based on, each with the interval that its rule judges: corrected for all its tests.

An interval of one test at 95% and a judgement that is corrected for many can disagree. Here an interval ends on the
judged side of the limit if, and only if, the rule calls the difference shown.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from scipy import special

from ml.evaluation.comparison import Comparison
from ml.evaluation.record import EvaluatedContender, Evaluation, SmallSlice
from ml.gate.case import Case, corrected, corrected_p_values
from ml.spec.gate_policy import Correction, GatePolicy

JUST_BEYOND = 0.999
"""Of the distance to the limit, how far an interval reaches whose test has no distribution of Student's to take it from."""


@dataclass(frozen=True, kw_only=True)
class JudgedDifference:
    """A candidate's difference from what it was compared with, as one rule of the gate judges it.

    Attributes
    ----------
    rule
        Name of the rule, see `ml.gate.rules.RULES`.
    against
        Version of the champion; None for the best constant prediction.
    slice_key, slice_value
        None for all rows.
    candidate_value, against_value
        In the metric's unit; None where a small slice keeps the difference alone.
    difference
        Positive means that the candidate is better, for metrics of either direction.
    low, high
        Of `difference`: a bound on either side, each at `level` corrected for `tests`; None where nothing defines them.
    limit
        The value that the difference must be shown to exceed, or, of a rule about falls, to be below.
    tests
        How many tests the correction counts.
    p_value, level
        One-sided and corrected, and what it may be at most for the difference to count as shown.
    shown
        Whether the difference is shown to be beyond the limit, or None where there is no test.
    fall
        Whether the rule asks if the candidate is worse.
    """

    rule: str
    metric: str
    against: int | None
    slice_key: str | None
    slice_value: str | None
    rows: int
    candidate_value: float | None
    against_value: float | None
    difference: float
    low: float | None
    high: float | None
    limit: float
    tests: int
    p_value: float | None
    level: float
    shown: bool | None
    fall: bool


def judged_differences(evaluation: Evaluation, policy: GatePolicy, version: int) -> tuple[JudgedDifference, ...]:
    """Return what the gate compared of a candidate: all rows, then guard rails, then slices, the worst slice first.

    Empty if the candidate did not count, or the policy is not the one for which it was measured.

    Parameters
    ----------
    evaluation
        Of a verdict.
    policy
        By which that verdict was decided.
    version
        The candidate.

    Raises
    ------
    KeyError
        If the version was not evaluated.
    """
    candidate = evaluation.contender(version)
    if evaluation.policy_digest != policy.digest or candidate.failure_kind is not None:
        return ()
    case = _case(evaluation, policy, candidate)
    slices = sorted((*_slices(case), *_small_slices(case)), key=lambda one: (one.difference, one.slice_key or ""))
    return (*_all_rows(case), *_guard_rails(case), *slices)


def _case(evaluation: Evaluation, policy: GatePolicy, candidate: EvaluatedContender) -> Case:
    p_value = corrected_p_values(evaluation, policy)[candidate.version]
    return Case(evaluation=evaluation, policy=policy, candidate=candidate, p_value=p_value)


def _all_rows(case: Case) -> Iterator[JudgedDifference]:
    policy, evaluation = case.policy, case.evaluation
    level = policy.alpha if policy.alpha is not None else 1 - (policy.minimum_win_share or 0.0)
    tests = case.tests
    found = case.on_all_rows(policy.metric, evaluation.champion)
    if found is not None:
        raw = found.p_value if policy.minimum_win_share is None else 1 - found.wins / found.resamples
        p = case.p_value if policy.minimum_win_share is None else min(1.0, raw * tests)
        yield _of_comparison("better", found, raw=raw, p=p, tests=tests, level=level, fall=False)
    constant = case.on_all_rows(policy.metric, None)
    if constant is not None and evaluation.champion is not None:
        p = constant.p_value
        yield _of_comparison("better_than_constant", constant, raw=p, p=p, tests=1, level=level, fall=False)


def _guard_rails(case: Case) -> Iterator[JudgedDifference]:
    if case.champion is None:
        return
    found = [case.on_all_rows(rail.metric, case.champion.version) for rail in case.policy.guard_rails]
    p_values = corrected([0.0 if c is None else c.p_worse for c in found], Correction.HOLM)
    for c, p in zip(found, p_values, strict=True):
        if c is not None:
            yield _of_comparison(
                "guard_rails", c, raw=c.p_worse, p=p, tests=len(found), level=case.policy.guard_alpha, fall=True
            )


def _slices(case: Case) -> Iterator[JudgedDifference]:
    if case.champion is None or case.policy.slice_tolerance is None:
        return
    found = case.on_slices()
    p_values = corrected([c.p_worse for c in found], Correction.HOLM)
    for c, p in zip(found, p_values, strict=True):
        yield _of_comparison(
            "slices", c, raw=c.p_worse, p=p, tests=len(found), level=case.policy.slice_alpha, fall=True
        )


def _small_slices(case: Case) -> Iterator[JudgedDifference]:
    if case.champion is None or case.policy.slice_tolerance is None:
        return
    small = [one for one in case.evaluation.small_slices if one.candidate == case.version]
    tested = [one for one in small if one.p_worse is not None]
    p_values = dict(
        zip(map(id, tested), corrected([one.p_worse or 0.0 for one in tested], Correction.HOLM), strict=True)
    )
    for one in small:
        if one.difference is not None:
            yield _of_small_slice(case, one, one.difference, p_values.get(id(one)), tests=len(tested))


def _of_small_slice(case: Case, one: SmallSlice, difference: float, p: float | None, *, tests: int) -> JudgedDifference:
    level, limit = case.policy.small_slice_alpha, -one.tolerance
    shown = None if p is None else p <= level
    low, high = _interval(
        difference, one.standard_error, one.degrees_of_freedom, raw=one.p_worse, p=p, tests=tests, level=level,
        limit=limit, shown=shown, fall=True,
    )  # fmt: skip
    return JudgedDifference(
        rule="small_slices", metric=case.policy.metric, against=case.evaluation.champion, slice_key=one.slice_key,
        slice_value=one.slice_value, rows=one.rows, candidate_value=None, against_value=None, difference=difference,
        low=low, high=high, limit=limit, tests=tests, p_value=p, level=level, shown=shown, fall=True,
    )  # fmt: skip


def _of_comparison(
    rule: str, found: Comparison, *, raw: float, p: float, tests: int, level: float, fall: bool
) -> JudgedDifference:
    limit = -found.tolerance if fall else found.margin
    low, high = _interval(
        found.difference, found.standard_error, found.degrees_of_freedom, raw=raw, p=p, tests=tests, level=level,
        limit=limit, shown=p <= level, fall=fall,
    )  # fmt: skip
    return JudgedDifference(
        rule=rule, metric=found.metric, against=found.against, slice_key=found.slice_key,
        slice_value=found.slice_value, rows=found.rows, candidate_value=found.candidate_value,
        against_value=found.against_value, difference=found.difference, low=low, high=high, limit=limit, tests=tests,
        p_value=p, level=level, shown=p <= level, fall=fall,
    )  # fmt: skip


def _interval(
    difference: float, error: float | None, freedom: float | None, *, raw: float | None, p: float | None, tests: int,
    level: float, limit: float, shown: bool | None, fall: bool,
) -> tuple[float | None, float | None]:  # fmt: skip
    """Return the bounds of a difference, each at the level that the correction leaves to its test.

    Holm's correction multiplies the p-values of a family by different factors; the factor of this test is the ratio of
    both p-values, and that of Bonferroni where it is not known, because one of them is 0 or 1.
    """
    if error is None or raw is None or p is None or shown is None or not math.isfinite(error):
        return None, None
    factor = p / raw if 0 < raw <= p < 1 else float(max(tests, 1))
    reach = -_quantile(level / factor, freedom) * error
    inner = difference + reach if fall else difference - reach
    if (inner < limit if fall else inner > limit) != shown:  # resampled: its p-value is no quantile of Student's
        reach = abs(difference - limit) * (JUST_BEYOND if shown else 1.0)
    return difference - reach, difference + reach


def _quantile(share: float, freedom: float | None) -> float:
    return float(special.ndtri(share) if freedom is None else special.stdtrit(freedom, share))
