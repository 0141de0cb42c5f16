"""Reads the tables of a deployed environment for an integration run, by SQL: the days of the data, and what was written."""

import datetime as dt
from collections.abc import Sequence

from ml.monitoring.findings import ALL_ROWS
from pipelines.declarations.asset import Table
from pipelines.declarations.use_case import UseCase
from pipelines.integration.checks import Ingested, MetricSummary, RunContents
from pipelines.integration.steps import IntegrationStep
from pipelines.integration.window import DAY_SECONDS, DayCounts
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.remote.connection import Remote
from pipelines.remote.following import RunResult
from pipelines.remote.statements import Sql, quoted, text


def count_days(remote: Remote, sql: Sql, use_case: UseCase, *, before: dt.date) -> tuple[DayCounts, ...]:
    """Return the requests of every day before a day that has any, with how many were labelled in time.

    Where no outcome means a label (``without_outcome``), a request counts once its outcome is due, if outcomes that late are there.

    Raises
    ------
    RemoteError
        If the tables cannot be read.
    """
    spine, end = use_case.spine, text(dt.datetime(before.year, before.month, before.day, tzinfo=dt.UTC))
    due, seconds = f"r.{quoted(spine.prediction_time)}", use_case.label_due_days * DAY_SECONDS
    known = f"FROM {quoted(remote.name(use_case.labels.table.address))} WHERE known_at < {end}"
    label, newest = f"CASE WHEN CAST(l.known_at AS BIGINT) - CAST({due} AS BIGINT) <= {seconds} THEN l.label END", ""
    if use_case.without_outcome is not None:
        newest = f"CROSS JOIN (SELECT CAST(max(known_at) AS BIGINT) AS newest {known}) AS n "
        told = label.replace(" END", f" ELSE CAST({float(use_case.without_outcome)} AS DOUBLE) END")
        label = f"CASE WHEN CAST({due} AS BIGINT) + {seconds} <= n.newest THEN {told} END"
    rows = sql.rows(
        f"SELECT CAST(to_date({due}) AS STRING) AS day, count(*) AS requests, "  # noqa: S608 - ours
        f"count({label}) AS labelled, count(CASE WHEN {label} > 0.5 THEN 1 END) AS positives "
        f"FROM {quoted(remote.name(spine.table.address))} AS r "
        f"LEFT JOIN (SELECT request_key, known_at, label {known}) AS l ON r.{quoted(spine.request_key)} = l.request_key "
        f"{newest}WHERE {due} < {end} GROUP BY to_date({due})"
    )
    return tuple(DayCounts(**{**row, "day": dt.date.fromisoformat(row["day"])}) for row in rows)


def read_contents(
    remote: Remote,
    sql: Sql,
    use_case: UseCase,
    ended: Sequence[tuple[IntegrationStep, RunResult]],
    *,
    since: dt.datetime,
) -> RunContents:
    """Return what the tables hold of these runs.

    Parameters
    ----------
    ended
        Every step of the integration run, with its result.
    since
        Measurements from then on count.

    Raises
    ------
    RemoteError
        If the tables cannot be read.
    """
    scoring = next(step for step, _ in ended if step.job.name == "scoring")
    evaluation_id = next(str(result.run_id) for step, result in ended if step.job.name == "training")
    ends = ", ".join(sorted({text(step.now) for step, _ in ended if step.job.name == "features"}))
    # Requests of the window that were predicted before this run are not predicted again: the window counts, not the run.
    (predicted,) = sql.rows(
        "SELECT count(*) AS predictions, count(DISTINCT request_key) AS prediction_keys "  # noqa: S608 - ours
        f"FROM {_table(remote, use_case, 'predictions')} WHERE alias = {text(CHAMPION)} "
        f"AND prediction_at >= {text(dt.datetime.fromisoformat(scoring.parameters['since']))} "
        f"AND prediction_at < {text(scoring.now)}"
    )
    (judged,) = sql.rows(
        f"SELECT count(*) AS verdicts FROM {_table(remote, use_case, 'verdicts')} "  # noqa: S608 - ours
        f"WHERE evaluation_id = {text(evaluation_id)}"
    )
    ingested = sql.rows(
        "SELECT source, sum(rows_read) AS read, sum(rows_kept) AS kept, sum(rows_quarantined) AS quarantined "  # noqa: S608 - ours
        f"FROM {_table(remote, use_case, 'ingests')} WHERE until IN ({ends}) GROUP BY source"
    )
    return RunContents(
        ingested=tuple(Ingested(**row) for row in ingested),
        **predicted,
        **judged,
        measured=_summaries(remote, sql, use_case, since),
        columns=_columns(remote, sql, use_case),
    )


def _summaries(remote: Remote, sql: Sql, use_case: UseCase, since: dt.datetime) -> tuple[MetricSummary, ...]:
    number = "value IS NOT NULL AND NOT isnan(value) AND abs(value) < CAST('Infinity' AS DOUBLE)"
    rows = sql.rows(
        f"SELECT metric, count(*) AS rows, count(*) - count(CASE WHEN {number} THEN 1 END) AS without_value, "  # noqa: S608 - ours
        f"min(CASE WHEN {number} THEN value END) AS minimum, max(CASE WHEN {number} THEN value END) AS maximum "
        f"FROM {_table(remote, use_case, 'metrics')} "
        f"WHERE slice_key = {text(ALL_ROWS)} AND labelled > 0 AND computed_at >= {text(since)} GROUP BY metric"
    )
    return tuple(MetricSummary(**row) for row in rows)


def _columns(remote: Remote, sql: Sql, use_case: UseCase) -> dict[str, tuple[tuple[str, str], ...] | None]:
    schemas = ", ".join(sorted({text(table.schema) for table in use_case.tables}))
    rows = sql.rows(
        "SELECT table_schema, table_name, column_name, full_data_type "  # noqa: S608 - ours
        f"FROM {quoted(remote.name('information_schema.columns'))} WHERE table_schema IN ({schemas}) "
        "ORDER BY table_schema, table_name, ordinal_position"
    )
    found: dict[str, list[tuple[str, str]]] = {}
    for row in rows:
        column = (row["column_name"], row["full_data_type"].lower())
        found.setdefault(f"{row['table_schema']}.{row['table_name']}", []).append(column)
    return {table.address: tuple(found[table.address]) if table.address in found else None for table in use_case.tables}


def _table(remote: Remote, use_case: UseCase, name: str) -> str:
    table: Table = use_case.table(name)
    return quoted(remote.name(table.address))
