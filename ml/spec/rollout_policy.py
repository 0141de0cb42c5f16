"""How a new champion takes over from the one before, as a use case declares it; imports the standard library only.

Declarations import this module. `ml.rollout.decision` decides by it from one stage to the next.
"""

from dataclasses import dataclass
from enum import StrEnum

from ml.spec.declaring import gathered, type_mistakes
from ml.spec.errors import DeclarationError
from ml.spec.near_miss import unknown

SHADOW, WHOLE = 0, 100
"""The percentages of requests that a challenger answers as a shadow, and as the champion."""


class RolloutWay(StrEnum):
    """How a version that has passed the gate becomes champion.

    ``DIRECT``: at once. ``SHADOW``: it scores every request and answers none until it is champion. ``CANARY``: it answers
    a growing percentage of the requests.
    """

    DIRECT = "direct"
    SHADOW = "shadow"
    CANARY = "canary"


@dataclass(frozen=True, kw_only=True)
class RolloutPolicy:
    """The way of a new champion, and the limits within which it goes on.

    Attributes
    ----------
    percentages
        Of requests that a canary answers, one stage after the other; the last is 100, as champion.
    shadow_first
        Whether a canary begins as a shadow.
    sticky_by
        Columns of the spine whose values decide which version answers: equal values, the same version. Empty for the
        request key.
    minimum_answers
        A stage ends once the challenger has scored at least so many requests in it; the guards judge from then on, and
        errors before.
    most_errors
        By how much the challenger's share of requests that it could not score may exceed the champion's.
    latency_ratio, latency_floor
        The challenger's 99th percentile of seconds for a request may be this many times the champion's; up to the floor
        the ratio is not applied.
    most_score_drift
        Largest distance between the distributions of both versions' scores on the same requests (Kolmogorov-Smirnov, 0 to
        1).
    most_days
        A challenger that the gate has not let go on within so many days of a stage is returned.
    """

    way: RolloutWay = RolloutWay.DIRECT
    percentages: tuple[int, ...] = (10, 50, WHOLE)
    shadow_first: bool = False
    sticky_by: tuple[str, ...] = ()
    minimum_answers: int = 500
    most_errors: float = 0.01
    latency_ratio: float = 3.0
    latency_floor: float = 0.02
    most_score_drift: float = 0.3
    most_days: int = 60

    @gathered
    def __post_init__(self) -> None:
        mistakes = type_mistakes(self) or [sentence for wrong, sentence in self._checks() if wrong]
        if mistakes:
            raise DeclarationError(f"rollout: {'; '.join(mistakes)}.")

    @property
    def is_direct(self) -> bool:
        """Whether a version that has passed the gate is champion at once."""
        return self.way == RolloutWay.DIRECT

    @property
    def stages(self) -> tuple[int, ...]:
        """The percentages of requests that the challenger answers, in order; the last is 100."""
        if self.way == RolloutWay.SHADOW:
            return SHADOW, WHOLE
        if self.way == RolloutWay.DIRECT:
            return (WHOLE,)
        return (SHADOW, *self.percentages) if self.shadow_first else self.percentages

    def following(self, percentage: int) -> int:
        """Return the stage after one; of one that is declared no more, the next larger."""
        return next((stage for stage in self.stages if stage > percentage), WHOLE)

    def _checks(self) -> tuple[tuple[bool, str], ...]:
        steps = self.percentages
        rising = all(0 < step <= WHOLE for step in steps) and list(steps) == sorted(set(steps))
        limits = {"most_errors": self.most_errors, "most_score_drift": self.most_score_drift}
        outside = [f"{name} is {value}" for name, value in limits.items() if not 0 < value <= 1]
        return (
            (self.way not in tuple(RolloutWay), unknown("way", str(self.way), [one.value for one in RolloutWay]).rstrip(".")),
            (not rising or steps[-1:] != (WHOLE,),
             f"percentages is {steps}; give whole numbers from 1 to 100 that increase and end at 100, such as (10, 50, 100)"),
            (self.shadow_first and self.way != RolloutWay.CANARY,
             f"shadow_first is for a canary, and way is {str(self.way)!r}; leave it out"),
            (bool(outside), f"{' and '.join(outside)}; give more than 0 and at most 1"),
            (not self.latency_ratio >= 1, f"latency_ratio is {self.latency_ratio}; give 1 or more"),
            (not self.latency_floor >= 0, f"latency_floor is {self.latency_floor}; give 0 or more"),
            (self.minimum_answers < 1, f"minimum_answers is {self.minimum_answers}; give 1 or more"),
            (self.most_days < 1, f"most_days is {self.most_days}; give 1 or more"),
        )  # fmt: skip


DIRECT = RolloutPolicy()
"""Champion at once: the default."""
