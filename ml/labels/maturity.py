"""Which requests decide at an instant: those whose outcome is due, each by its outcome as it was known when due.

Where a label's value decides when it becomes known, those that are known so far are not like the others: a customer who
leaves is known at once, one who stays only at the deadline. So a request counts from its due time on, never earlier, and
an outcome that becomes known later than that does not count: older requests have had more time for it. Every request
is then looked at at the same age, and chance alone decides which labels are there.

The same rule as a Spark expression is `pipelines.dataframes.label_maturity`; a test compares them row by row.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Instants = NDArray[np.datetime64]


class Standing(StrEnum):
    """What is known of a request's outcome at an instant; the first two decide, the others are left out.

    ``LABELLED``: known when due, with a label. ``ASSUMED``: due without an outcome, and the use case states what that
    means. ``NOT_DUE``: too early. ``WITHOUT_OUTCOME``: due, and no outcome has come. ``LATE``: due, and the outcome came
    after its due time. ``WITHOUT_LABEL``: known when due, and it gives no label.
    """

    LABELLED = "labelled"
    ASSUMED = "assumed"
    NOT_DUE = "not_due"
    WITHOUT_OUTCOME = "without_outcome"
    LATE = "late"
    WITHOUT_LABEL = "without_label"


@dataclass(frozen=True, kw_only=True)
class LabelCounts:
    """The requests of a window, each counted once, by their standing."""

    labelled: int = 0
    assumed: int = 0
    not_due: int = 0
    without_outcome: int = 0
    late: int = 0
    without_label: int = 0

    @classmethod
    def of(cls, counts: Mapping[str, int]) -> "LabelCounts":
        """Return the counts by the names of standings; one that is not given is 0."""
        return cls(**{field.name: int(counts.get(field.name, 0)) for field in fields(cls)})

    @property
    def requests(self) -> int:
        """All of them."""
        return sum(getattr(self, field.name) for field in fields(self))

    @property
    def deciding(self) -> int:
        """Those that decide."""
        return self.labelled + self.assumed

    @property
    def sentence(self) -> str:
        """What decides and what is left out, in words."""
        words = {
            "not due yet": self.not_due,
            "due without an outcome": self.without_outcome,
            "with an outcome that came after its due time": self.late,
            "with an outcome that gives no label": self.without_label,
        }
        left = ", ".join(f"{count:,} {what}" for what, count in words.items() if count) or "none"
        assumed = f", {self.assumed:,} of them by the value stated for no outcome" if self.assumed else ""
        return f"{self.deciding:,} of {self.requests:,} requests have a label that was due{assumed}; left out: {left}"


def standings(
    prediction_at: Instants, known_at: Instants, labels: Floats, *,
    at: np.datetime64, due_days: float, without_outcome: float | None,
) -> tuple[NDArray[np.object_], Floats]:  # fmt: skip
    """Return the standing of each request at an instant, and the label by which it decides.

    Parameters
    ----------
    prediction_at
        Shape (rows,).
    known_at
        Shape (rows,): when the outcome becomes known; NaT for never.
    labels
        Shape (rows,): NaN for an outcome that gives no label.
    at
        Only what was known before it counts.
    due_days
        Days from the prediction to the due time.
    without_outcome
        The label of a due request without an outcome; None to leave it out.

    Returns
    -------
    tuple
        Standings, and labels that are NaN where the request does not decide; shape (rows,) each.
    """
    due_at = prediction_at + np.timedelta64(round(due_days * 86_400_000_000), "us")
    due, in_time = due_at < at, known_at <= due_at
    came_late = ~np.isnat(known_at) & ~in_time & (known_at < at)
    found = np.where(np.isnan(labels), Standing.WITHOUT_LABEL, Standing.LABELLED).astype(object)
    absent = np.where(came_late, Standing.LATE, Standing.WITHOUT_OUTCOME).astype(object)
    found[~in_time] = absent[~in_time] if without_outcome is None else Standing.ASSUMED
    found[~due] = Standing.NOT_DUE
    deciding = np.full(labels.size, np.nan)
    own = found == Standing.LABELLED
    deciding[own] = labels[own]
    if without_outcome is not None:
        deciding[found == Standing.ASSUMED] = without_outcome
    return found, deciding
