"""Grants in Unity Catalog, bindings to workspaces, and permissions on objects of a workspace."""

from collections.abc import Collection
from typing import Any

from infra.loader.kind import LoadedKind, State
from infra.loader.session import Json, LoaderError, MissingObjectError, Session

UC = "/api/2.1/unity-catalog"
SECURABLES = {"model": "function", "foreign_connection": "connection"}
"""Arguments whose kind has another name in the service; a registered model is a function to the grants."""
GRANTED = (
    "metastore",
    "catalog",
    "schema",
    "table",
    "volume",
    "function",
    "model",
    "storage_credential",
    "credential",
    "external_location",
)
OBJECTS = {
    "cluster_policy_id": "cluster-policies", "instance_pool_id": "instance-pools", "job_id": "jobs",
    "sql_endpoint_id": "sql/warehouses", "experiment_id": "experiments", "serving_endpoint_id": "serving-endpoints",
    "dashboard_id": "dashboards", "alert_v2_id": "alertsv2", "cluster_id": "clusters",
}  # fmt: skip
PATHS = {"directory_path": "directories", "notebook_path": "notebooks"}
NUMBERS = {"directory_id": "directories", "notebook_id": "notebooks"}
PRINCIPALS = ("user_name", "group_name", "service_principal_name")
LEVEL = "permission_level"
OWNER = "IS_OWNER"


def _securable(state: State) -> tuple[str, str]:
    argument = next(name for name in GRANTED if state.get(name))
    return SECURABLES.get(argument, argument), str(state[argument])


def _argument(parts: State) -> Json:
    """Return the argument of a securable in an id for an import: its kind there is the argument's name."""
    kind, name = parts["securable_type"], parts["securable_name"]
    if kind not in GRANTED:
        raise LoaderError(f"{kind!r} is no kind of securable: {', '.join(GRANTED)}.")
    return {kind: name}


def _identity(state: State) -> str:
    argument = next(name for name in GRANTED if state.get(name))
    return f"{argument}/{state[argument]}"


def _held(session: Session, state: State) -> dict[str, set[str]]:
    kind, name = _securable(state)
    found = session.ask("GET", f"{UC}/permissions/{kind}/{name}").get("privilege_assignments", [])
    return {one["principal"]: set(one["privileges"]) for one in found}


def _move(session: Session, state: State, before: dict[str, set[str]], after: dict[str, set[str]]) -> None:
    changes = []
    for principal in sorted({*before, *after}):
        add = sorted(after.get(principal, set()) - before.get(principal, set()))
        remove = sorted(before.get(principal, set()) - after.get(principal, set()))
        if add or remove:
            changes.append({"principal": principal, "add": add, "remove": remove})
    kind, name = _securable(state)
    if changes:
        session.ask("PATCH", f"{UC}/permissions/{kind}/{name}", {"changes": changes})


def _wanted(plan: State) -> dict[str, set[str]]:
    return {one["principal"]: set(one["privileges"]) for one in plan.get("grant", ())}


def _grant_all(session: Session, plan: State) -> Json:
    _move(session, plan, _held(session, plan), _wanted(plan))
    return {"id": _identity(plan)}


def _read_all(session: Session, state: State) -> Json:
    held = _held(session, state)
    return {"grant": [{"principal": who, "privileges": sorted(held[who])} for who in sorted(held)]}


def _find_all(session: Session, parts: State) -> Json:
    argument = _argument(parts)
    found = _read_all(session, argument)
    if not found["grant"]:  # as the real provider says it of a securable on which nobody holds a privilege
        raise MissingObjectError(f"got empty permissions list of {parts['securable_name']}")
    return {**argument, **found, "id": _identity(argument)}


def _revoke_all(session: Session, state: State) -> None:
    _move(session, state, _held(session, state), {})


def _grant_one(session: Session, plan: State) -> Json:
    who = plan["principal"]
    held = {who: _held(session, plan).get(who, set())}
    _move(session, plan, held, {who: set(plan["privileges"])})
    return {"id": f"{_identity(plan)}/{who}"}


def _read_one(session: Session, state: State) -> Json:
    return {"privileges": sorted(_held(session, state).get(state["principal"], set()))}


def _find_one(session: Session, parts: State) -> Json:
    argument, who = _argument(parts), parts["principal"]
    found = _read_one(session, {**argument, "principal": who})
    if not found["privileges"]:
        raise MissingObjectError(f"{who} holds no privilege on {parts['securable_name']}")
    return {**argument, **found, "id": f"{_identity(argument)}/{who}"}


def _revoke_one(session: Session, state: State) -> None:
    _move(session, state, {state["principal"]: set(state["privileges"])}, {})


def _binding(state: State) -> tuple[str, Json]:
    kind, name = state.get("securable_type", "catalog"), state["securable_name"]
    one = {
        "workspace_id": int(state["workspace_id"]),
        "binding_type": state.get("binding_type", "BINDING_TYPE_READ_WRITE"),
    }
    return f"{UC}/bindings/{kind}/{name}", one


def _bind(session: Session, plan: State) -> Json:
    path, one = _binding(plan)
    session.ask("PATCH", path, {"add": [one]})
    return {"id": f"{plan['workspace_id']}|{plan.get('securable_type', 'catalog')}|{plan['securable_name']}"}


def _find_binding(session: Session, parts: State) -> Json:
    path, wanted = _binding(parts)
    found = session.ask("GET", path).get("bindings", [])
    one = next((one for one in found if str(one["workspace_id"]) == str(wanted["workspace_id"])), None)
    if one is None:
        raise MissingObjectError(f"{parts['securable_name']} is not bound to workspace {parts['workspace_id']}")
    return {"binding_type": one["binding_type"], "id": "|".join(str(part) for part in parts.values())}


def _unbind(session: Session, state: State) -> None:
    path, one = _binding(state)
    session.ask("PATCH", path, {"remove": [one]})


def _object(session: Session, state: State) -> str:
    for argument, kind in PATHS.items():
        if state.get(argument):
            found = session.ask("GET", "/api/2.0/workspace/get-status", query={"path": state[argument]})
            return f"{kind}/{found['object_id']}"
    argument, kind = next((name, kind) for name, kind in OBJECTS.items() if state.get(name))
    return f"{kind}/{state[argument]}"


def _permit(session: Session, plan: State) -> Json:
    place = _object(session, plan)
    entries = [
        {name: one[name] for name in (*PRINCIPALS, LEVEL) if one.get(name)} for one in plan.get("access_control", ())
    ]
    session.ask("PUT", f"/api/2.0/permissions/{place}", {"access_control_list": entries})
    return {"id": f"/{place}"}


def _permitted(session: Session, state: State) -> Json:
    found = session.ask("GET", f"/api/2.0/permissions{state['id']}")["access_control_list"]
    stated = {(_principal(one), one[LEVEL]) for one in state.get("access_control", ())}
    return {"access_control": _entries(found, {who for who, _ in stated})}


def _find_permissions(session: Session, parts: State) -> Json:
    """Return who may do what with an object, as the provider imports it.

    It leaves out the entry of who imports, and states an object of the workspace's tree by its number (`prepareResponse` and
    `Read` in its code, https://github.com/databricks/terraform-provider-databricks/tree/main/permissions).
    """
    place = "{object_type}/{object_id}".format(**parts)
    kind, _, number = place.rpartition("/")
    argument = next((name for name, one in {**OBJECTS, **NUMBERS}.items() if one == kind), None)
    if argument is None:
        raise LoaderError(f"{kind!r} is no kind of object: {', '.join([*OBJECTS.values(), *NUMBERS.values()])}.")
    found = session.ask("GET", f"/api/2.0/permissions/{place}")["access_control_list"]
    me = session.ask("GET", "/api/2.0/preview/scim/v2/Me")["userName"]
    entries = [one for one in _entries(found, {_principal(one) for one in found}) if _principal(one) != me]
    if not entries:
        raise MissingObjectError(f"nobody but who imports has a permission on /{place}")
    return {"access_control": entries, argument: number, "id": f"/{place}"}


def _entries(found: list[Any], known: Collection[str]) -> list[Json]:
    """Return the entries that are set on an object itself; the creator's own is shown only if it was stated."""
    shown = []
    for one in found:
        levels = [p[LEVEL] for p in one["all_permissions"] if not p.get("inherited")]
        if levels and (_principal(one) in known or OWNER not in levels) and _principal(one) != "admins":
            shown.append({**{name: one.get(name) or None for name in PRINCIPALS}, LEVEL: levels[0]})
    return shown


def _principal(entry: State) -> str:
    return next(str(entry[name]) for name in PRINCIPALS if entry.get(name))


def _forbid(session: Session, state: State) -> None:
    """Take everybody's permissions but the owner's, which jobs and warehouses always have."""
    found = session.ask("GET", f"/api/2.0/permissions{state['id']}")["access_control_list"]
    owners = [
        {**{name: one[name] for name in PRINCIPALS if one.get(name)}, LEVEL: OWNER}
        for one in found
        if any(p[LEVEL] == OWNER and not p.get("inherited") for p in one["all_permissions"])
    ]
    session.ask("PUT", f"/api/2.0/permissions{state['id']}", {"access_control_list": owners})


KINDS = {
    "databricks_grants": LoadedKind(create=_grant_all, read=_read_all, delete=_revoke_all, find=_find_all),
    "databricks_grant": LoadedKind(create=_grant_one, read=_read_one, delete=_revoke_one, find=_find_one),
    "databricks_workspace_binding": LoadedKind(create=_bind, delete=_unbind, find=_find_binding),
    "databricks_permissions": LoadedKind(create=_permit, read=_permitted, delete=_forbid, find=_find_permissions),
}
