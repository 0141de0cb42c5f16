"""The gate's error rates are what is stated: measured on simulated test sets whose truth is known.

Small and seeded; ``python -m benchmarks.gate`` measures the same with many test sets. A rate counts as within its
level unless a binomial test at 0.1% contradicts it.
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from benchmarks.simulation.gate_test_sets import Rate, Setting, draw, promotion_rates
from ml.metrics.metric_table import METRICS
from ml.spec.gate_policy import ARTICLE, ARTICLE_UNPAIRED, DEFAULT_BINARY, Correction, GatePolicy, Method

DELONG = GatePolicy(name="delong", metric="roc_auc_score", method=Method.ANALYTIC, alpha=0.05)
BY_DAY = replace(DELONG, method=Method.ANALYTIC_BY_DAY)
SMALL = Setting(rows=2_000, days=20, slices=2)
TEST_SETS = 200


def contradicted(rate: Rate, alpha: float) -> bool:
    """Whether so many promotions are incompatible with a rate of at most alpha."""
    return bool(stats.binomtest(rate.promoted, rate.test_sets, alpha, alternative="greater").pvalue < 0.001)


def test_equal_models_are_promoted_no_more_often_than_the_stated_alpha() -> None:
    """DeLong by row and by day, and the default policy with all its guards, on the same test sets."""
    policies = {"delong": DELONG, "by day": BY_DAY, "default": DEFAULT_BINARY}
    rates = promotion_rates(SMALL, policies, test_sets=TEST_SETS, seed=1)
    for name, policy in policies.items():
        assert not contradicted(rates[name], policy.alpha), name
    assert rates["by day"].promoted >= rates["default"].promoted


def test_the_check_itself_can_fail() -> None:
    """At five percent, 25 of 200 would be called a contradiction; 15 would not."""
    assert contradicted(Rate(promoted=25, test_sets=200), 0.05)
    assert not contradicted(Rate(promoted=15, test_sets=200), 0.05)


def test_a_true_gain_is_found_and_a_loss_is_not_promoted() -> None:
    """A gain of 0.05 is promoted most of the time, a loss of 0.0085 hardly ever, guards and all."""
    policies = {"by day": BY_DAY, "default": DEFAULT_BINARY}
    gain = promotion_rates(replace(SMALL, gains=(0.05,)), policies, test_sets=50, seed=2)
    loss = promotion_rates(replace(SMALL, gains=(-0.0085,)), policies, test_sets=50, seed=3)
    assert gain["by day"].share > 0.8
    assert gain["default"].share > 0.6
    assert max(rate.share for rate in loss.values()) < 0.08


def test_where_days_differ_only_the_test_by_day_keeps_its_level() -> None:
    """Where each model has good and bad days, rows are not independent: only the test by day keeps its level."""
    rates = promotion_rates(replace(SMALL, day_spread=2.0), {"row": DELONG, "day": BY_DAY}, test_sets=TEST_SETS, seed=4)
    assert contradicted(rates["row"], DELONG.alpha)
    assert not contradicted(rates["day"], BY_DAY.alpha)


@pytest.mark.proof
def test_the_best_of_many_equal_candidates_is_no_discovery() -> None:
    """Among five equals the uncorrected test promotes too often, Holm's correction does not."""
    policies = {"none": replace(DELONG, correction=Correction.NONE), "holm": DELONG}
    rates = promotion_rates(replace(SMALL, gains=(0.0,) * 5), policies, test_sets=100, seed=5)
    assert contradicted(rates["none"], 0.05)
    assert not contradicted(rates["holm"], 0.05)


@pytest.mark.proof
def test_the_articles_code_finds_less_and_its_rule_promotes_more_than_it_says() -> None:
    """At the same true gain the unpaired code promotes less often than pairing; paired, equals pass near 10%."""
    policies = {"unpaired": replace(ARTICLE_UNPAIRED, reported=()), "paired": replace(ARTICLE, reported=())}
    gain = promotion_rates(replace(SMALL, gains=(0.03,)), policies, test_sets=40, seed=6)
    equal = promotion_rates(SMALL, policies, test_sets=40, seed=7)
    assert gain["unpaired"].promoted < gain["paired"].promoted
    assert not contradicted(equal["paired"], 0.12)


@pytest.mark.parametrize("gain", [0.0, 0.05])
def test_drawn_models_have_the_roc_auc_they_were_drawn_for(gain: float) -> None:
    """The truth of the simulation is the truth, and its contenders are calibrated."""
    drawn = draw(Setting(rows=200_000, gains=(gain,)), np.random.default_rng(1))
    for scores, truth in ((drawn.champion, 0.75), (drawn.candidates[0], 0.75 + gain)):
        assert METRICS["roc_auc_score"].function(drawn.labels, scores) == pytest.approx(truth, abs=0.006)
        assert METRICS["expected_calibration_error"].function(drawn.labels, scores) < 0.005


def test_a_rate_has_an_exact_interval_and_adds_up_over_a_year() -> None:
    """None of ten is compatible with up to 31%; 5% a month is nearly one in two a year."""
    assert Rate(promoted=0, test_sets=10).interval() == pytest.approx((0.0, 0.3085), abs=1e-4)
    assert Rate(promoted=5, test_sets=100).within(12) == pytest.approx(0.4596, abs=1e-4)
