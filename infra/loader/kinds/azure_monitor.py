"""Of Azure Monitor: Log Analytics, Application Insights, private link scopes, action groups, alert rules and workbooks.

The bodies are those of the services' own interfaces (https://learn.microsoft.com/en-us/rest/api/monitor/).
"""

from collections.abc import Callable

from infra.loader.kind import LoadedKind, State
from infra.loader.kinds.azure import delete, group_path, read_tags
from infra.loader.session import Json, Session

Body = Callable[[State], Json]
ENABLED = {True: "Enabled", False: "Disabled"}


def _kind(type_: str, body: Body, *, gives: Callable[[Json], Json] = lambda _made: {}) -> LoadedKind:
    """Return the kind of a resource that one PUT creates and changes.

    Parameters
    ----------
    type_
        The type in Azure; braces hold attributes of the plan.
    body
        The properties of a plan.
    gives
        The attributes that the service decides, from the properties of its answer.
    """

    def create(session: Session, plan: State) -> Json:
        identity = f"{group_path(session, plan['resource_group_name'])}/providers/{type_.format(**plan)}/{plan['name']}"
        sent = {"location": plan.get("location", "global"), "tags": plan.get("tags", {}), "properties": body(plan)}
        made = session.azure("PUT", identity, sent)
        return {"id": identity, **gives(made["properties"])}

    return LoadedKind(create=create, read=read_tags, delete=delete)


def _networks(plan: State) -> Json:
    return {
        f"publicNetworkAccessFor{what.title()}": ENABLED[bool(plan.get(f"internet_{what}_enabled", True))]
        for what in ("ingestion", "query")
    }


def _workspace(plan: State) -> Json:
    return {
        "sku": {"name": plan["sku"]}, "retentionInDays": plan["retention_in_days"], **_networks(plan),
        "features": {"disableLocalAuth": not plan.get("local_authentication_enabled", True)},
    }  # fmt: skip


def _component(plan: State) -> Json:
    return {
        "Application_Type": plan["application_type"], "WorkspaceResourceId": plan.get("workspace_id"), **_networks(plan),
        "DisableLocalAuth": plan.get("local_authentication_disabled", False),
    }  # fmt: skip


def _scope(plan: State) -> Json:
    modes = {f"{what}AccessMode": plan[f"{what}_access_mode"] for what in ("ingestion", "query")}
    return {"accessModeSettings": modes}


def _people(plan: State) -> Json:
    receivers = [
        {
            "name": one["name"],
            "emailAddress": one["email_address"],
            "useCommonAlertSchema": one["use_common_alert_schema"],
        }
        for one in plan.get("email_receiver", ())
    ]
    return {"groupShortName": plan["short_name"], "enabled": True, "emailReceivers": receivers}


def _rule(plan: State) -> Json:
    conditions = [
        {
            "query": one["query"], "timeAggregation": one["time_aggregation_method"], "operator": one["operator"],
            "metricMeasureColumn": one["metric_measure_column"], "threshold": one["threshold"],
            "dimensions": one.get("dimension", []),
        }
        for one in plan["criteria"]
    ]  # fmt: skip
    return {
        "description": plan["description"], "severity": plan["severity"], "scopes": plan["scopes"],
        "evaluationFrequency": plan["evaluation_frequency"], "windowSize": plan["window_duration"],
        "criteria": {"allOf": conditions}, "autoMitigate": plan["auto_mitigation_enabled"],
        "actions": {
            "actionGroups": plan["action"]["action_groups"], "customProperties": plan["action"]["custom_properties"],
        },
    }  # fmt: skip


def _workbook(plan: State) -> Json:
    return {"displayName": plan["display_name"], "serializedData": plan["data_json"], "category": "workbook"}


KINDS = {
    "azurerm_log_analytics_workspace": _kind("Microsoft.OperationalInsights/workspaces", _workspace),
    "azurerm_application_insights": _kind(
        "Microsoft.Insights/components", _component,
        gives=lambda made: {
            "app_id": made["AppId"], "instrumentation_key": made["InstrumentationKey"],
            "connection_string": made["ConnectionString"],
        },
    ),
    "azurerm_monitor_private_link_scope": _kind("Microsoft.Insights/privateLinkScopes", _scope),
    "azurerm_monitor_private_link_scoped_service": _kind(
        "Microsoft.Insights/privateLinkScopes/{scope_name}/scopedResources",
        lambda plan: {"linkedResourceId": plan["linked_resource_id"]},
    ),
    "azurerm_monitor_action_group": _kind("Microsoft.Insights/actionGroups", _people),
    "azurerm_monitor_scheduled_query_rules_alert_v2": _kind("Microsoft.Insights/scheduledQueryRules", _rule),
    "azurerm_application_insights_workbook": _kind("Microsoft.Insights/workbooks", _workbook),
}  # fmt: skip
