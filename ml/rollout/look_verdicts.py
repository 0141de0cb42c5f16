"""What the gate says at one look at a challenger: whether it goes on, whether it shows a fault, whether the champion is better.

The three have levels of their own (`ml.rollout.looks`), so that looking often neither promotes nor returns by chance.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from ml.evaluation.record import Evaluation
from ml.gate.decision import decide
from ml.gate.verdict import Verdict
from ml.rollout.looks import policy_of_faults, policy_of_look, policy_turned
from ml.spec.costs import ErrorCosts
from ml.spec.gate_policy import GatePolicy


@dataclass(frozen=True, kw_only=True)
class LookVerdicts:
    """The verdicts of one look.

    Attributes
    ----------
    verdict
        With the challenger as the candidate.
    faults
        The same, with guards that spend their level over the looks; None where the gate could not decide.
    exchanged
        With the champion as the candidate; None where the gate could not decide.
    """

    evaluation: Evaluation
    verdict: Verdict
    faults: Verdict | None = None
    exchanged: Verdict | None = None

    @property
    def decides(self) -> bool:
        """Whether the rows were enough for a decision."""
        return _allows_a_decision(self.verdict)


def verdicts_of_look(
    gate: GatePolicy, look: int, *, measured: Callable[[GatePolicy, bool], Evaluation], costs: ErrorCosts | None
) -> LookVerdicts:  # fmt: skip
    """Return what the gate says at a look.

    Parameters
    ----------
    gate
        As the use case declares it.
    look
        1 for the first look of a stage at which the gate can decide.
    measured
        Gives the evaluation for a policy; with True the one with the roles exchanged.
    costs
        Of errors, as declared now.
    """
    policy = policy_of_look(gate, look)
    evaluation = measured(policy, False)
    verdict = decide(evaluation, policy, costs)
    if not _allows_a_decision(verdict):
        return LookVerdicts(evaluation=evaluation, verdict=verdict)
    spent, turned = policy_of_faults(gate, look), policy_turned(gate, look)
    # The levels of guards are no part of what is measured, so the same measurements serve.
    faults = decide(replace(evaluation, policy_digest=spent.digest), spent, costs)
    return LookVerdicts(
        evaluation=evaluation, verdict=verdict, faults=faults, exchanged=decide(measured(turned, True), turned, costs)
    )


def _allows_a_decision(verdict: Verdict) -> bool:
    return not any(reason.candidate is None for reason in verdict.failed)
