"""What the rows of an evaluation depend on: days, and entities such as stores or accounts.

Part of a declaration, so this is a light module: standard library only. `ml.metrics.clusters` computes with it.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

from ml.spec.errors import DeclarationError

DAY_MEMORY = 0.5
"""How much a day may depend on the day before where nothing else is declared."""
LEAST_DEPENDENT_DAYS = 28
"""With fewer days of that memory the level of the gate was not held when measured; more memory needs more days."""
_LEAST_COSINES = 4
"""What `LEAST_DEPENDENT_DAYS` of `DAY_MEMORY` give: with fewer, a test has hardly any power."""
MOST_DAY_MEMORY = 0.8
"""Beyond this a year of days is too short for a decision."""
MOST_SAMPLED = 2
"""Entities whose numbers of combinations stay small: each further one doubles the terms of the variance."""


class EntityKind(StrEnum):
    """What a decision is about.

    ``SAMPLED``: entities like these, today's and others; how much they differ is part of the error. ``FIXED``: exactly
    these entities, which the next rows will have too; a model that is better on them *is* better.
    """

    SAMPLED = "sampled"
    FIXED = "fixed"


@dataclass(frozen=True, kw_only=True)
class Entity:
    """Something that several rows belong to, on several days.

    Attributes
    ----------
    column
        An input or a column of the spine.
    kind
        Whether the decision is about these entities or about entities like these.
    """

    column: str
    kind: EntityKind


@dataclass(frozen=True, kw_only=True)
class Clusters:
    """Which rows may depend on each other. The rows of one day always may.

    Attributes
    ----------
    entities
        Rows of one sampled entity may depend on each other, on whatever days they are.
    day_memory
        The largest correlation of a day with the day before that decisions allow for, as weather and demand have it;
        0 only if days are known to be independent. More asks for more days.
    """

    entities: tuple[Entity, ...] = ()
    day_memory: float = DAY_MEMORY

    def __post_init__(self) -> None:
        columns = [entity.column for entity in self.entities]
        repeated = sorted({name for name in columns if columns.count(name) > 1})
        mistakes = []
        if repeated:
            mistakes.append(f"{', '.join(repeated)} is declared more than once")
        if len(self.sampled) > MOST_SAMPLED:
            mistakes.append(f"{len(self.sampled)} entities are sampled, at most {MOST_SAMPLED} are possible")
        if not 0 <= self.day_memory <= MOST_DAY_MEMORY:
            mistakes.append(f"day_memory is {self.day_memory}; give a number from 0 to {MOST_DAY_MEMORY}")
        if mistakes:
            raise DeclarationError(f"clusters: {'; '.join(mistakes)}.")

    @property
    def columns(self) -> tuple[str, ...]:
        """The column of every entity."""
        return tuple(entity.column for entity in self.entities)

    @property
    def sampled(self) -> tuple[str, ...]:
        """The columns whose entities are a sample."""
        return tuple(entity.column for entity in self.entities if entity.kind is EntityKind.SAMPLED)


INDEPENDENT_DAYS = Clusters(day_memory=0)
"""Where a use case declares nothing: days are the units, and independent of each other."""


def dependent_days(day_memory: float, usual: int = LEAST_DEPENDENT_DAYS) -> int:
    """Return how many days are worth as much as so many usual ones, of which each remembers `DAY_MEMORY`; at least these."""
    return max(usual, math.ceil(usual * cosines_per_day(DAY_MEMORY) / cosines_per_day(day_memory) - 1e-9))


def cosines_per_day(day_memory: float) -> float:
    """Return how many cosines a day allows for (`ml.metrics.clusters.slow_variance`); one of number k over n days has the frequency k / 2n."""
    fastest = math.sin(math.pi * _LEAST_COSINES / (2 * LEAST_DEPENDENT_DAYS))
    sine = fastest * math.sqrt(DAY_MEMORY / day_memory) * (1 - day_memory) / (1 - DAY_MEMORY)
    return 2 * math.asin(min(1.0, sine)) / math.pi
