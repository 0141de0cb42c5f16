"""Limits as ratios: what a benchmark may take, as a multiple of an alternative that is measured in the same run.

A limit never states seconds, so that it means the same on every machine; seconds are printed for information.
"""

from collections.abc import Sequence
from dataclasses import dataclass

CALIBRATION = "the calibration (benchmarks/calibration.py)"
"""The alternative of a benchmark that has no other."""


@dataclass(frozen=True, kw_only=True)
class Limit:
    """The largest ratio that a benchmark may reach.

    Attributes
    ----------
    what
        What is measured.
    alternative
        What it is measured against, in the same run.
    at_most
        Largest allowed ratio of the two times; below 1 where ours has to be faster than the alternative.
    """

    what: str
    alternative: str
    at_most: float


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A limit and both times of one run, in seconds."""

    limit: Limit
    seconds: float
    alternative_seconds: float

    @property
    def ratio(self) -> float:
        """Time as a multiple of the alternative's."""
        return self.seconds / self.alternative_seconds

    @property
    def holds(self) -> bool:
        """Whether the ratio is within the limit."""
        return self.ratio <= self.limit.at_most

    @property
    def sentence(self) -> str:
        """The figure as a line: verdict, ratio, limit and, for information, seconds."""
        limit = self.limit
        return (
            f"{'within limit' if self.holds else 'ABOVE LIMIT'}  {limit.what}: {self.ratio:.4g} x {limit.alternative}, "
            f"at most {limit.at_most:.4g} x ({self.seconds:.2f} s, {self.alternative_seconds:.2f} s)"
        )


def judge(figures: Sequence[Figure]) -> int:
    """Print one line for each figure; return 1 if one of them is above its limit, else 0."""
    for figure in figures:
        print(f"  {figure.sentence}", flush=True)
    return int(not all(figure.holds for figure in figures))
