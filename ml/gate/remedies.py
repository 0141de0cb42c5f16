"""What somebody does about an evaluation that has too little for a decision."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ml.gate.verdict import Reason

BROUGHT_BY_DAYS: Mapping[str, tuple[str, ...]] = {
    "rows": ("minimum_rows",),
    "positives": ("minimum_positives",),
    "days": ("minimum_days", "minimum_dependent_days where a day may depend on the day before"),
    "weights": ("minimum_rows", "minimum_positives", "minimum_days"),
}
"""Rules that more days fulfil, each with the fields of the policy that ask for what it counts."""


def remedies(failed: "Sequence[Reason]") -> Iterator[str]:
    """Yield what makes rules about the size of an evaluation pass; nothing about the other rules.

    Parameters
    ----------
    failed
        The reasons that failed.
    """
    few = [reason for reason in failed if reason.rule in BROUGHT_BY_DAYS]
    if few:
        times = max(_times(reason) for reason in few)
        days = f"{times:g} times as many days" if math.isfinite(times) else "more days"
        fields = ", ".join(dict.fromkeys(field for reason in few for field in BROUGHT_BY_DAYS[reason.rule]))
        yield f"to have enough, evaluate {days} (evaluation_days), or have the policy ask for less ({fields})"
    if any(reason.rule == "entities" for reason in failed):
        yield "EntityKind.FIXED is for a decision about exactly these entities, which needs no sample of them"


def _times(reason: "Reason") -> float:
    """Return how many times as much is needed, to a tenth and rather more than less; infinite where there is nothing."""
    return math.ceil(10 * (reason.threshold or 0.0) / reason.value) / 10 if reason.value else math.inf
