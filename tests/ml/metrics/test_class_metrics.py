"""Metrics of several classes are those of each against the rest, with the same clustered errors as all others."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics as reference

from ml.metrics.clusters import Units
from ml.metrics.metric_table import constant_scores, measure, metric, names
from ml.metrics.quality_metrics import MetricError
from ml.metrics.standard_errors import delong, mean_auc_error, mean_delong, roc_auc_error
from ml.metrics.targets import in_one_column, label_spread, positive_rows, rarer_rows
from ml.spec.metric_names import class_auc, class_calibration
from ml.spec.target import MultiClass

Floats = NDArray[np.float64]

CLASSES = MultiClass(classes=("red", "green", "blue"))
ROWS = 900


def drawn(seed: int = 1) -> tuple[Floats, Floats, Units]:
    """Labels, probabilities that know something of them, and rows that share days and shops."""
    random = np.random.default_rng(seed)
    labels = random.choice(3, ROWS, p=[0.2, 0.3, 0.5]).astype(np.float64)
    odds = random.normal(size=(ROWS, 3)) + (np.arange(3) == labels[:, None])
    scores = np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)
    units = Units(days=np.arange(ROWS) // 45, entities={"shop": random.integers(0, 30, ROWS)})
    return labels, scores, units


def test_every_metric_is_that_of_scikit_learn() -> None:
    """Macro and one class alone; Brier's with the squares summed over classes."""
    labels, scores, _ = drawn()
    found = measure(labels, scores, CLASSES)
    own = (np.arange(3) == labels[:, None]).astype(float)
    assert found["macro_roc_auc_score"] == pytest.approx(
        reference.roc_auc_score(labels, scores, multi_class="ovr", average="macro")
    )
    assert found["log_loss"] == pytest.approx(reference.log_loss(labels, scores))
    assert found["zero_one_loss"] == pytest.approx(reference.zero_one_loss(labels, scores.argmax(axis=1)))
    assert found["brier_loss"] == pytest.approx(((scores - own) ** 2).sum(axis=1).mean())
    for place, name in enumerate(CLASSES.classes):
        assert found[class_auc(name)] == pytest.approx(reference.roc_auc_score(own[:, place], scores[:, place]))
    assert found["expected_calibration_error"] == pytest.approx(
        np.mean([found[class_calibration(name)] for name in CLASSES.classes])
    )
    assert tuple(found) == names(CLASSES)


def test_whole_weights_are_repeated_rows() -> None:
    """In every metric."""
    labels, scores, _ = drawn()
    weights = np.random.default_rng(2).integers(0, 4, ROWS)
    repeated = np.repeat(np.arange(ROWS), weights)
    weighted = measure(labels, scores, CLASSES, weights.astype(np.float64))
    again = measure(labels[repeated], scores[repeated], CLASSES)
    ranked_alone = {"expected_calibration_error", *map(class_calibration, CLASSES.classes)}  # their bins count rows
    assert {n: weighted[n] for n in weighted if n not in ranked_alone} == pytest.approx(
        {n: again[n] for n in again if n not in ranked_alone}
    )


def test_the_error_of_a_mean_of_the_same_ranking_twice_is_that_of_the_ranking() -> None:
    """Of two classes each is the other's opposite, so both ROC AUCs are one; the mean's error is DeLong's, however clustered."""
    labels, scores, units = drawn()
    yes = (labels == 2).astype(np.float64)
    first, second = scores[:, 2], np.random.default_rng(3).permutation(scores[:, 2])
    both = [[(1 - yes, 1 - one), (yes, one)] for one in (first, second)]
    expected = delong(yes, first, second, groups=units)
    found = mean_delong(both[0], both[1], groups=units)
    for name in ("first", "second", "value", "standard_error", "degrees_of_freedom"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name))
    assert found.clusters == expected.clusters == {"day": 20, "shop": 30}
    alone = mean_auc_error(both[0], units)
    assert alone.value == pytest.approx(roc_auc_error(yes, first, units).value)


def test_the_error_of_a_difference_is_what_it_varies_by() -> None:
    """Over drawings of the whole stream, days for units."""
    judged = metric("macro_roc_auc_score", CLASSES)
    assert judged.rankings is not None
    found = []
    for seed in range(120):
        labels, scores, units = drawn(seed)
        _, other, _ = drawn(seed + 10_000)
        blurred = 0.7 * scores + 0.3 * other
        found.append(
            mean_delong(
                judged.rankings(labels, scores), judged.rankings(labels, blurred), groups=units.without_entities()
            )
        )
    spread = np.std([one.value for one in found], ddof=1)
    assert np.sqrt(np.mean([one.standard_error**2 for one in found])) == pytest.approx(spread, rel=0.2)


def test_no_constant_is_better_than_the_shares_of_the_classes() -> None:
    """In logarithmic and squared loss; their order ranks nothing."""
    labels, _, _ = drawn()
    random = np.random.default_rng(4)
    for name in ("log_loss", "brier_loss"):
        judged = metric(name, CLASSES)
        best = judged.function(labels, constant_scores(labels, judged))
        others = [judged.function(labels, np.tile(random.dirichlet(np.ones(3)), (ROWS, 1))) for _ in range(50)]
        assert best <= min(others)
    auc = metric("macro_roc_auc_score", CLASSES)
    assert auc.function(labels, constant_scores(labels, auc)) == 0.5


def test_rows_without_a_class_have_no_mean_over_classes() -> None:
    """Its own ROC AUC is not defined either; losses are."""
    labels, scores, units = drawn()
    kept = labels != 0
    found = measure(labels[kept], scores[kept], CLASSES)
    assert np.isnan(found["macro_roc_auc_score"])
    assert np.isnan(found[class_auc("red")])
    assert found[class_auc("blue")] > 0.5
    assert found["log_loss"] > 0
    judged = metric("macro_roc_auc_score", CLASSES)
    assert judged.rankings is not None
    with pytest.raises(MetricError, match="two rows of each class"):
        mean_auc_error(judged.rankings(labels[kept], scores[kept]), units.take(kept))


def test_what_labels_and_scores_are_like() -> None:
    """The rarest class, the spread of belonging to one, and whether the most probable class is right."""
    labels, scores, _ = drawn()
    counts = np.bincount(labels.astype(int))
    assert rarer_rows(labels, CLASSES) == positive_rows(labels, CLASSES) == counts.min()
    shares = counts / ROWS
    assert label_spread(labels, CLASSES) == pytest.approx(np.mean(np.sqrt(shares * (1 - shares))))
    unknown = np.where(np.arange(ROWS) < 10, np.nan, labels)
    right, highest = in_one_column(unknown, scores)
    assert np.isnan(right[:10]).all()
    assert right[10:].mean() == pytest.approx(np.mean(scores[10:].argmax(axis=1) == labels[10:]))
    assert highest == pytest.approx(scores.max(axis=1))
