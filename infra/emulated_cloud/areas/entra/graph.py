"""Microsoft Graph: applications, service principals, their owners and federated credentials.

Not known: tenants' policies, consent, groups, and the synchronisation to Databricks.
"""

import copy
import re
from collections.abc import Callable, Mapping
from typing import Any

from infra.emulated_cloud.calls import (
    GRAPH,
    Action,
    Area,
    Attempt,
    Call,
    CloudAnswer,
    CloudRefusalError,
    Endpoint,
    ServiceRule,
    endpoints,
)
from infra.emulated_cloud.world import USER, Json, Store

APPLICATIONS, PRINCIPALS = "applications", "servicePrincipals"
ROLES = "~appRoles"
READ_ALL, WRITE_OWN, WRITE_ALL = "Application.Read.All", "Application.ReadWrite.OwnedBy", "Application.ReadWrite.All"
GRAPH_ROLES = {
    "9a5d68dd-52b0-4cc2-bd40-abcc3ac3049c": READ_ALL, "18a4783c-866b-4cc7-a460-3d5e5662c884": WRITE_OWN,
    "1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9": WRITE_ALL,
}  # fmt: skip
"""Roles of Microsoft Graph by id, as every tenant has them (https://learn.microsoft.com/en-us/graph/permissions-reference)."""
CONTEXT = "https://graph.microsoft.com/v1.0/$metadata#{}/$entity"
APPLICATION_PAGE = "https://learn.microsoft.com/en-us/graph/api/application-post-applications"
REFUSED = (403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")


def _kind(call: Call) -> str:
    return call.path.split("/")[2]


def entity(call: Call) -> Json:
    """Return the application or the service principal that is asked, as it is kept.

    Raises
    ------
    CloudRefusalError
        If there is none.
    """
    found = call.store(_kind(call)).get(call.arguments["id"])
    if found is None:
        raise CloudRefusalError(404, "Request_ResourceNotFound", f"Resource '{call.arguments['id']}' does not exist.")
    return found


def shown(document: Json) -> Json:
    """Return what an answer has of a document: what is kept beside it begins with ``~``."""
    return {name: copy.deepcopy(value) for name, value in document.items() if not name.startswith("~")}


def _owners(call: Call) -> list[str]:
    return [address.rpartition("/")[2] for address in call.fields.get("owners@odata.bind", ())] or [
        call.caller.object_id
    ]


def _create_application(call: Call) -> CloudAnswer:
    document = {
        **copy.deepcopy(call.fields), "@odata.context": CONTEXT.format(APPLICATIONS), "id": call.world.new_uuid(),
        "appId": call.world.new_uuid(), "passwordCredentials": [], "keyCredentials": [], "publisherDomain": "meridian-air.example", "~owners": _owners(call), "~federated": {},
    }  # fmt: skip
    call.store(APPLICATIONS)[document["id"]] = document
    return CloudAnswer(status=201, body=shown(document))


def _create_principal(call: Call) -> CloudAnswer:
    identity = call.fields.get("appId")
    application = next((one for one in call.store(APPLICATIONS).values() if one["appId"] == identity), {})
    document = {
        **copy.deepcopy(call.fields), "@odata.context": CONTEXT.format(PRINCIPALS), "id": call.world.new_uuid(),
        "displayName": application.get("displayName"), "appDisplayName": application.get("displayName"),
        "appOwnerOrganizationId": call.world.site.tenant, "servicePrincipalNames": [identity],
        "servicePrincipalType": "Application", "signInAudience": application.get("signInAudience", "AzureADMyOrg"),
        "~owners": _owners(call),
    }  # fmt: skip
    call.store(PRINCIPALS)[document["id"]] = document
    return CloudAnswer(status=201, body=shown(document))


def _list(call: Call) -> Json:
    asked = call.query.get("$filter", "")
    return {"value": [shown(one) for one in call.store(_kind(call)).values() if is_asked(one, asked)]}


def is_asked(document: Json, asked: str) -> bool:
    """Return whether a document is one that a filter asks for: by a value, its beginning, or one of a list.

    https://learn.microsoft.com/en-us/graph/filter-query-parameter
    """
    for pattern, holds in FILTERS:
        found = re.fullmatch(pattern, asked.strip())
        if found:
            return holds(document.get(found["name"]), found["value"])
    return True


FILTERS: tuple[tuple[str, Callable[[Any, str], bool]], ...] = (
    (r"(?P<name>\w+)\s+eq\s+'(?P<value>.*)'", lambda kept, value: str(kept) == value),
    (r"startswith\((?P<name>\w+),\s*'(?P<value>.*)'\)", lambda kept, value: str(kept).startswith(value)),
    (r"(?P<name>\w+)/any\((\w+):\2\s+eq\s+'(?P<value>.*)'\)", lambda kept, value: value in (kept or ())),
)
"""Forms of a filter, and what each compares; what has none of them is answered whole."""


def _read(call: Call) -> Json:
    return shown(entity(call))


def _change(call: Call) -> CloudAnswer:
    entity(call).update(copy.deepcopy(call.fields))
    return CloudAnswer(status=204, body=None)


def _delete(call: Call) -> CloudAnswer:
    del call.store(_kind(call))[entity(call)["id"]]
    return CloudAnswer(status=204, body=None)


def _list_owners(call: Call) -> Json:
    return {"value": [{"id": identity} for identity in entity(call)["~owners"]]}


def _add_owner(call: Call) -> CloudAnswer:
    entity(call)["~owners"].append(call.fields["@odata.id"].rpartition("/")[2])
    return CloudAnswer(status=204, body=None)


def _remove_owner(call: Call) -> CloudAnswer:
    owners = entity(call)["~owners"]
    if call.arguments["owner"] in owners:
        owners.remove(call.arguments["owner"])
    return CloudAnswer(status=204, body=None)


def _federated(call: Call) -> Store:
    found: Store = entity(call)["~federated"]
    return found


def _add_federated(call: Call) -> CloudAnswer:
    context = CONTEXT.format(f"applications/{call.arguments['id']}/federatedIdentityCredentials")
    document = {**copy.deepcopy(call.fields), "@odata.context": context, "id": call.world.new_uuid()}
    _federated(call)[document["id"]] = document
    return CloudAnswer(status=201, body=shown(document))


def _list_federated(call: Call) -> Json:
    return {"value": list(copy.deepcopy(_federated(call)).values())}


def _one_federated(call: Call) -> Json:
    found = _federated(call).get(call.arguments["credential"])
    if found is None:
        raise CloudRefusalError(
            404, "Request_ResourceNotFound", f"Credential '{call.arguments['credential']}' does not exist."
        )
    return found


def _read_federated(call: Call) -> Json:
    return copy.deepcopy(_one_federated(call))


def _change_federated(call: Call) -> CloudAnswer:
    _one_federated(call).update(copy.deepcopy(call.fields))
    return CloudAnswer(status=204, body=None)


def _delete_federated(call: Call) -> CloudAnswer:
    del _federated(call)[_one_federated(call)["id"]]
    return CloudAnswer(status=204, body=None)


def _me(call: Call) -> Json:
    return {"id": call.caller.object_id, "userPrincipalName": call.caller.principal, "displayName": call.caller.name}


def graph_roles(call: Call) -> set[str]:
    """Return the roles of Microsoft Graph that the caller's service principal was given, by name."""
    own = call.store(PRINCIPALS).get(call.caller.object_id, {})
    return {GRAPH_ROLES.get(str(one["appRoleId"]), "") for one in own.get(ROLES, ())}


def may_read(call: Call) -> bool:
    """Return whether the caller is a person, may read all applications, or may write the one that is asked."""
    if call.caller.kind == USER or call.caller.object_id in call.world.directory_readers:
        return True
    return READ_ALL in graph_roles(call) or may_write(call)


def may_write(call: Call) -> bool:
    """Return whether the caller may write all applications, owns the one that is asked, or may make its own."""
    roles = graph_roles(call)
    if call.caller.object_id in call.world.directory_writers or WRITE_ALL in roles:
        return True
    if WRITE_OWN in roles and call.method == "POST" and call.path.rpartition("/")[2] in (APPLICATIONS, PRINCIPALS):
        return True
    owned = call.store(_kind(call)).get(call.arguments.get("id", ""))
    return owned is not None and call.caller.object_id in owned["~owners"]


def _application_exists(call: Call) -> bool:
    return any(one["appId"] == call.fields.get("appId") for one in call.store(APPLICATIONS).values())


def _is_new_subject(call: Call) -> bool:
    wanted = (call.fields.get("issuer"), call.fields.get("subject"))
    return all((one.get("issuer"), one.get("subject")) != wanted for one in _federated(call).values())


def _on(*methods: str) -> tuple[str, ...]:
    return tuple(f"graph {method} /*/{kind}*" for method in methods for kind in (APPLICATIONS, PRINCIPALS))


def versions(actions: Mapping[str, Action]) -> tuple[Endpoint, ...]:
    """Return endpoints under both versions of the interface."""
    found: list[Endpoint] = []
    for version in ("v1.0", "beta"):
        table = {request.replace("/", f"/{version}/", 1): action for request, action in actions.items()}
        found += endpoints(GRAPH, table)
    return tuple(found)


MAKE = Attempt(who="person", request="POST graph/v1.0/applications", body={"displayName": "app"})
_SUBJECT = {
    "issuer": "https://vstoken.dev.azure.com/x",
    "subject": "sc://organisation/project/connection",
    "name": "one",
}
F = "federatedIdentityCredentials"
OF_BOTH: Mapping[str, Action] = {
    "GET /{}": _list, "GET /{}/{{id}}": _read, "PATCH /{}/{{id}}": _change, "DELETE /{}/{{id}}": _delete,
    "GET /{}/{{id}}/owners": _list_owners, "POST /{}/{{id}}/owners/$ref": _add_owner,
    "DELETE /{}/{{id}}/owners/{{owner}}/$ref": _remove_owner,
}  # fmt: skip
"""What applications and service principals alike answer."""

AREA = Area(
    name="Microsoft Graph",
    endpoints=versions({
        f"POST /{APPLICATIONS}": _create_application, f"POST /{PRINCIPALS}": _create_principal, "GET /me": _me,
        **{request.format(kind): action for kind in (APPLICATIONS, PRINCIPALS) for request, action in OF_BOTH.items()},
        f"GET /applications/{{id}}/{F}": _list_federated, f"POST /applications/{{id}}/{F}": _add_federated,
        f"GET /applications/{{id}}/{F}/{{credential}}": _read_federated,
        f"PATCH /applications/{{id}}/{F}/{{credential}}": _change_federated,
        f"DELETE /applications/{{id}}/{F}/{{credential}}": _delete_federated,
    }),
    rules=(
        ServiceRule(
            rule="applications-need-a-directory-right",
            says="Applications and service principals are written with Application.ReadWrite.All, or by their owners.",
            page=APPLICATION_PAGE, on=_on("POST", "PATCH", "DELETE"), holds=may_write,
            refusal=REFUSED,
            accepted=MAKE, refused=Attempt(who="dev", request="POST graph/v1.0/applications", body={"displayName": "app"}),
        ),
        ServiceRule(
            rule="applications-are-read-with-a-role",
            says="An application reads applications with Application.Read.All; people of the tenant may.",
            page="https://learn.microsoft.com/en-us/graph/api/application-list", on=_on("GET"), holds=may_read, refusal=REFUSED,
            accepted=Attempt(who="analyst", request="GET graph/v1.0/applications"),
            refused=Attempt(who="dev", request="GET graph/v1.0/applications"),
        ),
        ServiceRule(
            rule="service-principal-of-an-application", says="A service principal belongs to an application that exists.",
            page="https://learn.microsoft.com/en-us/graph/api/serviceprincipal-post-serviceprincipals",
            on=("graph POST /*/servicePrincipals",), holds=_application_exists,
            refusal=(400, "Request_BadRequest", ("The appId '{appId}' of the service principal does not reference a valid "
                                                "application object.")),
            given=(MAKE,),
            accepted=Attempt(who="person", request="POST graph/v1.0/servicePrincipals", body={"appId": "<appId>"}),
            refused=Attempt(who="person", request="POST graph/v1.0/servicePrincipals", body={"appId": "unknown"}),
        ),
        ServiceRule(
            rule="federated-subjects-are-unique", says="Issuer and subject of a federated credential are unique on its application.",
            page="https://learn.microsoft.com/en-us/entra/workload-id/workload-identity-federation-considerations",
            on=(f"graph POST /*/applications/*/{F}",), holds=_is_new_subject,
            refusal=(409, "Request_MultipleObjectsWithSameKeyValue",
                     "FederatedIdentityCredential with the same issuer and subject already exists on this application."),
            given=(MAKE, Attempt(who="person", request=f"POST graph/v1.0/applications/<applications>/{F}", body=_SUBJECT)),
            accepted=Attempt(who="person", request=f"POST graph/v1.0/applications/<applications>/{F}",
                             body={**_SUBJECT, "subject": "sc://organisation/project/another"}),
            refused=Attempt(who="person", request=f"POST graph/v1.0/applications/<applications>/{F}", body=_SUBJECT),
        ),
    ),
)  # fmt: skip
