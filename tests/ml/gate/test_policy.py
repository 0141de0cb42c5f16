"""A policy is checked when it is stated, found by name, and has a digest of every demand."""

import subprocess
import sys
from dataclasses import fields, replace
from typing import Any

import pytest

from ml.metrics.metric_table import metric
from ml.spec.estimator import Problem
from ml.spec.gate_policy import (
    ARTICLE,
    DEFAULT_BINARY,
    POLICIES,
    Correction,
    GatePolicy,
    GuardRail,
    Method,
    PolicyError,
    policy,
)
from ml.spec.target import MultiClass, Target

OTHER = {
    "name": "other",
    "metric": "log_loss",
    "method": Method.ANALYTIC,
    "correction": Correction.BONFERRONI,
    "guard_rails": (),
    "reported": ("brier_loss",),
    "margin": 0.01,
    "resamples": 7,
    "limit": 0.6,
}


@pytest.mark.parametrize("field", [field.name for field in fields(GatePolicy)])
def test_every_demand_is_in_the_digest(field: str) -> None:
    """Changing any one field gives another digest, so an evaluation measured for it is not decided on."""
    stated = ARTICLE if field == "minimum_win_share" else DEFAULT_BINARY
    now = getattr(stated, field)
    other = OTHER[field] if field in OTHER else now // 2 if isinstance(now, int) else now / 2
    assert replace(stated, **{field: other}).digest != stated.digest


def test_a_digest_is_the_same_for_the_same_demands() -> None:
    """It does not depend on the process or the object."""
    assert replace(DEFAULT_BINARY).digest == DEFAULT_BINARY.digest


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alpha": None}, "give either alpha or minimum_win_share"),
        ({"minimum_win_share": 0.9}, "give either alpha or minimum_win_share"),
        ({"alpha": 1.5}, "alpha=1.5 must lie between 0 and 1"),
        ({"alpha": None, "minimum_win_share": 0.9}, "a share of wins needs a bootstrap"),
        ({"method": Method.DAY_BOOTSTRAP}, "needs resamples, got 0"),
        ({"minimum_rows": 0}, "minimum_rows and minimum_positives start at 1"),
        ({"latency_ratio": 0.0}, "latency_ratio must be above 0"),
        ({"slice_tolerance": -0.1}, "tolerances are 0 or more"),
        ({"guard_rails": (GuardRail(metric="log_loss", tolerance=-1.0),)}, "tolerances are 0 or more"),
    ],
)
def test_a_policy_that_contradicts_itself_cannot_be_stated(changes: dict[str, Any], message: str) -> None:
    """The message names the policy and the demand."""
    with pytest.raises(PolicyError, match=f"gate policy 'default': .*{message}"):
        replace(DEFAULT_BINARY, **changes)


def test_every_mistake_in_a_policy_is_reported_at_once() -> None:
    """One error lists all of them."""
    with pytest.raises(PolicyError, match=r"(?s)alpha=2.*minimum_rows.*latency_ratio"):
        replace(DEFAULT_BINARY, alpha=2, minimum_rows=0, latency_ratio=-1)


@pytest.mark.parametrize("problem", [*Problem, MultiClass(classes=("a", "b", "c"))], ids=str)
def test_every_named_policy_is_of_its_problem(problem: Target) -> None:
    """It can be called by its name, and its metrics exist for the problem."""
    for known in POLICIES[str(problem)]:
        assert policy(known.name, problem) is known
        for name in known.compared:
            assert metric(name, problem).name == name
    names = {"default", "article"} if isinstance(problem, Problem) else {"default", "non_inferior"}
    assert names <= {known.name for known in POLICIES[str(problem)]}


def test_an_unknown_policy_is_answered_with_the_nearest_one() -> None:
    """The message lists those that exist."""
    with pytest.raises(
        PolicyError, match=r"unknown gate policy for a binary problem 'artcle': did you mean 'article'\?"
    ):
        policy("artcle", Problem.BINARY)


def test_the_articles_rule_is_the_articles() -> None:
    """Ninety percent of a hundred resamples, each shared by both models."""
    assert (ARTICLE.resamples, ARTICLE.minimum_win_share, ARTICLE.method) == (100, 0.9, Method.PAIRED_BOOTSTRAP)


def test_declarations_can_state_a_policy_without_loading_numpy() -> None:
    """The module stands on the standard library alone."""
    code = "import sys, ml.spec.gate_policy; print(sorted({'numpy', 'pandas', 'scipy', 'sklearn'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
