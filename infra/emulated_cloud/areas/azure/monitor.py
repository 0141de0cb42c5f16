"""The data plane of Application Insights: who sends telemetry to a component, and from which network.

Not known: daily caps, sampling, queries and the evaluation of alert rules; what is accepted is only kept.
"""

import copy
import gzip
import json
from typing import Any

from infra.emulated_cloud.areas.azure.monitor_resources import COMPONENT, MADE_COMPONENT, MADE_SCOPE, SCOPE
from infra.emulated_cloud.areas.azure.resource_rules import GROUP, NETWORK
from infra.emulated_cloud.areas.azure.roles import ROLES, allows_data
from infra.emulated_cloud.calls import MONITOR, Area, Attempt, Call, CloudRefusalError, ServiceRule, endpoints
from infra.emulated_cloud.world import Json

PUBLISH = "Microsoft.Insights/Telemetry/Write"
KEPT = "telemetry"
_DOCS = "https://learn.microsoft.com/en-us/azure/azure-monitor"


def _envelopes(call: Call) -> list[Json]:
    content: Any = call.body
    if content is None:
        content = json.loads(gzip.decompress(call.raw))
    return list(content if isinstance(content, list) else [content])


def _component(call: Call) -> Json:
    """Return the component whose key the first envelope carries."""
    key = str(_envelopes(call)[0].get("iKey"))
    for document in call.world.store("azure", "resources").values():
        if document.get("properties", {}).get("InstrumentationKey") == key:
            return document
    raise CloudRefusalError(400, "InvalidInstrumentationKey", "The instrumentation key belongs to no component.")


def _may_publish(call: Call) -> bool:
    component = _component(call)
    local = component["properties"].get("DisableLocalAuth") is not True
    return local or allows_data(call.world, call.caller.object_id, PUBLISH, component["id"])


def _is_reached(call: Call) -> bool:
    component = _component(call)
    if component["properties"].get("publicNetworkAccessForIngestion") != "Disabled":
        return True
    documents = call.world.store("azure", "resources")
    scopes = {
        path.partition("/scopedresources/")[0] for path, document in documents.items()
        if "/scopedresources/" in path
        and document["properties"].get("linkedResourceId", "").lower() == component["id"].lower()
    }  # fmt: skip
    return bool(call.network) and any(_leads(call.network, one, scopes) for one in documents.values())


def _leads(network: str, endpoint: Json, scopes: set[str]) -> bool:
    """Return whether a private endpoint leads from a network to one of some private link scopes."""
    properties = endpoint.get("properties", {})
    subnet = str((properties.get("subnet") or {}).get("id", "")).lower()
    return f"/virtualnetworks/{network.lower()}/" in subnet and any(
        connection["properties"]["privateLinkServiceId"].lower() in scopes
        for connection in properties.get("privateLinkServiceConnections", ())
    )


def _track(call: Call) -> Json:
    envelopes = _envelopes(call)
    kept = call.world.store("azure", KEPT).setdefault(_component(call)["id"].lower(), {"envelopes": []})
    kept["envelopes"] += copy.deepcopy(envelopes)
    return {"itemsReceived": len(envelopes), "itemsAccepted": len(envelopes), "errors": []}


_DEV = "bbbbbbbb-0000-4000-8000-000000000001"
_SUBNET = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/vnet/subnets/endpoints"
_PUBLISHER = Attempt(
    who="person",
    request=f"PUT azure{COMPONENT}/providers/Microsoft.Authorization/roleAssignments/44444444-4444-4444-8444-444444444444",
    body={
        "properties": {"principalId": _DEV, "roleDefinitionId": f"/x/{ROLES['Monitoring Metrics Publisher'].identity}"}
    },
)
_CLOSE = Attempt(
    who="dev", request=f"PATCH azure{COMPONENT}", body={"properties": {"publicNetworkAccessForIngestion": "Disabled"}}
)
_LINK = Attempt(
    who="dev", request=f"PUT azure{SCOPE}/scopedResources/app", body={"properties": {"linkedResourceId": COMPONENT}}
)
_ENDPOINT = Attempt(
    who="dev", request=f"PUT azure{GROUP}/providers/Microsoft.Network/privateEndpoints/monitor",
    body={"location": "westeurope", "properties": {
        "subnet": {"id": _SUBNET},
        "privateLinkServiceConnections": [
            {"name": "monitor", "properties": {"privateLinkServiceId": SCOPE, "groupIds": ["azuremonitor"]}}
        ],
    }},
)  # fmt: skip
_PLACES = (
    NETWORK,
    Attempt(who="dev", request=f"PUT azure{_SUBNET}", body={"properties": {"addressPrefix": "10.40.1.0/24"}}),
)


def _sent(who: str, network: str = "") -> Attempt:
    return Attempt(
        who=who, request="POST westeurope-5.monitor/v2.1/track", body=[{"iKey": "<instrumentation key>", "name": "Metric"}],
        network=network,
    )  # fmt: skip


_TRACK = ("monitor POST */track",)
AREA = Area(
    name="Application Insights",
    endpoints=endpoints(MONITOR, {"POST /v2.1/track": _track, "POST /v2/track": _track}),
    rules=(
        ServiceRule(
            rule="telemetry-is-reached-from-its-network",
            says="A component that is closed to the internet takes telemetry only through a private link scope that links it.",
            page=f"{_DOCS}/logs/private-link-security", on=_TRACK, holds=_is_reached,
            refusal=(403, "Forbidden", "Data sent from outside private networks, or not linked by their scope, is refused."),
            given=(*MADE_COMPONENT, *_PLACES, MADE_SCOPE, _LINK, _ENDPOINT, _PUBLISHER, _CLOSE),
            accepted=_sent("dev", network="vnet"), refused=_sent("dev"),
        ),
        ServiceRule(
            rule="telemetry-needs-a-publisher",
            says="Without local authentication a component takes telemetry only of who holds Monitoring Metrics Publisher on it.",
            page=f"{_DOCS}/app/azure-ad-authentication", on=_TRACK, holds=_may_publish,
            refusal=(403, "Forbidden", "Authenticated but not authorized: the identity may not publish to this component."),
            given=(*MADE_COMPONENT, _PUBLISHER), accepted=_sent("dev"), refused=_sent("person"),
        ),
    ),
)  # fmt: skip
