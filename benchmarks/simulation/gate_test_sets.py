"""How often a gate policy promotes, measured on simulated test sets whose truth is known.

Every test set goes through the real path, `ml.evaluation.evaluate_contenders.evaluate` and `ml.gate.decision.decide`;
nothing of the gate is rebuilt here. Used by the tests with few test sets, and by the benchmark with many.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from benchmarks.simulation.drift_streams import remembering
from benchmarks.simulation.intervals import exact_interval
from ml.evaluation.contender import Contender
from ml.evaluation.evaluate_contenders import evaluate
from ml.gate.decision import decide
from ml.gate.verdict import Verdict
from ml.spec.clusters import INDEPENDENT_DAYS, Clusters, Entity, EntityKind
from ml.spec.estimator import Problem
from ml.spec.gate_policy import GatePolicy

Floats = NDArray[np.float64]

ENTITY = "store"
"""The name of the entities of test sets."""
BOTH_WAYS = Clusters(entities=(Entity(column=ENTITY, kind=EntityKind.SAMPLED),))
"""What a use case declares for them: sampled entities, and days that may depend on the day before."""
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
    day_quality, day_memory
        Standard deviation of the distance between the classes that each model has on each day for itself, in standard
        deviations of its score: good and bad days; and the correlation of each model's with the day before.
    entities, entity_spread, entity_error
        Number of entities, such as stores, over which the rows are spread; standard deviation of the log odds of a
        positive row over them; and of the error, its own, with which each model knows these log odds. Equal models are
        equal in expectation over entities, not on these.
    size_spread
        Standard deviation of the logarithm of the entities' sizes; 0 for equal sizes.
    """

    gains: tuple[float, ...] = (0.0,)
    rows: int = 5_000
    positive_share: float = 0.1
    auc: float = 0.75
    correlation: float = 0.65
    days: int = 28
    slices: int = 8
    day_spread: float = 0.0
    day_quality: float = 0.0
    day_memory: float = 0.0
    entities: int = 0
    entity_spread: float = 0.0
    entity_error: float = 0.0
    size_spread: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One test set: labels, times, slices, entities, and the scores of the champion and of each candidate."""

    labels: Floats
    times: pd.DatetimeIndex
    slices: NDArray[np.object_]
    entities: NDArray[np.int64]
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
        """Return the exact interval of the share."""
        return exact_interval(self.promoted, self.test_sets, confidence)

    def within(self, times: int) -> float:
        """Return how likely at least one promotion is in so many independent evaluations."""
        return 1 - (1 - self.share) ** times


def promotion_rates(
    setting: Setting,
    policies: Mapping[str, GatePolicy],
    *,
    test_sets: int,
    seed: int,
    clusters: Mapping[str, Clusters] | None = None,
) -> dict[str, Rate]:
    """Return how often each policy promotes a candidate, all of them on the same test sets.

    Parameters
    ----------
    clusters
        Name of a policy to what is declared with it; the entities are called `ENTITY`. By default nothing is declared.
    """
    promoted = dict.fromkeys(policies, 0)
    for number in range(test_sets):
        drawn = draw(setting, np.random.default_rng([seed, number]))
        for name, policy in policies.items():
            declared = (clusters or {}).get(name, INDEPENDENT_DAYS)
            promoted[name] += judge(drawn, policy, seed=number, clusters=declared).promoted is not None
    return {name: Rate(promoted=count, test_sets=test_sets) for name, count in promoted.items()}


def judge(drawn: Drawn, policy: GatePolicy, *, seed: int, clusters: Clusters = INDEPENDENT_DAYS) -> Verdict:
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
        clusters=clusters,
        entities={ENTITY: drawn.entities} if clusters.entities else {},
    )
    return decide(evaluation, policy)


def draw(setting: Setting, generator: np.random.Generator) -> Drawn:
    """Draw one test set from the binormal model.

    Within a class each model's score is normal with unit variance, and positives lie higher by
    ``sqrt(2) * ppf(AUC)``, which gives that ROC AUC (Bamber 1975). Scores are reported as the probabilities that
    this model implies, so without effects of days or entities every contender is perfectly calibrated.
    """
    rows = setting.rows
    entities, levels = _entities(setting, generator)
    odds = special.logit(setting.positive_share) + levels[entities]
    labels = (generator.random(rows) < special.expit(odds)).astype(np.float64)
    days = np.sort(generator.integers(0, setting.days, rows))
    shared = generator.standard_normal(rows)
    scores = []
    for auc in (setting.auc, *(setting.auc + gain for gain in setting.gains)):
        own = generator.standard_normal(rows)
        noise = np.sqrt(setting.correlation) * shared + np.sqrt(1 - setting.correlation) * own
        shift = setting.day_spread * generator.standard_normal(setting.days)[days]
        distance = float(np.sqrt(2) * special.ndtri(auc))
        reached = distance + _day_effect(setting, generator)[days]
        error = setting.entity_error * generator.standard_normal(setting.entities) if setting.entities else np.zeros(1)
        evidence = distance * (reached * labels + noise + shift) - distance**2 / 2
        scores.append(special.expit(odds + error[entities] + evidence))
    return Drawn(
        labels=labels,
        times=_START + pd.to_timedelta(days, unit="D"),
        slices=np.arange(setting.slices).astype(str).astype(object)[generator.integers(0, setting.slices, rows)],
        entities=entities,
        champion=scores[0],
        candidates=tuple(scores[1:]),
    )


def _entities(setting: Setting, generator: np.random.Generator) -> tuple[NDArray[np.int64], Floats]:
    """Return the entity of each row, and the log odds of each entity; one entity at 0 where there are none."""
    if not setting.entities:
        return np.zeros(setting.rows, dtype=np.int64), np.zeros(1)
    sizes = np.exp(setting.size_spread * generator.standard_normal(setting.entities))
    drawn = generator.choice(setting.entities, size=setting.rows, p=sizes / sizes.sum())
    return drawn.astype(np.int64), setting.entity_spread * generator.standard_normal(setting.entities)


def _day_effect(setting: Setting, generator: np.random.Generator) -> Floats:
    """Return by how much a model is better on each day, each remembering the day before; shape (days,)."""
    if not setting.day_quality:
        return np.zeros(setting.days)
    drawn = setting.day_quality * generator.standard_normal((setting.days, 1))
    return remembering(drawn, setting.day_memory)[:, 0]


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
