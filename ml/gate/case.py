"""What the rules of the gate read and return: one candidate before the gate, reasons, and p-values of several tests."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ml.evaluation.comparison import Comparison
from ml.evaluation.record import EvaluatedContender, Evaluation
from ml.gate.verdict import Reason
from ml.spec.gate_policy import Correction, GatePolicy


@dataclass(frozen=True, kw_only=True)
class Case:
    """One candidate before the gate.

    Attributes
    ----------
    p_value
        Of its comparison with the champion, or with a constant where there is none, corrected for the number of
        candidates.
    """

    evaluation: Evaluation
    policy: GatePolicy
    candidate: EvaluatedContender
    p_value: float

    @property
    def version(self) -> int:
        """The candidate's version."""
        return self.candidate.version

    @property
    def champion(self) -> EvaluatedContender | None:
        """The champion as measured, if there is one."""
        version = self.evaluation.champion
        return None if version is None else self.evaluation.contender(version)

    @property
    def rival(self) -> str:
        """What the candidate has to beat, as text for a sentence."""
        return "a constant prediction" if self.champion is None else f"version {self.champion.version}"

    def on_all_rows(self, metric_name: str, against: int | None) -> Comparison | None:
        """Return the comparison on all rows, if it could be made."""
        found = (c for c in self._comparisons(metric_name, against) if c.slice_key is None)
        return next(found, None)

    def on_slices(self) -> list[Comparison]:
        """Return the comparisons with the champion on the slices that are large enough."""
        against = self.evaluation.champion
        return [c for c in self._comparisons(self.policy.metric, against) if c.slice_key is not None]

    def _comparisons(self, metric_name: str, against: int | None) -> list[Comparison]:
        wanted = (self.version, metric_name, against)
        return [c for c in self.evaluation.comparisons if (c.candidate, c.metric, c.against) == wanted]


def corrected(p_values: Sequence[float], correction: Correction) -> list[float]:
    """Return p-values corrected for their number.

    Bonferroni multiplies by their number. Holm (1979), Scandinavian Journal of Statistics 6, 65-70, multiplies the
    smallest by the number, the next by one less, and so on, keeping their order; it is never less powerful.
    """
    if correction is Correction.NONE:
        return list(p_values)
    count = len(p_values)
    if correction is Correction.BONFERRONI:
        return [min(1.0, p * count) for p in p_values]
    result, largest = [0.0] * count, 0.0
    for rank, index in enumerate(sorted(range(count), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, p_values[index] * (count - rank)))
        result[index] = largest
    return result


def by_how_much(difference: float, digits: int = 4) -> str:
    """Return a difference that is positive where the candidate is better, as words: "worse by 0.0937"."""
    return f"{'worse' if difference < 0 else 'better'} by {abs(difference):.{digits}f}"


def plain(rule: str, candidate: int | None, passed: bool, sentence: str) -> Reason:
    """Return the reason of a rule that compares no numbers."""
    return Reason(rule=rule, candidate=candidate, passed=passed, value=None, threshold=None, sentence=sentence)


def number(rule: str, candidate: int | None, passed: bool, value: float, threshold: float, sentence: str) -> Reason:
    """Return the reason of a rule that compares a value with a threshold; what is not finite is left out."""
    found = [float(each) if math.isfinite(each) else None for each in (value, threshold)]
    return Reason(
        rule=rule, candidate=candidate, passed=bool(passed), value=found[0], threshold=found[1], sentence=sentence
    )


def at_least(rule: str, value: int, minimum: int, what: str) -> Reason:
    """Return the reason of a rule about the whole evaluation that demands a number of something."""
    return number(rule, None, value >= minimum, value, minimum, f"{value} {what}, at least {minimum} are needed")
