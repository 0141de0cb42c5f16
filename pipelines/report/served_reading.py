"""Reads what the endpoint of an environment has answered, by stage and version, and what was decided about challengers."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from pipelines.dataframes.training_rows import sampled
from pipelines.declarations.answers import (
    ANSWER_ID,
    ANSWERED_AT,
    ROLLOUT_ID,
    SECONDS,
    SHADOW_OF,
    STAGE,
    answers_table,
    failures_table,
    rollout_tables,
)
from pipelines.declarations.asset import Table
from pipelines.declarations.use_case import UseCase
from pipelines.lakehouse.lakehouse import Lakehouse
from pipelines.lakehouse.tables.arrow import in_utc
from pipelines.report.records import ServedByVersion, ServedRequests
from pipelines.tasks import row_limits

GROUP = [ROLLOUT_ID, STAGE, "model_version"]
MEDIAN, SLOWEST = 0.5, 0.99
MOST_LATENCIES = 200_000
"""Of so many answers the quantiles are exact; of more, of a share drawn by the answers' ids."""
Key: TypeAlias = tuple[Any, ...]


def read_served(lakehouse: Lakehouse, use_case: UseCase) -> ServedRequests | None:
    """Return what the endpoint has answered; None if it never did."""
    answers = answers_table(use_case)
    if not lakehouse.tables.exists(answers):
        return None
    rows = lakehouse.tables.read(answers)
    latencies = _latencies(rows)
    failures = _failures(lakehouse, failures_table(use_case))
    counted = rows.groupBy(*GROUP).agg(
        F.count(F.lit(1)).alias("scored"), F.count(F.col(SHADOW_OF)).alias("shadows"),
        F.min("prediction_at").alias("first"), F.max("prediction_at").alias("last"), F.min(ANSWERED_AT).alias("began"),
    ).toArrow().to_pylist()  # fmt: skip
    decisions = rollout_tables(use_case.table("predictions"))[-1]
    return ServedRequests(
        by_version=tuple(
            ServedByVersion(
                rollout_id=row[ROLLOUT_ID], percentage=row[STAGE], version=row["model_version"],
                answered=row["scored"] - row["shadows"], shadows=row["shadows"], failed=failures.get(_key(row), 0),
                first=in_utc(row["first"]), last=in_utc(row["last"]), began=in_utc(row["began"]),
                **latencies.get(_key(row), {}),
            )
            for row in counted
        ),
        decisions=_decisions(lakehouse, decisions),
    )  # fmt: skip


def _latencies(rows: DataFrame) -> dict[Key, dict[str, float]]:
    """Return the quantiles of seconds of each group, of a share of the answers where there are too many to read."""
    timed = rows.where(F.col(SECONDS).isNotNull()).select(ANSWER_ID, *GROUP, SECONDS)
    count = timed.count()
    if count > MOST_LATENCIES:
        timed = timed.where(sampled(F.col(ANSWER_ID), MOST_LATENCIES / count, row_limits.SAMPLE_SEED))
    seconds: dict[Key, list[float]] = defaultdict(list)
    for row in timed.toArrow().to_pylist():
        seconds[_key(row)].append(row[SECONDS])
    return {
        key: dict(zip(("median", "slowest"), np.quantile(values, (MEDIAN, SLOWEST)).tolist(), strict=True))
        for key, values in seconds.items()
    }


def _failures(lakehouse: Lakehouse, table: Table) -> dict[Key, int]:
    if not lakehouse.tables.exists(table):
        return {}
    rows = lakehouse.tables.read(table).where(F.col("request_key").isNotNull())
    counted = rows.groupBy(*GROUP).agg(F.count(F.lit(1)).alias("failed")).toArrow().to_pylist()
    return {_key(row): int(row["failed"]) for row in counted}


def _decisions(lakehouse: Lakehouse, table: Table) -> tuple[dict[str, Any], ...]:
    if not lakehouse.tables.exists(table):
        return ()
    columns = (ROLLOUT_ID, "run_id", "evaluation", "decided_at", "model_version", "champion", "percentage", "move", "following", "sentence", "reasons")  # fmt: skip
    rows = lakehouse.tables.read(table).select(*columns).toArrow().to_pylist()
    return tuple({**row, "decided_at": in_utc(row["decided_at"])} for row in rows)


def _key(row: Mapping[str, Any]) -> Key:
    return tuple(row[name] for name in GROUP)
