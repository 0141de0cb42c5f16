"""The dates of a run that a person started without any: the job ends where its data ends, not at the clock.

Pure. A scheduled run keeps to its clock; only the commands that people call ask here.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.declarations.standard_jobs.delivery import DELIVERY

WINDOW = ("since", "until")
TO_LABELS = ("training", DELIVERY)
"""Jobs that read what has a label."""


@dataclass(frozen=True, kw_only=True)
class Span:
    """The first and the last instant of some rows."""

    first: dt.datetime
    last: dt.datetime

    @property
    def words(self) -> str:
        """The span in days."""
        return f"from {self.first:%Y-%m-%d} to {self.last:%Y-%m-%d}"


@dataclass(frozen=True, kw_only=True)
class DataRanges:
    """Where the data of a use case lies in one environment; None where there is no row.

    Attributes
    ----------
    requests
        When predictions fall due.
    labels
        When labels became known.
    predictions
        When the requests that were scored fell due.
    """

    requests: Span | None = None
    labels: Span | None = None
    predictions: Span | None = None

    @property
    def words(self) -> str:
        """One sentence with every range."""
        named = (("requests", self.requests), ("labels known", self.labels), ("predictions", self.predictions))
        return "; ".join(f"{what} {span.words if span else 'none'}" for what, span in named)


@dataclass(frozen=True, kw_only=True)
class ChosenDates:
    """What a run without dates is given.

    Attributes
    ----------
    parameters
        ``until``: where the data of the job ends, or the present if that is earlier. Tasks tell by a date that a person
        waits for the result: without one a scheduled run may find that there is nothing to do.
    sentence
        The ranges and the choice, for the person who started the run; None where nothing was chosen.
    """

    parameters: Mapping[str, str]
    sentence: str | None = None


def choose_dates(job: str, given: Mapping[str, str], ranges: DataRanges, *, now: dt.datetime) -> ChosenDates:
    """Return the window of a job of which no date was given.

    Parameters
    ----------
    job
        Name of the job within its use case.
    given
        What the person gave; with a date among it nothing is chosen.
    """
    if not takes_dates(job) or any(given.get(name) for name in WINDOW):
        return ChosenDates(parameters={})
    end = _end(job, ranges)
    if end is None or end >= now:
        return ChosenDates(
            parameters=until_now(now), sentence=f"{ranges.words}; no date was given, so the run ends now"
        )
    until = end.isoformat()[:10]
    return ChosenDates(
        parameters={"until": until},
        sentence=f"{ranges.words}; no date was given, so the run ends where its data ends: --param until={until}",
    )


def until_now(now: dt.datetime) -> dict[str, str]:
    """Return the window of a run of which only the present is known."""
    return {"until": now.isoformat(timespec="seconds")}


def takes_dates(job: str) -> bool:
    """Return whether a job reads a window of what is there; the features job asks its sources, whatever they have."""
    return job in (*TO_LABELS, "scoring", "monitoring")


def _end(job: str, ranges: DataRanges) -> dt.datetime | None:
    """Return the midnight after the last row that the job reads."""
    spans = {"scoring": (ranges.requests,), "monitoring": (ranges.labels, ranges.predictions)}.get(
        job, (ranges.labels,)
    )
    ends = [span.last for span in spans if span is not None]
    if not ends:
        return None
    return max(ends).replace(hour=0, minute=0, second=0, microsecond=0) + dt.timedelta(days=1)
