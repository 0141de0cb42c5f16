"""The task that builds the feature tables from bronze, batch by batch.

A refresh reads only the source rows that can change the result: since the earliest new row, less the memory of the
table. It merges by key, so repeating it changes nothing, and the next run includes a batch that failed. Two refreshes at once,
as of the jobs ``features`` and ``stream``, are possible on Databricks: who finds that another one has recorded a batch meanwhile
builds its rows again, because it may have replaced newer ones.
"""

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.spec.entries import load
from pipelines.declarations.feature_table import FeatureTable
from pipelines.declarations.source import Corrections, Source
from pipelines.execution.context import Context, TaskResult
from pipelines.lakehouse.tables.arrow import records

END = dt.datetime(2999, 1, 1, tzinfo=dt.UTC)
"""Later than any row."""


@dataclass(frozen=True, kw_only=True)
class Pending:
    """The batches that a feature table does not include yet."""

    batch_ids: tuple[str, ...]
    earliest: dt.datetime | None


def build_features(context: Context) -> TaskResult:
    """Refresh every feature table by the batches that it does not include yet."""
    return TaskResult(rows=sum(refresh(context, feature) for feature in context.use_case.features))


def refresh(context: Context, feature: FeatureTable) -> int:
    """Merge what new batches of any of its sources change into a feature table; return the number of rows merged."""
    sources = [source for source in context.use_case.sources if source.table in feature.sources]
    pending = _pending(context, feature, sources)
    if not pending.batch_ids:
        return 0
    before = _taken(context, feature)
    rows = _merge(context, feature, sources, pending.earliest) if pending.earliest else 0
    done = [
        {
            "feature_table": feature.table.address,
            "batch_id": batch_id,
            "since": pending.earliest or context.now,
            "rows": rows,
            "refreshed_at": context.now,
        }
        for batch_id in pending.batch_ids
    ]
    refreshes = context.use_case.table("refreshes")
    batch = json.dumps([feature.table.address, *pending.batch_ids])
    recorded = context.lakehouse.tables.append_once(refreshes, records(refreshes, done), batch_id=batch).rows
    _until_alone(context, feature, sources, pending, before, recorded=recorded)
    batches = len(pending.batch_ids)
    context.say(f"{feature.table.name}: {rows:,} rows from {batches} {'batch' if batches == 1 else 'batches'}")
    return rows


def _until_alone(
    context: Context,
    feature: FeatureTable,
    sources: Sequence[Source],
    pending: Pending,
    before: frozenset[str],
    *,
    recorded: int,
) -> None:
    """Build the rows again as long as another refresh has recorded batches since they were read."""
    after, mine = _taken(context, feature), frozenset(pending.batch_ids)
    alone = recorded == len(mine) and after == before | mine
    while not alone and pending.earliest:
        before = after
        _merge(context, feature, sources, pending.earliest)
        after = _taken(context, feature)
        alone = after == before


def _taken(context: Context, feature: FeatureTable) -> frozenset[str]:
    """Return the batches that the feature table includes."""
    refreshes = context.lakehouse.tables.read(context.use_case.table("refreshes"))
    own = refreshes.where(F.col("feature_table") == feature.table.address).select("batch_id")
    return frozenset(own.toArrow()["batch_id"].to_pylist())


def _pending(context: Context, feature: FeatureTable, sources: Sequence[Source]) -> Pending:
    """Return the batches of the feature's sources that are in bronze and not in the feature table."""
    tables, use_case = context.lakehouse.tables, context.use_case
    names = [source.name for source in sources]
    ingests = tables.read(use_case.table("ingests")).where(F.col("source").isin(names))
    taken = tables.read(use_case.table("refreshes")).where(F.col("feature_table") == feature.table.address)
    rows = ingests.join(taken.select("batch_id"), on="batch_id", how="left_anti").toArrow().to_pylist()
    events = [row["earliest_event"].astimezone(dt.UTC) for row in rows if row["earliest_event"] is not None]
    return Pending(batch_ids=tuple(sorted(row["batch_id"] for row in rows)), earliest=min(events, default=None))


def _merge(context: Context, feature: FeatureTable, sources: Sequence[Source], earliest: dt.datetime) -> int:
    """Build the rows since the first change again, from all sources, and bring them into the table."""
    tables, known_at = context.lakehouse.tables, str(feature.table.time_key)
    since = F.lit(earliest - dt.timedelta(days=feature.memory_days))
    recent = [tables.read(source).where(F.col(str(source.time_key)) >= since) for source in feature.sources]
    built = load(feature.builder)(*recent)
    changed = built.where(F.col(known_at) >= F.lit(earliest)).select(_names(feature))
    if len(sources) > 1 or any(source.corrections is Corrections.REPLACE_WINDOW for source in sources):
        # Rows that came from what a feed has taken back, or from one feed before another had delivered, must go.
        return int(tables.overwrite_window(feature.table, changed, column=known_at, start=earliest, end=END).rows)
    return int(tables.merge(feature.table, changed).rows)


def _names(feature: FeatureTable) -> Sequence[str]:
    return [column.name for column in feature.table.columns]
