"""The distance of two versions' scores is the largest gap between their distribution functions."""

import numpy as np
import pytest

from ml.rollout.distance import score_distance


def test_equal_scores_are_at_no_distance_and_disjoint_ones_at_one() -> None:
    """Whatever their order; nothing is known of no scores."""
    scores = np.linspace(0, 0.4, 50)
    assert score_distance(scores, scores[::-1]) == 0
    assert score_distance(scores, scores + 0.5) == 1
    assert score_distance(scores, np.where(scores < 0.1, scores, scores + 0.5)) == pytest.approx(0.74)
    assert score_distance(np.empty(0), np.empty(0)) is None


def test_of_several_classes_the_furthest_counts() -> None:
    """Here the second of three."""
    own = np.full((4, 3), 1 / 3)
    theirs = own.copy()
    theirs[:, 1] += 0.1
    assert score_distance(own, own) == 0
    assert score_distance(own, theirs) == 1
