"""Of Azure and Entra what Databricks needs: resource groups, workspaces, access connectors, applications, their principals."""

import urllib.parse
from typing import Any

from infra.loader.kind import LoadedKind, State
from infra.loader.session import Json, Session


def group_path(session: Session, name: str) -> str:
    """Return the id of a resource group of the subscription that the provider is configured with."""
    return f"/subscriptions/{session.configuration['subscription_id']}/resourceGroups/{name}"


def _make_group(session: Session, plan: State) -> Json:
    identity = group_path(session, plan["name"])
    session.azure("PUT", identity, {"location": plan["location"], "tags": plan.get("tags", {})})
    return {"id": identity}


def read_tags(session: Session, state: State) -> Json:
    """Return the tags of a resource as they are now."""
    found = session.azure("GET", state["id"])
    return {"tags": found["tags"]} if "tags" in found else {}


def delete(session: Session, state: State) -> None:
    """Delete a resource by its id."""
    session.azure("DELETE", state["id"])


def _make_workspace(session: Session, plan: State) -> Json:
    group = group_path(session, plan["resource_group_name"])
    managed = group_path(session, plan["managed_resource_group_name"])
    identity = f"{group}/providers/Microsoft.Databricks/workspaces/{plan['name']}"
    body = {
        "location": plan["location"], "sku": {"name": plan.get("sku", "premium")}, "tags": plan.get("tags", {}),
        "properties": {"managedResourceGroupId": managed},
    }  # fmt: skip
    made = session.azure("PUT", identity, body)["properties"]
    return {
        "id": identity, "workspace_id": made["workspaceId"], "workspace_url": made["workspaceUrl"],
        "managed_resource_group_id": managed,
    }  # fmt: skip


def _make_connector(session: Session, plan: State) -> Json:
    group = group_path(session, plan["resource_group_name"])
    identity = f"{group}/providers/Microsoft.Databricks/accessConnectors/{plan['name']}"
    body = {"location": plan["location"], "tags": plan.get("tags", {}), "identity": {"type": plan["identity"]["type"]}}
    session.azure("PUT", identity, body)
    return {"id": identity}


def _make_application(session: Session, plan: State) -> Json:
    made = session.graph("POST", "/applications", {"displayName": plan["display_name"]})
    return {"id": f"/applications/{made['id']}", "object_id": made["id"], "client_id": made["appId"]}


def _delete_entity(session: Session, state: State) -> None:
    session.graph("DELETE", state["id"])


def _make_principal(session: Session, plan: State) -> Json:
    made = session.graph("POST", "/servicePrincipals", {"appId": plan["client_id"]})
    return {
        "id": f"/servicePrincipals/{made['id']}",
        "object_id": made["id"],
        "display_name": made.get("displayName", ""),
    }


def _make_credential(session: Session, plan: State) -> Json:
    fields = {"name": plan["display_name"], **{name: plan[name] for name in ("audiences", "issuer", "subject")}}
    made = session.graph("POST", f"{plan['application_id']}/federatedIdentityCredentials", fields)
    return {"id": f"{plan['application_id']}/federatedIdentityCredential/{made['id']}", "credential_id": made["id"]}


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
    "azurerm_resource_group": LoadedKind(create=_make_group, read=read_tags, delete=delete),
    "azurerm_databricks_workspace": LoadedKind(create=_make_workspace, read=read_tags, delete=delete),
    "azurerm_databricks_access_connector": LoadedKind(create=_make_connector, read=read_tags, delete=delete),
    "azuread_application": LoadedKind(
        create=_make_application, change=lambda _session, _state, _plan: {}, delete=_delete_entity
    ),
    "azuread_service_principal": LoadedKind(
        create=_make_principal, change=lambda _session, _state, _plan: {}, delete=_delete_entity
    ),
    "azuread_application_federated_identity_credential": LoadedKind(create=_make_credential),
}
DATA = {"azuread_service_principal": find_principal}
