"""The gate on several classes: a better model is promoted, one that lost a class is not, and every class needs its rows."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from ml.evaluation.contender import Contender
from ml.evaluation.evaluate_contenders import EvaluationError, evaluate
from ml.evaluation.record import Evaluation, FailureKind
from ml.evaluation.slices import OTHERS
from ml.gate.decision import decide
from ml.gate.verdict import Outcome
from ml.spec.clusters import Clusters, Entity, EntityKind
from ml.spec.costs import ErrorCosts
from ml.spec.gate_policy import policy
from ml.spec.target import MultiClass

Floats = NDArray[np.float64]

CLASSES = MultiClass(classes=("early", "on_time", "late"))
POLICY = replace(policy("default", CLASSES), latency_ratio=None, maximum_skill_gain=None)
ROWS = 4_200
START = pd.Timestamp("2024-01-01", tz="UTC")


def scores(labels: Floats, distance: float, seed: int) -> Floats:
    """Calibrated probabilities from evidence that is higher for a row's own class."""
    shared, own = (np.random.default_rng(number).normal(size=(labels.size, 3)) for number in (0, seed))
    evidence = np.sqrt(0.7) * shared + np.sqrt(0.3) * own + distance * (np.arange(3) == labels[:, None])
    odds = np.log([0.2, 0.3, 0.5]) + distance * evidence
    return np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)


def labels_of(seed: int = 1) -> Floats:
    """The places of the classes."""
    return np.random.default_rng(seed).choice(3, ROWS, p=[0.2, 0.3, 0.5]).astype(np.float64)


def shops() -> NDArray[np.object_]:
    """The shop of each row."""
    return np.random.default_rng(7).integers(0, 60, ROWS).astype(str).astype(object)


def evaluation(champion: Floats, candidate: Floats, labels: Floats, *, costs: ErrorCosts | None = None) -> Evaluation:
    """Champion 1 and candidate 2 on 28 days, with shops that are a sample, and a slice of two values and small ones."""
    where = np.where(np.arange(ROWS) % 40 == 0, "small", np.where(np.arange(ROWS) % 2 == 0, "north", "south"))
    return evaluate(
        evaluation_id="e", model="m", labels=labels, champion=1, problem=CLASSES, policy=POLICY, seed=0,
        times=pd.Series(START + pd.to_timedelta(np.arange(ROWS) // 150, unit="D")),
        keys=[str(number) for number in range(ROWS)], slices={"where": where.astype(object)},
        contenders=[
            Contender(version=version, estimator="x", scores=values, trained_until=START - pd.Timedelta(days=1), overlap_rows=0)
            for version, values in ((1, champion), (2, candidate))
        ],
        clusters=Clusters(entities=(Entity(column="shop", kind=EntityKind.SAMPLED),), day_memory=0),
        entities={"shop": shops()}, costs=costs,
    )  # fmt: skip


def test_a_better_model_is_promoted_and_the_record_is_read_back() -> None:
    """By the mean over classes, with days and shops as units; the record keeps the classes."""
    labels = labels_of()
    found = evaluation(scores(labels, 0.8, 1), scores(labels, 1.3, 2), labels)
    verdict = decide(found, POLICY)
    assert verdict.outcome is Outcome.PROMOTE, verdict.sentence
    assert "has macro_roc_auc_score" in verdict.sentence
    again = Evaluation.from_json(found.to_json())
    assert again == found
    assert again.problem == CLASSES
    (compared,) = [
        c for c in found.comparisons if (c.against, c.metric, c.slice_key) == (1, "macro_roc_auc_score", None)
    ]
    assert compared.clusters == {"day": 28, "shop": 60}
    assert found.positives == (labels == 0).sum()
    for contender in found.contenders:
        assert sum(one.rows for one in contender.reliability) == ROWS
        assert {"roc_auc_of_late_score", "calibration_of_early_error"} <= set(contender.metrics)
    assert {one.slice_value for one in found.small_slices} == {"small"}
    assert not any(c.slice_value == OTHERS for c in found.comparisons)


def test_a_model_that_cannot_tell_one_class_any_more_is_not_promoted() -> None:
    """Its other classes are as before."""
    labels = labels_of()
    champion = scores(labels, 1.0, 1)
    candidate = scores(labels, 1.05, 2)
    rest = 1 - candidate[:, 0]
    candidate[:, 0] = np.random.default_rng(3).permutation(candidate[:, 0])
    candidate[:, 1:] *= ((1 - candidate[:, 0]) / rest)[:, None]
    found = evaluation(champion, candidate, labels)
    assert decide(found, POLICY).outcome is not Outcome.PROMOTE
    lost = found.contender(2).metrics["roc_auc_of_early_score"]
    assert lost == pytest.approx(0.5, abs=0.05)
    assert found.contender(1).metrics["roc_auc_of_early_score"] > 0.7


def test_every_class_needs_the_rows_that_are_demanded_of_the_rarest() -> None:
    """A class of 40 rows among thousands decides nothing."""
    labels = labels_of()
    labels[np.flatnonzero(labels == 0)[40:]] = 1.0
    verdict = decide(evaluation(scores(labels, 0.8, 1), scores(labels, 1.3, 2), labels), POLICY)
    assert verdict.outcome is Outcome.REFUSE
    assert "40 rows of the rarer class, at least 100 are needed" in [reason.sentence for reason in verdict.failed]


def test_scores_and_labels_that_are_none_do_not_count() -> None:
    """Constant rows, hard labels, a column too few; labels beyond the classes are refused at once."""
    labels = labels_of()
    sound = scores(labels, 0.8, 1)
    hard = np.eye(3)[labels.astype(int)]
    for wrong, kind in (
        (np.tile([0.2, 0.3, 0.5], (ROWS, 1)), FailureKind.CONSTANT),
        (hard, FailureKind.HARD_LABELS),
        (sound[:, :2], FailureKind.OTHER_ROWS),
        (np.where(np.arange(ROWS)[:, None] == 3, np.nan, sound), FailureKind.NOT_FINITE),
    ):
        assert evaluation(sound, wrong, labels).contender(2).failure_kind is kind
    with pytest.raises(EvaluationError, match="a multi-class problem has labels 0 to 2 only"):
        evaluation(sound, sound, labels + 1)
