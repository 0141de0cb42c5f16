"""Of Azure and Entra what Databricks needs: resource groups, workspaces, access connectors, applications, their principals."""

import urllib.parse
from collections.abc import Callable
from typing import Any

from infra.loader.kind import LoadedKind, State
from infra.loader.session import Json, LoaderError, MissingObjectError, Session

GROUP = "/subscriptions/{subscription_id}/resourceGroups/{resource_group_name}"

TAKEN = (
    'a resource with the ID "{id}" already exists - to be managed via Terraform this resource needs to be imported into the '
    'State. Please see the resource documentation for "{type}" for more information'
)
"""The real provider's sentence (`ImportAsExistsError` in its code)."""


def group_path(session: Session, name: str) -> str:
    """Return the id of a resource group of the subscription that the provider is configured with."""
    return f"/subscriptions/{session.configuration['subscription_id']}/resourceGroups/{name}"


def created(type_: str, put: Callable[[Session, State], Json], place: Callable[[Session, State], str],
            find: Callable[[Session, State], Json]) -> LoadedKind:  # fmt: skip
    """Return the kind of a resource that one PUT creates and changes, of which the provider creates none that exists.

    Parameters
    ----------
    type_
        Terraform's type.
    place
        Returns the id of the resource of a plan.
    """

    def create(session: Session, plan: State) -> Json:
        identity = place(session, plan)
        try:
            session.azure("GET", identity)
        except MissingObjectError:
            return put(session, plan)
        raise LoaderError(TAKEN.format(id=identity, type=type_))

    return LoadedKind(
        create=create, change=lambda session, _state, plan: put(session, plan), read=read_tags, delete=delete, find=find
    )


def _group(session: Session, plan: State) -> str:
    return group_path(session, plan["name"])


def _put_group(session: Session, plan: State) -> Json:
    identity = _group(session, plan)
    session.azure("PUT", identity, {"location": plan["location"], "tags": plan.get("tags", {})})
    return {"id": identity}


def read_tags(session: Session, state: State) -> Json:
    """Return the tags of a resource as they are now."""
    found = session.azure("GET", state["id"])
    return {"tags": found["tags"]} if "tags" in found else {}


def found(session: Session, form: str, parts: State) -> Json:
    """Return a resource as Azure tells it, with its id.

    Parameters
    ----------
    form
        The form of the id.
    parts
        The parts of an id for an import.
    """
    identity = form.format(**parts)
    return {**session.azure("GET", identity), "id": identity}


def common(answer: Json) -> Json:
    """Return what every resource of Azure tells in the same way."""
    return {"id": answer["id"], "location": answer.get("location"), "tags": answer.get("tags")}


def _find_group(session: Session, parts: State) -> Json:
    return common(found(session, "/subscriptions/{subscription_id}/resourceGroups/{name}", parts))


def delete(session: Session, state: State) -> None:
    """Delete a resource by its id."""
    session.azure("DELETE", state["id"])


def in_group(type_: str) -> Callable[[Session, State], str]:
    """Return the function that makes the id of a resource of a type, which may name arguments in braces, in its group."""
    return lambda session, plan: (
        f"{group_path(session, plan['resource_group_name'])}/providers/{type_.format(**plan)}/{plan['name']}"
    )


_workspace, _connector = (in_group(f"Microsoft.Databricks/{one}") for one in ("workspaces", "accessConnectors"))


def _put_workspace(session: Session, plan: State) -> Json:
    managed, identity = group_path(session, plan["managed_resource_group_name"]), _workspace(session, plan)
    body = {
        "location": plan["location"], "sku": {"name": plan.get("sku", "premium")}, "tags": plan.get("tags", {}),
        "properties": {"managedResourceGroupId": managed},
    }  # fmt: skip
    return {"id": identity, **_of_workspace(session.azure("PUT", identity, body)["properties"])}


def _of_workspace(properties: Json) -> Json:
    return {
        "workspace_id": properties["workspaceId"], "workspace_url": properties["workspaceUrl"],
        "managed_resource_group_id": properties["managedResourceGroupId"],
    }  # fmt: skip


def _find_workspace(session: Session, parts: State) -> Json:
    answer = found(session, f"{GROUP}/providers/Microsoft.Databricks/workspaces/{{name}}", parts)
    more = _of_workspace(answer["properties"])
    managed = more["managed_resource_group_id"].rpartition("/")[2]
    return {**common(answer), **more, "managed_resource_group_name": managed, "sku": answer["sku"]["name"]}


def _put_connector(session: Session, plan: State) -> Json:
    identity = _connector(session, plan)
    body = {"location": plan["location"], "tags": plan.get("tags", {}), "identity": {"type": plan["identity"]["type"]}}
    return {"id": identity, "identity": _identity(session.azure("PUT", identity, body))}


def _identity(answer: Json) -> list[Json]:
    own = answer["identity"]
    return [{"type": own["type"], "principal_id": own["principalId"], "tenant_id": own["tenantId"]}]


def _find_connector(session: Session, parts: State) -> Json:
    answer = found(session, f"{GROUP}/providers/Microsoft.Databricks/accessConnectors/{{name}}", parts)
    return {**common(answer), "identity": _identity(answer)}


def _make_application(session: Session, plan: State) -> Json:
    made = session.graph("POST", "/applications", {"displayName": plan["display_name"]})
    return {"id": f"/applications/{made['id']}", "object_id": made["id"], "client_id": made["appId"]}


def _find_application(session: Session, parts: State) -> Json:
    path = f"/applications/{parts['object_id']}"
    one = session.graph("GET", path)
    return {"id": path, "client_id": one["appId"], "display_name": one["displayName"], "owners": _owners(session, path)}


def _owners(session: Session, path: str) -> list[str]:
    return [str(one["id"]) for one in session.graph("GET", f"{path}/owners")["value"]]


def _delete_entity(session: Session, state: State) -> None:
    session.graph("DELETE", state["id"])


def _make_principal(session: Session, plan: State) -> Json:
    made = session.graph("POST", "/servicePrincipals", {
        "appId": plan["client_id"], "appRoleAssignmentRequired": plan.get("app_role_assignment_required", False),
    })  # fmt: skip
    return {
        "id": f"/servicePrincipals/{made['id']}",
        "object_id": made["id"],
        "display_name": made.get("displayName", ""),
    }


def _find_existing_principal(session: Session, parts: State) -> Json:
    path = f"/servicePrincipals/{parts['object_id']}"
    one = session.graph("GET", path)
    return {
        "id": path, "client_id": one["appId"], "display_name": one.get("displayName", ""), "owners": _owners(session, path),
        "app_role_assignment_required": one.get("appRoleAssignmentRequired"),
    }  # fmt: skip


def _make_credential(session: Session, plan: State) -> Json:
    fields = {"name": plan["display_name"], **{name: plan[name] for name in ("audiences", "issuer", "subject")}}
    made = session.graph("POST", f"{plan['application_id']}/federatedIdentityCredentials", fields)
    identity = f"{plan['application_id'].rpartition('/')[2]}/federatedIdentityCredential/{made['id']}"
    return {"id": identity, "credential_id": made["id"]}


def _find_credential(session: Session, parts: State) -> Json:
    application, credential = f"/applications/{parts['application_object_id']}", parts["credential_id"]
    one = session.graph("GET", f"{application}/federatedIdentityCredentials/{credential}")
    shown = {name: one.get(name) for name in ("audiences", "issuer", "subject", "description")}
    identity = f"{parts['application_object_id']}/federatedIdentityCredential/{credential}"
    return {**shown, "id": identity, "application_id": application, "display_name": one["name"]}


def find_principal(session: Session, config: State) -> Json | None:
    """Return a principal of the tenant by its name or its application; None for one that the emulated tenant has not."""
    field, value = next(
        (field, config[name]) for name, field in (("display_name", "displayName"), ("client_id", "appId")) if config.get(name)
    )  # fmt: skip
    query = urllib.parse.quote(f"{field} eq '{value}'")
    found: list[Any] = session.graph("GET", f"/servicePrincipals?$filter={query}").get("value", [])
    if not found:
        return None
    one = found[0]
    return {
        "id": f"/servicePrincipals/{one['id']}", "object_id": one["id"], "client_id": one["appId"],
        "display_name": one.get("displayName", ""),
    }  # fmt: skip


KINDS = {
    "azurerm_resource_group": created("azurerm_resource_group", _put_group, _group, _find_group),
    "azurerm_databricks_workspace": created(
        "azurerm_databricks_workspace", _put_workspace, _workspace, _find_workspace
    ),
    "azurerm_databricks_access_connector": created(
        "azurerm_databricks_access_connector", _put_connector, _connector, _find_connector
    ),
    "azuread_application": LoadedKind(
        create=_make_application,
        change=lambda _session, _state, _plan: {},
        delete=_delete_entity,
        find=_find_application,
    ),
    "azuread_service_principal": LoadedKind(
        create=_make_principal,
        change=lambda _session, _state, _plan: {},
        delete=_delete_entity,
        find=_find_existing_principal,
    ),
    "azuread_application_federated_identity_credential": LoadedKind(create=_make_credential, find=_find_credential),
}
DATA = {"azuread_service_principal": find_principal}
