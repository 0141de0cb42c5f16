"""An integration run on the embedded lakehouse: in a folder of its own, judged by its tables."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.monitoring.findings import ALL_ROWS
from pipelines.declarations.environment import environment
from pipelines.declarations.use_case import UseCase
from pipelines.execution.check import Check
from pipelines.execution.jobs import run_in
from pipelines.execution.runner import JobRun, TaskRun
from pipelines.integration.judgement import Ingested, Measured, Written, judge
from pipelines.integration.steps import require_integrable, slice_steps
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse


def integrate(
    name: str, use_case: UseCase, root: Path, *, begun: dt.datetime, say: Callable[[str], None],
    finished: Callable[[TaskRun], None],
) -> tuple[Check, ...]:  # fmt: skip
    """Run every job of a use case on the slice and return what holds of what they wrote.

    Parameters
    ----------
    name
        The environment as which the jobs run.
    root
        An empty folder; everything is written there.
    begun
        When the integration run began.

    Returns
    -------
    tuple of Check
        One per job; if all of them succeeded, those of `judge` as well.

    Raises
    ------
    DeclarationError
        If an integration run must not be there.
    """
    require_integrable(environment(name), use_case)
    done: list[Check] = []
    with open_lakehouse(name, engine="embedded", root=root) as lakehouse:
        evaluated = ""
        for step in slice_steps(use_case, begun):
            run = run_in(lakehouse, step.job, step.parameters, skip=step.skip, now=step.now, say=say, finished=finished)
            done.append(Check(about=f"job {run.job}", held=run.succeeded, found=_ended(run)))
            if not run.succeeded:
                return tuple(done)
            evaluated = run.run_id if "evaluate" in run.last else evaluated
        return (*done, *judge(use_case, written(lakehouse, use_case, evaluated)))


def written(lakehouse: Lakehouse, use_case: UseCase, evaluation_id: str) -> Written:
    """Return what the tables of a fresh environment hold.

    Parameters
    ----------
    evaluation_id
        Id of the training run.
    """
    tables = lakehouse.tables

    def rows(name: str) -> pa.Table:
        return tables.read(use_case.table(name)).toArrow()

    ingests = (
        rows("ingests").group_by("source").aggregate([(f"rows_{n}", "sum") for n in ("read", "kept", "quarantined")])
    )
    predictions = rows("predictions").select(["request_key", "alias"])
    keys = predictions.group_by(["request_key", "alias"]).aggregate([])
    verdicts = tables.read(use_case.table("verdicts")).where(F.col("evaluation_id") == evaluation_id).count()
    return Written(
        ingested=tuple(
            Ingested(source=row["source"], read=row["rows_read_sum"], kept=row["rows_kept_sum"],
                     quarantined=row["rows_quarantined_sum"])
            for row in ingests.to_pylist()
        ),
        predictions=predictions.num_rows,
        prediction_keys=keys.num_rows,
        verdicts=verdicts,
        measured=_measured(rows("metrics")),
        columns={table.address: _columns(lakehouse, table) for table in use_case.tables},
    )  # fmt: skip


def _measured(metrics: pa.Table) -> tuple[Measured, ...]:
    whole = metrics.filter(pc.and_(pc.equal(metrics["slice_key"], ALL_ROWS), pc.greater(metrics["labelled"], 0)))
    found = []
    for name in pc.unique(whole["metric"]).to_pylist():
        values = whole.filter(pc.equal(whole["metric"], name))["value"]
        numbers = values.filter(pc.fill_null(pc.is_finite(values), fill_value=False))
        span = pc.min_max(numbers).as_py()
        found.append(
            Measured(metric=name, rows=len(values), without_value=len(values) - len(numbers), minimum=span["min"],
                     maximum=span["max"])
        )  # fmt: skip
    return tuple(found)


def _columns(lakehouse: Lakehouse, table: Any) -> tuple[tuple[str, str], ...] | None:
    return tuple(lakehouse.tables.read(table).dtypes) if lakehouse.tables.exists(table) else None


def _ended(run: JobRun) -> str:
    failed = [f"{one.task}: {one.error}" for one in run.last.values() if one.error]
    return "; ".join(failed) or f"{len(run.last)} tasks, {sum(one.rows or 0 for one in run.last.values()):,} rows"
