"""Findings about inputs that differ between scoring and training, each with the lookup that is responsible.

The engine compares the stored inputs, see `pipelines.tasks.monitoring.skew`; here its counts become sentences. A row that the feed
corrects as it declares is no skew: scoring had what there was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ml.monitoring.findings import ALL_ROWS, Finding, FindingKind

KNOWN_EQUAL = 1e-9
"""Numbers that differ by less than this share are equal: engines add in different orders."""


@dataclass(frozen=True, kw_only=True)
class InputDifference:
    """One input of the requests of a window that were scored and then trained on.

    Attributes
    ----------
    training_set_id
        The set that has the requests as they were trained on.
    lookup
        What the input comes from, as a sentence names it.
    requests, differing
        Those in both, for the same instant of prediction, and those whose values differ.
    late
        Of those that differ: training joined a row that was not in the table when they were scored.
    replaced
        Both joined the same row, and it has other values now, although its feed declares no corrections.
    corrected
        The same where the feed declares that it corrects itself.
    changed
        The code of today makes another value of what scoring or training read: lookup or builder changed between.
    example_key, scored_value, trained_value
        One request that differs, and both values; None without any, and a value that is None was missing.
    """

    window_start: datetime
    window_end: datetime
    training_set_id: str
    column_name: str
    lookup: str
    requests: int
    differing: int
    late: int = 0
    replaced: int = 0
    corrected: int = 0
    changed: int = 0
    example_key: str | None = None
    scored_value: str | None = None
    trained_value: str | None = None

    @property
    def unexplained(self) -> int:
        """Those that differ and of which the cause was not found, or not looked for."""
        return self.differing - self.late - self.replaced - self.corrected - self.changed


def skew_findings(differences: Sequence[InputDifference]) -> tuple[Finding, ...]:
    """Return a finding for each input and window with a difference that is no declared correction."""
    return tuple(
        Finding(
            window_start=one.window_start,
            window_end=one.window_end,
            kind=FindingKind.SKEW.value,
            column_name=one.column_name,
            slice_key=ALL_ROWS,
            slice_value=ALL_ROWS,
            statistic="share_of_requests",
            value=one.differing / one.requests,
            threshold=0.0,
            since=one.window_start,
            message=_sentence(one),
        )
        for one in differences
        if one.differing > one.corrected
    )


def _sentence(one: InputDifference) -> str:
    return (
        f"{one.column_name}: {one.differing:,} of {one.requests:,} requests that were scored were trained on with another "
        f"value (training set {one.training_set_id}); responsible is {one.lookup}: {'; '.join(causes(one))}. For example "
        f"{one.example_key}: scored with {_shown(one.scored_value)}, trained with {_shown(one.trained_value)}."
    )


def causes(one: InputDifference) -> tuple[str, ...]:
    """Return why the requests differ, each cause with its number of requests."""
    words = (
        (one.late, "joined a row that reached the table after they were scored, which scoring cannot have"),
        (one.changed, "differ by the code: the lookup or a builder was changed between scoring and training"),
        (
            one.replaced,
            "joined the same row with other values: rows of its source came late, or its builder was changed",
        ),
        (one.corrected, "joined a row that its feed has corrected since, as it declares"),
        (one.unexplained, "differ for a cause that is not known: the tables as scoring read them were not looked into"),
    )
    return tuple(f"{number:,} {what}" for number, what in words if number)


def _shown(value: str | None) -> str:
    return "no value" if value is None else value
