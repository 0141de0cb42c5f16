"""Task of the monitoring job that looks each day: columns that changed suddenly, sources and labels that stopped.

Every day that has ended is judged once, and what was said about it stays: a later run judges the days that none has
judged. A column that was told is not told again in the same month; from then on the judgement of the window has it.
Sources and labels are judged as of the end of the run. The rules are in `ml.drift.daily_test` and
`ml.monitoring.freshness`.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.drift.daily_test import ColumnHistory, Move, Place, daily_moves, histories
from ml.monitoring.daily_alarm import daily_findings
from ml.monitoring.findings import OF_A_DAY, Finding, FindingKind, Window
from ml.monitoring.findings_history import findings_changes
from ml.monitoring.freshness import LEARNED_DAYS, Arrivals, Hour, arrival_findings
from ml.monitoring.shared_features import shared_features_finding
from ml.profiles.column_profile import ColumnProfile, merge_columns
from ml.profiles.specification import CategoricalColumn
from ml.profiles.table_profile import Profile, merge_all
from ml.spec.target import made_columns
from pipelines.dataframes.newest_row import newest_row
from pipelines.dataframes.profiling import profile_frame_by
from pipelines.declarations.asset import Table
from pipelines.execution.context import Context, TaskResult
from pipelines.execution.windows import month_of, window_of, windows, windows_to_monitor
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.lakehouse.tables.arrow import in_utc, records
from pipelines.tasks.data.labels import live_predictions
from pipelines.tasks.monitoring.monitored_champion import monitored_champion
from pipelines.tasks.monitoring.window_judge import finding_of
from pipelines.tasks.versions.reference import Reference

RECENT_DAYS = 28
"""Days scored before a month that count as its history, beside the days that the champion was trained on."""
NAMED = 50
"""Most new categories that are counted by name."""


def alarm(context: Context, *, since: dt.datetime | None, until: dt.datetime | None) -> TaskResult:
    """Judge each day that has ended and was not judged before, and whether sources, labels and shared features still arrive."""
    end = context.end_of_window(since, until)
    use_case, tables = context.use_case, context.lakehouse.tables
    judged, rows = _judge_days(context, since, end)
    day = window_of(window_of(end, "day").start - dt.timedelta(days=1), "day")
    found = (*judged, *_judge_arrivals(context, day, end), *_judge_shared(context, day, end))
    findings, history = use_case.table("findings"), use_case.table("findings_history")
    tables.merge(history, records(history, findings_changes(_said_before(context, found), found, recorded_at=end)))
    tables.merge(findings, records(findings, [finding.as_row() for finding in found]))
    table = use_case.table("alarm_days")
    tables.merge(table, records(table, [{**row, "computed_at": context.now} for row in rows]))
    for finding in found:
        context.say(f"alarm: {finding.message}")
    return TaskResult(rows=len(found))


def _said_before(context: Context, found: Sequence[Finding]) -> list[Finding]:
    """Return the stored findings that are the same ones, from an earlier run of the same day."""
    same = {(finding.window_start, finding.key) for finding in found}
    stored = context.lakehouse.tables.read(context.use_case.table("findings")).where(F.col("kind").isin(*OF_A_DAY))
    before = (finding_of(row) for row in stored.toArrow().to_pylist())
    return [finding for finding in before if (finding.window_start, finding.key) in same]


def _judge_days(
    context: Context, since: dt.datetime | None, end: dt.datetime
) -> tuple[tuple[Finding, ...], list[dict[str, Any]]]:
    """Return the findings about the days that no run has judged, and a row of the table ``alarm_days`` for each."""
    use_case, tables = context.use_case, context.lakehouse.tables
    champion = monitored_champion(context)
    if champion is None:
        return (), []
    done = {in_utc(row["window_start"]) for row in tables.read(use_case.table("alarm_days")).toArrow().to_pylist()}
    first = windows_to_monitor(since, end, "month", 1)[0].start
    days = [day for day in windows(first, end, "day") if day.end <= end and day.start not in done]
    if not days:
        return (), []
    watch = _Watch(context, Reference.of(context, champion), days[0], end)
    found: list[Finding] = []
    rows: list[dict[str, Any]] = []
    for day in days:
        if day.start in watch.days:
            of_day = watch.judge(day)
            found += of_day
            rows.append({
                "window_start": day.start, "window_end": day.end, "model_version": champion.number,
                "rows": watch.days[day.start].rows, "columns": len(watch.days[day.start].columns),
                "alarms": len(of_day),
                "false_alarms_per_month": use_case.monitoring.daily_false_alarms_per_month / 2,
            })  # fmt: skip
    return tuple(found), rows


class _Watch:
    """The profiles of the days that were scored, and the judgement of one day after the other."""

    def __init__(self, context: Context, reference: Reference, first: Window, end: dt.datetime) -> None:
        self._context, self._reference = context, reference
        # Their history is what the same version scored: scores of rows that a model was trained on differ.
        self._made = made_columns(context.use_case.problem)
        begin = max(month_of(first.start).start - dt.timedelta(days=RECENT_DAYS), reference.window.end)
        scored = live_predictions(context, begin, end).where(F.col("alias") == CHAMPION)
        parts = profile_frame_by(
            scored.withColumn("day", F.date_trunc("day", "prediction_at")), reference.spec, ["day", "model_version"]
        )
        by_day: dict[dt.datetime, list[Profile]] = {}
        for (day, _), profile in parts.items():
            by_day.setdefault(in_utc(day), []).append(profile)
        own = {in_utc(day): profile for (day, version), profile in parts.items() if version == reference.version}
        self._own = dict(sorted(own.items()))
        self.days = {day: merge_all(by_day[day], reference.spec) for day in sorted(by_day)}
        self._told = _told(context)
        self._usual: dict[dt.datetime, tuple[Mapping[str, ColumnHistory], Mapping[str, ColumnProfile]]] = {}

    def judge(self, day: Window) -> tuple[Finding, ...]:
        """Return the findings about one day; a column told in its month is not told again."""
        policy, month = self._context.use_case.monitoring, month_of(day.start)
        names = [n for n in self._reference.spec.names if (month.start, n) not in self._told]
        if month.start not in self._usual:
            days = {name: self._history(name, month.start) for name in self._reference.spec.names}
            self._usual[month.start] = histories(days), {name: _merged(one) for name, one in days.items() if one}
        usual, merged = self._usual[month.start]
        so_far = {
            name: self._between(name, month.start, day.end)
            for name in names
            if name not in self._made or day.start in self._own  # another version may have scored the day
        }
        moves = daily_moves(
            usual,
            so_far,
            # Half of the level is for columns, half for the numbers of rows that sources deliver.
            false_alarms_per_month=policy.daily_false_alarms_per_month / 2,
            negligible=policy.daily_negligible,
        )
        self._told |= {(month.start, move.column) for move in moves}
        return daily_findings(
            moves, day, history=merged,
            now={m.column: so_far[m.column][-1] for m in moves}, unseen=_unseen(self._context, moves, day, self._reference),
        )  # fmt: skip

    def _history(self, name: str, before: dt.datetime) -> list[ColumnProfile]:
        recent = self._between(name, dt.datetime.min.replace(tzinfo=dt.UTC), before)[-RECENT_DAYS:]
        return recent if name in self._made else [*(day.columns[name] for day in self._reference.days), *recent]

    def _between(self, name: str, since: dt.datetime, until: dt.datetime) -> list[ColumnProfile]:
        days = self._own if name in self._made else self.days
        return [profile.columns[name] for day, profile in days.items() if since <= day < until]


def _told(context: Context) -> set[tuple[dt.datetime, str]]:
    """Return the month and the column of every earlier finding of a sudden change."""
    stored = context.lakehouse.tables.read(context.use_case.table("findings"))
    rows = stored.where(F.col("kind") == FindingKind.SUDDEN_CHANGE.value).select("window_start", "column_name")
    return {(month_of(in_utc(row["window_start"])).start, row["column_name"]) for row in rows.toArrow().to_pylist()}


def _unseen(
    context: Context, moves: Sequence[Move], day: Window, reference: Reference
) -> Mapping[str, Sequence[tuple[str, int]]]:
    """Return the categories of a day that profiles do not know by name, with their rows, most frequent first."""
    scored = live_predictions(context, day.start, day.end).where(F.col("alias") == CHAMPION)
    found = {}
    for column in reference.spec.columns:
        moved = any(move.column == column.name and move.place is Place.UNSEEN for move in moves)
        if moved and isinstance(column, CategoricalColumn):
            named = F.col(column.name).cast("string").alias("category")
            others = scored.where(~F.col(column.name).cast("string").isin(*column.categories)).groupBy(named)
            counted = others.agg(F.count(F.lit(1)).alias("rows")).orderBy(F.col("rows").desc(), "category").limit(NAMED)
            found[column.name] = [(row["category"], row["rows"]) for row in counted.toArrow().to_pylist()]
    return found


def _judge_arrivals(context: Context, day: Window, end: dt.datetime) -> tuple[Finding, ...]:
    """Return which sources and labels have stopped as of the end of the run."""
    use_case, tables = context.use_case, context.lakehouse.tables
    counted = tables.read(use_case.table("ingests")).groupBy("source").agg(F.max("until").alias("until"))
    read = {row["source"]: min(in_utc(row["until"]), end) for row in counted.toArrow().to_pylist()}
    sources = [
        Arrivals(
            name=f"source {source.name}", read_until=read[source.name],
            hours=_hours(context, source.table, source.table.time_key, read[source.name]),
            expected_every_hours=source.expected_every_hours,
        )
        for source in use_case.sources
        if source.name in read and source.table.time_key is not None
    ]  # fmt: skip
    origins = [source.name for source in use_case.sources if source.table in use_case.labels.sources]
    labels_read = min(read.get(origin, end) for origin in origins)
    return arrival_findings(
        sources,
        Arrivals(
            name="labels", read_until=labels_read, hours=_hours(context, use_case.labels.table, "known_at", labels_read)
        ),
        labels_from=" and ".join(f"source {origin}" for origin in origins),
        day=day,
        false_alarms_per_month=use_case.monitoring.daily_false_alarms_per_month / 2,
    )


def _judge_shared(context: Context, day: Window, end: dt.datetime) -> tuple[Finding, ...]:
    """Return which feature tables of other use cases have had no new row for longer than declared."""
    found = (
        shared_features_finding(
            day, table=shared.table.address, owner=shared.table.use_case,
            newest=newest_row(context.lakehouse.tables, shared.table, before=end), at=end,
            allowed_hours=shared.fresh_within_hours,
        )
        for shared in context.use_case.shared_features
    )  # fmt: skip
    return tuple(finding for finding in found if finding is not None)


def _hours(context: Context, table: Table, time: str, end: dt.datetime) -> tuple[Hour, ...]:
    """Return the hours of the weeks before an instant that have rows of a table."""
    tables = context.lakehouse.tables
    if not tables.exists(table):
        return ()
    at = F.col(time)
    rows = tables.read(table).where((at >= F.lit(end - dt.timedelta(days=LEARNED_DAYS))) & (at < F.lit(end)))
    counted = rows.groupBy(F.date_trunc("hour", at).alias("hour")).agg(
        F.min(at).alias("first"), F.max(at).alias("last"), F.count(F.lit(1)).alias("rows")
    )
    found = (
        Hour(first=in_utc(r["first"]), last=in_utc(r["last"]), rows=r["rows"]) for r in counted.toArrow().to_pylist()
    )
    return tuple(sorted(found, key=lambda hour: hour.first))


def _merged(profiles: Sequence[ColumnProfile]) -> ColumnProfile:
    whole = profiles[0]
    for other in profiles[1:]:
        whole = merge_columns(whole, other)
    return whole
