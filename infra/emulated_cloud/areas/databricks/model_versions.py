"""Versions and aliases of registered models, and what serving endpoints answer.

Both are of the MLflow store in which the jobs work; a cloud without compute has none. Not known: stages of a version's
creation, who may create one, limits of an endpoint.
"""

from typing import Any

from infra.emulated_cloud.areas.databricks.object_permissions import holds_level
from infra.emulated_cloud.areas.databricks.workspace_objects import SERVING
from infra.emulated_cloud.calls import (
    WORKSPACE,
    Area,
    Attempt,
    Call,
    CloudRefusalError,
    ServiceRule,
    endpoints,
    invalid,
    not_found,
)
from infra.emulated_cloud.privileges import CatalogRights
from infra.emulated_cloud.world import EngineError, Json

UC = "/api/2.1/unity-catalog"
V = "/api/2.0/serving-endpoints"
PAGE = "https://learn.microsoft.com/en-us/azure/databricks/machine-learning/manage-model-lifecycle/"
SERVING_PAGE = "https://learn.microsoft.com/en-us/azure/databricks/security/auth/access-control/#serving-endpoint-acls"


NOTHING: Json = {"versions": [], "aliases": {}, "predictions": []}
"""What a cloud without compute answers."""


def _ask(call: Call, do: str, **given: Any) -> Json:
    if call.world.compute is None:
        return NOTHING
    try:
        found: Json = call.world.compute.ask(CatalogRights(call).id, do, **given)
    except EngineError as error:
        raise CloudRefusalError(400, "BAD_REQUEST", str(error)) from error
    return found


def aliases(call: Call, model: str) -> list[Json]:
    """Return the aliases of a model as the service lists them."""
    found = _ask(call, "versions", model=model)["aliases"]
    return [{"alias_name": alias, "version_num": number} for alias, number in sorted(found.items())]


def _version(call: Call, number: int, created: int, run: str) -> Json:
    catalog, schema, model = call.arguments["name"].split(".")
    return {
        "catalog_name": catalog, "schema_name": schema, "model_name": model, "version": number, "status": "READY",
        "created_at": created, "run_id": run, "metastore_id": CatalogRights(call).id,
    }  # fmt: skip


def _list(call: Call) -> Json:
    found = _ask(call, "versions", model=call.arguments["name"])["versions"]
    return {"model_versions": [_version(call, *one) for one in reversed(found)]}


def _read(call: Call) -> Json:
    found = {str(one[0]): one for one in _ask(call, "versions", model=call.arguments["name"])["versions"]}
    if call.arguments["number"] not in found:
        raise not_found(f"Model version {call.arguments['name']} {call.arguments['number']}")
    return _version(call, *found[call.arguments["number"]])


def _delete(call: Call) -> Json:
    _read(call)
    return _ask(call, "delete_version", model=call.arguments["name"], version=int(call.arguments["number"]))


def _set_alias(call: Call) -> Json:
    number = int(call.fields["version_num"])
    _ask(call, "alias", model=call.arguments["name"], alias=call.arguments["alias"], version=number)
    return {"alias_name": call.arguments["alias"], "version_num": number}


def _delete_alias(call: Call) -> Json:
    return _ask(call, "alias", model=call.arguments["name"], alias=call.arguments["alias"], version=None)


def routed(config: Json, number: int) -> Json | None:
    """Return the served entity that answers a request; None where nothing is served.

    A version is drawn for each request, by the percentages of the routes:
    https://learn.microsoft.com/en-us/azure/databricks/machine-learning/model-serving/serve-multiple-models-to-serving-endpoint.

    Parameters
    ----------
    number
        Of the request: of a hundred that follow one another each route gets its percentage.
    """
    served = {entity.get("name"): entity for entity in config.get("served_entities") or []}
    place = number % 100
    for route in (config.get("traffic_config") or {}).get("routes") or []:
        if place < route["traffic_percentage"]:
            return served.get(route.get("served_model_name") or route.get("served_entity_name"))
        place -= route["traffic_percentage"]
    return next(iter(served.values()), None)


def _predict(call: Call) -> Json:
    document = SERVING.find(call)
    served = routed(document.get("config") or {}, next(call.world.numbers))
    if served is None:
        raise invalid(f"Endpoint {document['name']} serves nothing yet.")
    given, split = call.fields.get("dataframe_records"), call.fields.get("dataframe_split")
    if split:
        given = [dict(zip(split["columns"], row, strict=True)) for row in split["data"]]
    if not given:
        raise invalid("The request has neither dataframe_records nor dataframe_split.")
    return _ask(call, "predict", model=served["entity_name"], version=str(served["entity_version"]), rows=given)


def _may_query(call: Call) -> bool:
    document = call.store(SERVING.kind).get(call.arguments.get("id", ""))
    return document is None or holds_level(call, "serving-endpoints", document["id"], "CAN_QUERY")


_SERVED = Attempt(
    who="dev", request=f"POST dev{V}",
    body={"name": "score", "config": {"served_entities": [{"entity_name": "shop.models.m", "entity_version": "1"}]}},
)  # fmt: skip
_ROWS = {"dataframe_records": [{"a": 1}]}

AREA = Area(
    name="models and endpoints",
    endpoints=endpoints(WORKSPACE, {
        f"GET {UC}/models/{{name}}/versions": _list, f"GET {UC}/models/{{name}}/versions/{{number}}": _read,
        f"DELETE {UC}/models/{{name}}/versions/{{number}}": _delete,
        f"PUT {UC}/models/{{name}}/aliases/{{alias}}": _set_alias,
        f"DELETE {UC}/models/{{name}}/aliases/{{alias}}": _delete_alias,
        f"POST {V}/{{id}}/invocations": _predict, "POST /serving-endpoints/{id}/invocations": _predict,
    }),
    rules=(
        ServiceRule(
            rule="serving-needs-query", says="A serving endpoint is asked by who has CAN_QUERY on it.", page=SERVING_PAGE,
            on=(f"workspace POST {V}/*/invocations", "workspace POST /serving-endpoints/*/invocations"), holds=_may_query,
            refusal=(403, "PERMISSION_DENIED", "{caller} does not have Query permissions on serving endpoint {id}."),
            given=(_SERVED,),
            accepted=Attempt(who="dev", request=f"POST dev{V}/score/invocations", body=_ROWS),
            refused=Attempt(who="analyst", request=f"POST dev{V}/score/invocations", body=_ROWS),
        ),
    ),
)  # fmt: skip
