"""What the page of the whole house shows, as plain frozen values: one record for each use case in each environment."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.on_call.alerts import Alert
from pipelines.on_call.cause import Cause
from pipelines.report.house.shared_tables import SharedLine
from pipelines.report.mlflow_links import MlflowLinks
from pipelines.report.records import EstateSummary


@dataclass(frozen=True, kw_only=True)
class Freshness:
    """Until when one source was read and has rows."""

    source: str
    until: dt.datetime
    rows: int
    quarantined: int


@dataclass(frozen=True, kw_only=True)
class PlacedUseCase:
    """One use case in one environment.

    Attributes
    ----------
    cause
        Where to look first.
    failed
        The tasks whose last run failed, with their errors.
    findings
        Those of the newest month that has any.
    versions
        Every version with its aliases and the table versions that it was made from, the newest first.
    report
        The relative address of its own page; None where there is none.
    links
        Where MLflow shows its runs and versions; None where that is not known.
    alarms
        The alerts that stand, the most urgent first.
    picture
        Lineage with the champion and the table versions that it was made from, as SVG; empty without a champion.
    """

    environment: str
    use_case: str
    team: str
    description: str
    cause: Cause
    champion: int | None
    verdict: str | None
    failed: tuple[str, ...]
    findings: tuple[Mapping[str, Any], ...]
    freshness: tuple[Freshness, ...]
    predictions: int
    predicted_until: dt.datetime | None
    runs: int
    last_run: dt.datetime | None
    seconds: float
    versions: tuple[Mapping[str, Any], ...]
    report: str | None = None
    links: MlflowLinks | None = None
    alarms: tuple[Alert, ...] = ()
    picture: str = ""


@dataclass(frozen=True, kw_only=True)
class House:
    """Everything that the page of the whole house shows.

    Attributes
    ----------
    environments
        All of them, in their order, also those in which nothing has run.
    pictures
        Lineage of each use case, as SVG.
    ways
        The same in words: what is read, what is written from it, by which tasks.
    shared
        The feature tables that use cases share.
    cost
        Rows of the monthly cost, as `infra cost` writes them; empty if they were not given.
    """

    environments: tuple[str, ...]
    placed: tuple[PlacedUseCase, ...]
    pictures: Mapping[str, str]
    made_at: dt.datetime
    ways: Mapping[str, tuple[tuple[str, str, str], ...]] = field(default_factory=dict)
    estate: EstateSummary | None = None
    shared: tuple[SharedLine, ...] = ()
    cost: tuple[Mapping[str, Any], ...] = ()

    @property
    def urgent(self) -> tuple[PlacedUseCase, ...]:
        """What is wrong, failed jobs first; of what is equally wrong, the environment that models reach last comes first."""
        wrong = [one for one in self.placed if one.cause.area is not None]
        last = {name: place for place, name in enumerate(reversed(self.environments))}
        return tuple(sorted(wrong, key=lambda one: (not one.failed, last[one.environment], one.use_case)))

    @property
    def by_urgency(self) -> tuple[str, ...]:
        """The environments: with a failed job, with something else to look at, the others, and those where nothing has run."""

        def rank(name: str) -> int:
            here = [one for one in self.placed if one.environment == name]
            if not here:
                return 3
            return 0 if any(one.failed for one in here) else 1 if any(one in self.urgent for one in here) else 2

        return tuple(sorted(self.environments, key=rank))

    def cards(self, environment: str) -> tuple[PlacedUseCase, ...]:
        """Return the use cases of an environment, what is wrong first."""
        here = [one for one in self.placed if one.environment == environment]
        return tuple(sorted(here, key=lambda one: (not one.failed, one.cause.area is None)))
