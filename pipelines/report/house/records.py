"""What the page of the whole house shows, as plain frozen values: one record for each use case in each environment."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.declarations.urgency import Severity
from pipelines.on_call.alerts import Alert, standing
from pipelines.on_call.cause import Cause
from pipelines.report.house.shared_tables import SharedLine
from pipelines.report.mlflow_links import MlflowLinks
from pipelines.report.records import EstateSummary

SEVERITIES = tuple(Severity)
SOUND = len(SEVERITIES) + 2
"""The urgency of a use case of which nothing is wrong."""


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
        The tasks whose last run failed, with their errors, and those whose process is gone.
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
    readable
        Whether its tables could be read; where not, the cause says why and nothing else is known.
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
    readable: bool = True
    picture: str = ""

    @property
    def urgency(self) -> int:
        """The place in a list of what to look at: a failed job, alarms by severity, what else is wrong, `SOUND`."""
        if self.failed or self.cause.area is None:
            return 0 if self.failed else SOUND
        return 1 + min((SEVERITIES.index(one.severity) for one in self.alarms), default=len(SEVERITIES))


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
    place
        The option by which commands reach these environments.
    """

    environments: tuple[str, ...]
    placed: tuple[PlacedUseCase, ...]
    pictures: Mapping[str, str]
    made_at: dt.datetime
    ways: Mapping[str, tuple[tuple[str, str, str], ...]] = field(default_factory=dict)
    estate: EstateSummary | None = None
    shared: tuple[SharedLine, ...] = ()
    cost: tuple[Mapping[str, Any], ...] = ()
    place: str = "--root lakehouse"

    @property
    def urgent(self) -> tuple[PlacedUseCase, ...]:
        """What is wrong, by urgency; of what is equally urgent, the environment that models reach last comes first."""
        wrong = [one for one in self.placed if one.urgency < SOUND]
        return tuple(sorted(wrong, key=lambda one: (one.urgency, self._from_the_last(one.environment), one.use_case)))

    @property
    def by_urgency(self) -> tuple[str, ...]:
        """The environments by their most urgent use case, what is wrong in the order of `urgent`; where nothing has run, last."""
        most = {name: min((one.urgency for one in self.cards(name)), default=SOUND + 1) for name in self.environments}
        wrong = sorted((name for name, urgency in most.items() if urgency < SOUND), key=self._from_the_last)
        names = (*wrong, *(name for name in self.environments if name not in wrong))
        return tuple(sorted(names, key=lambda name: most[name]))

    def _from_the_last(self, environment: str) -> int:
        return len(self.environments) - self.environments.index(environment)

    def alarms(self, placed: PlacedUseCase) -> list[tuple[str, str, str, str, str | None]]:
        """Return the alarms of a use case as `pipelines.on_call.alerts.standing` makes them."""
        return standing(
            placed.alarms, use_case=placed.use_case, team=placed.team, environment=placed.environment, place=self.place
        )

    def cards(self, environment: str) -> tuple[PlacedUseCase, ...]:
        """Return the use cases of an environment, by urgency."""
        here = [one for one in self.placed if one.environment == environment]
        return tuple(sorted(here, key=lambda one: one.urgency))
