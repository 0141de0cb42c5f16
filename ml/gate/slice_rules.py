"""The rules of the gate about slices: those that are judged, and those that are too small and only named."""

from collections.abc import Iterator

from scipy import special

from ml.evaluation.record import SmallSlice
from ml.gate.case import Case, by_how_much, corrected, number
from ml.gate.verdict import Reason
from ml.spec.gate_policy import Correction, GatePolicy

MOST_NAMED = 5
"""Small slices that a sentence names; the evaluation has all."""
SHOWN_FALL = 0.2
"""The fall for which the power on a small slice is stated, as a share of the way from a constant to perfection."""


def slices(case: Case) -> Iterator[Reason]:
    """Yield whether a candidate is shown to be worse on a slice that is large enough, or on small ones together."""
    policy = case.policy
    if case.champion is None or policy.slice_tolerance is None:
        return
    found = case.on_slices()
    p_values = corrected([c.p_worse for c in found], Correction.HOLM)
    fallen = [c for c, p in zip(found, p_values, strict=True) if p <= policy.slice_alpha]
    listed = ", ".join(f"{c.slice_key} = {c.slice_value} by {-c.difference:.4f}" for c in fallen)
    smallest = min(p_values, default=1.0)
    sentence = (
        f"version {case.version} is shown to be worse on {listed or f'none of {len(found)} slices'} "
        f"(more than {policy.slice_tolerance:g} worse, smallest p = {smallest:.3g})"
    )
    yield number("slices", case.version, not fallen, smallest, policy.slice_alpha, sentence)


def small_slices(case: Case) -> Iterator[Reason]:
    """Yield which slices were too small to be judged alone, and whether one of them shows a fall all the same."""
    policy = case.policy
    if case.champion is None or policy.slice_tolerance is None:
        return
    small = [one for one in case.evaluation.small_slices if one.candidate == case.version]
    tested = [one for one in small if one.p_worse is not None]
    p_values = corrected([one.p_worse or 0.0 for one in tested], Correction.HOLM)
    fallen = [one for one, p in zip(tested, p_values, strict=True) if p <= policy.small_slice_alpha]
    apart = [one for one in small if not one.pooled]
    listed = fallen or sorted(small, key=lambda one: (one.pooled, 1.0 if one.p_worse is None else one.p_worse))
    named = "; ".join(_seen(one, policy) for one in listed[:MOST_NAMED])
    more = f"; and {len(listed) - MOST_NAMED} more" if len(listed) > MOST_NAMED else ""
    judged = len(case.on_slices())
    if fallen:
        sentence = f"version {case.version} is shown to be worse on {len(fallen)} small slice{'s' if len(fallen) > 1 else ''}: {named}{more}"
    elif small:
        sentence = (
            f"{len(apart)} of {judged + len(apart)} slices not judged, and {len(small) - len(apart)} only together with "
            f"others: {named}{more}"
        )
    else:
        sentence = f"all {judged} slices of version {case.version} are large enough to be judged"
    yield Reason(
        rule="small_slices", candidate=case.version, passed=not fallen, value=float(len(small)), threshold=None,
        sentence=sentence,
    )  # fmt: skip


def _seen(one: SmallSlice, policy: GatePolicy) -> str:
    """Return what was seen on a small slice, and how likely the guard sees a fall there."""
    name = f"{one.slice_key} = {one.slice_value} with {one.rows} rows"
    if one.difference is None:
        return f"{name}, too few of one class for any comparison"
    observed = f"{name}, {by_how_much(one.difference)}"
    if one.standard_error is None or one.degrees_of_freedom is None:
        return f"{observed}, too few for any test"
    fall = SHOWN_FALL * one.unit
    power = power_of_guard(
        fall - one.tolerance, one.standard_error, one.degrees_of_freedom, level=policy.small_slice_alpha
    )
    return f"{observed}, a fall of {fall:.3g} would be seen in {power:.0%}"


def power_of_guard(excess: float, standard_error: float, freedom: float, *, level: float) -> float:
    """Return how likely a one-sided t test finds a fall, to first order.

    Parameters
    ----------
    excess
        By how much the fall exceeds what is tolerated, in the unit of the standard error.
    """
    return float(special.stdtr(freedom, excess / standard_error - special.stdtrit(freedom, 1 - level)))
