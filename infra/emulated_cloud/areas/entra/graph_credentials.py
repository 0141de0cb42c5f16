"""Microsoft Graph: what identities can sign in with beside federation, which roles and groups they have, and who an object id is.

Not known: the proof of possession that a new certificate needs where one is there already, and roles of other services.
"""

import copy
import datetime as dt

from infra.emulated_cloud.areas.entra.graph import (
    APPLICATIONS,
    MAKE,
    PRINCIPALS,
    REFUSED,
    ROLES,
    entity,
    is_asked,
    may_read,
    may_write,
    shown,
    versions,
)
from infra.emulated_cloud.calls import Area, Attempt, Call, CloudAnswer, CloudRefusalError, ServiceRule
from infra.emulated_cloud.world import Json

PASSWORDS, GROUPS, MEMBERS = "passwordCredentials", "groups", "~members"
SECRETS = "~secrets"
"""Id of a password to its text, which is shown once."""
LASTS = dt.timedelta(days=730)
"""How long a password lives that states no end."""
WRITES = tuple(
    f"graph POST /*/{kind}/*/{verb}"
    for kind in (APPLICATIONS, PRINCIPALS)
    for verb in ("addPassword", "removePassword")
)
READS = (
    "graph GET /*/directoryObjects/*",
    "graph GET /*/users",
    "graph POST /*/directoryObjects/getByIds",
    "graph GET /*/servicePrincipals/*/appRoleAssignments",
    "graph GET /*/servicePrincipals/*/transitiveMemberOf",
)


def _add_password(call: Call) -> Json:
    """Add a password; the answer alone has its text."""
    given = call.fields.get("passwordCredential") or {}
    now = dt.datetime.now(dt.UTC)
    made = {
        "keyId": call.world.new_uuid(), "displayName": given.get("displayName"), "hint": "Xy1",
        "startDateTime": given.get("startDateTime", now.isoformat()),
        "endDateTime": given.get("endDateTime", (now + LASTS).isoformat()),
    }  # fmt: skip
    secret = call.world.new_uuid()
    entity(call).setdefault(PASSWORDS, []).append(made)
    entity(call).setdefault(SECRETS, {})[made["keyId"]] = secret
    return {**made, "secretText": secret}


def _remove_password(call: Call) -> CloudAnswer:
    kept = entity(call).get(PASSWORDS, [])
    entity(call)[PASSWORDS] = [one for one in kept if one["keyId"] != call.fields.get("keyId")]
    entity(call).get(SECRETS, {}).pop(call.fields.get("keyId"), None)
    return CloudAnswer(status=204, body=None)


def _list_roles(call: Call) -> Json:
    return {"value": copy.deepcopy(entity(call).get(ROLES, []))}


def _add_role(call: Call) -> CloudAnswer:
    made = {
        "id": call.world.new_uuid(),
        **{name: call.fields.get(name) for name in ("principalId", "resourceId", "appRoleId")},
    }
    entity(call).setdefault(ROLES, []).append(made)
    return CloudAnswer(status=201, body=made)


def _create_group(call: Call) -> CloudAnswer:
    made = {**copy.deepcopy(call.fields), "id": call.world.new_uuid(), MEMBERS: []}
    call.store(GROUPS)[made["id"]] = made
    return CloudAnswer(status=201, body=shown(made))


def _add_member(call: Call) -> CloudAnswer:
    entity(call)[MEMBERS].append(call.fields["@odata.id"].rpartition("/")[2])
    return CloudAnswer(status=204, body=None)


def _member_of(call: Call) -> Json:
    """Answer every group that an identity is in, also through another group."""
    found: dict[str, Json] = {}
    inside = {entity(call)["id"]}
    while inside:
        groups = [one for one in call.store(GROUPS).values() if inside & set(one[MEMBERS]) and one["id"] not in found]
        found |= {one["id"]: shown(one) for one in groups}
        inside = {one["id"] for one in groups}
    return {"value": list(found.values())}


def _writes_directory(call: Call) -> bool:
    return call.caller.object_id in call.world.directory_writers


def _object(call: Call, identity: str) -> Json | None:
    """Return what has an object id, with its type; None if nothing has."""
    for kind, name in OBJECT_TYPES.items():
        found = call.store(kind).get(identity)
        if found is not None:
            own = "servicePrincipal" if "appId" in found and not name else name or "user"
            return {"@odata.type": f"#microsoft.graph.{own}", **shown(found)}
    return None


def _read_object(call: Call) -> Json:
    found = _object(call, call.arguments["id"])
    if found is None:
        message = f"Resource '{call.arguments['id']}' does not exist."
        raise CloudRefusalError(404, "Request_ResourceNotFound", message)
    return found


def _users(call: Call) -> Json:
    """Answer the people of the tenant, those that a filter asks for."""
    people = [one for one in call.store("directory objects").values() if "userPrincipalName" in one]
    return {"value": [shown(one) for one in people if is_asked(one, call.query.get("$filter", ""))]}


def _objects_of(call: Call) -> Json:
    """Answer what has the ids that are named; one that nothing has is left out.

    https://learn.microsoft.com/en-us/graph/api/directoryobject-getbyids
    """
    found = [_object(call, str(identity)) for identity in call.fields.get("ids", ())]
    return {"value": [one for one in found if one is not None]}


OBJECT_TYPES = {PRINCIPALS: "servicePrincipal", APPLICATIONS: "application", GROUPS: "group", "directory objects": ""}
"""Where objects are kept, and their type; of the first identities it follows from what they have."""


_PASSWORD = Attempt(who="person", request="POST graph/v1.0/applications/<applications>/addPassword", body={})
AREA = Area(
    name="Microsoft Graph: credentials",
    endpoints=versions({
        **{f"POST /{kind}/{{id}}/addPassword": _add_password for kind in (APPLICATIONS, PRINCIPALS)},
        **{f"POST /{kind}/{{id}}/removePassword": _remove_password for kind in (APPLICATIONS, PRINCIPALS)},
        f"GET /{PRINCIPALS}/{{id}}/appRoleAssignments": _list_roles,
        f"POST /{PRINCIPALS}/{{id}}/appRoleAssignments": _add_role,
        f"GET /{PRINCIPALS}/{{id}}/transitiveMemberOf": _member_of,
        f"POST /{GROUPS}": _create_group, f"POST /{GROUPS}/{{id}}/members/$ref": _add_member,
        "GET /directoryObjects/{id}": _read_object, "POST /directoryObjects/getByIds": _objects_of, "GET /users": _users,
    }),
    rules=(
        ServiceRule(
            rule="credentials-need-a-directory-right",
            says="A password is added and removed with Application.ReadWrite.All, or by an owner of the application.",
            page="https://learn.microsoft.com/en-us/graph/api/application-addpassword", on=WRITES, holds=may_write,
            refusal=REFUSED, given=(MAKE,), accepted=_PASSWORD,
            refused=Attempt(who="dev", request=_PASSWORD.request, body={}),
        ),
        ServiceRule(
            rule="roles-of-identities-are-given-by-few",
            says="A role of an application is given to an identity with AppRoleAssignment.ReadWrite.All.",
            page="https://learn.microsoft.com/en-us/graph/api/serviceprincipal-post-approleassignments",
            on=("graph POST /*/servicePrincipals/*/appRoleAssignments",),
            holds=_writes_directory, refusal=REFUSED,
            given=(MAKE, Attempt(who="person", request="POST graph/v1.0/servicePrincipals", body={"appId": "<appId>"})),
            accepted=Attempt(who="person", request="POST graph/v1.0/servicePrincipals/<servicePrincipals>/appRoleAssignments",
                             body={"appRoleId": "9a5d68dd-52b0-4cc2-bd40-abcc3ac3049c"}),
            refused=Attempt(who="analyst", request="POST graph/v1.0/servicePrincipals/<servicePrincipals>/appRoleAssignments",
                            body={"appRoleId": "9a5d68dd-52b0-4cc2-bd40-abcc3ac3049c"}),
        ),
        ServiceRule(
            rule="groups-are-written-by-few",
            says="A group gets members with GroupMember.ReadWrite.All, and is made with Group.Create.",
            page="https://learn.microsoft.com/en-us/graph/api/group-post-members", on=("graph POST /*/groups*",),
            holds=_writes_directory, refusal=REFUSED,
            accepted=Attempt(who="person", request="POST graph/v1.0/groups", body={"displayName": "group"}),
            refused=Attempt(who="analyst", request="POST graph/v1.0/groups", body={"displayName": "group"}),
        ),
        ServiceRule(
            rule="names-of-objects-need-a-role",
            says="An application reads who an object id is, and which roles identities hold, with a role of Microsoft Graph; people may.",
            page="https://learn.microsoft.com/en-us/graph/api/directoryobject-get", on=READS, holds=may_read, refusal=REFUSED,
            accepted=Attempt(who="analyst", request="GET graph/v1.0/directoryObjects/11111111-2222-4333-8444-555555555555"),
            refused=Attempt(who="dev", request="GET graph/v1.0/directoryObjects/11111111-2222-4333-8444-555555555555"),
        ),
    ),
)  # fmt: skip
