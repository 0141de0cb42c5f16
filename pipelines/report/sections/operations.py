"""Operations, as the report shows them: runs, sources, quarantine, model versions, environments."""

import datetime as dt
import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ml.monitoring.findings import ALL_ROWS
from pipelines.report.records import EnvironmentRecords, ReportRecords, Row, Version
from pipelines.telemetry.identity import with_trace

SUCCEEDED, FAILED = "succeeded", "failed"
_CONDITION = re.compile(r"^(?P<column>\w+): (?:.* )?(?P<condition>is (?:above|below|none of|missing|not) .*)$")


@dataclass(frozen=True, kw_only=True)
class JobRuns:
    """The runs of one job: seconds by month, how its tasks ended, and the trace of the newest one."""

    job: str
    runs: int
    seconds: Mapping[dt.datetime, float]
    states: Mapping[str, int]
    errors: tuple[str, ...]
    trace_id: str | None = None

    @property
    def total(self) -> float:
        """Seconds of all runs."""
        return sum(self.seconds.values())


@dataclass(frozen=True, kw_only=True)
class SourceCount:
    """What one source delivered in all."""

    source: str
    batches: int
    read: int
    kept: int
    quarantined: int
    new: int

    @property
    def adds_up(self) -> bool:
        """Whether every row read was either kept or quarantined."""
        return self.read == self.kept + self.quarantined


@dataclass(frozen=True, kw_only=True)
class QuarantineReason:
    """One reason for which rows of a source were quarantined, with an example."""

    source: str
    reason: str
    rows: int
    example: str


@dataclass(frozen=True, kw_only=True)
class EnvironmentSummary:
    """One environment at a glance; `experiment` is the address of its runs in MLflow."""

    name: str
    jobs: tuple[JobRuns, ...]
    read: int
    quarantined: int
    versions: int
    champion: Version | None
    evaluated: float | None
    predictions: int
    verdict: str | None
    experiment: str | None = None

    @property
    def states(self) -> Counter[str]:
        """How its tasks ended."""
        return sum((Counter(job.states) for job in self.jobs), Counter())

    @property
    def errors(self) -> tuple[str, ...]:
        """The errors of tasks whose last attempt failed."""
        return tuple(error for job in self.jobs for error in job.errors)


def job_runs(environment: EnvironmentRecords) -> tuple[JobRuns, ...]:
    """Return the runs of every job, in the order in which the jobs first ran."""
    by_job: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(environment.runs, key=lambda row: (row["started_at"], row["attempt"])):
        by_job[row["job"]].append(row)
    return tuple(_job_runs(job, rows, environment) for job, rows in by_job.items())


def run_months(jobs: Sequence[JobRuns]) -> tuple[dt.datetime, ...]:
    """Return every month in which something ran."""
    return tuple(sorted({month for job in jobs for month in job.seconds}))


def source_counts(environment: EnvironmentRecords) -> tuple[SourceCount, ...]:
    """Return what each source delivered, by name."""
    by_source: dict[str, list[Row]] = defaultdict(list)
    for row in environment.ingests:
        by_source[row["source"]].append(row)
    return tuple(
        SourceCount(
            source=source, batches=len(rows), read=_sum(rows, "rows_read"), kept=_sum(rows, "rows_kept"),
            quarantined=_sum(rows, "rows_quarantined"), new=_sum(rows, "rows_new"),
        )
        for source, rows in sorted(by_source.items())
    )  # fmt: skip


def quarantine_reasons(environment: EnvironmentRecords) -> tuple[QuarantineReason, ...]:
    """Return the reasons for quarantine, the most frequent first; a row with two reasons counts for each."""
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in environment.quarantine:
        for reason in row["reasons"].split("; "):
            found[row["source"], _without_value(reason)].append(row)
    reasons = [
        QuarantineReason(source=source, reason=reason, rows=len(rows), example=rows[0]["reasons"])
        for (source, reason), rows in found.items()
    ]
    return tuple(sorted(reasons, key=lambda found: (-found.rows, found.source, found.reason)))


def table_versions(version: Version) -> tuple[tuple[str, str], ...]:
    """Return the tables that a model version was made from, each with the version of the table."""
    found = json.loads(version.tags.get("table_versions", "{}"))
    return tuple((address, str(number)) for address, number in sorted(found.items()))


def summary(environment: EnvironmentRecords, records: ReportRecords) -> EnvironmentSummary:
    """Return an environment at a glance."""
    sources = source_counts(environment)
    champion = next((v for v in environment.versions if records.champion in v.aliases), None)
    verdicts = sorted(environment.verdicts, key=lambda row: row["decided_at"])
    return EnvironmentSummary(
        name=environment.name,
        jobs=job_runs(environment),
        read=sum(source.read for source in sources),
        quarantined=sum(source.quarantined for source in sources),
        versions=len(environment.versions),
        champion=champion,
        evaluated=_evaluated(environment, champion, records),
        predictions=sum(row["predictions"] for row in _of_all(environment, records.champion, records.policy.metric)),
        verdict=verdicts[-1]["sentence"] if verdicts else None,
        experiment=environment.links.experiment if environment.links else None,
    )


def _job_runs(job: str, rows: Sequence[Row], environment: EnvironmentRecords) -> JobRuns:
    seconds: dict[dt.datetime, float] = defaultdict(float)
    last: dict[tuple[str, str], Row] = {}
    for row in rows:
        last[row["run_id"], row["task"]] = row
        if (job, row["task"]) not in environment.starts:
            seconds[_month(row)] += row["seconds"]
    return JobRuns(
        job=job,
        runs=len({row["run_id"] for row in rows}),
        seconds=dict(seconds),
        states=dict(Counter(row["state"] for row in last.values())),
        errors=tuple(
            with_trace(f"{row['task']}: {row['error']}", row.get("trace_id"))
            for row in last.values()
            if row["state"] == FAILED
        ),
        trace_id=rows[-1].get("trace_id"),
    )


def _month(row: Row) -> dt.datetime:
    """Return the month that a run is counted in: the one before the instant that it took for the present."""
    instant = (row.get("as_of") or row["started_at"]) - dt.timedelta(microseconds=1)
    return dt.datetime(instant.year, instant.month, 1, tzinfo=dt.UTC)


def _without_value(reason: str) -> str:
    """Return a reason without the value that one row had, so that rows with the same fault count together."""
    found = _CONDITION.match(reason)
    if found:
        return f"{found['column']} {found['condition']}"
    return "duplicate key" if reason.startswith("duplicate key") else reason


def _evaluated(environment: EnvironmentRecords, champion: Version | None, records: ReportRecords) -> float | None:
    rows = _of_all(environment, records.evaluation, records.policy.metric)
    own = [row for row in rows if champion is not None and row["model_version"] == champion.number]
    first = min(own, key=lambda row: row["window_start"], default=None)
    return None if first is None else first["value"]


def _of_all(environment: EnvironmentRecords, alias: str, name: str) -> list[Row]:
    return [r for r in environment.metrics if (r["alias"], r["metric"], r["slice_key"]) == (alias, name, ALL_ROWS)]


def _sum(rows: Sequence[Row], column: str) -> int:
    return sum(int(row[column]) for row in rows)
