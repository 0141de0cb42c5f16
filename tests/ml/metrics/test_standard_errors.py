"""DeLong's test is exact: it equals the definition over all pairs, with ties, and its variance by days is right."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ml.metrics.bootstrap import paired_bootstrap
from ml.metrics.metric_table import METRICS
from ml.metrics.quality_metrics import MetricError
from ml.metrics.standard_errors import Difference, delong, mean_error, paired_mean, placements, roc_auc_error


def brute_force(labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, float]:
    """DeLong, DeLong and Clarke-Pearson's definition, pair by pair."""
    components = []
    for scores in (first, second):
        above, below = scores[labels == 1][:, None], scores[labels == 0][None, :]
        components.append((above > below) + 0.5 * (above == below))
    v10 = np.array([c.mean(axis=1) for c in components])
    v01 = np.array([c.mean(axis=0) for c in components])
    covariance = np.cov(v10) / v10.shape[1] + np.cov(v01) / v01.shape[1]
    contrast = np.array([1.0, -1.0])
    return v10.mean(axis=1), float(np.sqrt(max(0.0, contrast @ covariance @ contrast)))


@st.composite
def rows(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two models' scores with many ties, at least two rows of each class."""
    size = draw(st.integers(4, 40))
    seed = draw(st.integers(0, 2**32 - 1))
    generator = np.random.default_rng(seed)
    labels = (generator.random(size) < draw(st.sampled_from([0.2, 0.5, 0.8]))).astype(float)
    labels[:4] = 0.0, 0.0, 1.0, 1.0
    steps = draw(st.sampled_from([2, 5, 1_000]))
    return labels, generator.integers(0, steps, size) / steps, generator.integers(0, steps, size) / steps


def correlated(rows: int = 4_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two similar models on the same rows."""
    generator = np.random.default_rng(seed)
    labels = (generator.random(rows) < 0.2).astype(float)
    shared = generator.normal(size=rows) + labels
    return labels, shared + 0.6 * generator.normal(size=rows), shared + 0.8 * generator.normal(size=rows)


@given(case=rows())
@settings(max_examples=80, deadline=None)
def test_difference_and_standard_error_equal_the_definition_over_all_pairs(
    case: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    """Both AUCs and the standard error of their difference, ties included."""
    found = delong(*case)
    aucs, error = brute_force(*case)
    assert (found.first, found.second) == pytest.approx(tuple(aucs), abs=1e-12)
    assert found.value == pytest.approx(aucs[0] - aucs[1], abs=1e-12)
    assert found.standard_error == pytest.approx(error, abs=1e-9)


@given(case=rows())
@settings(max_examples=25, deadline=None)
def test_swapping_the_models_swaps_the_sign_and_nothing_else(case: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    """The order of the two models does not matter."""
    labels, first, second = case
    there, back = delong(labels, first, second), delong(labels, second, first)
    assert there.value == pytest.approx(-back.value, abs=1e-12)
    assert there.p_above() == pytest.approx(back.p_below(), abs=1e-9)


def test_only_the_order_of_scores_matters() -> None:
    """A monotone change of one model's scores changes nothing."""
    labels, first, second = correlated()
    plain, changed = delong(labels, first, second), delong(labels, np.exp(first), second)
    assert changed.standard_error == pytest.approx(plain.standard_error, rel=1e-12)


def test_a_model_is_not_better_than_itself() -> None:
    """Difference 0 without any error: p is 1 and the probability of being better one half."""
    labels, first, _ = correlated(200)
    found = delong(labels, first, first)
    assert (found.value, found.standard_error, found.p_above()) == (0.0, 0.0, 1.0)
    assert found.probability_better == 0.5
    assert found.p_above(-0.01) == 0.0


def test_days_of_one_row_each_are_rows() -> None:
    """With a group for every row the variance is that of independent rows, up to what n - 1 makes of it."""
    labels, first, second = correlated()
    plain = delong(labels, first, second)
    grouped = delong(labels, first, second, groups=np.arange(labels.size))
    assert grouped.standard_error == pytest.approx(plain.standard_error, rel=2e-3)
    # Kish's number of days that count alike, by what a row counts in its class.
    rarer, others = labels.sum(), labels.size - labels.sum()
    assert grouped.degrees_of_freedom == pytest.approx(4 / (1 / rarer + 1 / others) - 1)


@pytest.mark.parametrize("share", [1 / 28, 0.3, 0.5, 0.9])
def test_a_day_with_many_of_the_rows_makes_equal_models_no_better(share: float) -> None:
    """Each day is good or bad for a model by chance, so equal ones differ at 2.5% in 2.5%: not in 14% or 45%."""
    generator = np.random.default_rng(7)
    sizes = np.round(2_000 * np.array([share, *[(1 - share) / 27] * 27])).astype(int)
    days, sets = np.repeat(np.arange(28), sizes), 600
    found = 0
    for _ in range(sets):
        losses = 0.3 * generator.normal(size=28)[days] + generator.normal(size=days.size)
        found += paired_mean(losses, np.zeros(days.size), groups=days).p_below(0) <= 0.025
    assert found <= stats.binom.isf(1e-4, sets, 0.04)


def test_days_count_for_a_roc_auc_by_the_rows_of_either_class() -> None:
    """Nearly all positive rows on one day are a day of much weight, though its rows are few."""
    generator = np.random.default_rng(0)
    days = np.repeat(np.arange(28), 100)
    labels = ((days == 3) & (np.arange(2_800) % 2 == 0)).astype(float)
    labels[::700] = 1.0
    first, second = generator.random((2, 2_800))
    assert delong(labels, first, second, groups=days).degrees_of_freedom < 3.5
    assert paired_mean(first, second, groups=days).degrees_of_freedom == pytest.approx(27)


def test_repeating_every_row_on_its_day_adds_no_certainty() -> None:
    """Ten copies of each row add no evidence: by day the standard error stays, by row it shrinks."""
    labels, first, second = correlated(800)
    days = np.arange(800)
    once = delong(labels, first, second, groups=days)
    copies = [np.repeat(values, 10) for values in (labels, first, second)]
    by_day = delong(*copies, groups=np.repeat(days, 10))
    assert by_day.standard_error == pytest.approx(once.standard_error, rel=1e-9)
    assert delong(*copies).standard_error < 0.4 * once.standard_error


def test_by_day_the_standard_error_is_that_of_a_bootstrap_of_days() -> None:
    """Both methods agree on rows that depend on each other within 40 days."""
    generator = np.random.default_rng(5)
    labels, first, second = correlated(6_000, seed=5)
    days = np.sort(generator.integers(0, 40, labels.size))
    first, second = first + generator.normal(size=40)[days], second + generator.normal(size=40)[days]
    found = delong(labels, first, second, groups=days)
    drawn = paired_bootstrap(
        labels, first, second, metric=METRICS["roc_auc_score"], resamples=2_000, seed=1, groups=days
    )
    assert found.standard_error == pytest.approx(drawn.std(ddof=1), rel=0.08)
    assert found.standard_error > 1.5 * delong(labels, first, second).standard_error


@pytest.mark.parametrize("labels", [[0, 0, 0, 1], [1, 1, 1, 0], [0, 0, 0, 0]])
def test_fewer_than_two_rows_of_a_class_are_an_error(labels: np.ndarray) -> None:
    """The message counts both classes."""
    with pytest.raises(MetricError, match=r"two rows of each class, got \d positive and \d negative"):
        delong(np.array(labels, dtype=float), np.arange(4.0), np.arange(4.0))


def test_one_day_only_is_an_error() -> None:
    """A single day has no spread between days."""
    labels, first, second = correlated(50)
    with pytest.raises(MetricError, match="needs two of them, got 1"):
        delong(labels, first, second, groups=np.zeros(50, dtype=np.int64))


def test_placements_average_to_the_auc_over_either_class() -> None:
    """Each row's share of rightly ranked pairs, whichever class one looks from."""
    labels, first, _ = correlated(500)
    found = placements(labels == 1, first)
    assert found[labels == 1].mean() == pytest.approx(found[labels == 0].mean(), abs=1e-12)


def test_paired_means_equal_scipys_paired_t_test() -> None:
    """Difference, p-value and interval."""
    generator = np.random.default_rng(2)
    first, second = generator.normal(0.1, 1, 60), generator.normal(0, 1, 60)
    found, known = paired_mean(first, second), stats.ttest_rel(first, second, alternative="greater")
    assert found.p_above() == pytest.approx(known.pvalue, rel=1e-9)
    interval = stats.ttest_rel(first, second).confidence_interval(0.95)
    assert found.interval() == pytest.approx((interval.low, interval.high), rel=1e-9)


def test_paired_means_by_day_are_a_t_test_of_the_days_means() -> None:
    """With days of equal size this is exact."""
    generator = np.random.default_rng(4)
    first, second = generator.normal(size=(2, 120))
    days = np.repeat(np.arange(12), 10)
    by_day = [values.reshape(12, 10).mean(axis=1) for values in (first, second)]
    known = stats.ttest_rel(*by_day, alternative="greater")
    assert paired_mean(first, second, groups=days).p_above() == pytest.approx(known.pvalue, rel=1e-9)


def test_roots_of_means_have_the_standard_error_of_a_bootstrap() -> None:
    """The delta method against resampling, for the root mean squared error."""
    generator = np.random.default_rng(9)
    labels = generator.normal(size=2_000)
    first, second = labels + generator.normal(size=2_000), labels + 1.2 * generator.normal(size=2_000)
    found = paired_mean((labels - first) ** 2, (labels - second) ** 2, root=True)
    rmse = METRICS["root_mean_squared_error"]
    drawn = paired_bootstrap(labels, first, second, metric=rmse, resamples=2_000, seed=1)
    assert found.value == pytest.approx(rmse.function(labels, first) - rmse.function(labels, second), abs=1e-12)
    assert found.standard_error == pytest.approx(drawn.std(ddof=1), rel=0.08)


def test_one_row_has_no_paired_test() -> None:
    """The message states the number of rows."""
    with pytest.raises(MetricError, match="needs two rows, got 1"):
        paired_mean(np.ones(1), np.zeros(1))


def test_a_margin_shifts_the_tested_difference() -> None:
    """Superiority by a margin needs more, non-inferiority less, and the two tails add up to one."""
    found = Difference(first=0.72, second=0.71, value=0.01, standard_error=0.005)
    assert found.p_above(0.005) > found.p_above(0.0) > found.p_above(-0.005)
    assert found.p_above(0.003) + found.p_below(0.003) == pytest.approx(1.0)
    assert found.p_above(0.0) == pytest.approx(stats.norm.sf(2.0))


def test_the_error_of_one_model_is_that_of_its_difference_from_a_constant() -> None:
    """ROC AUC, a mean loss and the root of one; by day as by row."""
    labels, scores, _ = correlated()
    days = np.arange(labels.size) // 150
    nothing = np.zeros_like(scores)
    assert roc_auc_error(labels, scores, days).standard_error == pytest.approx(
        delong(labels, scores, nothing, groups=days).standard_error
    )
    losses = (labels - scores) ** 2
    for root in (False, True):
        expected = paired_mean(losses, nothing, root=root, groups=days).standard_error
        assert mean_error(losses, days, root=root).standard_error == pytest.approx(expected)


def test_the_error_of_one_model_includes_the_scatter_between_days() -> None:
    """It is that of the days' own scatter, not of their rows."""
    random = np.random.default_rng(1)
    days = np.repeat(np.arange(40), 100)
    losses = np.repeat(random.normal(5, 1, 40), 100) + random.normal(0, 0.1, 4_000)
    by_day = mean_error(losses, days).standard_error
    assert by_day == pytest.approx(1 / np.sqrt(40), rel=0.3)
    assert mean_error(losses, np.arange(4_000)).standard_error < by_day / 5


def test_the_error_of_one_model_needs_two_days_and_both_classes() -> None:
    """Anything less is an error."""
    ones, scores, days = np.ones(4), np.arange(4.0), np.array([0, 0, 1, 1])
    with pytest.raises(MetricError, match="needs two of them, got 1"):
        mean_error(scores, np.zeros(4, dtype=np.int64))
    with pytest.raises(MetricError, match="got 4 positive and 0 negative"):
        roc_auc_error(ones, scores, days)
