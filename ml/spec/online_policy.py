"""Whether and how the feature tables of a use case are published to an online store, as it declares it; standard library only."""

from dataclasses import dataclass
from enum import StrEnum

from ml.spec.declaring import gathered, type_mistakes
from ml.spec.errors import DeclarationError
from ml.spec.near_miss import unknown


class PublishMode(StrEnum):
    """How the pipeline of the platform brings an online table up to its feature table; the words are those of the service.

    ``TRIGGERED``: what has changed, whenever the job publishes. ``CONTINUOUS``: what has changed, all the time, by a pipeline
    that never stops. ``SNAPSHOT``: all rows, whenever the job publishes.
    https://learn.microsoft.com/en-us/azure/databricks/machine-learning/feature-store/online-feature-store
    """

    TRIGGERED = "TRIGGERED"
    CONTINUOUS = "CONTINUOUS"
    SNAPSHOT = "SNAPSHOT"

    @property
    def reads_changes(self) -> bool:
        """Whether the pipeline reads the change data feed of the feature table, which must have one."""
        return self is not PublishMode.SNAPSHOT


@dataclass(frozen=True, kw_only=True)
class OnlinePolicy:
    """How the features that predictions look up reach the online store of a deployed environment.

    Attributes
    ----------
    lag_hours
        An online table that is further behind its feature table after a publication is a finding.
    wait_minutes
        How long a publication waits for the platform's pipelines before it measures how far they are behind.
    """

    mode: PublishMode = PublishMode.TRIGGERED
    lag_hours: float = 1.0
    wait_minutes: int = 30

    @gathered
    def __post_init__(self) -> None:
        mistakes = type_mistakes(self) or [sentence for wrong, sentence in self._checks() if wrong]
        if mistakes:
            raise DeclarationError(f"online: {'; '.join(mistakes)}.")

    def _checks(self) -> tuple[tuple[bool, str], ...]:
        return (
            (
                self.mode not in tuple(PublishMode),
                unknown("mode", str(self.mode), [one.value for one in PublishMode]).rstrip("."),
            ),
            (not self.lag_hours > 0, f"lag_hours is {self.lag_hours:g}; give more than 0"),
            (not 1 <= self.wait_minutes <= 180, f"wait_minutes is {self.wait_minutes}; give 1 to 180"),
        )
