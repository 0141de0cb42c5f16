"""Dashboard and alerts ask for columns that the declared monitoring tables have."""

import datetime as dt
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.config.loading import Settings
from infra.constructs.use_case.dashboards import DATASETS, alert_queries, monitoring_dashboard
from infra.synthesis.stack import Stack
from ml.monitoring.findings import ALL_ROWS, Finding, FindingKind
from pipelines.declarations.registry import use_cases
from pipelines.declarations.use_case import UseCase
from pipelines.lakehouse.lakehouse import open_lakehouse
from pipelines.lakehouse.tables.arrow import records

WORDS = frozenset(
    {
        "select", "from", "where", "order", "by", "group", "all", "limit", "desc", "as", "count", "avg", "max", "case",
        "when", "then", "else", "end", "interval", "day", "date_trunc", "current_timestamp",
        "and", "stack", "having", "not", "min", "max_by",
    }
)  # fmt: skip
"""The words of SQL that the queries use; every other word is a column."""


def queries(use_case: UseCase) -> dict[str, str]:
    """Return every query by its name."""
    dashboard = json.loads(monitoring_dashboard(use_case, "prod"))
    found = {dataset["name"]: dataset["queryLines"][0] for dataset in dashboard["datasets"]}
    return found | {alert.name: alert.query for alert in alert_queries(use_case, "prod")}


@pytest.mark.parametrize("use_case", use_cases(), ids=lambda use_case: use_case.name)
def test_every_query_reads_a_declared_table_and_only_columns_that_it_has(use_case: UseCase) -> None:
    """A table or column that is renamed breaks this test and not a dashboard in prod."""
    tables = {f"prod.{table.address}": table for table in use_case.tables}
    for name, query in queries(use_case).items():
        (read,) = re.findall(r"FROM (\w\S+)", query)
        assert read in tables, name
        plain = re.sub(r"'[^']*'|FROM \w\S+|\b\d+\b", "", query)
        made = set(re.findall(r"AS (\w+)", plain)) | set(" ".join(re.findall(r"AS \(([^)]*)\)", plain)).split(", "))
        asked = set(re.findall(r"[a-z_]+", plain.lower())) - WORDS - made
        assert asked <= {column.name for column in tables[read].columns}, name


def test_the_alert_counts_what_was_found_first_within_the_last_day(tmp_path: Path) -> None:
    """A window that is long past counts on the day on which late labels or a new training set show what was wrong."""
    now = dt.datetime.now(dt.UTC)
    told, before = now - dt.timedelta(hours=2), now - dt.timedelta(days=3)
    january = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    declared = use_cases()[0]
    table = declared.table("findings_history")

    def row(kind: FindingKind, recorded_at: dt.datetime, *, withdrawn: bool = False) -> dict[str, Any]:
        finding = Finding(
            window_start=january, window_end=january + dt.timedelta(days=31), kind=kind, column_name="distance",
            slice_key=ALL_ROWS, slice_value=ALL_ROWS, statistic="differing", value=1.0, threshold=0.0, since=january,
            message="It differs.",
        )  # fmt: skip
        return {**finding.as_row(), "recorded_at": recorded_at, "withdrawn": withdrawn}

    rows = [
        row(FindingKind.SKEW, told), row(FindingKind.METRIC_FELL, told),
        row(FindingKind.DRIFT, before), row(FindingKind.DRIFT, told),
        row(FindingKind.LABELS_LATE, told - dt.timedelta(hours=1)), row(FindingKind.LABELS_LATE, told, withdrawn=True),
    ]  # fmt: skip
    (alert,) = (alert for alert in alert_queries(declared, "prod") if alert.name == "findings")
    with open_lakehouse("dev", root=tmp_path) as lakehouse:
        lakehouse.tables.merge(table, records(table, rows))
        lakehouse.tables.read(table).createOrReplaceTempView("history")
        found = lakehouse.spark.sql(alert.query.replace(f"prod.{table.address}", "history")).toArrow().to_pylist()
    assert found == [{"new_findings": 2}]


@pytest.mark.parametrize("use_case", use_cases(), ids=lambda use_case: use_case.name)
def test_every_widget_shows_columns_of_its_dataset(use_case: UseCase) -> None:
    """And every dataset is shown."""
    dashboard = json.loads(monitoring_dashboard(use_case, "dev"))
    found = {dataset["name"]: dataset["queryLines"][0] for dataset in dashboard["datasets"]}
    (page,) = dashboard["pages"]
    shown = {}
    for item in page["layout"]:
        query = item["widget"]["queries"][0]["query"]
        shown[query["datasetName"]] = [field["name"] for field in query["fields"]]
    assert set(shown) == set(DATASETS)
    for dataset, columns in shown.items():
        selected = found[dataset].partition(" FROM ")[0]
        assert all(re.search(rf"\b{column}\b", selected) for column in columns), dataset


@pytest.mark.parametrize("use_case", use_cases(), ids=lambda use_case: use_case.name)
def test_a_chart_shows_one_metric_the_one_that_decides(use_case: UseCase) -> None:
    """Minutes and a rank correlation do not share an axis; estimated and realised values do."""
    found = queries(use_case)
    for name in ("quality", "estimated"):
        assert f"metric = '{use_case.gate.metric}'" in found[name]
    assert "estimated, 'realised', realised" in found["estimated"]
    assert {"estimated", "realised", "error"} <= set(re.findall(r"\w+", found["estimates"]))


def test_quality_is_that_of_all_rows_not_of_slices() -> None:
    """The mark for all rows is the one that monitoring writes."""
    assert f"slice_key = '{ALL_ROWS}'" in DATASETS["quality"]


def test_alerts_run_as_the_service_principal_where_schedules_run(
    estate: Mapping[str, Stack], settings: Settings
) -> None:
    """And tell the people whom the settings name."""
    for environment, stated in settings.environments.items():
        alerts = [r for r in estate[f"{environment}-workspace"].resources.values() if r.type == "databricks_alert_v2"]
        assert len(alerts) == 2 * len(use_cases())
        for alert in alerts:
            paused = alert.arguments["schedule"]["pause_status"]
            assert paused == ("UNPAUSED" if stated.jobs.schedules == "running" else "PAUSED")
            output = alert.arguments["evaluation"]["notification"]["subscriptions"]
            assert [who["user_email"] for who in output] == list(stated.jobs.notify)
            assert f"runner_{environment}" in alert.arguments["run_as"]["service_principal_name"]
