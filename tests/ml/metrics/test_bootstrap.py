"""The bootstraps equal resampling with scikit-learn row by row; the shorter ways keep their distribution."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from ml.metrics.bootstrap import BINS, EXACT_ROWS, joint_histogram, paired_bootstrap, unpaired_bootstrap
from ml.metrics.metric_table import METRICS
from ml.metrics.quality_metrics import MetricError
from ml.metrics.standard_errors import delong

AUC = METRICS["roc_auc_score"]


def scored(rows: int, seed: int = 0, steps: int | None = None) -> tuple[np.ndarray, ...]:
    """Two similar models' probabilities; with `steps`, many of them equal."""
    generator = np.random.default_rng(seed)
    labels = (generator.random(rows) < 0.3).astype(float)
    shared = generator.normal(size=rows) + labels
    scores = [1 / (1 + np.exp(-(shared + 0.5 * generator.normal(size=rows)))) for _ in range(2)]
    return labels, *(np.ceil(s * steps) / (steps + 1) if steps else s for s in scores)


def drawn_rows(rows: int, resamples: int, seed: int) -> list[np.ndarray]:
    """The rows that the bootstrap draws, drawn by the same generator."""
    generator = np.random.default_rng(seed)
    return [generator.integers(0, rows, rows, dtype=np.int32) for _ in range(resamples)]


@pytest.mark.parametrize("steps", [None, 7])
def test_paired_differences_equal_a_loop_over_scikit_learn(steps: int | None) -> None:
    """The same resamples give the same differences, with and without ties."""
    labels, first, second = scored(300, steps=steps)
    found = paired_bootstrap(labels, first, second, metric=AUC, resamples=20, seed=11)
    known = [roc_auc_score(labels[r], first[r]) - roc_auc_score(labels[r], second[r]) for r in drawn_rows(300, 20, 11)]
    assert found == pytest.approx(known, abs=1e-12)


def test_two_metrics_see_the_same_resamples() -> None:
    """With one seed log loss is measured on the rows on which ROC AUC was."""
    labels, first, second = scored(300)
    found = paired_bootstrap(labels, first, second, metric=METRICS["log_loss"], resamples=20, seed=11)
    known = [log_loss(labels[r], first[r]) - log_loss(labels[r], second[r]) for r in drawn_rows(300, 20, 11)]
    assert found == pytest.approx(known, abs=1e-12)


@pytest.mark.parametrize("name", ["r2_score", "rank_correlation_score", "root_mean_squared_error"])
def test_any_metric_can_be_resampled(name: str) -> None:
    """Also one that is not a mean over rows."""
    generator = np.random.default_rng(3)
    labels = generator.normal(size=150)
    first, second = labels + generator.normal(size=150), labels + generator.normal(size=150)
    found = paired_bootstrap(labels, first, second, metric=METRICS[name], resamples=10, seed=4)
    function = METRICS[name].function
    known = [function(labels[r], first[r]) - function(labels[r], second[r]) for r in drawn_rows(150, 10, 4)]
    assert found == pytest.approx(known, abs=1e-12)


@pytest.mark.parametrize("name", ["roc_auc_score", "brier_loss"])
def test_whole_days_are_drawn(name: str) -> None:
    """Each resample equals the metric on the rows of the days that were drawn, as often as they were."""
    labels, first, second = scored(400, steps=9)
    days = np.sort(np.random.default_rng(1).integers(100, 107, 400))
    found = paired_bootstrap(labels, first, second, metric=METRICS[name], resamples=15, seed=8, groups=days)
    counts = np.random.default_rng(8).multinomial(7, np.full(7, 1 / 7), size=15)
    known = []
    for drawn in counts:
        rows = np.repeat(np.arange(400), drawn[days - 100])
        values = [METRICS[name].function(labels[rows], scores[rows]) for scores in (first, second)]
        known.append(values[0] - values[1])
    assert found == pytest.approx(known, abs=1e-12)


def test_many_rows_are_resampled_in_cells_with_the_same_distribution() -> None:
    """Centre and spread are those of DeLong's exact test on the same rows."""
    labels, first, second = scored(EXACT_ROWS + 10_000)
    exact = delong(labels, first, second)
    found = paired_bootstrap(labels, first, second, metric=AUC, resamples=1_000, seed=3)
    assert found.mean() == pytest.approx(exact.value, abs=4 * exact.standard_error / np.sqrt(1_000))
    assert found.std(ddof=1) == pytest.approx(exact.standard_error, rel=0.08)


def test_cells_know_the_spread_also_where_positive_rows_are_rare() -> None:
    """Two in a thousand, ranked nearly without a mistake: what the order is about lies in the tail of the scores."""
    random = np.random.default_rng(0)
    labels = (random.random(200_000) < 0.002).astype(float)
    common = 0.8 * random.normal(size=labels.size) + 4.6 * labels
    first, second = (common + 0.6 * random.normal(size=labels.size) for _ in range(2))
    found = paired_bootstrap(labels, first, second, metric=AUC, resamples=1_000, seed=3)
    assert found.std(ddof=1) == pytest.approx(delong(labels, first, second).standard_error, rel=0.12)


def test_the_joint_histogram_holds_every_row_and_nearly_the_whole_order() -> None:
    """Counts add up, and ROC AUC from the bins differs from the exact one by less than 0.0002."""
    labels, first, second = scored(60_000)
    cells, counts = joint_histogram(labels, first, second, np.random.default_rng(0))
    assert counts.sum() == 60_000
    assert (counts > 0).all()
    repeated = np.repeat(cells, counts)
    from_bins = roc_auc_score(repeated // BINS**2, repeated // BINS % BINS)
    assert from_bins == pytest.approx(roc_auc_score(labels, first), abs=2e-4)


def test_a_seed_fixes_the_resamples_and_another_gives_others() -> None:
    """On the exact way, by cells and by days alike."""
    for rows, groups in ((200, None), (EXACT_ROWS + 1, None), (200, np.arange(200) % 5)):
        labels, first, second = scored(rows)
        draw = [
            paired_bootstrap(labels, first, second, metric=AUC, resamples=5, seed=s, groups=groups) for s in (1, 1, 2)
        ]
        assert np.array_equal(draw[0], draw[1])
        assert not np.array_equal(draw[0], draw[2])


def test_unpaired_resampling_hides_a_gain_that_pairing_shows() -> None:
    """The same centre, but a spread that is far wider."""
    labels, first, second = scored(2_000)
    paired = paired_bootstrap(labels, first, second, metric=AUC, resamples=300, seed=1)
    unpaired = unpaired_bootstrap(labels, first, second, metric=AUC, resamples=300, seed=1)
    assert unpaired.std() > 1.4 * paired.std()
    assert unpaired.mean() == pytest.approx(paired.mean(), abs=5 * unpaired.std() / np.sqrt(300))


@pytest.mark.parametrize("draw", [paired_bootstrap, unpaired_bootstrap])
def test_no_rows_and_one_class_are_errors(draw: Callable[..., Any]) -> None:
    """There is nothing to resample."""
    with pytest.raises(MetricError, match="at least one row"):
        draw(np.empty(0), np.empty(0), np.empty(0), metric=AUC, resamples=5, seed=1)
    with pytest.raises(MetricError, match="both classes"):
        draw(np.ones(5), np.arange(5.0), np.arange(5.0), metric=AUC, resamples=5, seed=1)


def test_one_day_cannot_be_resampled() -> None:
    """The message states the number of days."""
    labels, first, second = scored(100)
    with pytest.raises(MetricError, match="needs two of them, got 1"):
        paired_bootstrap(labels, first, second, metric=AUC, resamples=5, seed=1, groups=np.zeros(100, dtype=np.int64))


def test_a_resample_without_positives_shows_no_difference() -> None:
    """Two rows of which one is positive: some resamples lack a class, none fails."""
    labels, first, second = np.array([0.0, 1.0]), np.array([0.2, 0.8]), np.array([0.8, 0.2])
    found = paired_bootstrap(labels, first, second, metric=AUC, resamples=50, seed=1)
    assert set(found) == {0.0, 1.0}
