"""The queries of alert rules and of the workbook are read by Kusto's own language service, the one behind the editor of Log Analytics."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from infra.constructs.azure.metric_queries import TABLE, VALUE, alert_query, chart_query, column
from pipelines.telemetry.instruments import INSTRUMENTS

ALERTS = [(instrument, alert) for instrument in INSTRUMENTS for alert in instrument.alerts]
ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "node_modules" / "@kusto" / "language-service-next"
SCHEMA = "(TimeGenerated: datetime, Name: string, ItemCount: int, Sum: real, Min: real, Max: real, Properties: dynamic)"
"""The columns in use, as https://learn.microsoft.com/azure/azure-monitor/reference/tables/appmetrics lists them."""
NUMBERS = {"real", "long", "int"}
pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(
        not (PACKAGE.is_dir() and shutil.which("node")),
        reason="the language service of Kusto is not installed: `npm ci` in the repository installs it",
    ),
]


def read(*queries: str) -> list[dict[str, Any]]:
    """Return the errors of each query, and its columns with their types."""
    asked = {"package": str(PACKAGE), "tables": {TABLE: SCHEMA}, "queries": queries}
    answer = subprocess.run(
        ["node", str(Path(__file__).with_name("kusto_service.cjs"))], input=json.dumps(asked), text=True,
        capture_output=True, check=True,
    )  # fmt: skip
    return list(json.loads(answer.stdout))


def test_the_language_service_finds_mistakes() -> None:
    """A column, a function and a type that do not exist are errors: the next test can fail."""
    found = read(
        f"{TABLE} | where Nam == 'x'", f"{TABLE} | summarize {VALUE} = sumx(Sum)", f"{TABLE} | where Sum >= 'a'", f"{TABLE} | summarise count()"
    )  # fmt: skip
    assert all(one["errors"] for one in found)


def test_every_query_of_an_alert_rule_gives_a_number_for_each_split() -> None:
    """Without an error; the rule compares a column of numbers, and splits by the columns that it names."""
    for (instrument, alert), found in zip(
        ALERTS, read(*(alert_query(one, alert) for one, alert in ALERTS)), strict=True
    ):
        assert found["errors"] == [], (instrument.name, found)
        assert found["columns"].pop(VALUE) in NUMBERS
        assert found["columns"] == {column(attribute): "string" for attribute in alert.split_by}


def test_every_query_of_the_workbook_gives_a_number_over_time() -> None:
    """Without an error; the chart draws a column of numbers over one of times."""
    for instrument, found in zip(INSTRUMENTS, read(*map(chart_query, INSTRUMENTS)), strict=True):
        assert found["errors"] == [], (instrument.name, found)
        assert (found["columns"]["TimeGenerated"], found["columns"][VALUE] in NUMBERS) == ("datetime", True)
