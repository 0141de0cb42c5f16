"""What the verdict of a card's version was based on, by the rules of the gate."""

from ml.card.facts import CardFacts
from ml.gate.basis import DecisionBasis, basis


def basis_of(facts: CardFacts) -> DecisionBasis:
    """Return the comparisons and slices of the version with their intervals, alone and as its rules corrected them."""
    own = [reason for reason in facts.reasons if reason.candidate == facts.version]
    return basis(facts.evaluation, facts.version, own, facts.policy)
