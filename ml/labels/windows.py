"""The windows of a training: where evaluation and training rows begin, counted back from where outcomes are due."""

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TrainingWindows:
    """Requests from `training_from` are trained on, those from `evaluation_from` evaluated; both ends are half-open.

    Attributes
    ----------
    end
        The instant of the training. Requests that are not due then belong to the evaluation and are left out of it.
    """

    training_from: dt.datetime
    evaluation_from: dt.datetime
    end: dt.datetime


def training_windows(end: dt.datetime, *, due_days: int, evaluation_days: int, training_days: int) -> TrainingWindows:
    """Return the windows of a training at an instant.

    The last `evaluation_days` whose outcomes are due at `end` are evaluated; before them the last `training_days` whose
    outcomes are due at the first evaluated prediction are trained on. So no day is lost to waiting, and no training
    label was known later than an evaluated prediction was made.
    """
    wait = dt.timedelta(days=due_days)
    evaluation_from = end - wait - dt.timedelta(days=evaluation_days)
    return TrainingWindows(
        training_from=evaluation_from - wait - dt.timedelta(days=training_days),
        evaluation_from=evaluation_from,
        end=end,
    )
