"""How much each row counts, as a use case declares it; imports the standard library only."""

from dataclasses import dataclass
from math import isfinite

from ml.spec.declaring import gathered, type_mistakes
from ml.spec.errors import DeclarationError

SAMPLE_WEIGHT = "sample_weight"
"""The column of training rows and predictions that holds the weight."""


@dataclass(frozen=True, kw_only=True)
class Weight:
    """A column that says how much a row counts.

    Attributes
    ----------
    column
        A number of the request, of a feature row that is looked up, of the inputs builder, or of the label's row.
    in_metrics
        Whether evaluation, gate, monitors and estimates count by weight too; fitting always does.
    missing
        The weight of a row that has none.
    """

    column: str
    in_metrics: bool = False
    missing: float = 1.0

    @gathered
    def __post_init__(self) -> None:
        mistakes = type_mistakes(self)
        if not mistakes and not (isfinite(self.missing) and self.missing >= 0):
            mistakes = [f"missing is {self.missing}; give a number of 0 or more"]
        if mistakes:
            raise DeclarationError(f"weight: {'; '.join(mistakes)}.")
