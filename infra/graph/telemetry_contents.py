"""What alert rules and workbooks of Azure Monitor contain: every declared alert, its threshold, and this environment's logs alone."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from infra.graph.estate import Estate, GraphResource
from pipelines.telemetry.instruments import INSTRUMENTS, Instrument
from pipelines.telemetry.metric_alerts import MetricAlert

Found = Iterator[tuple[str, str]]
RULE, WORKBOOK = "azurerm_monitor_scheduled_query_rules_alert_v2", "azurerm_application_insights_workbook"


def telemetry_findings(estate: Estate) -> Found:
    """Yield resource and message of every alert rule that is absent or weaker than declared, and of foreign logs."""
    for environment, stated in estate.settings.environments.items():
        rules = {rule.name: rule for rule in estate.of(RULE) if rule.environment == environment}
        declared = (
            {one.name: (metric, one) for metric in INSTRUMENTS for one in metric.alerts} if stated.telemetry else {}
        )
        for name in sorted({*declared} - {*rules}):
            yield f"{environment}-platform", f"has no {RULE}.{name}, which a metric declares: nobody would hear of it."
        for name in sorted({*rules} - {*declared}):
            yield rules[name].where, "is an alert that no metric declares."
        for name in sorted({*rules} & {*declared}):
            yield from ((rules[name].where, message) for message in _weaker(rules[name], *declared[name]))
    for workbook in estate.of(WORKBOOK):
        yield from ((workbook.where, message) for message in _foreign(estate, workbook))


def _weaker(rule: GraphResource, metric: Instrument, alert: MetricAlert) -> Iterator[str]:
    query = str(rule.get("criteria.query"))
    if f'"{metric.name}"' not in query:
        yield f"does not ask for the metric {metric.name}, whose alert it is."
    threshold = rule.get("criteria.threshold")
    if threshold is None or float(threshold) != alert.above:
        yield f"fires above {threshold}, the metric declares {alert.above:g}."
    if rule.get("enabled") is False:
        yield "is switched off."


def _foreign(estate: Estate, workbook: GraphResource) -> Iterator[str]:
    try:
        content = json.loads(str(workbook.get("data_json")))
        asked = [*content["fallbackResourceIds"], *_resources(content["items"])]
    except (ValueError, KeyError, TypeError):
        yield "its data_json is not a workbook that a check can read."
        return
    own = f"@{{{workbook.environment}-platform/azurerm_log_analytics_workspace.logs.id}}"
    for one in sorted({estate.resolved(workbook.stack, identity) for identity in asked} - {own}):
        yield f"asks {one}, which is not the environment's own logs."


def _resources(items: list[Mapping[str, Any]]) -> Iterator[str]:
    for item in items:
        yield from item["content"].get("crossComponentResources", ())
