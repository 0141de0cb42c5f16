"""How often a gate policy promotes, measured on simulated test sets whose truth is known.

Every test set goes through the real path, `ml.evaluation.evaluate_contenders.evaluate` and `ml.gate.decision.decide`;
nothing of the gate is rebuilt here. Used by the tests with few test sets, and by the benchmark with many.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special, stats

from ml.evaluation.contender import Contender
from ml.evaluation.evaluate_contenders import evaluate
from ml.gate.decision import decide
from ml.gate.verdict import Verdict
from ml.spec.estimator import Problem
from ml.spec.gate_policy import GatePolicy

Floats = NDArray[np.float64]

_START = pd.Timestamp("2020-01-01")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The parameters of simulated test sets.

    Attributes
    ----------
    rows, positive_share, days, slices
        Of one test set: its size, the share of positives, over how many days and slices it is spread evenly.
    auc
        True ROC AUC of the champion.
    gains
        True gain of each candidate.
    correlation
        Of the scores of any two models within a class.
    day_spread
        Standard deviation of a shift that each model has on each day for itself, in standard deviations of its score
        within a class: what makes the rows of one day depend on each other.
    """

    gains: tuple[float, ...] = (0.0,)
    rows: int = 5_000
    positive_share: float = 0.1
    auc: float = 0.75
    correlation: float = 0.65
    days: int = 28
    slices: int = 8
    day_spread: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One test set: labels, times, slices, and the scores of the champion and of each candidate."""

    labels: Floats
    times: pd.DatetimeIndex
    slices: NDArray[np.object_]
    champion: Floats
    candidates: tuple[Floats, ...]


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How often it promoted."""

    promoted: int
    test_sets: int

    @property
    def share(self) -> float:
        """Promotions for each test set."""
        return self.promoted / self.test_sets

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Return the exact interval of Clopper and Pearson (1934), Biometrika 26, 404-413."""
        found = stats.binomtest(self.promoted, self.test_sets).proportion_ci(confidence, method="exact")
        return float(found.low), float(found.high)

    def within(self, times: int) -> float:
        """Return how likely at least one promotion is in so many independent evaluations."""
        return 1 - (1 - self.share) ** times


def promotion_rates(
    setting: Setting, policies: Mapping[str, GatePolicy], *, test_sets: int, seed: int
) -> dict[str, Rate]:
    """Return how often each policy promotes a candidate, all of them on the same test sets."""
    promoted = dict.fromkeys(policies, 0)
    for number in range(test_sets):
        drawn = draw(setting, np.random.default_rng([seed, number]))
        for name, policy in policies.items():
            promoted[name] += judge(drawn, policy, seed=number).promoted is not None
    return {name: Rate(promoted=count, test_sets=test_sets) for name, count in promoted.items()}


def judge(drawn: Drawn, policy: GatePolicy, *, seed: int) -> Verdict:
    """Return the gate's verdict on one test set."""
    evaluation = evaluate(
        evaluation_id="simulated",
        model="simulated",
        labels=drawn.labels,
        times=drawn.times,
        keys=[str(number) for number in range(drawn.labels.size)],
        contenders=[_contender(0, drawn.champion), *_candidates(drawn)],
        champion=0,
        slices={"slice": drawn.slices} if policy.slice_tolerance is not None else {},
        problem=Problem.BINARY,
        policy=policy,
        seed=seed,
    )
    return decide(evaluation, policy)


def draw(setting: Setting, generator: np.random.Generator) -> Drawn:
    """Draw one test set from the binormal model.

    Within a class each model's score is normal with unit variance, and positives lie higher by
    ``sqrt(2) * ppf(AUC)``, which gives that ROC AUC (Bamber 1975). Scores are reported as the probabilities that
    this model implies, so without `day_spread` every contender is perfectly calibrated.
    """
    rows = setting.rows
    labels = (generator.random(rows) < setting.positive_share).astype(np.float64)
    days = np.sort(generator.integers(0, setting.days, rows))
    shared = generator.standard_normal(rows)
    scores = []
    for auc in (setting.auc, *(setting.auc + gain for gain in setting.gains)):
        own = generator.standard_normal(rows)
        noise = np.sqrt(setting.correlation) * shared + np.sqrt(1 - setting.correlation) * own
        shift = setting.day_spread * generator.standard_normal(setting.days)[days]
        distance = float(np.sqrt(2) * stats.norm.ppf(auc))
        evidence = distance * (distance * labels + noise + shift) - distance**2 / 2
        scores.append(special.expit(special.logit(setting.positive_share) + evidence))
    return Drawn(
        labels=labels,
        times=_START + pd.to_timedelta(days, unit="D"),
        slices=generator.integers(0, setting.slices, rows).astype(str).astype(object),
        champion=scores[0],
        candidates=tuple(scores[1:]),
    )


def _candidates(drawn: Drawn) -> Iterator[Contender]:
    for number, scores in enumerate(drawn.candidates, start=1):
        yield _contender(number, scores)


def _contender(version: int, scores: Floats) -> Contender:
    return Contender(
        version=version,
        estimator="simulated",
        scores=scores,
        trained_until=_START - pd.Timedelta(days=1),
        overlap_rows=0,
        seconds_per_1000_rows=0.001,
    )
