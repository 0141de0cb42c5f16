"""What errors cost, and the decision that follows; imports the standard library only.

`Costs` states it of two decisions, to act or not, `ClassCosts` of one of several classes. `loss_table` says the same of both, by
which `ml.metrics.decision_costs` decides and measures.

References
----------
Elkan (2001), "The foundations of cost-sensitive learning", IJCAI 17, 973-978: the decision that costs least in expectation,
over the probabilities of what is true. Of two, acting costs least from the probability on at which what acting in vain costs
equals what not acting would.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from ml.spec.declaring import gathered, type_mistakes
from ml.spec.errors import DeclarationError
from ml.spec.near_miss import did_you_mean
from ml.spec.target import MultiClass, Target

COST_PER_REQUEST = "cost_per_request_loss"
"""The metric that a use case with costs has besides the others of its problem."""
DECISION, DECISION_THRESHOLD = "decision", "decision_threshold"
"""The columns of predictions of such a use case; of several classes there is no threshold."""


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
    def columns(self) -> Mapping[str, tuple[str, str]]:
        """The columns that predictions then have, each with its type and what it says."""
        return {
            DECISION: ("boolean", "whether to act: whether the score reaches the threshold"),
            DECISION_THRESHOLD: ("double", "from which on acting costs least in expectation"),
        }

    @property
    def sentence(self) -> str:
        """What is declared and what follows, in one sentence."""
        unit = f" {self.unit}" if self.unit else ""
        benefit = f", a benefit of {self.benefit:g}{unit} is missed with it" if self.benefit else ""
        return (
            f"acting in vain costs {self.false_positive:g}{unit}, not acting {self.false_negative:g}{unit}{benefit}: act from a "
            f"probability of {self.threshold:.4g} on"
        )


@dataclass(frozen=True, kw_only=True)
class ClassCosts:
    """What it costs to decide for a class where another one is true, for every two of several classes.

    Attributes
    ----------
    amounts
        Name of the true class to the name of the decided one to what that decision costs. A right decision may cost
        something too; left out, it costs nothing, and is kept as 0.
    unit
        Of all amounts, such as ``EUR``.
    """

    amounts: Mapping[str, Mapping[str, float]]
    unit: str = ""

    @gathered
    def __post_init__(self) -> None:
        mistakes = type_mistakes(self) or list(_amount_mistakes(self.amounts))
        if not mistakes:
            stated = {true: {true: 0.0, **row} for true, row in self.amounts.items()}
            object.__setattr__(self, "amounts", stated)
            mistakes = [
                f"deciding for {decided!r} costs least whatever is true, so the same decision is always right; give its errors a "
                "cost"
                for decided in self.amounts
                if all(row[decided] <= min(row.values()) for row in stated.values())
            ]
        if mistakes:
            raise DeclarationError(f"costs: {'; '.join(mistakes)}.")

    @property
    def columns(self) -> Mapping[str, tuple[str, str]]:
        """The columns that predictions then have, each with its type and what it says."""
        return {DECISION: ("string", "the class for which to decide: that costs least in expectation")}

    @property
    def sentence(self) -> str:
        """What is declared and what follows, in one sentence."""
        errors = sorted(
            (amount, true, decided)
            for true, row in self.amounts.items()
            for decided, amount in row.items()
            if decided != true
        )
        least, most = (
            f"{amount:g}{f' {self.unit}' if self.unit else ''} ({decided} where {true} is true)"
            for amount, true, decided in (errors[0], errors[-1])
        )
        return f"errors cost from {least} to {most}: decide for the class that costs least in expectation"


ErrorCosts = Costs | ClassCosts
"""What a use case declares as its ``costs``."""


def decisions(problem: Target) -> tuple[str, ...]:
    """Return what can be decided, in the order of the columns of the loss table."""
    return problem.classes if isinstance(problem, MultiClass) else ("do not act", "act")


def loss_table(costs: ErrorCosts, problem: Target) -> tuple[tuple[float, ...], ...]:
    """Return what each decision costs beyond the cheapest one, a row for each true class in the order of their labels.

    Differences of two decisions are those of the declared amounts.
    """
    if isinstance(costs, Costs):
        return (0.0, costs.false_positive), (costs.missed, 0.0)
    rows = [[costs.amounts[true][decided] for decided in problem.classes] for true in problem.classes]
    return tuple(tuple(amount - min(row) for amount in row) for row in rows)


def restored_costs(stored: Mapping[str, Any] | None) -> ErrorCosts | None:
    """Return costs from their fields, as `dataclasses.asdict` gives them."""
    if not stored:
        return None
    return ClassCosts(**stored) if "amounts" in stored else Costs(**stored)


def _amount_mistakes(amounts: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the amounts, of each true class."""
    if not amounts:
        yield "amounts are empty; state for each true class what every decision costs"
    for true, row in amounts.items():
        if not isinstance(row, Mapping):
            yield f"amounts of {true!r} are {row!r}; give a mapping of each decided class to what that costs"
            continue
        if missing := [decided for decided in amounts if decided != true and decided not in row]:
            yield f"amounts of {true!r} lack {', '.join(map(repr, missing))}; state what deciding for each costs"
        for decided, amount in row.items():
            if decided not in amounts:
                near = did_you_mean(str(decided), amounts)
                yield f"amounts of {true!r} have {decided!r}, which is no true class; {near or 'leave it out'}"
            if isinstance(amount, bool) or not isinstance(amount, (int, float)):
                yield f"amounts of {true!r} have {decided!r}: {amount!r}; give a number"
            elif not (isfinite(amount) and amount >= 0):
                yield f"amounts of {true!r} have {decided!r}: {amount}; give an amount of 0 or more"
