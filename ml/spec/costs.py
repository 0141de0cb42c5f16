"""What errors cost, and the threshold of the decision that follows; imports the standard library only.

References
----------
Elkan (2001), "The foundations of cost-sensitive learning", IJCAI 17, 973-978: acting costs least, in expectation, from the
probability on at which what acting in vain costs equals what not acting would.
"""

from dataclasses import dataclass
from math import isfinite

from ml.spec.declaring import gathered, type_mistakes
from ml.spec.errors import DeclarationError

COST_PER_REQUEST = "cost_per_request_loss"
"""The metric that a use case with costs has besides the others of its problem."""
DECISION, DECISION_THRESHOLD = "decision", "decision_threshold"
"""The columns of predictions of such a use case."""


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What a decision to act costs where the label is 0, and one not to act where it is 1.

    Attributes
    ----------
    false_positive
        Of acting on a request whose label is 0.
    false_negative
        Of not acting on a request whose label is 1.
    benefit
        What acting on a request whose label is 1 brings: it is missed where nobody acts, so there it is a cost as well.
    unit
        Of all three, such as ``EUR``.
    """

    false_positive: float
    false_negative: float
    benefit: float = 0.0
    unit: str = ""

    @gathered
    def __post_init__(self) -> None:
        mistakes = type_mistakes(self)
        if not mistakes:
            amounts = {name: getattr(self, name) for name in ("false_positive", "false_negative", "benefit")}
            mistakes = [
                f"{name} is {value}; give an amount of 0 or more"
                for name, value in amounts.items()
                if not (isfinite(value) and value >= 0)
            ]
        if not mistakes and not (self.false_positive > 0 and self.missed > 0):
            mistakes = ["one kind of error costs nothing, so the same decision is always right; give both a cost"]
        if mistakes:
            raise DeclarationError(f"costs: {'; '.join(mistakes)}.")

    @property
    def missed(self) -> float:
        """What not acting on a request whose label is 1 costs, with the benefit that was missed."""
        return self.false_negative + self.benefit

    @property
    def threshold(self) -> float:
        """The probability from which on acting costs least in expectation, by Bayes' rule."""
        return self.false_positive / (self.false_positive + self.missed)

    @property
    def sentence(self) -> str:
        """What is declared and what follows, in one sentence."""
        unit = f" {self.unit}" if self.unit else ""
        benefit = f", a benefit of {self.benefit:g}{unit} is missed with it" if self.benefit else ""
        return (
            f"acting in vain costs {self.false_positive:g}{unit}, not acting {self.false_negative:g}{unit}{benefit}: act from a "
            f"probability of {self.threshold:.4g} on"
        )
