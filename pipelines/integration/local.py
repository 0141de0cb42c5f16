"""An integration run on the embedded lakehouse: in a folder of its own, checked by its tables."""

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.monitoring.findings import ALL_ROWS
from pipelines.declarations import registry
from pipelines.declarations.asset import Table
from pipelines.declarations.environment import environment
from pipelines.declarations.shared_features import owners_of
from pipelines.declarations.use_case import UseCase
from pipelines.execution.check import CheckResult
from pipelines.execution.jobs import Watcher, run_and_record
from pipelines.execution.runner import JobRun
from pipelines.integration.checks import Ingested, MetricSummary, RunContents, check_contents
from pipelines.integration.steps import IntegrationStep, owners_step, require_integrable, run_steps
from pipelines.integration.window import DAY_SECONDS, DayCounts
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse


def integrate(
    name: str, use_case: UseCase, root: Path, *, begun: dt.datetime, watcher: Watcher
) -> tuple[CheckResult, ...]:
    """Run every job of a use case on its integration window and return the checks of what they wrote.

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
    tuple of CheckResult
        One per job and one for the window; if all of them held, those of `check_contents` as well.

    Raises
    ------
    DeclarationError
        If the environment or the use case allows no integration run.
    """
    require_integrable(environment(name), use_case)
    runs: dict[str, JobRun] = {}
    with open_lakehouse(name, engine="embedded", root=root) as lakehouse:

        def run(step: IntegrationStep) -> CheckResult:
            done = run_and_record(lakehouse, step.job, step.parameters, skip=step.skip, now=step.now, watcher=watcher)
            if step.job.use_case == use_case.name:
                runs[step.job.name] = done
            return CheckResult(about=f"job {done.job}", held=done.succeeded, found=_ended(done))

        owners = tuple(run(owners_step(registry.use_case(name), begun)) for name in owners_of(use_case))
        if not all(check.held for check in owners):
            return owners
        checks = (*owners, *run_steps(
            use_case, begun, run=run, count_days=lambda before: count_days(lakehouse, use_case, before=before)
        ))  # fmt: skip
        if not all(check.held for check in checks):
            return checks
        return (*checks, *check_contents(use_case, read_contents(lakehouse, use_case, runs["training"].run_id)))


def count_days(lakehouse: Lakehouse, use_case: UseCase, *, before: dt.date) -> tuple[DayCounts, ...]:
    """Return the requests of every day before a day that has any, with how many were labelled in time.

    Where no outcome means a label (``without_outcome``), a request counts once its outcome is due, if outcomes that late are there.
    """
    spine, tables, without = use_case.spine, lakehouse.tables, use_case.without_outcome
    end = F.lit(dt.datetime(before.year, before.month, before.day, tzinfo=dt.UTC))
    due, seconds = F.col(spine.prediction_time), use_case.label_due_days * DAY_SECONDS
    requests = tables.read(spine.table).where(due < end)
    known = tables.read(use_case.labels.table).where(F.col("known_at") < end)
    labels = known.select(
        F.col("request_key").alias(spine.request_key), F.col("known_at").alias("label_known_at"), "label"
    )
    late = F.col("label_known_at").cast("bigint") - due.cast("bigint")
    in_time = F.coalesce(late <= seconds, F.lit(False))
    label = F.when(in_time, F.col("label"))
    if without is not None:
        (newest,) = known.agg(F.max(F.col("known_at").cast("bigint")).alias("newest")).toArrow().column(0).to_pylist()
        is_due = due.cast("bigint") + seconds <= F.lit(newest)
        label = F.when(is_due, F.when(in_time, F.col("label")).otherwise(F.lit(float(without))))
    counted = (
        requests.select(spine.request_key, due)
        .join(labels, on=spine.request_key, how="left")
        .groupBy(F.to_date(due).alias("day"))
        .agg(
            F.count(F.lit(1)).alias("requests"),
            F.count(label).alias("labelled"),
            F.count(F.when(label > 0.5, 1)).alias("positives"),
        )
    )
    return tuple(DayCounts(**row) for row in counted.toArrow().to_pylist())


def read_contents(lakehouse: Lakehouse, use_case: UseCase, evaluation_id: str) -> RunContents:
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
    return RunContents(
        ingested=tuple(
            Ingested(source=row["source"], read=row["rows_read_sum"], kept=row["rows_kept_sum"],
                     quarantined=row["rows_quarantined_sum"])
            for row in ingests.to_pylist()
        ),
        predictions=predictions.num_rows,
        prediction_keys=keys.num_rows,
        verdicts=verdicts,
        measured=_summaries(rows("metrics")),
        columns={table.address: _columns(lakehouse, table) for table in use_case.tables},
    )  # fmt: skip


def _summaries(metrics: pa.Table) -> tuple[MetricSummary, ...]:
    whole = metrics.filter(pc.and_(pc.equal(metrics["slice_key"], ALL_ROWS), pc.greater(metrics["labelled"], 0)))
    found = []
    for name in pc.unique(whole["metric"]).to_pylist():
        values = whole.filter(pc.equal(whole["metric"], name))["value"]
        numbers = values.filter(pc.fill_null(pc.is_finite(values), fill_value=False))
        span = pc.min_max(numbers).as_py()
        found.append(
            MetricSummary(metric=name, rows=len(values), without_value=len(values) - len(numbers), minimum=span["min"],
                          maximum=span["max"])
        )  # fmt: skip
    return tuple(found)


def _columns(lakehouse: Lakehouse, table: Table) -> tuple[tuple[str, str], ...] | None:
    return tuple(lakehouse.tables.read(table).dtypes) if lakehouse.tables.exists(table) else None


def _ended(run: JobRun) -> str:
    failed = [f"{one.task}: {one.error}" for one in run.last.values() if one.error]
    return "; ".join(failed) or f"{len(run.last)} tasks, {sum(one.rows or 0 for one in run.last.values()):,} rows"
