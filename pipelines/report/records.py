"""The data of the report as plain frozen values: `reading` fills them from an environment, `page` turns them into a page.

Rows are mappings with the column names of the monitoring tables, in any order; instants are in UTC.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ml.profiles.table_profile import Profile
from ml.spec.costs import ErrorCosts
from ml.spec.gate_policy import GatePolicy
from ml.spec.target import Target
from pipelines.report.mlflow_links import MlflowLinks

Row: TypeAlias = Mapping[str, Any]
Rows: TypeAlias = tuple[Row, ...]


@dataclass(frozen=True, kw_only=True)
class Version:
    """One registered model version; `tags` are those that training and promotion gave it."""

    number: int
    aliases: tuple[str, ...]
    tags: Mapping[str, str]
    run_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Every request that the live champion scored, with the score of the model that was never retrained; none in hindsight.

    Attributes
    ----------
    instants
        Shape ``(rows,)``, datetime64: when the prediction was due.
    labels
        Shape ``(rows,)``; NaN where there is none yet, or never will be.
    champion, baseline
        Shape ``(rows,)``, of several classes ``(rows, classes)``: the scores; the baseline's are NaN where it did not score.
    champion_version, baseline_version
        Shape ``(rows,)``: which version it was; 0 where the baseline did not score.
    weights
        Shape ``(rows,)``: how much each row counts in metrics; None for all alike.
    entities
        Shape ``(rows, entities)``: the number of the row's entity of each sampled kind that the use case declares; None
        without any.
    share
        Of the requests, those that are here: drawn by key where there are too many for one machine.
    day_memory
        The largest correlation of a day with the day before, as declared; 0 for independent days.
    """

    instants: NDArray[np.datetime64]
    labels: NDArray[np.float64]
    champion: NDArray[np.float64]
    baseline: NDArray[np.float64]
    champion_version: NDArray[np.int64]
    baseline_version: NDArray[np.int64]
    weights: NDArray[np.float64] | None = None
    entities: NDArray[np.int64] | None = None
    share: float = 1.0
    day_memory: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Maturity:
    """How the outcomes of requests become known with their age.

    Attributes
    ----------
    due_days
        The age at which the use case declares an outcome to be due.
    horizon_days
        Every request that is counted is older than this.
    requests
        How many they are, by group: all, and those of each label, or each third of the labels, where it is known.
    known
        Group to the ages in days at which outcomes became known, rounded up, and how many did.
    """

    due_days: int
    horizon_days: int
    requests: Mapping[str, int]
    known: Mapping[str, Mapping[int, int]]

    def shares(self, group: str) -> tuple[float, ...]:
        """Return the share of a group whose outcome is known by the age of 0, 1, ... days."""
        at, total = self.known.get(group, {}), self.requests[group]
        counts = accumulate(at.get(age, 0) for age in range(self.horizon_days + 1))
        return tuple(count / total for count in counts)


@dataclass(frozen=True, kw_only=True)
class ServedByVersion:
    """What one version did at the endpoint in one stage of a rollout, or without one.

    Attributes
    ----------
    percentage
        Of the requests that the challenger answered; 0 for a shadow, None without a rollout.
    answered, shadows, failed
        Requests that it answered, scored without answering, and could not score.
    first, last
        The instants of the earliest and the latest of its requests.
    began
        When it was first asked.
    median, slowest
        Seconds from the features to the score: of half of the requests at most, and of 99 in 100; None where nothing was
        measured.
    """

    rollout_id: str | None
    percentage: int | None
    version: int
    answered: int
    shadows: int
    failed: int
    first: dt.datetime
    last: dt.datetime
    began: dt.datetime
    median: float | None = None
    slowest: float | None = None


@dataclass(frozen=True, kw_only=True)
class ServedRequests:
    """What the endpoint of an environment has answered, and the decisions about challengers."""

    by_version: tuple[ServedByVersion, ...]
    decisions: Rows = ()


@dataclass(frozen=True, kw_only=True)
class EnvironmentRecords:
    """The contents of one environment's tables and registry.

    Attributes
    ----------
    findings_history
        When a finding appeared, changed or was withdrawn.
    drift, drift_history
        Rows of the drift table against the training profile, and what was measured when.
    profiles
        Start of a window that has findings about columns, and version that scored, to the profile of what it scored.
    references
        Version to the profile of the rows that it was trained on, of those versions.
    skew
        The inputs of requests as scored against those as trained on.
    maturity
        How outcomes became known; None without requests that are old enough.
    served
        What the endpoint has answered; None if it never did.
    starts
        ``(job, task)`` of the tasks that run another job, whose seconds include those of that job.
    links
        Where MLflow shows its runs and versions, where `ui` can serve it; None on a platform.
    """

    name: str
    metrics: Rows = ()
    estimates: Rows = ()
    verdicts: Rows = ()
    evaluations: Rows = ()
    retrainings: Rows = ()
    findings: Rows = ()
    findings_history: Rows = ()
    drift: Rows = ()
    drift_history: Rows = ()
    profiles: Mapping[tuple[dt.datetime, int], Profile] = field(default_factory=dict)
    references: Mapping[int, Profile] = field(default_factory=dict)
    ingests: Rows = ()
    quarantine: Rows = ()
    model_cards: Rows = ()
    skew: Rows = ()
    runs: Rows = ()
    versions: tuple[Version, ...] = ()
    scored: Scored | None = None
    maturity: Maturity | None = None
    served: ServedRequests | None = None
    starts: frozenset[tuple[str, str]] = frozenset()
    links: MlflowLinks | None = None


@dataclass(frozen=True, kw_only=True)
class StackResources:
    """One stack of infrastructure and how many resources of each type it holds."""

    name: str
    resources: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class EstateSummary:
    """The cloud resources of the environments, and who may do what.

    Attributes
    ----------
    picture
        The stacks and what they hold, as an SVG element; None to leave it out.
    permissions
        A row for who may do what in which environment: the same columns in every row, in the order to show.
    """

    stacks: tuple[StackResources, ...]
    permissions: tuple[Mapping[str, str], ...]
    picture: str | None = None


@dataclass(frozen=True, kw_only=True)
class ReportRecords:
    """Everything that the report of one use case shows.

    Attributes
    ----------
    main
        Name of the environment reported month by month; the others are summarised.
    champion, baseline
        The aliases under which the live model and the one that was never retrained scored.
    drift_statistics
        Those that raise findings; the first one that compares values is drawn.
    window
        The length of the windows: ``day``, ``week`` or ``month``.
    costs
        Of errors, for the cost of a request; None without any.
    minimum_rows
        Slices with fewer labels in a month are not shown a value for.
    unit
        Of the policy's metric, for example ``minutes``; empty for a metric without one.
    """

    use_case: str
    description: str
    team: str
    problem: Target
    policy: GatePolicy
    drift_statistics: tuple[str, ...]
    minimum_rows: int
    environments: tuple[EnvironmentRecords, ...]
    main: str
    champion: str = "champion"
    baseline: str = "baseline"
    evaluation: str = "evaluation"
    window: str = "month"
    costs: ErrorCosts | None = None
    estate: EstateSummary | None = None
    unit: str = ""

    @property
    def main_environment(self) -> EnvironmentRecords:
        """The environment reported month by month.

        Raises
        ------
        ValueError
            If there is no environment of that name.
        """
        for environment in self.environments:
            if environment.name == self.main:
                return environment
        names = ", ".join(environment.name for environment in self.environments) or "none"
        raise ValueError(f"the report is about {self.main!r}, which is not among its environments: {names}.")
