"""The task that builds the feature tables from bronze, batch by batch.

A refresh reads only the source rows that can change the result: since the earliest new row, less the memory of the
table. It merges by key, so repeating it changes nothing, and the next run includes a batch that failed.
"""

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.spec.entries import load
from pipelines.declarations.feature_table import FeatureTable
from pipelines.execution.context import Context, TaskResult
from pipelines.lakehouse.tables.arrow import records


@dataclass(frozen=True, kw_only=True)
class Pending:
    """The batches that a feature table does not include yet."""

    batch_ids: tuple[str, ...]
    earliest: dt.datetime | None


def build_features(context: Context) -> TaskResult:
    """Refresh every feature table by the batches that it does not include yet."""
    return TaskResult(rows=sum(refresh(context, feature) for feature in context.use_case.features))


def refresh(context: Context, feature: FeatureTable) -> int:
    """Merge what new batches change into a feature table; return the number of rows merged."""
    pending = _pending(context, feature)
    if not pending.batch_ids:
        return 0
    rows = _merge(context, feature, pending.earliest) if pending.earliest else 0
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
    context.lakehouse.tables.append_once(refreshes, records(refreshes, done), batch_id=batch)
    context.say(f"{feature.table.name}: {rows:,} rows from {len(pending.batch_ids)} batches")
    return rows


def _pending(context: Context, feature: FeatureTable) -> Pending:
    """Return the batches of the feature's source that are in bronze and not in the feature table."""
    tables, use_case = context.lakehouse.tables, context.use_case
    source = next(source.name for source in use_case.sources if source.table == feature.source)
    ingests = tables.read(use_case.table("ingests")).where(F.col("source") == source)
    taken = tables.read(use_case.table("refreshes")).where(F.col("feature_table") == feature.table.address)
    rows = ingests.join(taken.select("batch_id"), on="batch_id", how="left_anti").toArrow().to_pylist()
    events = [row["earliest_event"].astimezone(dt.UTC) for row in rows if row["earliest_event"] is not None]
    return Pending(batch_ids=tuple(sorted(row["batch_id"] for row in rows)), earliest=min(events, default=None))


def _merge(context: Context, feature: FeatureTable, earliest: dt.datetime) -> int:
    tables, time_key = context.lakehouse.tables, feature.source.time_key
    assert time_key is not None  # noqa: S101 - FeatureTable refuses a source without one
    source = tables.read(feature.source)
    recent = source.where(F.col(time_key) >= F.lit(earliest - dt.timedelta(days=feature.memory_days)))
    built = load(feature.builder)(recent)
    changed = built.where(F.col(str(feature.table.time_key)) >= F.lit(earliest))
    return int(tables.merge(feature.table, changed.select(_names(feature))).rows)


def _names(feature: FeatureTable) -> Sequence[str]:
    return [column.name for column in feature.table.columns]
