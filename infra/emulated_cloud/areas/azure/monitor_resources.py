"""Azure Monitor in Azure Resource Manager: Application Insights, private link scopes, action groups, alert rules, workbooks."""

import copy
import json
import re

from infra.emulated_cloud.areas.azure.ids import resource_type, resources
from infra.emulated_cloud.areas.azure.resource_rules import GROUP, MADE_GROUP
from infra.emulated_cloud.calls import Attempt, Call, CloudRefusalError, ServiceRule
from infra.emulated_cloud.world import Json, World

INSIGHTS = f"{GROUP}/providers/Microsoft.Insights"
LOGS = f"{GROUP}/providers/Microsoft.OperationalInsights/workspaces/logs"
COMPONENT = f"{INSIGHTS}/components/app"
SCOPE = f"{INSIGHTS}/privateLinkScopes/scope"
LINKED = (
    "microsoft.insights/components",
    "microsoft.operationalinsights/workspaces",
    "microsoft.insights/datacollectionendpoints",
)
SHORT_NAME = 12
CAP = "daily cap"
_DOCS = "https://learn.microsoft.com/en-us/azure/azure-monitor"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?)?")


def component_added(world: World, document: Json, kept: Json) -> None:
    """Give a component its key, its id and its connection string, the same ones as long as it lives."""
    before = kept.get("properties", {})
    key = before.get("InstrumentationKey") or world.new_uuid()
    app = before.get("AppId") or world.new_uuid()
    region = str(document.get("location", "")).lower()
    document["properties"] |= {
        "InstrumentationKey": key, "AppId": app, "ApplicationId": document["name"],
        "ConnectionString": f"InstrumentationKey={key};IngestionEndpoint=https://{region}-5.in.applicationinsights.azure.com/;"
                            f"ApplicationId={app}",
    }  # fmt: skip


def read_cap(call: Call) -> Json:
    """Answer what a component accepts in a day; 100 GB until somebody says otherwise."""
    _component(call)
    known = call.world.store("azure", CAP).get(call.path.lower())
    return copy.deepcopy(
        known or {"CurrentBillingFeatures": ["Basic"], "DataVolumeCap": {"Cap": 100.0, "ResetTime": 0}}
    )


def write_cap(call: Call) -> Json:
    """Keep what a component accepts in a day."""
    _component(call)
    call.world.store("azure", CAP)[call.path.lower()] = copy.deepcopy(call.fields)
    return read_cap(call)


def _component(call: Call) -> Json:
    owner = call.path.rpartition("/")[0].lower()
    if owner not in resources(call):
        raise CloudRefusalError(404, "ResourceNotFound", f"The Resource '{owner}' was not found.")
    return resources(call)[owner]


def _properties(call: Call) -> Json:
    found: Json = call.fields.get("properties", {})
    return found


def _exists(call: Call, identity: object, *types: str) -> bool:
    path = str(identity).lower()
    return path in resources(call) and resource_type(path).lower() in types


def _has_workspace(call: Call) -> bool:
    """Return whether a component names its workspace; what is below a component needs none."""
    return resource_type(call.path).lower() != "microsoft.insights/components" or _exists(
        call, _properties(call).get("WorkspaceResourceId"), "microsoft.operationalinsights/workspaces"
    )


def _links_a_monitor_resource(call: Call) -> bool:
    return _exists(call, _properties(call).get("linkedResourceId"), *LINKED)


def _has_short_name(call: Call) -> bool:
    return 0 < len(str(_properties(call).get("groupShortName", ""))) <= SHORT_NAME


def _asks_one_scope(call: Call) -> bool:
    scopes = _properties(call).get("scopes", ())
    return len(scopes) == 1 and str(scopes[0]).lower() in resources(call)


def _acts_through_groups(call: Call) -> bool:
    groups = (_properties(call).get("actions") or {}).get("actionGroups", ())
    return all(_exists(call, one, "microsoft.insights/actiongroups") for one in groups)


def _looks_back_far_enough(call: Call) -> bool:
    properties = _properties(call)
    return _minutes(properties.get("evaluationFrequency")) <= _minutes(properties.get("windowSize"))


def _minutes(duration: object) -> int:
    found = _DURATION.fullmatch(str(duration))
    days, hours, minutes = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    return (days * 24 + hours) * 60 + minutes


def _is_a_workbook(call: Call) -> bool:
    try:
        content = json.loads(str(_properties(call).get("serializedData")))
    except ValueError:
        return False
    return isinstance(content, dict) and _UUID.fullmatch(call.path.rpartition("/")[2]) is not None


def _put(path: str, **properties: object) -> Attempt:
    return Attempt(who="dev", request=f"PUT azure{path}", body={"location": "westeurope", "properties": properties})


_LOGS = _put(LOGS)
MADE_COMPONENT = (MADE_GROUP, _LOGS, _put(COMPONENT, WorkspaceResourceId=LOGS, DisableLocalAuth=True))
MADE_SCOPE = _put(SCOPE, accessModeSettings={"ingestionAccessMode": "PrivateOnly", "queryAccessMode": "PrivateOnly"})
_PEOPLE = _put(f"{INSIGHTS}/actionGroups/people", groupShortName="people")


def _alert(**changed: object) -> Attempt:
    stated: dict[str, object] = {
        "scopes": [LOGS], "evaluationFrequency": "PT5M", "windowSize": "PT15M",
        "actions": {"actionGroups": [f"{INSIGHTS}/actionGroups/people"]},
    }  # fmt: skip
    return _put(f"{INSIGHTS}/scheduledQueryRules/slow", **{**stated, **changed})


_WORKBOOK = "0f8fad5b-d9cb-469f-a165-70867728950e"
_ALERTS = ("azure PUT */scheduledQueryRules/*",)
RULES = (
    ServiceRule(
        rule="insights-keep-data-in-a-workspace",
        says="A component of Application Insights keeps its data in a Log Analytics workspace; there is no other kind any more.",
        page=f"{_DOCS}/app/create-workspace-resource", on=("azure PUT */components/*",),
        holds=_has_workspace,
        refusal=(400, "BadRequest", "WorkspaceResourceId must be the id of a Log Analytics workspace that exists."),
        given=(MADE_GROUP, _LOGS), accepted=_put(COMPONENT, WorkspaceResourceId=LOGS), refused=_put(COMPONENT),
    ),
    ServiceRule(
        rule="private-link-scopes-link-monitor",
        says="A private link scope links components, Log Analytics workspaces and data collection endpoints that exist.",
        page=f"{_DOCS}/logs/private-link-security", on=("azure PUT */privateLinkScopes/*/scopedResources/*",),
        holds=_links_a_monitor_resource,
        refusal=(400, "BadRequest", "linkedResourceId must be a resource of Azure Monitor that exists."),
        given=(*MADE_COMPONENT, MADE_SCOPE),
        accepted=_put(f"{SCOPE}/scopedResources/app", linkedResourceId=COMPONENT),
        refused=_put(f"{SCOPE}/scopedResources/app", linkedResourceId=f"{INSIGHTS}/components/none"),
    ),
    ServiceRule(
        rule="action-groups-have-a-short-name",
        says="The short name of an action group has at most 12 characters.",
        page=f"{_DOCS}/alerts/action-groups", on=("azure PUT */actionGroups/*",), holds=_has_short_name,
        refusal=(400, "BadRequest", "groupShortName must have 1 to 12 characters."),
        given=(MADE_GROUP,), accepted=_PEOPLE,
        refused=_put(f"{INSIGHTS}/actionGroups/people", groupShortName="people-on-call"),
    ),
    ServiceRule(
        rule="alert-rules-ask-one-resource", says="A log search alert rule asks one resource, which exists.",
        page=f"{_DOCS}/alerts/alerts-create-log-alert-rule", on=_ALERTS, holds=_asks_one_scope,
        refusal=(400, "BadRequest", "scopes must be one resource that exists."),
        given=(MADE_GROUP, _LOGS, _PEOPLE), accepted=_alert(), refused=_alert(scopes=[LOGS, COMPONENT]),
    ),
    ServiceRule(
        rule="alert-rules-act-through-groups", says="An alert rule notifies through action groups that exist.",
        page=f"{_DOCS}/alerts/action-groups", on=_ALERTS, holds=_acts_through_groups,
        refusal=(400, "BadRequest", "An action group of the alert rule does not exist."),
        given=(MADE_GROUP, _LOGS, _PEOPLE), accepted=_alert(),
        refused=_alert(actions={"actionGroups": [f"{INSIGHTS}/actionGroups/none"]}),
    ),
    ServiceRule(
        rule="alert-rules-look-back", says="An alert rule looks back at least as far as the time between two evaluations.",
        page=f"{_DOCS}/alerts/alerts-create-log-alert-rule", on=_ALERTS, holds=_looks_back_far_enough,
        refusal=(400, "BadRequest", "evaluationFrequency must not be longer than windowSize."),
        given=(MADE_GROUP, _LOGS, _PEOPLE), accepted=_alert(evaluationFrequency="PT1H", windowSize="P1D"),
        refused=_alert(evaluationFrequency="PT1H"),
    ),
    ServiceRule(
        rule="workbooks-are-json-named-by-a-uuid", says="A workbook is named by a UUID and holds JSON.",
        page=f"{_DOCS}/visualize/workbooks-automate", on=("azure PUT */workbooks/*",), holds=_is_a_workbook,
        refusal=(400, "BadRequest", "A workbook has a UUID as name and JSON as serializedData."),
        given=(MADE_GROUP,), accepted=_put(f"{INSIGHTS}/workbooks/{_WORKBOOK}", serializedData='{"items": []}'),
        refused=_put(f"{INSIGHTS}/workbooks/{_WORKBOOK}", serializedData="items"),
    ),
)  # fmt: skip
