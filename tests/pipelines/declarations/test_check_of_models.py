"""`check` finds what is wrong with how models are declared to be fitted and judged."""

import re
from pathlib import Path

import pytest

from tests.pipelines.declarations.test_check import check
from tests.pipelines.declarations.trial_folder import NAME, replace

API = "__import__('pipelines.api').api"
MISTAKES = {
    "weight=API.Weight(column='prediction_at')": "weight: 'prediction_at' is a timestamp; give one of int, bigint, double, boolean.",
    "weight=API.Weight(column='label')": "weight: 'label' is a column that all labels have; name one of its own.",
    "weight=API.Weight(column='hour', missing=-1)": "weight: missing is -1; give a number of 0 or more.",
    "weight=API.Weight(column='hour', in_metrics='yes')": "weight: in_metrics is 'yes'; give True or False.",
    "weight='hour'": "weight is 'hour'; give a Weight or None.",
    "weight=API.Weight(column='scheduled_minute')": "weight: 'scheduled_minute' is provided by nobody: did you mean 'scheduled_minutes'? Labels, spine, lookups and",
    "costs=API.Costs(false_positive=-1, false_negative=2)": "costs: false_positive is -1; give an amount of 0 or more.",
    "costs=API.Costs(false_positive=1, false_negative=0)": "costs: one kind of error costs nothing, so the same decision is always right; give both a cost.",
    "costs=API.Costs(false_positive='1', false_negative=2)": "costs: false_positive is '1'; give a number.",
    "costs={'false_positive': 1}": "costs is {'false_positive': 1}; give a Costs or a ClassCosts or None.",
}  # fmt: skip
"""What a use case declares besides, and what is said."""
SEARCHES = {
    "search=API.Search(space={'C': API.Real(low=0.1, high=10)}, trials=0)": "search: trials is 0; give 1 or more.",
    "search=API.Search(space={'C': API.Real(low=10, high=0.1)}, trials=3)": "search: low is 10 and high 0.1; give numbers, the smaller one first.",
    "search=API.Search(space={'C': API.Real(low=0, high=1, log=True)}, trials=3)": "search: low is 0, which has no logarithm; give more than 0 or leave log out.",
    "search=API.Search(space={'C': (0.1, 10)}, trials=3)": "search: space has C=(0.1, 10); give a Real, a Whole or OneOf.",
    "search=API.Search(space={}, trials=3)": "search: space is empty; name at least one parameter.",
    "search=API.Search(space={'CC': API.Real(low=0.1, high=10)}, trials=3)": "sklearn.linear_model.LogisticRegression takes no parameter 'CC' (did you mean 'C'?)",
    "search=API.Search(space={'C': API.Real(low=-1, high=10)}, trials=3)": "The 'C' parameter of LogisticRegression must be a float in the range",
    "search=API.Search(space={'solver': API.OneOf(values=('lbfgs', 'lbgfs'))}, trials=3)": "The 'solver' parameter of LogisticRegression must be a str among",
    "parameters={'C': 100.0}, search=API.Search(space={'C': API.Real(low=0.1, high=10)}, trials=3)": "parameters has C=100.0, which is the first trial and not in the space of the search",
    "search=7": "estimator 'linear': search is 7; give a Search or None.",
    "calibration_share=1": "estimator 'linear': calibration_share is 1; give a number between 0 and 1.",
    "calibration='isotonic_regression'": "estimator 'linear': calibration is 'isotonic_regression'; give none or sigmoid or isotonic",
}  # fmt: skip
"""What an estimator declares besides, and what is said."""
CLASSES = {
    "sklearn.linear_model.LogisticRegression": None,
    "sklearn.neighbors.KNeighborsClassifier": "the use case declares a weight, and fit of sklearn.neighbors.KNeighborsClassifier takes no sample_weight",
}
"""Estimators of a use case with a weight, and what is said."""


def declare(declared: Path, text: str) -> None:
    """Add arguments to the declaration of the use case."""
    replace(declared, "declaration", "    model=MODEL,", f"    model=MODEL,\n    {text.replace('API', API)},")


@pytest.mark.usefixtures("embedded_spark")
@pytest.mark.parametrize(("text", "said"), MISTAKES.items(), ids=MISTAKES.values())
def test_check_says_what_is_wrong(declared: Path, capsys: pytest.CaptureFixture[str], text: str, said: str) -> None:
    """One sentence and exit code 2; no traceback and no class of errors."""
    declare(declared, text)
    code, out, err = check(capsys, NAME)
    assert (code, out) == (2, ""), out
    assert said in err
    assert not re.search(r"Traceback|\b[A-Z]\w*(Error|Exception)\b", err)


@pytest.mark.usefixtures("embedded_spark")
@pytest.mark.parametrize(("text", "said"), SEARCHES.items(), ids=SEARCHES.values())
def test_check_says_what_is_wrong_with_an_estimator(
    declared: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    """Each end of a range and each value is tried by the constructor."""
    replace(declared, "declaration", 'name="linear",', f'name="linear",\n        {text.replace("API", API)},')
    code, out, err = check(capsys, NAME)
    assert (code, out) == (2, ""), out
    assert said in err
    assert not re.search(r"Traceback|\b[A-Z]\w*(Error|Exception)\b", err)


@pytest.mark.usefixtures("embedded_spark")
@pytest.mark.parametrize(("estimator", "said"), CLASSES.items())
def test_an_estimator_must_take_the_weights(
    declared: Path, capsys: pytest.CaptureFixture[str], estimator: str, said: str | None
) -> None:
    """Asked before anything runs."""
    declare(declared, "weight=API.Weight(column='hour')")
    replace(declared, "declaration", "sklearn.linear_model.LogisticRegression", estimator)
    code, _, err = check(capsys, NAME)
    assert (code, err) == (0, "") if said is None else (code == 2 and said in err)


@pytest.mark.usefixtures("embedded_spark")
def test_a_gate_that_judges_money_needs_costs(declared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And is right with them."""
    replace(declared, "declaration", 'policy("default"', 'policy("least_cost"')
    code, _, err = check(capsys, NAME)
    assert code == 2
    assert "cost_per_request_loss is judged and no costs are declared: give costs=Costs(...)." in err
    declare(declared, "costs=API.Costs(false_positive=1, false_negative=9)")
    assert check(capsys, NAME)[0] == 0


def declare_classes(declared: Path, costs: str, gate: str = "least_cost") -> None:
    """Let the use case predict one of three classes, with these costs."""
    classes = f"{API}.MultiClass(classes=('early', 'on_time', 'late'))"
    replace(declared, "declaration", "problem=Problem.BINARY,", f"problem={classes},")
    replace(declared, "declaration", 'policy("default", Problem.BINARY)', f"policy({gate!r}, {classes})")
    if costs:
        declare(declared, f"costs={costs}")


RIGHT = "'early': {'on_time': 1, 'late': 2}, 'on_time': {'early': 2, 'late': 1}"
CLASS_COSTS = {
    "API.Costs(false_positive=1, false_negative=9)": ["costs are Costs, which a multi-class problem has not; give costs=ClassCosts(...)."],
    f"API.ClassCosts(amounts={{{RIGHT}, 'lat': {{'early': 1, 'on_time': 1}}}})": [
        "costs: amounts of 'early' lack 'lat'; state what deciding for each costs; amounts of 'early' have 'late', which is no true class; did you mean 'lat'?",
        "costs: amounts have no class 'late'; state what each decision costs where it is true.",
        "costs: unknown class 'lat': did you mean 'late'?",
    ],
    f"API.ClassCosts(amounts={{{RIGHT}, 'late': {{'early': -1, 'on_time': 'x'}}}})": [
        "costs: amounts of 'late' have 'early': -1; give an amount of 0 or more; amounts of 'late' have 'on_time': 'x'; give a number."
    ],
    f"API.ClassCosts(amounts={{{RIGHT}, 'late': 5}})": ["costs: amounts of 'late' are 5; give a mapping of each decided class to what that costs."],
    "API.ClassCosts(amounts=[1, 2])": ["costs: amounts is [1, 2]; give a mapping whose names are each a text."],
    "API.ClassCosts(amounts={'early': {'on_time': 1, 'late': 0}, 'on_time': {'early': 2, 'late': 0}, 'late': {'early': 1, 'on_time': 1}})": [
        "costs: deciding for 'late' costs least whatever is true, so the same decision is always right; give its errors a cost."
    ],
    "": ["cost_per_request_loss is judged and no costs are declared: give costs=ClassCosts(...)."],
}  # fmt: skip
"""Costs of a use case of several classes, and what is said, all at once."""


@pytest.mark.usefixtures("embedded_spark")
@pytest.mark.parametrize(("costs", "said"), CLASS_COSTS.items(), ids=[said[0] for said in CLASS_COSTS.values()])
def test_check_says_what_is_wrong_with_costs_of_classes(
    declared: Path, capsys: pytest.CaptureFixture[str], costs: str, said: list[str]
) -> None:
    """Every mistake of the amounts, and of what they have to do with the classes."""
    declare_classes(declared, costs)
    code, out, err = check(capsys, NAME)
    assert (code, out) == (2, ""), out
    for sentence in said:
        assert sentence in err
    assert not re.search(r"Traceback|\b[A-Z]\w*(Error|Exception)\b", err)


@pytest.mark.usefixtures("embedded_spark")
def test_costs_of_classes_are_right_for_classes_and_wrong_for_two(
    declared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And a column of predictions is no input."""
    costs = f"{API}.ClassCosts(amounts={{{RIGHT}, 'late': {{'early': 9, 'on_time': 6, 'late': 1}}}})"
    declare(declared, f"costs={costs}")
    assert check(capsys, NAME)[0] == 2
    replace(declared, "declaration", f"\n    costs={costs},", "")
    declare_classes(declared, costs)
    assert check(capsys, NAME)[0] == 0


@pytest.mark.usefixtures("embedded_spark")
def test_a_policy_without_a_test_with_weights_is_named(declared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The method, and each metric, all at once."""
    declare(declared, "weight=API.Weight(column='hour', in_metrics=True)")
    replace(
        declared, "declaration", "name=NAME),\n    # When", "name=NAME, metric='average_precision_score'),\n    # When"
    )
    code, _, err = check(capsys, NAME)
    assert code == 2
    assert "weight: the gate's average_precision_score has no test with weights; give roc_auc_score, log_loss" in err
