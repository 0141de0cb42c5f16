"""Metrics of several classes are expected from calibrated probabilities, before any label is there."""

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from ml.estimation.metric_estimates import estimates, learn
from ml.metrics.clusters import Units
from ml.metrics.metric_table import measure
from ml.spec.target import MultiClass

Floats = NDArray[np.float64]

CLASSES = MultiClass(classes=("a", "b", "c"))
ROWS = 12_000


def drawn(seed: int, sharpness: float) -> tuple[Floats, Floats]:
    """Overconfident probabilities, and labels that are drawn by the true ones."""
    random = np.random.default_rng(seed)
    odds = sharpness * random.normal(size=(ROWS, 3))
    true, told = (np.exp(k * odds) / np.exp(k * odds).sum(axis=1, keepdims=True) for k in (1.0, 1.25))
    labels = (true.cumsum(axis=1) < random.random((ROWS, 1))).sum(axis=1)
    return told, np.minimum(labels, 2).astype(np.float64)


def test_estimates_follow_inputs_that_got_easier() -> None:
    """Learned where classes are hard to tell; realised and estimated agree where they are easier, and did not before."""
    learned = learn(CLASSES, pd.DataFrame(), *drawn(1, 0.8), numeric=(), categorical=())
    scores, labels = drawn(2, 1.4)
    before = measure(drawn(1, 0.8)[1], drawn(1, 0.8)[0], CLASSES)
    unknown = np.where(np.arange(ROWS) % 2 == 0, labels, np.nan)
    found = {
        one.metric: one
        for one in estimates(
            learned, pd.DataFrame(index=range(ROWS)), scores, unknown, Units(days=np.arange(ROWS) % 28)
        )
    }
    realised = measure(labels, scores, CLASSES)
    assert set(found) == {
        "macro_roc_auc_score", "log_loss", "zero_one_loss", *(f"roc_auc_of_{name}_score" for name in "abc")
    }  # fmt: skip
    for name, one in found.items():
        assert abs(before[name] - realised[name]) > 0.05
        assert abs(one.estimated - realised[name]) < 0.4 * abs(before[name] - realised[name]), name
        assert one.standard_error > 0
        assert abs(one.error) < 0.05


def test_beliefs_of_a_row_add_up_to_one() -> None:
    """So its label is a draw by them."""
    learned = learn(CLASSES, pd.DataFrame(), *drawn(1, 0.8), numeric=(), categorical=())
    beliefs = learned.beliefs(pd.DataFrame(), drawn(3, 2.0)[0])
    assert beliefs.sum(axis=1) == pytest.approx(np.ones(ROWS))
    assert np.isnan(learned.expected("log_loss", np.empty((0, 3)), np.empty((0, 3))).value)
