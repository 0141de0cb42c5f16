"""Objects of the Databricks account."""

from collections.abc import Callable
from typing import Any

from infra.loader.kind import LoadedKind, State, filled, found_in, rest
from infra.loader.session import Json, MissingObjectError, Session

A, A1 = "/api/2.0/accounts/{account}", "/api/2.1/accounts/{account}"
SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:{}"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
WORKSPACE = f"{A}/workspaces/{{workspace_id}}"


def _scim(kind: str, field: str, argument: str) -> LoadedKind:
    def body(state: State) -> Json:
        more = {"externalId": state["external_id"]} if "external_id" in state else {}
        name = {"displayName": state["display_name"]} if "display_name" in state else {}
        return {"schemas": [SCHEMA.format(kind.removesuffix("s"))], **name, field: state[argument], **more}

    def tells(answer: Json) -> Json:
        return {
            "display_name": answer.get("displayName"),
            argument: answer.get(field),
            "external_id": answer.get("externalId"),
        }

    return rest(
        create=f"POST {A}/scim/v2/{kind}",
        one=f"{A}/scim/v2/{kind}/{{id}}",
        change=f"PUT {A}/scim/v2/{kind}/{{id}}",
        body=body,
        tells=tells,
    )


def _members(session: Session, group: str) -> set[str]:
    found = session.ask("GET", f"{A}/scim/v2/Groups/{group}")
    return {str(member["value"]) for member in found.get("members", ())}


def _change_members(session: Session, group: str, operation: Json) -> None:
    session.ask("PATCH", f"{A}/scim/v2/Groups/{group}", {"schemas": [PATCH], "Operations": [operation]})


def _add_member(session: Session, plan: State) -> Json:
    _change_members(
        session, plan["group_id"], {"op": "add", "path": "members", "value": [{"value": plan["member_id"]}]}
    )
    return {"id": f"{plan['group_id']}|{plan['member_id']}"}


def _read_member(session: Session, state: State) -> Json:
    if str(state["member_id"]) not in _members(session, state["group_id"]):
        raise MissingObjectError(f"{state['id']} is no membership any more")
    return {}


def _find_member(session: Session, parts: State) -> Json:
    found = {"id": f"{parts['group_id']}|{parts['member_id']}"}
    _read_member(session, {**parts, **found})
    return found


def _remove_member(session: Session, state: State) -> None:
    _change_members(session, state["group_id"], {"op": "remove", "path": f'members[value eq "{state["member_id"]}"]'})


def _make_metastore(session: Session, plan: State) -> Json:
    wanted = {name: plan[name] for name in ("name", "region", "storage_root") if name in plan}
    made = session.ask("POST", f"{A}/metastores", {"metastore_info": wanted})["metastore_info"]
    if "owner" in plan:
        session.ask("PUT", f"{A}/metastores/{made['metastore_id']}", {"metastore_info": {"owner": plan["owner"]}})
    return {"id": made["metastore_id"], "metastore_id": made["metastore_id"]}


def _read_metastore(session: Session, state: State) -> Json:
    found = session.ask("GET", filled(f"{A}/metastores/{{id}}", state))["metastore_info"]
    return {name: found[name] for name in ("name", "owner") if name in found}


def _find_existing_metastore(session: Session, parts: State) -> Json:
    found = session.ask("GET", filled(f"{A}/metastores/{{id}}", parts))["metastore_info"]
    return {**found, "id": parts["id"]}


def _put(path: str, body: Any, identity: str, *, method: str = "PUT", delete: str = "",
         tells: Callable[[Session, State], Json] | None = None) -> LoadedKind:  # fmt: skip
    """Return the kind of what is put at a place: an assignment, a choice.

    Parameters
    ----------
    tells
        What the service tells of one; None for what is not imported.
    """

    def create(session: Session, plan: State) -> Json:
        session.ask(method, filled(path, plan), body(plan))
        return {"id": filled(identity, plan)}

    def remove(session: Session, state: State) -> None:
        if delete:
            session.ask("DELETE", filled(delete, state))

    def find(session: Session, parts: State) -> Json:
        told = {} if tells is None else tells(session, parts)
        return {"id": filled(identity, {**parts, **told}), **told}

    return LoadedKind(create=create, delete=remove, find=find if tells else None)


def _attached(session: Session, parts: State) -> Json:
    return {
        "metastore_id": session.ask("GET", filled(f"{WORKSPACE}/metastore", parts))["metastore_assignment"][
            "metastore_id"
        ]
    }


def _assigned(session: Session, parts: State) -> Json:
    found = session.ask("GET", filled(f"{WORKSPACE}/permissionassignments", parts)).get("permission_assignments", [])
    who = str(parts["principal_id"])
    one = next((one for one in found if str(one["principal"]["principal_id"]) == who), None)
    if one is None:
        raise MissingObjectError(f"{who} is not assigned to workspace {parts['workspace_id']}")
    return {"permissions": one["permissions"]}


def _chosen(session: Session, parts: State) -> Json:
    return {"network_policy_id": session.ask("GET", filled(f"{WORKSPACE}/network", parts))["network_policy_id"]}


def _federation_body(state: State) -> Json:
    return {"oidc_policy": state["oidc_policy"], "policy_id": state["policy_id"]}


def _find_account_principal(session: Session, config: State) -> Json | None:
    asked = f'applicationId eq "{config["application_id"]}"'
    found = session.ask("GET", f"{A}/scim/v2/ServicePrincipals", query={"filter": asked}).get("Resources", [])
    one = found_in(found, "applicationId", config["application_id"], "service principal")
    return {"id": str(one["id"]), "display_name": one.get("displayName", ""), "sp_id": str(one["id"]),
            "scim_id": str(one["id"])}  # fmt: skip


def _find_metastore(session: Session, config: State) -> Json | None:
    identity = config.get("metastore_id") or config.get("id")
    found = session.ask("GET", f"{A}/metastores/{identity}")["metastore_info"]
    return {"id": identity, "metastore_id": identity, "name": found["name"], "region": found["region"]}


def _find_group(session: Session, config: State) -> Json | None:
    asked = f'displayName eq "{config["display_name"]}"'
    found = session.ask("GET", f"{A}/scim/v2/Groups", query={"filter": asked}).get("Resources", [])
    one = found_in(found, "displayName", config["display_name"], "group")
    return {"id": str(one["id"])}


NETWORKS = f"{A}/network-connectivity-configs"
RULES = f"{NETWORKS}/{{network_connectivity_config_id}}/private-endpoint-rules"
FEDERATION = f"{A}/servicePrincipals/{{service_principal_id}}/federationPolicies"
KINDS = {
    "databricks_group": _scim("Groups", "displayName", "display_name"),
    "databricks_service_principal": _scim("ServicePrincipals", "applicationId", "application_id"),
    "databricks_group_member": LoadedKind(
        create=_add_member, read=_read_member, delete=_remove_member, find=_find_member
    ),
    "databricks_service_principal_federation_policy": rest(
        create=f"POST {FEDERATION}", one=f"{FEDERATION}/{{policy_id}}", key="policy_id", body=_federation_body,
        query=lambda state: {"policy_id": state["policy_id"]},
    ),
    "databricks_account_network_policy": rest(
        create=f"POST {A}/network-policies", one=f"{A}/network-policies/{{network_policy_id}}", key="network_policy_id",
        change=f"PUT {A}/network-policies/{{network_policy_id}}",
    ),
    "databricks_budget": rest(
        create=f"POST {A1}/budgets", one=f"{A1}/budgets/{{budget_configuration_id}}", wraps="budget",
        key="budget_configuration_id", change=f"PUT {A1}/budgets/{{budget_configuration_id}}",
        gives={"budget_configuration_id": "budget_configuration_id"},
    ),
    "databricks_budget_policy": rest(
        create=f"POST {A1}/budget-policies", one=f"{A1}/budget-policies/{{policy_id}}", wraps="policy", key="policy_id",
        gives={"policy_id": "policy_id"},
    ),
    "databricks_metastore": LoadedKind(
        create=_make_metastore, read=_read_metastore,
        change=lambda session, state, plan: session.ask(
            "PUT", f"{A}/metastores/{state['id']}", {"metastore_info": {"owner": plan["owner"]}}
        ) and {},
        delete=lambda session, state: session.ask("DELETE", f"{A}/metastores/{state['id']}"),
        find=_find_existing_metastore,
    ),
    "databricks_metastore_assignment": _put(
        f"{WORKSPACE}/metastores/{{metastore_id}}", lambda _plan: {"metastore_assignment": {}},
        "{workspace_id}|{metastore_id}", delete=f"{WORKSPACE}/metastores/{{metastore_id}}", tells=_attached,
    ),
    "databricks_mws_permission_assignment": _put(
        f"{WORKSPACE}/permissionassignments/principals/{{principal_id}}",
        lambda plan: {"permissions": plan["permissions"]}, "{workspace_id}|{principal_id}",
        delete=f"{WORKSPACE}/permissionassignments/principals/{{principal_id}}", tells=_assigned,
    ),
    "databricks_mws_ncc_binding": _put(
        WORKSPACE, lambda plan: {"network_connectivity_config_id": plan["network_connectivity_config_id"]},
        "{workspace_id}/{network_connectivity_config_id}", method="PATCH",
    ),
    "databricks_workspace_network_option": _put(
        f"{WORKSPACE}/network", lambda plan: {"network_policy_id": plan["network_policy_id"]}, "{workspace_id}",
        tells=_chosen,
    ),
    "databricks_mws_network_connectivity_config": rest(
        create=f"POST {NETWORKS}", one=f"{NETWORKS}/{{network_connectivity_config_id}}",
        key="network_connectivity_config_id",
        gives={"network_connectivity_config_id": "network_connectivity_config_id"},
    ),
    "databricks_mws_ncc_private_endpoint_rule": rest(
        create=f"POST {RULES}", one=f"{RULES}/{{rule_id}}", key="rule_id", gives={"rule_id": "rule_id"},
    ),
}  # fmt: skip
DATA = {
    "databricks_service_principal": _find_account_principal, "databricks_metastore": _find_metastore,
    "databricks_group": _find_group,
}  # fmt: skip
