"""Whether and how a use case scores requests as they come, as it declares it; imports the standard library only.

Declarations import this module. The source of the stream is the table of the spine, whose rows are the requests.
"""

from dataclasses import dataclass
from enum import StrEnum

from ml.spec.declaring import gathered, type_mistakes
from ml.spec.errors import DeclarationError
from ml.spec.near_miss import unknown

EVERY_FIVE_MINUTES = "0 0/5 * * * ?"
"""When a stream starts that declares no other schedule."""
MOST_RUN_HOURS = 23
"""No run of a job takes longer than a day, the hour in which it ends included."""


class StreamTrigger(StrEnum):
    """When a stream works.

    ``AVAILABLE_NOW``: a schedule starts it, it takes what is there, and ends. ``CONTINUOUS``: it runs all the time.
    """

    AVAILABLE_NOW = "available_now"
    CONTINUOUS = "continuous"


@dataclass(frozen=True, kw_only=True)
class StreamingPolicy:
    """How the requests of a use case are scored as they come.

    Attributes
    ----------
    cron
        When a stream that is not continuous starts, as a Quartz expression, seconds first, in UTC; None for every five
        minutes.
    interval_seconds
        How long a continuous stream waits between two increments that found nothing to do.
    lag_minutes
        A request that fell due longer ago and has no prediction is a finding: the stream lags.
    run_hours
        A continuous run ends by itself after so many hours, at most 23; the next one, which Databricks starts, has the newest
        release.
    """

    trigger: StreamTrigger = StreamTrigger.AVAILABLE_NOW
    cron: str | None = None
    interval_seconds: int = 10
    lag_minutes: int = 30
    run_hours: int = 20

    @gathered
    def __post_init__(self) -> None:
        mistakes = type_mistakes(self) or [sentence for wrong, sentence in self._checks() if wrong]
        if mistakes:
            raise DeclarationError(f"streaming: {'; '.join(mistakes)}.")

    @property
    def is_continuous(self) -> bool:
        """Whether the stream runs all the time."""
        return self.trigger == StreamTrigger.CONTINUOUS

    @property
    def schedule(self) -> str | None:
        """When the stream starts, as a Quartz expression; None if it runs all the time."""
        return None if self.is_continuous else self.cron or EVERY_FIVE_MINUTES

    def _checks(self) -> tuple[tuple[bool, str], ...]:
        counts = {
            "interval_seconds": self.interval_seconds, "lag_minutes": self.lag_minutes, "run_hours": self.run_hours
        }  # fmt: skip
        small = [f"{name} is {value}" for name, value in counts.items() if value < 1]
        return (
            (self.trigger not in tuple(StreamTrigger),
             unknown("trigger", str(self.trigger), [one.value for one in StreamTrigger]).rstrip(".")),
            (self.is_continuous and self.cron is not None,
             f"cron is {self.cron!r}, and a continuous stream has no schedule; leave it out"),
            (self.run_hours > MOST_RUN_HOURS, f"run_hours is {self.run_hours}; give at most {MOST_RUN_HOURS}"),
            (bool(small), f"{' and '.join(small)}; give 1 or more"),
        )  # fmt: skip
