"""Where a use case declares clusters the gate judges by them, says so, and refuses where there are too few."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from benchmarks.simulation.gate_test_sets import BOTH_WAYS, ENTITY, Drawn, Setting, draw, judge, promotion_rates
from benchmarks.units import SETTINGS
from ml.gate.verdict import Outcome
from ml.metrics.clusters import Units
from ml.metrics.days import days_of
from ml.metrics.standard_errors import delong
from ml.spec.clusters import DAY_MEMORY, Clusters, Entity, EntityKind
from ml.spec.gate_policy import DEFAULT_BINARY

POLICY = replace(DEFAULT_BINARY, slice_tolerance=None, guard_rails=(), calibration_limit=None)
SHOPS = Setting(rows=3_000, entities=40, entity_spread=1.0, entity_error=1.0, positive_share=0.2)
FIXED = Clusters(entities=(Entity(column=ENTITY, kind=EntityKind.FIXED),), day_memory=0)


def drawn(setting: Setting, seed: int = 0) -> Drawn:
    """One test set."""
    return draw(setting, np.random.default_rng(seed))


def test_equal_models_on_shared_entities_are_promoted_no_more_often_than_stated() -> None:
    """With days alone as units they are: the entity term is what holds the level."""
    policies = {"days": POLICY, "declared": POLICY}
    rates = promotion_rates(SHOPS, policies, test_sets=120, seed=1, clusters={"declared": BOTH_WAYS})
    alpha = POLICY.alpha or 0.0

    def p_value(name: str) -> float:
        return float(stats.binomtest(rates[name].promoted, 120, alpha, alternative="greater").pvalue)

    assert p_value("days") < 0.001
    assert p_value("declared") > 0.01


def test_a_real_improvement_is_still_found() -> None:
    """A gain of 0.1 is promoted with entities and days declared."""
    setting = replace(SHOPS, entities=200, gains=(0.1,))
    rates = promotion_rates(setting, {"declared": POLICY}, test_sets=20, seed=3, clusters={"declared": BOTH_WAYS})
    assert rates["declared"].share > 0.6


def test_the_verdict_says_what_the_units_were() -> None:
    """Numbers of days and entities, degrees of freedom, and which varies most; the numbers are those of the test."""
    found = drawn(replace(SHOPS, gains=(0.1,)))
    verdict = judge(found, POLICY, seed=0, clusters=BOTH_WAYS)
    units = Units(days=days_of(found.times), entities={ENTITY: found.entities}, day_memory=DAY_MEMORY)
    known = delong(found.labels, found.candidates[0], found.champion, groups=units)
    better = next(reason for reason in verdict.reasons if reason.rule == "better")
    said = (
        f"units: 28 days that may depend on the day before and 40 of store, {known.degrees_of_freedom:.1f} degrees of"
    )
    assert said in better.sentence
    assert f"the largest variance is by {known.dominant}" in better.sentence
    assert better.value == pytest.approx(known.p_above())
    counted = next(reason for reason in verdict.reasons if reason.rule == "entities")
    assert counted.sentence.startswith("40 sampled values of store, in effect 3")
    assert "units" not in next(r for r in judge(found, POLICY, seed=0).reasons if r.rule == "better").sentence


def test_fixed_entities_are_judged_by_day_and_named() -> None:
    """The decision is about these stores: the numbers are those of days alone."""
    found = drawn(SHOPS)
    fixed, plain = judge(found, POLICY, seed=0, clusters=FIXED), judge(found, POLICY, seed=0)
    named = next(reason for reason in fixed.reasons if reason.rule == "entities")
    assert named.sentence == "the verdict is about the 40 values of store that were seen, no others"
    values = [[reason.value for reason in verdict.reasons if reason.rule == "better"] for verdict in (fixed, plain)]
    assert values[0] == values[1]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"entities": 8}, "8 sampled values of store, in effect 8.0 of equal size, at least 15 are needed"),
        ({"entities": 30, "size_spread": 2.0}, "of equal size, at least 15 are needed"),
        ({"days": 20}, "20 days, each of which may depend on the day before by up to 0.5, at least 28 are needed"),
    ],
    ids=["few", "one has most rows", "few days"],
)
def test_too_few_clusters_are_refused_in_one_sentence(changes: dict[str, float], said: str) -> None:
    """With the number found and the number required; no candidate is judged."""
    verdict = judge(drawn(replace(SHOPS, gains=(0.15,), **changes)), POLICY, seed=0, clusters=BOTH_WAYS)
    assert verdict.outcome is Outcome.REFUSE
    assert said in verdict.sentence
    assert [reason.rule for reason in verdict.failed] == (["days"] if "days" in changes else ["entities"])
    remedy = (
        "evaluate 1.4 times as many days" if "days" in changes else "EntityKind.FIXED is for a decision about exactly"
    )
    assert remedy in verdict.sentence


@pytest.mark.parametrize(("days", "outcome"), [(55, Outcome.REFUSE), (56, Outcome.PROMOTE)])
def test_days_that_are_declared_to_remember_more_must_be_more(days: int, outcome: Outcome) -> None:
    """Of 0.7 there must be twice as many as of 0.5; the verdict says what was declared."""
    found = drawn(Setting(gains=(0.15,), days=days))
    verdict = judge(found, POLICY, seed=0, clusters=Clusters(day_memory=0.7))
    assert verdict.outcome is outcome
    counted = next(reason for reason in verdict.reasons if reason.rule == "days")
    assert "depend on the day before by up to 0.7, at least 56 are needed" in counted.sentence or counted.passed


def test_the_measured_streams_are_what_the_table_says() -> None:
    """Few and many entities, days that remember, and both."""
    counted = {setting.entities for name, setting in SETTINGS.items() if not name.startswith("both")}
    assert counted >= {20, 50, 200, 1_000}
    assert {s.entities for s in SETTINGS.values() if s.entities and s.day_memory} == {20, 50, 200, 1_000}
    assert all(s.gains == (0.0,) for s in SETTINGS.values())
