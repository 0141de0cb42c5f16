"""Variances of rows that depend on each other by day and by entity equal their definition, pair of rows by pair of rows."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ml.metrics.clusters import (
    DAY,
    Units,
    clustered_variance,
    cosines_of,
    effective_clusters,
    slow_variance,
    units_of,
)
from ml.metrics.quality_metrics import MetricError
from ml.metrics.standard_errors import delong, mean_error, paired_mean, roc_auc_error
from ml.spec.clusters import DAY_MEMORY, Clusters, Entity, EntityKind, dependent_days
from ml.spec.errors import DeclarationError

SAMPLED = Clusters(entities=(Entity(column="store", kind=EntityKind.SAMPLED),), day_memory=0)


def over_pairs(influence: np.ndarray, *keys: np.ndarray) -> float:
    """Sum the products of all pairs of rows that agree in every key, times G / (G - 1)."""
    alike = np.ones((influence.size, influence.size), dtype=bool)
    for key in keys:
        alike &= key[:, None] == key[None, :]
    groups = len(set(zip(*(key.tolist() for key in keys), strict=True)))
    return float(influence @ alike @ influence) * groups / (groups - 1) if groups > 1 else 0.0


def two_ways(influence: np.ndarray, days: np.ndarray, stores: np.ndarray) -> float:
    """Cameron, Gelbach and Miller's variance, never below that by one way."""
    by_day, by_store, by_both = (over_pairs(influence, *keys) for keys in ((days,), (stores,), (days, stores)))
    return max(by_day, by_store, by_day + by_store - by_both)


@st.composite
def rows(draw: st.DrawFn) -> tuple[np.ndarray, ...]:
    """Labels, two models' scores with ties, days with gaps and stores, at least two of each."""
    size = draw(st.integers(8, 60))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = (random.random(size) < draw(st.sampled_from([0.2, 0.5]))).astype(float)
    labels[:4] = 0.0, 0.0, 1.0, 1.0
    steps = draw(st.sampled_from([3, 1_000]))
    days = 10_000 + 3 * random.integers(0, draw(st.integers(2, 9)), size)
    stores = random.integers(0, draw(st.integers(2, 12)), size)
    days[:2], stores[:2] = (10_000, 10_003), (0, 1)
    return labels, random.integers(0, steps, size) / steps, random.integers(0, steps, size) / steps, days, stores


@given(case=rows())
@settings(max_examples=60, deadline=None)
def test_a_mean_has_the_variance_over_all_pairs_of_rows(case: tuple[np.ndarray, ...]) -> None:
    """The difference of two mean losses and one mean loss, by day and by store."""
    labels, first, second, days, stores = case
    units = Units(days=days, entities={"store": stores})
    losses = (labels - first) ** 2, (labels - second) ** 2
    difference = losses[0] - losses[1]
    expected = two_ways((difference - difference.mean()) / labels.size, days, stores)
    assert paired_mean(*losses, groups=units).standard_error ** 2 == pytest.approx(expected, abs=1e-12)
    alone = two_ways((losses[0] - losses[0].mean()) / labels.size, days, stores)
    assert mean_error(losses[0], units).value == pytest.approx(alone, abs=1e-12)


@given(case=rows())
@settings(max_examples=60, deadline=None)
def test_roc_auc_has_the_variance_over_all_pairs_of_rows(case: tuple[np.ndarray, ...]) -> None:
    """The influence of a row comes from the whole matrix of placements, positive by negative."""
    labels, first, second, days, stores = case

    def influence(scores: np.ndarray) -> np.ndarray:
        above, below = scores[labels == 1][:, None], scores[labels == 0][None, :]
        won = (above > below) + 0.5 * (above == below)
        found = np.empty(labels.size)
        found[labels == 1] = (won.mean(axis=1) - won.mean()) / won.shape[0]
        found[labels == 0] = (won.mean(axis=0) - won.mean()) / won.shape[1]
        return found

    units = Units(days=days, entities={"store": stores})
    expected = two_ways(influence(first) - influence(second), days, stores)
    assert delong(labels, first, second, groups=units).standard_error ** 2 == pytest.approx(expected, abs=1e-12)
    assert roc_auc_error(labels, first, units).value == pytest.approx(
        two_ways(influence(first), days, stores), abs=1e-12
    )


def test_two_kinds_of_entities_are_included_and_excluded() -> None:
    """With stores and accounts: the three ways, less each two of them, plus all three."""
    random = np.random.default_rng(3)
    days, stores, accounts = random.integers(0, 6, 90), random.integers(0, 7, 90), random.integers(0, 40, 90)
    influence = random.normal(size=90) + random.normal(size=7)[stores] + random.normal(size=6)[days]
    influence -= influence.mean()
    ways = (days, stores, accounts)
    one = [over_pairs(influence, way) for way in ways]
    two = [over_pairs(influence, *pair) for pair in ((days, stores), (days, accounts), (stores, accounts))]
    found = clustered_variance(influence, Units(days=days, entities={"store": stores, "account": accounts}))
    assert found.value == pytest.approx(max(*one, sum(one) - sum(two) + over_pairs(influence, *ways)))
    assert found.clusters == {DAY: 6, "store": 7, "account": len(set(accounts.tolist()))}


def test_the_fewest_clusters_give_the_degrees_of_freedom() -> None:
    """Twelve stores of equal size on 28 days: at most 11; the way that varies most is named."""
    random = np.random.default_rng(1)
    days, stores = np.repeat(np.arange(28), 48), np.tile(np.arange(12), 112)
    losses = random.normal(size=days.size) + 2 * random.normal(size=12)[stores]
    found = mean_error(losses, Units(days=days, entities={"store": stores}))
    assert found.freedom == pytest.approx(11)
    assert found.dominant == "store"
    assert found.standard_error == pytest.approx(2 / np.sqrt(12), rel=0.5)
    assert mean_error(losses, Units(days=days)).standard_error < found.standard_error / 5


def test_unequal_clusters_count_as_fewer() -> None:
    """Equal ones count as many as there are; one that has nearly all rows counts as one."""
    assert effective_clusters(np.repeat(np.arange(9), 5)) == pytest.approx(9)
    assert effective_clusters(np.r_[np.zeros(1_000, dtype=int), np.arange(1, 9)]) == pytest.approx(1, abs=0.02)
    assert effective_clusters(np.arange(0)) == 0


def test_fixed_entities_and_undeclared_ones_add_nothing() -> None:
    """Only the columns that are a sample become units; a missing value is an entity of its own."""
    rows = pd.DataFrame({"store": ["a", None, "a"], "carrier": ["x", "y", "x"]})
    declared = Clusters(entities=(*SAMPLED.entities, Entity(column="carrier", kind=EntityKind.FIXED)))
    units = units_of(np.arange(3), rows, declared)
    assert list(units.entities) == ["store"]
    assert units.entities["store"].tolist() == [0, 1, 0]
    assert units.day_memory
    assert not units_of(np.arange(3), rows, Clusters(day_memory=0)).entities


def test_days_that_remember_have_a_larger_variance_and_fewer_degrees_of_freedom() -> None:
    """On many streams the test keeps its level where days remember as declared, and where they do not."""
    random = np.random.default_rng(2)
    for memory, declared, most in ((0.0, 0.5, 0.035), (0.5, 0.5, 0.045), (0.7, 0.7, 0.045), (0.8, 0.8, 0.045)):
        needed = dependent_days(declared)
        shocks = random.normal(size=(needed, 2_000))
        days = shocks.copy()
        for day in range(1, needed):
            days[day] = memory * days[day - 1] + np.sqrt(1 - memory**2) * shocks[day]
        found = [slow_variance(one, declared) for one in days.T]
        assert {freedom for _, freedom in found} == {4.0}
        steps = days.sum(axis=0) / np.sqrt([variance for variance, _ in found])
        assert 0.015 < np.mean(steps > stats.t.isf(0.025, 4)) < most
    plain = days.sum(axis=0) / np.sqrt(needed * days.var(axis=0, ddof=1))
    assert np.mean(plain > stats.t.isf(0.025, needed - 1)) > 0.1


def test_more_memory_needs_more_days_and_allows_for_fewer_cosines() -> None:
    """28 days at 0.5 are the measure; less memory asks for no fewer, and a demand of one's own is scaled."""
    assert [dependent_days(memory) for memory in (0.2, 0.5, 0.7, 0.8)] == [28, 28, 56, 90]
    assert dependent_days(0.7, usual=10) == 20
    assert [cosines_of(days, 0.5) for days in (2, 28, 90, 365)] == [1, 4, 8, 20]
    assert [cosines_of(days, 0.8) for days in (28, 90, 365)] == [1, 4, 16]


def test_only_the_order_of_days_matters_for_their_memory() -> None:
    """Days far apart in number are neighbours if no day lies between them."""
    random = np.random.default_rng(4)
    days, losses = np.repeat(np.arange(30), 20), random.normal(size=600)
    found = mean_error(losses, Units(days=days, day_memory=DAY_MEMORY))
    scattered = mean_error(losses, Units(days=days * 100_000 + 7, day_memory=DAY_MEMORY))
    assert scattered == found
    order = random.permutation(600)
    assert mean_error(losses[order], Units(days=days[order], day_memory=DAY_MEMORY)).value == pytest.approx(found.value)


def test_the_units_of_some_rows_are_theirs() -> None:
    """A slice keeps day, entity and memory of its rows."""
    units = Units(days=np.arange(4), entities={"store": np.array([0, 1, 0, 1])}, day_memory=DAY_MEMORY)
    taken = units.take(np.array([False, True, False, True]))
    assert (taken.days.tolist(), taken.entities["store"].tolist(), taken.day_memory) == ([1, 3], [1, 1], DAY_MEMORY)
    assert units.without_entities().entities == {}


def test_a_single_entity_has_no_spread() -> None:
    """The message names the column."""
    units = Units(days=np.arange(4), entities={"store": np.zeros(4, dtype=np.int64)})
    with pytest.raises(MetricError, match="a test by 'store' needs two of them, got 1"):
        mean_error(np.arange(4.0), units)


def test_a_contradictory_declaration_is_refused() -> None:
    """A column twice, or more sampled entities than a variance has terms for."""
    names = [Entity(column=name, kind=EntityKind.SAMPLED) for name in ("a", "a", "b")]
    with pytest.raises(DeclarationError, match=r"a is declared more than once; 3 entities are sampled, at most 2"):
        Clusters(entities=tuple(names))
