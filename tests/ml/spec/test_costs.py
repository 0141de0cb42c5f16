"""Costs of errors of several classes: complete, amounts of money, and worth a decision; every mistake at once."""

import pickle
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from ml.spec.costs import ClassCosts, Costs, decisions, loss_table, restored_costs
from ml.spec.errors import DeclarationError
from ml.spec.estimator import Problem
from ml.spec.target import MultiClass

SIZES = MultiClass(classes=("light", "middle", "heavy"))
AMOUNTS: dict[str, dict[str, float]] = {
    "heavy": {"light": 9.0, "middle": 4.0, "heavy": 2.0},
    "light": {"middle": 1.0, "heavy": 3.0},
    "middle": {"light": 2.0, "heavy": 1.0},
}
PRICES = ClassCosts(amounts=AMOUNTS, unit="EUR")


def test_the_table_has_a_row_for_each_true_class_in_the_order_of_the_labels() -> None:
    """Beyond what the cheapest decision costs, whatever the order of the declaration."""
    assert loss_table(PRICES, SIZES) == ((0.0, 1.0, 3.0), (2.0, 0.0, 1.0), (7.0, 2.0, 0.0))
    assert decisions(SIZES) == SIZES.classes


def test_two_classes_have_the_table_that_acting_or_not_makes() -> None:
    """A missed benefit is a cost of not acting."""
    costs = Costs(false_positive=2.0, false_negative=3.0, benefit=1.0)
    assert loss_table(costs, Problem.BINARY) == ((0.0, 2.0), (4.0, 0.0))
    assert decisions(Problem.BINARY) == ("do not act", "act")


def test_an_error_may_cost_less_than_what_is_right() -> None:
    """Where looking into a small case costs more than to let it go: the cheapest decision is what nothing is lost by."""
    amounts = {**AMOUNTS, "light": {"light": 5.0, "middle": 1.0, "heavy": 3.0}}
    assert loss_table(ClassCosts(amounts=amounts), SIZES)[0] == (4.0, 0.0, 2.0)


def test_what_a_right_decision_costs_may_be_left_out() -> None:
    """It is the same declaration with a 0."""
    stated = {true: {true: 0.0, **row} for true, row in AMOUNTS.items()}
    assert ClassCosts(amounts=stated, unit="EUR") == PRICES
    assert replace(PRICES, unit="USD") != PRICES


def test_costs_are_stored_and_read_back() -> None:
    """Of both kinds; a mapping that cannot be changed is kept as one that can be stored."""
    frozen = ClassCosts(amounts=MappingProxyType({true: MappingProxyType(row) for true, row in AMOUNTS.items()}))
    assert pickle.loads(pickle.dumps(frozen)) == frozen == replace(PRICES, unit="")  # noqa: S301 - written here
    assert restored_costs({"amounts": AMOUNTS, "unit": "EUR"}) == PRICES
    assert restored_costs({"false_positive": 1.0, "false_negative": 2.0}) == Costs(false_positive=1, false_negative=2)
    assert restored_costs(None) is None


def test_the_sentence_names_the_least_and_the_dearest_error() -> None:
    """And the rule of the decision."""
    assert PRICES.sentence == (
        "errors cost from 1 EUR (middle where light is true) to 9 EUR (light where heavy is true): decide for the class that "
        "costs least in expectation"
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"heavy": 7}, "amounts of 'heavy' are 7; give a mapping of each decided class to what that costs"),
        ({"heavy": {"light": 9.0}}, "amounts of 'heavy' lack 'middle'; state what deciding for each costs"),
        ({"heavy": {"light": 9.0, "midle": 4.0, "middle": 4.0}}, "have 'midle', which is no true class; did you mean 'middle'?"),
        ({"heavy": {"light": -1.0, "middle": 4.0}}, "amounts of 'heavy' have 'light': -1.0; give an amount of 0 or more"),
        ({"heavy": {"light": float("inf"), "middle": 4.0}}, "have 'light': inf; give an amount of 0 or more"),
        ({"heavy": {"light": float("nan"), "middle": 4.0}}, "have 'light': nan; give an amount of 0 or more"),
        ({"heavy": {"light": "9", "middle": 4.0}}, "amounts of 'heavy' have 'light': '9'; give a number"),
        ({"heavy": {"light": True, "middle": 4.0}}, "amounts of 'heavy' have 'light': True; give a number"),
        (
            {"light": {"middle": 0.0, "heavy": 3.0}, "heavy": {"light": 9.0, "middle": 2.0, "heavy": 2.0}},
            "deciding for 'middle' costs least whatever is true, so the same decision is always right; give its errors a cost",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(changes: dict[str, Any], said: str) -> None:
    """In one sentence: where, what was found, what is allowed."""
    with pytest.raises(DeclarationError) as refused:
        ClassCosts(amounts={**AMOUNTS, **changes})
    assert said in str(refused.value)


def test_every_mistake_is_said_at_once() -> None:
    """Of every class."""
    with pytest.raises(DeclarationError, match=r"costs: .*'heavy' lack 'middle'.*; .*'light' have 'middle': -1"):
        ClassCosts(amounts={**AMOUNTS, "heavy": {"light": 9.0}, "light": {"middle": -1, "heavy": 3.0}})
    with pytest.raises(
        DeclarationError, match="amounts are empty; state for each true class what every decision costs"
    ):
        ClassCosts(amounts={})
    with pytest.raises(DeclarationError, match="amounts is 3; give a mapping whose names are each a text; unit is 4"):
        ClassCosts(amounts=3, unit=4)  # type: ignore[arg-type]  # what it refuses
