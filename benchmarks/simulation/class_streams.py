"""Test sets with one of several classes, whose truth is known: rows that share a day or an entity, and two models.

Each model sees evidence for the class of a row and weighs it by Bayes' rule. Models with the same evidence are equal in
expectation, over days and entities, and not on those that were drawn.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from benchmarks.simulation.drift_streams import remembering
from ml.metrics.clusters import Units
from ml.spec.clusters import DAY_MEMORY

Floats = NDArray[np.float64]

ENTITY = "store"


@dataclass(frozen=True, kw_only=True)
class ClassSetting:
    """The parameters of test sets.

    Attributes
    ----------
    shares
        Of the classes.
    rows, days
        Of one test set, the rows spread evenly over the days.
    distance
        By how much the evidence for its own class is higher, in standard deviations.
    gain
        By how much the candidate's is higher than the champion's.
    correlation
        Of the evidence of both models.
    entities, entity_spread, entity_error
        Over how many entities the rows are spread; the standard deviation of the log odds of each class over them, and of the
        error, its own, with which each model knows these.
    day_quality, day_memory
        Standard deviation of what is added to the distance on each day, for each model for itself, and its correlation with
        the day before.
    """

    shares: tuple[float, ...] = (0.1, 0.3, 0.6)
    rows: int = 5_000
    days: int = 28
    distance: float = 0.8
    gain: float = 0.0
    correlation: float = 0.65
    entities: int = 0
    entity_spread: float = 1.0
    entity_error: float = 1.0
    day_quality: float = 0.0
    day_memory: float = 0.0

    @property
    def clustered(self) -> bool:
        """Whether entities and days that remember are declared."""
        return bool(self.entities or self.day_memory)


@dataclass(frozen=True, kw_only=True)
class DrawnClasses:
    """One test set: the places of the classes, their probabilities by either model, and which rows depend on each other."""

    labels: Floats
    champion: Floats
    candidate: Floats
    units: Units


def draw_classes(setting: ClassSetting, random: np.random.Generator) -> DrawnClasses:
    """Return one test set."""
    rows, count = setting.rows, len(setting.shares)
    days = np.arange(rows) * setting.days // rows
    entities = random.integers(0, max(1, setting.entities), rows)
    spread = setting.entity_spread if setting.entities else 0.0
    known = np.log(setting.shares) + spread * random.normal(size=(max(1, setting.entities), count))
    labels = (special.softmax(known[entities], axis=1).cumsum(axis=1) < random.random((rows, 1))).sum(axis=1)
    labels = np.minimum(labels, count - 1)
    common = random.normal(size=(rows, count))
    scores = []
    for gain in (0.0, setting.gain):
        own = random.normal(size=(rows, count))
        noise = np.sqrt(setting.correlation) * common + np.sqrt(1 - setting.correlation) * own
        quality = setting.day_quality * _of_days(setting, random)
        distance = setting.distance + gain
        evidence = noise + (np.arange(count) == labels[:, None]) * (distance + quality[days])[:, None]
        error = setting.entity_error * random.normal(size=known.shape) if setting.entities else np.zeros(known.shape)
        scores.append(special.softmax((known + error)[entities] + distance * evidence, axis=1))
    sampled = {ENTITY: entities.astype(np.int64)} if setting.entities else {}
    return DrawnClasses(
        labels=labels.astype(np.float64), champion=scores[0], candidate=scores[1],
        units=Units(days=days.astype(np.int64), entities=sampled, day_memory=DAY_MEMORY if setting.clustered else 0),
    )  # fmt: skip


def _of_days(setting: ClassSetting, random: np.random.Generator) -> Floats:
    shocks = random.normal(size=(setting.days, 1))
    return remembering(shocks, setting.day_memory)[:, 0] if setting.day_memory else shocks[:, 0]
