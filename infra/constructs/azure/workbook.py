"""The workbook of an environment's telemetry: each declared metric over time, made from the table of metrics.

The form is that of https://github.com/microsoft/Application-Insights-Workbooks/blob/master/schema/workbook.json.
"""

import json
import uuid
from collections.abc import Mapping
from typing import Any

from infra.constructs.azure.metric_queries import chart_query
from infra.constructs.deployment import Deployment
from infra.synthesis.stack import Provider, Resource, Stack
from pipelines.telemetry.instruments import INSTRUMENTS, Instrument

SCHEMA = "https://github.com/Microsoft/Application-Insights-Workbooks/blob/master/schema/workbook.json"
LOG_WORKSPACE = "microsoft.operationalinsights/workspaces"
HOURS = (1, 6, 24, 72, 168, 720)
"""The spans of time that a reader chooses from; a day at first."""
TEXT, QUERY, PARAMETERS = 1, 3, 9
"""Kinds of items."""


def telemetry_workbook(
    stack: Stack, group: Resource, logs: Resource, *, deployment: Deployment, provider: Provider
) -> None:
    """Add the workbook; its name is a UUID, the same one as long as organisation and environment have theirs."""
    whose = f"{deployment.account.organisation}-{deployment.environment}"
    stack.add(
        "azurerm_application_insights_workbook",
        "telemetry",
        provider=provider,
        name=str(uuid.uuid5(uuid.NAMESPACE_URL, f"workbook-{whose}")),
        resource_group_name=group.attribute("name"),
        location=deployment.settings.region,
        display_name=f"telemetry of {whose}",
        data_json=json.dumps(workbook(deployment.environment, logs.id), sort_keys=True),
        tags=deployment.tags(),
    )


def workbook(environment: str, logs: str) -> Mapping[str, Any]:
    """Return the content of the workbook.

    Parameters
    ----------
    logs
        Id of the Log Analytics workspace that its queries ask.
    """
    title = f"# {environment}: jobs and endpoints\n\nEach metric is one of the table in docs/telemetry.md."
    return {
        "version": "Notebook/1.0",
        "items": [
            {"type": TEXT, "name": "title", "content": {"json": title}},
            {"type": PARAMETERS, "name": "time", "content": _time_range()},
            *(_chart(instrument, logs) for instrument in INSTRUMENTS),
        ],
        "fallbackResourceIds": [logs],
        "$schema": SCHEMA,
    }


def _time_range() -> Mapping[str, Any]:
    spans = [{"durationMs": hours * 3_600_000} for hours in HOURS]
    parameter = {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, "TimeRange")), "version": "KqlParameterItem/1.0", "name": "TimeRange",
        "type": 4, "isRequired": True, "value": spans[2], "typeSettings": {"selectableValues": spans},
    }  # fmt: skip
    return {
        "version": "KqlParameterItem/1.0", "parameters": [parameter], "style": "pills", "queryType": 0,
        "resourceType": LOG_WORKSPACE,
    }  # fmt: skip


def _chart(instrument: Instrument, logs: str) -> Mapping[str, Any]:
    """Return the chart of one metric; braces, which units have, would name a parameter of the workbook."""
    unit = instrument.unit.strip("{}")
    content = {
        "version": "KqlItem/1.0", "query": chart_query(instrument), "size": 0,
        "title": f"{instrument.name} ({unit}): {instrument.meaning}", "timeContextFromParameter": "TimeRange",
        "queryType": 0, "resourceType": LOG_WORKSPACE, "crossComponentResources": [logs], "visualization": "timechart",
    }  # fmt: skip
    return {"type": QUERY, "name": instrument.name, "content": content}
