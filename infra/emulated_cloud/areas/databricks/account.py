"""The Databricks account: metastores, workspaces, who is in them, networks, budgets.

Not known: billing, private access settings, log delivery.
"""

import copy
from typing import Any

from infra.emulated_cloud.calls import (
    ACCOUNT,
    Area,
    Attempt,
    Call,
    CloudAnswer,
    CloudRefusalError,
    ServiceRule,
    endpoints,
    invalid,
    not_found,
)
from infra.emulated_cloud.collections_of import Collection, unique
from infra.emulated_cloud.world import Json

ROOT = "/api/2.0/accounts/{account}"
ROOT_1 = "/api/2.1/accounts/{account}"
WORKSPACE_ROOT = f"{ROOT}/workspaces/{{workspace}}"
NETWORKS = f"{ROOT}/network-connectivity-configs"
ADMIN_PAGE = "https://learn.microsoft.com/en-us/azure/databricks/admin/"
METASTORE_PAGE = "https://learn.microsoft.com/en-us/azure/databricks/data-governance/unity-catalog/create-metastore"


def _times(call: Call, document: Json) -> Json:  # noqa: ARG001 -- the interface of what a service adds
    now = call.world.now()
    return {"account_id": call.world.site.account, "create_time": now, "update_time": now}


def _rule_times(call: Call, document: Json) -> Json:
    now = call.world.now()
    return {
        "connection_state": "PENDING", "creation_time": now, "updated_time": now, "deactivated": False,
        "endpoint_name": f"databricks-{document['rule_id']}-pe",
        "network_connectivity_config_id": call.arguments["config"],
    }  # fmt: skip


NETWORK_POLICIES = Collection(
    service=ACCOUNT, kind="network policy", key="network_policy_id", adds=_times, merges=False,
    create=f"POST {ROOT}/network-policies", read=f"GET {ROOT}/network-policies/{{id}}",
    lists=f"GET {ROOT}/network-policies", list_field="items",
    change=f"PUT {ROOT}/network-policies/{{id}}", delete=f"DELETE {ROOT}/network-policies/{{id}}",
)  # fmt: skip
CONNECTIVITY = Collection(
    service=ACCOUNT, kind="network connectivity configuration", key="network_connectivity_config_id", new_key=unique,
    adds=_times, create=f"POST {NETWORKS}", read=f"GET {NETWORKS}/{{id}}", lists=f"GET {NETWORKS}", list_field="items",
    delete=f"DELETE {NETWORKS}/{{id}}",
)  # fmt: skip
ENDPOINT_RULES = Collection(
    service=ACCOUNT, kind="private endpoint rule", key="rule_id", new_key=unique, adds=_rule_times,
    create=f"POST {NETWORKS}/{{config}}/private-endpoint-rules",
    read=f"GET {NETWORKS}/{{config}}/private-endpoint-rules/{{id}}",
    lists=f"GET {NETWORKS}/{{config}}/private-endpoint-rules", list_field="items",
    delete=f"DELETE {NETWORKS}/{{config}}/private-endpoint-rules/{{id}}",
)  # fmt: skip
BUDGETS = Collection(
    service=ACCOUNT, kind="budget", key="budget_configuration_id", new_key=unique, wraps="budget", adds=_times,
    create=f"POST {ROOT_1}/budgets", read=f"GET {ROOT_1}/budgets/{{id}}", lists=f"GET {ROOT_1}/budgets",
    list_field="budgets", change=f"PUT {ROOT_1}/budgets/{{id}}", delete=f"DELETE {ROOT_1}/budgets/{{id}}",
)  # fmt: skip
BUDGET_POLICIES = Collection(
    service=ACCOUNT, kind="budget policy", key="policy_id", new_key=unique, adds=_times,
    read=f"GET {ROOT_1}/budget-policies/{{id}}", lists=f"GET {ROOT_1}/budget-policies", list_field="policies",
    delete=f"DELETE {ROOT_1}/budget-policies/{{id}}",
)  # fmt: skip


def _create_budget_policy(call: Call) -> Json:
    policy = {**copy.deepcopy(call.fields.get("policy", {})), "policy_id": call.world.new_uuid(), **_times(call, {})}
    call.store(BUDGET_POLICIES.kind)[policy["policy_id"]] = policy
    return policy


def _change_budget_policy(call: Call) -> Json:
    document = BUDGET_POLICIES.find(call)
    document.update(copy.deepcopy(call.fields.get("policy") or call.fields))
    return document


def add_metastore(call: Call, information: Json) -> Json:
    """Keep a new metastore and return it."""
    metastore = {**copy.deepcopy(information), "metastore_id": call.world.new_uuid(), **_times(call, {})}
    call.world.store("account", "metastores")[metastore["metastore_id"]] = metastore
    return metastore


def _create_metastore(call: Call) -> Json:
    information = call.fields.get("metastore_info", {})
    if "region" not in information:
        raise invalid("metastore_info.region is required.")
    shown = copy.deepcopy(add_metastore(call, information))
    call.world.store("account", "metastores")[shown["metastore_id"]].setdefault("owner", call.caller.principal)
    return {"metastore_info": shown}


def _metastore(call: Call) -> Json:
    found = call.world.store("account", "metastores").get(call.arguments["id"])
    if found is None:
        raise not_found(f"Metastore {call.arguments['id']}")
    return found


def _read_metastore(call: Call) -> Json:
    return {"metastore_info": copy.deepcopy(_metastore(call))}


def _change_metastore(call: Call) -> Json:
    metastore = _metastore(call)
    metastore.update({**copy.deepcopy(call.fields.get("metastore_info", {})), "update_time": call.world.now()})
    return {"metastore_info": copy.deepcopy(metastore)}


def _delete_metastore(call: Call) -> CloudAnswer:
    del call.world.store("account", "metastores")[_metastore(call)["metastore_id"]]
    return CloudAnswer()


def _list_metastores(call: Call) -> Json:
    return {"metastores": list(copy.deepcopy(call.world.store("account", "metastores")).values())}


def _assign(call: Call) -> Json:
    _metastore(call)
    name = call.fields.get("metastore_assignment", {}).get("default_catalog_name") or "main"
    call.world.store("account", "metastore assignments")[call.arguments["workspace"]] = {
        "metastore_id": call.arguments["id"], "default_catalog_name": name,
        "workspace_id": int(call.arguments["workspace"]),
    }  # fmt: skip
    return {}


def _read_assignment(call: Call) -> Json:
    found = call.world.store("account", "metastore assignments").get(call.arguments["workspace"])
    if found is None:
        raise not_found(f"Metastore assignment of workspace {call.arguments['workspace']}")
    return {"metastore_assignment": dict(found)}


def _unassign(call: Call) -> Json:
    call.world.store("account", "metastore assignments").pop(call.arguments["workspace"], None)
    return {}


def _workspace(call: Call) -> Json:
    known = call.world.store("account", "workspaces").get(call.arguments["workspace"])
    if known is None:
        raise not_found(f"Workspace {call.arguments['workspace']}")
    return known


def _read_workspace(call: Call) -> Json:
    return copy.deepcopy(_workspace(call))


def _change_workspace(call: Call) -> Json:
    _workspace(call).update(copy.deepcopy(call.fields))
    return _read_workspace(call)


def _list_workspaces(call: Call) -> CloudAnswer:
    return CloudAnswer(body=list(copy.deepcopy(call.world.store("account", "workspaces")).values()))


def _assign_principal(call: Call) -> Json:
    kept = {"permissions": list(call.fields.get("permissions", ()))}
    call.world.store("account", f"assignments {call.arguments['workspace']}")[call.arguments["principal"]] = kept
    return {**kept, "principal": {"principal_id": int(call.arguments["principal"])}}


def _list_assigned(call: Call) -> Json:
    kept = call.world.store("account", f"assignments {call.arguments['workspace']}")
    shown = [{**one, "principal": {"principal_id": int(number)}} for number, one in sorted(kept.items())]
    return {"permission_assignments": shown}


def _remove_principal(call: Call) -> Json:
    call.world.store("account", f"assignments {call.arguments['workspace']}").pop(call.arguments["principal"], None)
    return {}


def _choose_policy(call: Call) -> Json:
    call.world.store("account", "workspace network")[call.arguments["workspace"]] = copy.deepcopy(call.fields)
    return copy.deepcopy(call.fields)


def _chosen_policy(call: Call) -> Json:
    return {"network_policy_id": "default-policy", "workspace_id": int(call.arguments["workspace"])} | copy.deepcopy(
        call.world.store("account", "workspace network").get(call.arguments["workspace"], {})
    )


def _federation(call: Call) -> tuple[dict[str, Json], str]:
    kept = call.world.store("account", f"federation policies {call.arguments['principal']}")
    return kept, call.arguments.get("policy") or call.query.get("policy_id") or str(call.fields.get("policy_id", ""))


def _write_federation(call: Call) -> Json:
    kept, name = _federation(call)
    known: Any = call.arguments
    full = f"accounts/{known['account']}/servicePrincipals/{known['principal']}/federationPolicies/{name}"
    kept[name] = {
        **kept.get(name, {"uid": call.world.new_uuid(), "create_time": "2026-01-01T00:00:00Z"}),
        **copy.deepcopy(call.fields), "name": full, "policy_id": name, "update_time": "2026-01-01T00:00:00Z",
        "service_principal_id": int(known["principal"]),
    }  # fmt: skip
    return copy.deepcopy(kept[name])


def _read_federation(call: Call) -> Json:
    kept, name = _federation(call)
    if name not in kept:
        raise not_found(f"Federation policy {name}")
    return copy.deepcopy(kept[name])


def _list_federation(call: Call) -> Json:
    return {"policies": list(copy.deepcopy(_federation(call)[0]).values())}


def _delete_federation(call: Call) -> Json:
    kept, name = _federation(call)
    kept.pop(name, None)
    return {}


def _secrets_of(call: Call) -> dict[str, Json]:
    return call.world.store("account", f"secrets of {call.arguments['principal']}")


def _make_secret(call: Call) -> Json:
    kept = _secrets_of(call)
    if len(kept) >= MOST_SECRETS:
        raise CloudRefusalError(
            400, "INVALID_PARAMETER_VALUE", f"A service principal has at most {MOST_SECRETS} secrets."
        )
    made = {"id": call.world.new_uuid(), "status": "ACTIVE", "create_time": "2026-01-01T00:00:00Z"}
    kept[made["id"]] = made
    return {**made, "secret": f"dose{made['id'].replace('-', '')}"}


def _list_secrets(call: Call) -> Json:
    return {"secrets": list(copy.deepcopy(_secrets_of(call)).values())}


def _delete_secret(call: Call) -> Json:
    _secrets_of(call).pop(call.arguments["secret"], None)
    return {}


MOST_SECRETS = 5
"""https://learn.microsoft.com/en-us/azure/databricks/dev-tools/auth/oauth-m2m"""


def _region_is_free(call: Call) -> bool:
    region = call.fields.get("metastore_info", {}).get("region")
    return all(one["region"] != region for one in call.world.store("account", "metastores").values())


def _owner_exists(call: Call) -> bool:
    owner = call.fields.get("metastore_info", {}).get("owner")
    return owner is None or call.world.principal(owner) is not None


METASTORE = "120efa64-9b68-46ba-be38-f319458430d2"
_HERE = "account/api/2.0/accounts/7c1f2a54-3f0e-4a6b-9d57-2f8f4f0b6a11"
_ELSEWHERE = Attempt(
    who="person", request=f"POST {_HERE}/metastores", body={"metastore_info": {"name": "m", "region": "northeurope"}}
)

AREA = Area(
    name="account",
    endpoints=(
        *NETWORK_POLICIES.endpoints(), *CONNECTIVITY.endpoints(), *ENDPOINT_RULES.endpoints(), *BUDGETS.endpoints(),
        *BUDGET_POLICIES.endpoints(),
        *endpoints(ACCOUNT, {
            f"POST {ROOT_1}/budget-policies": _create_budget_policy,
            f"PATCH {ROOT_1}/budget-policies/{{id}}": _change_budget_policy,
            f"POST {ROOT}/metastores": _create_metastore,
            f"GET {ROOT}/metastores": _list_metastores,
            f"GET {ROOT}/metastores/{{id}}": _read_metastore,
            f"PUT {ROOT}/metastores/{{id}}": _change_metastore,
            f"DELETE {ROOT}/metastores/{{id}}": _delete_metastore,
            f"GET {ROOT}/workspaces": _list_workspaces,
            f"GET {WORKSPACE_ROOT}": _read_workspace,
            f"PATCH {WORKSPACE_ROOT}": _change_workspace,
            f"POST {WORKSPACE_ROOT}/metastores/{{id}}": _assign,
            f"PUT {WORKSPACE_ROOT}/metastores/{{id}}": _assign,
            f"DELETE {WORKSPACE_ROOT}/metastores/{{id}}": _unassign,
            f"GET {WORKSPACE_ROOT}/metastore": _read_assignment,
            f"GET {WORKSPACE_ROOT}/permissionassignments": _list_assigned,
            f"PUT {WORKSPACE_ROOT}/permissionassignments/principals/{{principal}}": _assign_principal,
            f"DELETE {WORKSPACE_ROOT}/permissionassignments/principals/{{principal}}": _remove_principal,
            f"PUT {WORKSPACE_ROOT}/network": _choose_policy,
            f"GET {WORKSPACE_ROOT}/network": _chosen_policy,
            f"POST {ROOT}/servicePrincipals/{{principal}}/federationPolicies": _write_federation,
            f"GET {ROOT}/servicePrincipals/{{principal}}/federationPolicies": _list_federation,
            f"GET {ROOT}/servicePrincipals/{{principal}}/federationPolicies/{{policy}}": _read_federation,
            f"PATCH {ROOT}/servicePrincipals/{{principal}}/federationPolicies/{{policy}}": _write_federation,
            f"DELETE {ROOT}/servicePrincipals/{{principal}}/federationPolicies/{{policy}}": _delete_federation,
            f"POST {ROOT}/servicePrincipals/{{principal}}/credentials/secrets": _make_secret,
            f"GET {ROOT}/servicePrincipals/{{principal}}/credentials/secrets": _list_secrets,
            f"DELETE {ROOT}/servicePrincipals/{{principal}}/credentials/secrets/{{secret}}": _delete_secret,
        }),
    ),
    rules=(
        ServiceRule(
            rule="account-needs-account-admin",
            says="Metastores, workspaces' assignments, networks and budgets of the account are for account admins.",
            page=ADMIN_PAGE,
            on=tuple(
                f"account * /api/2.?/accounts/*/{part}*"
                for part in ("metastores", "workspaces", "network-", "budget", "servicePrincipals")
            ),
            holds=Call.is_account_admin,
            refusal=(403, "PERMISSION_DENIED", "This API is disabled for users without account admin status."),
            accepted=Attempt(who="person", request=f"GET {_HERE}/metastores"),
            refused=Attempt(who="dev", request=f"GET {_HERE}/metastores"),
        ),
        ServiceRule(
            rule="one-metastore-for-each-region",
            says="An account has one metastore in a region.",
            page=METASTORE_PAGE,
            on=("account POST */metastores",),
            holds=_region_is_free,
            refusal=(400, "METASTORE_LIMIT_EXCEEDED",
                     "This account has reached the limit for metastores in this region."),
            accepted=_ELSEWHERE,
            refused=Attempt(
                who="person", request=f"POST {_HERE}/metastores",
                body={"metastore_info": {"name": "m", "region": "westeurope"}},
            ),
        ),
        ServiceRule(
            rule="metastore-owner-exists",
            says="The owner of a metastore is a user, service principal or group of the account.",
            page="https://learn.microsoft.com/en-us/azure/databricks/data-governance/unity-catalog/manage-privileges/ownership",
            on=("account PUT */metastores/*",),
            holds=_owner_exists,
            refusal=(404, "PRINCIPAL_DOES_NOT_EXIST", "Could not find principal with name {owner}"),
            accepted=Attempt(
                who="person", request=f"PUT {_HERE}/metastores/{METASTORE}",
                body={"metastore_info": {"owner": "account users"}},
            ),
            refused=Attempt(
                who="person", request=f"PUT {_HERE}/metastores/{METASTORE}",
                body={"metastore_info": {"owner": "nobody-of-this-name"}},
            ),
        ),
    ),
)  # fmt: skip
