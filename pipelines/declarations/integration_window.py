"""The window of an integration run: which days are trained on, evaluated, scored and monitored, and how large a sample."""

import datetime as dt
from dataclasses import dataclass

from pipelines.declarations.mistakes import DeclarationError, gathered, require_types


@dataclass(frozen=True, kw_only=True)
class IntegrationWindow:
    """The days of an integration run, each from midnight UTC.

    A use case may state one; without it, an integration run places one at the end of what the sources have delivered
    (see `pipelines.integration.window`).

    Attributes
    ----------
    trained_until
        End, exclusive, of what is trained on and evaluated; scoring begins here.
    until
        End, exclusive, of what is scored and monitored.
    evaluation_days
        Days before `trained_until` that are kept for evaluation.
    training_days
        Days before those that are trained on; None for the training job's default.
    sample
        Share of the requests to train on and evaluate, drawn by request key; above 0 and at most 1.
    since
        First day that is read from the sources; None for everything that they have. State it for a feed that holds
        years of rows.

    Raises
    ------
    DeclarationError
        If the days are not in order, or the sample or a number of days is out of its range; with every mistake.
    """

    trained_until: dt.date
    until: dt.date
    evaluation_days: int = 28
    training_days: int | None = None
    sample: float = 1.0
    since: dt.date | None = None

    @gathered
    def __post_init__(self) -> None:
        require_types("integration window", self)
        mistakes = []
        if not self.trained_until < self.until:
            mistakes.append(f"trained_until={self.trained_until} must be before until={self.until}.")
        if self.since is not None and not self.since < self.trained_until:
            mistakes.append(f"since={self.since} must be before trained_until={self.trained_until}.")
        if not 0.0 < self.sample <= 1.0:
            mistakes.append(f"sample={self.sample} must be above 0 and at most 1.")
        days = {"evaluation_days": self.evaluation_days, "training_days": self.training_days}
        mistakes += [
            f"{name}={number} must be at least 1." for name, number in days.items() if number is not None and number < 1
        ]
        if mistakes:
            raise DeclarationError(f"integration window: {' '.join(mistakes)}")
