"""Task of the job that scores requests as they come: feature tables first, then the requests, in increments.

An increment takes what has come in the table of requests since the one before it, and what has fallen due meanwhile; it is
scored by the one scoring function and inserted by the one write (`pipelines.tasks.predictions.scoring`). JVM Spark and Databricks find
what has come by Structured Streaming (`pipelines.tasks.predictions.stream_micro_batches`), the embedded engine by the versions of the
table. How far a stream has come is recorded last (`pipelines.tasks.predictions.stream_progress`). Feature tables are refreshed by the
batches that ingestion has completed and that they have not taken in, as everywhere.
"""

import datetime as dt
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.spec.streaming_policy import StreamingPolicy, StreamTrigger
from pipelines.dataframes.training_rows import requests
from pipelines.execution.context import Context, TaskResult
from pipelines.execution.jobs import held_for_run
from pipelines.execution.locks import LockHeldError
from pipelines.lakehouse.tables.delta_increments import IncrementUnknownError
from pipelines.tasks.data.features import build_features
from pipelines.tasks.predictions.scoring import (
    ScoringVersion,
    before_the_first_champion,
    begin_of,
    insert_predictions,
    scorer_of,
)
from pipelines.tasks.predictions.stream_lag import note_lag
from pipelines.tasks.predictions.stream_micro_batches import checkpoint_of, score_stream
from pipelines.tasks.predictions.stream_progress import StreamProgress, keep_progress, progress_of, put_back
from pipelines.telemetry.attributes import ROWS, TABLE, VERSION_READ
from pipelines.telemetry.recording import span

LAG_SECONDS = 60.0
"""How often a continuous stream looks how far it is behind."""


@dataclass(kw_only=True)
class _Memory:
    """What one increment leaves for the next one of the same run."""

    scorer: ScoringVersion | None = None
    refreshed: dict[str, int | None] = field(default_factory=dict)


def stream(
    context: Context, *, until: dt.datetime | None, alias: str, trigger: str,
    clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC), wait: Callable[[float], None] = time.sleep,
) -> TaskResult:  # fmt: skip
    """Refresh features and score what has come; once, or again and again until a signal or the declared hours end it.

    Parameters
    ----------
    until
        Requests that fall due before it are scored, then the task ends; None for now.
    trigger
        One of `ml.spec.streaming_policy.StreamTrigger`.
    clock, wait
        What says now, and what passes the time between two increments.
    """
    policy = context.use_case.streaming or StreamingPolicy()
    once = until is not None or trigger == StreamTrigger.AVAILABLE_NOW
    memory, rows, looked = _Memory(), 0, -LAG_SECONDS
    begun = time.monotonic()
    while True:
        own = context if once else replace(context, now=clock())
        end = until or own.now
        made = increment(own, memory, alias, end)
        rows += made
        if time.monotonic() - looked >= LAG_SECONDS:
            note_lag(own, alias, end)
            looked = time.monotonic()
        if once or time.monotonic() - begun >= policy.run_hours * 3600:
            return TaskResult(rows=rows)
        if not made:
            wait(policy.interval_seconds)


def increment(context: Context, memory: _Memory, alias: str, end: dt.datetime) -> int:
    """Take in what has come, and score what falls due before an instant; return how many predictions were inserted."""
    _refresh(context, memory)
    if before_the_first_champion(context, alias):
        return 0
    table, tables = context.use_case.spine.table, context.lakehouse.tables
    version = tables.version(table)
    if version is None:
        return 0
    before = _known(context, alias, progress_of(context, alias), version)
    if before and before.version == version and not _due(context, before.until, end):
        return 0
    scorer = memory.scorer = _scorer(context, memory.scorer, alias)
    with span(f"increment of {table.address}", {TABLE: table.address, VERSION_READ: version}) as noted:
        begin = begin_of(context, scorer, end)
        window = [begin.isoformat() if begin else "", end.isoformat()]
        batch_id = json.dumps([context.run_id, alias, scorer.version, *window, "stream"])
        made = _score(context, scorer, before, version, begin=begin, end=end, batch_id=batch_id)
        noted.set(ROWS, made)
    # Read before the increment began: what a later commit has brought may have been scored, and will be looked at again.
    keep_progress(
        context, alias, StreamProgress(version=version, commit=tables.commit_digest(table, version), until=end)
    )
    context.say(f"{alias} version {scorer.version}: {made:,} predictions, {table.name} up to version {version}")
    return made


def _score(
    context: Context, scorer: ScoringVersion, before: StreamProgress | None, version: int, *, begin: dt.datetime | None,
    end: dt.datetime, batch_id: str,
) -> int:  # fmt: skip
    rows = context.lakehouse.tables.stream(context.use_case.spine.table)
    if rows is None:
        due = _come(context, before, version, begin, end)
        return insert_predictions(context, scorer, due, begin=begin, end=end, batch_id=batch_id).rows
    made = score_stream(context, scorer, rows, begin=begin, end=end, batch_id=batch_id)
    # What had come earlier and has fallen due since is in no micro-batch.
    since = max((one for one in (begin, before.until if before else None) if one), default=None)
    due = requests(context, since, end)
    return made + insert_predictions(context, scorer, due, begin=since, end=end, batch_id=f"{batch_id} due").rows


def _come(
    context: Context, before: StreamProgress | None, version: int, begin: dt.datetime | None, end: dt.datetime
) -> DataFrame:
    """Return the requests of the window that have come since the last increment, or have fallen due since."""
    due = requests(context, begin, end)
    if before is None:
        return due
    use_case, tables = context.use_case, context.lakehouse.tables
    key, time_key = use_case.spine.request_key, use_case.spine.prediction_time
    try:
        added = tables.added(use_case.spine.table, after=before.version, upto=version, columns=(key,))
    except IncrementUnknownError as unknown:
        _say_all(
            context,
            f"what came after version {before.version} of {use_case.spine.table.address} is not known ({unknown})",
        )
        return due
    if not added.num_rows:
        return due.where(F.col(time_key) >= F.lit(before.until))
    keys = context.lakehouse.spark.createDataFrame(added).distinct().withColumn("has_come", F.lit(True))
    wanted = F.col("has_come").isNotNull() | (F.col(time_key) >= F.lit(before.until))
    return due.join(keys, on=key, how="left").where(wanted).select(*due.columns)


def _due(context: Context, since: dt.datetime, end: dt.datetime) -> bool:
    """Return whether any request has fallen due."""
    return since < end and bool(requests(context, since, end).limit(1).count())


def _known(context: Context, alias: str, before: StreamProgress | None, version: int) -> StreamProgress | None:
    """Return how far the stream has come in the table as it is now: not at all, if the table was put back."""
    why = put_back(context, before, version) if before else None
    if why is None:
        return before
    shutil.rmtree(checkpoint_of(context, alias), ignore_errors=True)
    _say_all(context, f"{why}: it was restored")
    return None


def _say_all(context: Context, why: str) -> None:
    days = context.use_case.scoring_look_back_days
    context.say(f"{why}: this increment looks at all requests of the last {days} days, none is scored twice")


def _scorer(context: Context, before: ScoringVersion | None, alias: str) -> ScoringVersion:
    """Return the version that the alias points to now; it is loaded once."""
    number = context.lakehouse.models.by_alias(context.use_case.model, alias).number
    return before if before is not None and before.version == number else scorer_of(context, alias)


def _refresh(context: Context, memory: _Memory) -> None:
    """Refresh the feature tables, unless nothing was ingested since, or the job ``features`` is at it."""
    use_case, tables = context.use_case, context.lakehouse.tables
    versions = {name: tables.version(use_case.table(name)) for name in ("ingests", "refreshes")}
    if versions == memory.refreshed:
        return
    try:
        with held_for_run(context, use_case.job("features")):
            build_features(context)
    except LockHeldError:
        context.say(f"{use_case.name}.features is running: it refreshes the feature tables itself")
        return
    memory.refreshed = {name: tables.version(use_case.table(name)) for name in versions}
