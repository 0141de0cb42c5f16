"""Of Azure Monitor: Log Analytics, Application Insights, private link scopes, action groups, alert rules and workbooks.

The bodies are those of the services' own interfaces (https://learn.microsoft.com/en-us/rest/api/monitor/).
"""

from collections.abc import Callable
from dataclasses import replace

from infra.loader.kind import LoadedKind, State
from infra.loader.kinds.azure import GROUP, common, created, found, in_group
from infra.loader.session import Json, Session

Body = Callable[[State], Json]
DEFAULTS = (("location", "global"),)
"""Arguments that the provider fills with this value where nothing is stated."""
FAILING = {
    "minimum_failing_periods_to_trigger_alert": "minFailingPeriodsToAlert",
    "number_of_evaluation_periods": "numberOfEvaluationPeriods",
}
ENABLED = {True: "Enabled", False: "Disabled"}


Tells = Callable[[Json], Json]


def _kind(name: str, type_: str, body: Body, tells: Tells, *, gives: Tells = lambda _made: {}) -> LoadedKind:
    """Return the kind of a resource that one PUT creates and changes.

    Parameters
    ----------
    name
        The type in Terraform.
    type_
        The type in Azure; braces hold attributes of the plan.
    body
        The properties of a plan.
    tells
        The arguments of a resource, from its properties: the other way.
    gives
        The attributes that the service decides, from the properties of its answer.
    """
    place = in_group(type_)

    def put(session: Session, plan: State) -> Json:
        identity = place(session, plan)
        sent = {"location": plan.get("location", "global"), "tags": plan.get("tags", {}), "properties": body(plan)}
        made = session.azure("PUT", identity, sent)
        return {"id": identity, **gives(made["properties"])}

    def find(session: Session, parts: State) -> Json:
        answer = found(session, f"{GROUP}/providers/{type_}/{{name}}", parts)
        told = {**common(answer), **tells(answer["properties"]), **gives(answer["properties"])}
        return {name: value for name, value in told.items() if (name, value) not in DEFAULTS}

    return created(name, put, place, find)


def _networks(plan: State) -> Json:
    return {
        f"publicNetworkAccessFor{what.title()}": ENABLED[bool(plan.get(f"internet_{what}_enabled", True))]
        for what in ("ingestion", "query")
    }


def _networks_of(told: Json) -> Json:
    return {
        f"internet_{what}_enabled": told[f"publicNetworkAccessFor{what.title()}"] == ENABLED[True]
        for what in ("ingestion", "query")
    }


def _workspace(plan: State) -> Json:
    return {
        "sku": {"name": plan["sku"]}, "retentionInDays": plan["retention_in_days"], **_networks(plan),
        "features": {"disableLocalAuth": not plan.get("local_authentication_enabled", True)},
    }  # fmt: skip


def _of_workspace(told: Json) -> Json:
    local = not told["features"]["disableLocalAuth"]
    return {
        "sku": told["sku"]["name"], "retention_in_days": told["retentionInDays"], **_networks_of(told),
        "local_authentication_enabled": local, "local_authentication_disabled": not local,
    }  # fmt: skip


def _component(plan: State) -> Json:
    return {
        "Application_Type": plan["application_type"], "WorkspaceResourceId": plan.get("workspace_id"), **_networks(plan),
        "DisableLocalAuth": plan.get("local_authentication_disabled", False),
    }  # fmt: skip


def _of_component(told: Json) -> Json:
    return {
        "application_type": told["Application_Type"], "workspace_id": told["WorkspaceResourceId"], **_networks_of(told),
        "local_authentication_disabled": told["DisableLocalAuth"],
    }  # fmt: skip


FEATURES = "currentBillingFeatures"


def _capped(kind: LoadedKind) -> LoadedKind:
    """Return the kind of a component with what it accepts in a day, which has a place of its own."""
    find, change = kind.find, kind.change

    def cap(session: Session, plan: State, identity: str) -> None:
        if "daily_data_cap_in_gb" in plan:
            features = {"DataVolumeCap": {"Cap": plan["daily_data_cap_in_gb"]}, "CurrentBillingFeatures": ["Basic"]}
            session.azure("PUT", f"{identity}/{FEATURES}", features)

    def create(session: Session, plan: State) -> Json:
        made = kind.create(session, plan)
        cap(session, plan, made["id"])
        return made

    def change_it(session: Session, state: State, plan: State) -> Json:
        made = change(session, state, plan) if change else {}
        cap(session, plan, state["id"])
        return made

    def find_it(session: Session, parts: State) -> Json:
        found = find(session, parts) if find else {}
        told = session.azure("GET", f"{found['id']}/{FEATURES}")
        return {**found, "daily_data_cap_in_gb": told["DataVolumeCap"]["Cap"]}

    return replace(kind, create=create, change=change_it, find=find_it)


def _scope(plan: State) -> Json:
    modes = {f"{what}AccessMode": plan[f"{what}_access_mode"] for what in ("ingestion", "query")}
    return {"accessModeSettings": modes}


def _of_scope(told: Json) -> Json:
    return {f"{what}_access_mode": told["accessModeSettings"][f"{what}AccessMode"] for what in ("ingestion", "query")}


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


def _of_people(told: Json) -> Json:
    receivers = [
        {
            "name": one["name"],
            "email_address": one["emailAddress"],
            "use_common_alert_schema": one["useCommonAlertSchema"],
        }
        for one in told["emailReceivers"]
    ]
    return {"short_name": told["groupShortName"], "email_receiver": receivers}


def _rule(plan: State) -> Json:
    conditions = [
        {
            "query": one["query"], "timeAggregation": one["time_aggregation_method"], "operator": one["operator"],
            "metricMeasureColumn": one["metric_measure_column"], "threshold": one["threshold"],
            "dimensions": one.get("dimension", []), "failingPeriods": _failing(one),
        }
        for one in plan["criteria"]
    ]  # fmt: skip
    return {
        "displayName": plan.get("display_name"), "skipQueryValidation": plan.get("skip_query_validation", False),
        "description": plan["description"], "severity": plan["severity"], "scopes": plan["scopes"],
        "evaluationFrequency": plan["evaluation_frequency"], "windowSize": plan["window_duration"],
        "criteria": {"allOf": conditions}, "autoMitigate": plan["auto_mitigation_enabled"],
        "actions": {
            "actionGroups": plan["action"]["action_groups"], "customProperties": plan["action"]["custom_properties"],
        },
    }  # fmt: skip


def _failing(criterion: State) -> Json:
    periods = criterion.get("failing_periods", {})
    return {field: periods[name] for name, field in FAILING.items() if name in periods}


def _of_rule(told: Json) -> Json:
    criteria = [
        {
            "query": one["query"], "time_aggregation_method": one["timeAggregation"], "operator": one["operator"],
            "metric_measure_column": one["metricMeasureColumn"], "threshold": one["threshold"],
            "dimension": one["dimensions"],
            "failing_periods": {name: one["failingPeriods"].get(field) for name, field in FAILING.items()}
            if one.get("failingPeriods") else [],
        }
        for one in told["criteria"]["allOf"]
    ]  # fmt: skip
    actions = told["actions"]
    return {
        "display_name": told.get("displayName"), "skip_query_validation": told.get("skipQueryValidation"),
        "description": told["description"], "severity": told["severity"], "scopes": told["scopes"],
        "evaluation_frequency": told["evaluationFrequency"], "window_duration": told["windowSize"],
        "criteria": criteria, "auto_mitigation_enabled": told["autoMitigate"],
        "action": {"action_groups": actions["actionGroups"], "custom_properties": actions["customProperties"]},
    }  # fmt: skip


def _workbook(plan: State) -> Json:
    return {"displayName": plan["display_name"], "serializedData": plan["data_json"], "category": "workbook"}


def _of_workbook(told: Json) -> Json:
    return {"display_name": told["displayName"], "data_json": told["serializedData"]}


KINDS = {
    "azurerm_log_analytics_workspace": _kind(
        "azurerm_log_analytics_workspace", "Microsoft.OperationalInsights/workspaces", _workspace, _of_workspace),
    "azurerm_application_insights": _capped(_kind(
        "azurerm_application_insights", "Microsoft.Insights/components", _component, _of_component,
        gives=lambda made: {
            "app_id": made["AppId"], "instrumentation_key": made["InstrumentationKey"],
            "connection_string": made["ConnectionString"],
        },
    )),
    "azurerm_monitor_private_link_scope": _kind(
        "azurerm_monitor_private_link_scope", "Microsoft.Insights/privateLinkScopes", _scope, _of_scope),
    "azurerm_monitor_private_link_scoped_service": _kind(
        "azurerm_monitor_private_link_scoped_service", "Microsoft.Insights/privateLinkScopes/{scope_name}/scopedResources",
        lambda plan: {"linkedResourceId": plan["linked_resource_id"]},
        lambda told: {"linked_resource_id": told["linkedResourceId"]},
    ),
    "azurerm_monitor_action_group": _kind(
        "azurerm_monitor_action_group", "Microsoft.Insights/actionGroups", _people, _of_people),
    "azurerm_monitor_scheduled_query_rules_alert_v2": _kind(
        "azurerm_monitor_scheduled_query_rules_alert_v2", "Microsoft.Insights/scheduledQueryRules", _rule, _of_rule),
    "azurerm_application_insights_workbook": _kind(
        "azurerm_application_insights_workbook", "Microsoft.Insights/workbooks", _workbook, _of_workbook),
}  # fmt: skip
