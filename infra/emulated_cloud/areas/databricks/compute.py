"""Clusters, instance pools, cluster policies, SQL warehouses and libraries.

Nothing is started: a cluster is a description. Not known: sizes, prices and quotas of virtual machines.
"""

import copy
from typing import Any

from infra.emulated_cloud.areas.azure.databricks_workspaces import host_of
from infra.emulated_cloud.areas.azure.roles import KEY_ENCRYPTION, has_data_role
from infra.emulated_cloud.areas.databricks.object_permissions import PAGE, holds_level
from infra.emulated_cloud.calls import WORKSPACE, Area, Attempt, Call, ServiceRule, endpoints
from infra.emulated_cloud.collections_of import Collection, hexadecimal, unique
from infra.emulated_cloud.world import Json

PINNED = "pinned cluster"
KEYS_PAGE = "https://learn.microsoft.com/en-us/azure/databricks/security/keys/cmk-managed-disks-azure/"


def host(call: Call) -> str:
    """Return the host name of the workspace that is asked."""
    return host_of(call.place)


def _policy(call: Call, document: Json) -> Json:  # noqa: ARG001 -- the interface of what a service adds
    return {"is_default": False, "created_at_timestamp": call.world.now(), "creator_user_name": call.caller.principal}


def _cluster(call: Call, document: Json) -> Json:
    return {
        "spec": copy.deepcopy(call.fields), "enable_elastic_disk": document.get("enable_elastic_disk", False),
        "state": "RUNNING", "creator_user_name": call.caller.principal, "spark_context_id": call.world.new_number(),
        "driver_node_type_id": document.get("driver_node_type_id") or document.get("node_type_id"),
        "cluster_source": "API", "enable_local_disk_encryption": False, "start_time": call.world.now(),
    }  # fmt: skip


def _warehouse(call: Call, document: Json) -> Json:  # noqa: ARG001 -- the interface of what a service adds
    return {"creator_name": call.caller.principal, "state": "RUNNING"}


def _warehouse_address(call: Call, document: Json) -> Json:
    path = f"/sql/1.0/warehouses/{document['id']}"
    return {
        "num_clusters": 1, "num_active_sessions": 0, "health": {"status": "HEALTHY"},
        "odbc_params": {"hostname": host(call), "path": path, "port": 443, "protocol": "https"},
        "jdbc_url": f"jdbc:spark://{host(call)}:443/default;transportMode=http;ssl=1;AuthMech=3;httpPath={path};",
    }  # fmt: skip


POOLS = Collection(
    service=WORKSPACE, kind="instance pool", key="instance_pool_id", new_key=unique, unique="instance_pool_name",
    create="POST /api/2.0/instance-pools/create", read="GET /api/2.0/instance-pools/get",
    lists="GET /api/2.0/instance-pools/list", list_field="instance_pools", change="POST /api/2.0/instance-pools/edit",
    delete="POST /api/2.0/instance-pools/delete", answers=("instance_pool_id",),
)  # fmt: skip
POLICIES = Collection(
    service=WORKSPACE, kind="cluster policy", key="policy_id", new_key=hexadecimal, unique="name", adds=_policy,
    create="POST /api/2.0/policies/clusters/create", read="GET /api/2.0/policies/clusters/get",
    lists="GET /api/2.0/policies/clusters/list", list_field="policies", change="POST /api/2.0/policies/clusters/edit",
    delete="POST /api/2.0/policies/clusters/delete", answers=("policy_id",),
)  # fmt: skip
CLUSTERS = Collection(
    service=WORKSPACE, kind="cluster", key="cluster_id", new_key=unique, adds=_cluster, answers=("cluster_id",),
    create="POST /api/2.1/clusters/create", read="GET /api/2.1/clusters/get", list_field="clusters", change="POST /api/2.1/clusters/edit", delete="POST /api/2.1/clusters/permanent-delete",
    hidden=frozenset({"apply_policy_default_values"}),
)  # fmt: skip
WAREHOUSES = Collection(
    service=WORKSPACE, kind="warehouse", key="id", new_key=unique, unique="name", adds=_warehouse,
    shows=_warehouse_address, create="POST /api/2.0/sql/warehouses", read="GET /api/2.0/sql/warehouses/{id}",
    lists="GET /api/2.0/sql/warehouses", list_field="warehouses", change="POST /api/2.0/sql/warehouses/{id}/edit",
    delete="DELETE /api/2.0/sql/warehouses/{id}",
)  # fmt: skip


def _state(call: Call, state: str) -> Json:
    CLUSTERS.find(call)["state"] = state
    return {}


def _list_clusters(call: Call) -> Json:
    """Answer the clusters, all or the pinned ones."""
    found = CLUSTERS.on_list(call)
    if call.query.get("filter_by.is_pinned", "").lower() == "true":
        found["clusters"] = [one for one in found["clusters"] if one["cluster_id"] in call.store(PINNED)]
    return dict(found)


def _pin(call: Call) -> Json:
    call.store(PINNED)[CLUSTERS.find(call)["cluster_id"]] = {}
    return {}


def _unpin(call: Call) -> Json:
    call.store(PINNED).pop(CLUSTERS.find(call)["cluster_id"], None)
    return {}


def _data_sources(call: Call) -> Any:
    found = call.store(WAREHOUSES.kind).values()
    return [{"id": one["id"], "name": one["name"], "warehouse_id": one["id"]} for one in found]


def _install(call: Call) -> Json:
    kept = call.store("libraries").setdefault(call.asked("cluster_id"), {"libraries": []})["libraries"]
    kept += [one for one in copy.deepcopy(call.fields.get("libraries", [])) if one not in kept]
    return {}


def _uninstall(call: Call) -> Json:
    kept = call.store("libraries").get(call.asked("cluster_id"), {"libraries": []})
    kept["libraries"] = [one for one in kept["libraries"] if one not in call.fields.get("libraries", [])]
    return {}


def _library_status(call: Call) -> Json:
    kept = call.store("libraries").get(call.asked("cluster_id"), {"libraries": []})["libraries"]
    shown = [{"is_library_for_all_clusters": False, "library": one, "status": "INSTALLED"} for one in kept]
    return {"cluster_id": call.asked("cluster_id"), "library_statuses": shown}


def _needs_machines(call: Call) -> bool:
    """Return whether a request starts machines in the workspace's network: a job without clusters runs on serverless compute."""
    if not call.path.endswith("/run-now"):
        return True
    settings = call.store("job").get(call.asked("job_id"), {}).get("settings", {})
    own = ("new_cluster", "existing_cluster_id")
    return bool(settings.get("job_clusters")) or any(name in task for task in settings.get("tasks", ()) for name in own)


def disk_key_is_usable(call: Call) -> bool:
    """Return whether the workspace's disks have no key of the customer, or their identity may wrap with it."""
    if not _needs_machines(call):
        return True
    for document in call.world.store("azure", "resources").values():
        properties = document.get("properties", {})
        if str(properties.get("workspaceId")) != call.place:
            continue
        key = properties.get("encryption", {}).get("entities", {}).get("managedDisk", {}).get("keyVaultProperties")
        identity = properties.get("managedDiskIdentity", {}).get("principalId", "")
        return not key or has_data_role(call.world, identity, key["keyVaultUri"], KEY_ENCRYPTION)
    return True


def root_storage_is_reached(call: Call) -> bool:
    """Return whether the workspace's own storage is open to it, or private endpoints lead there for both protocols."""
    if not _needs_machines(call):
        return True
    resources = call.world.store("azure", "resources").values()
    for document in resources:
        properties = document.get("properties", {})
        if str(properties.get("workspaceId")) == call.place and properties.get("defaultStorageFirewall") == "Enabled":
            managed = str(properties.get("managedResourceGroupId", "")).lower()
            return {"blob", "dfs"} <= {group for one in resources for group in _private_groups(one, managed)}
    return True


def _private_groups(endpoint: Json, managed: str) -> list[str]:
    """Return the protocols for which a private endpoint leads into a resource group."""
    return [
        group
        for connection in endpoint.get("properties", {}).get("privateLinkServiceConnections", ())
        if connection["properties"]["privateLinkServiceId"].lower().startswith(f"{managed}/")
        for group in connection["properties"]["groupIds"]
    ]


def _may_attach(call: Call) -> bool:
    pool = call.fields.get("instance_pool_id")
    return not pool or holds_level(call, "instance-pools", str(pool), "CAN_ATTACH_TO")


def _may_use_policy(call: Call) -> bool:
    policy = call.fields.get("policy_id")
    if call.is_workspace_admin():
        return True
    return bool(policy) and holds_level(call, "cluster-policies", str(policy), "CAN_USE")


_CREATE = ("workspace POST /api/2.?/clusters/create", "workspace POST /api/2.?/clusters/edit")
_SPEC = {"cluster_name": "c", "spark_version": "18.x-cpu-ml-scala2.13", "num_workers": 1}
_ALLOW = Attempt(
    who="dev", request="PUT dev/api/2.0/permissions/cluster-policies/<cluster-policies>",
    body={"access_control_list": [{"user_name": "analyst@meridian-air.example", "permission_level": "CAN_USE"}]},
)  # fmt: skip
_GROUP = "/subscriptions/5a0b1c2d-3e4f-4a5b-8c6d-7e8f90a1b2c3/resourceGroups/rg"
_WITH_KEY = Attempt(
    who="person", request=f"PUT azure{_GROUP}/providers/Microsoft.Databricks/workspaces/dbw?api-version=2024-05-01",
    body={"location": "westeurope", "properties": {"encryption": {"entities": {"managedDisk": {
        "keySource": "Microsoft.Keyvault", "keyVaultProperties": {"keyVaultUri": "https://kv.vault.azure.net/", "keyName": "disk"},
    }}}}},
)  # fmt: skip
_CLOSED_ROOT = Attempt(
    who="person", request=f"PUT azure{_GROUP}/providers/Microsoft.Databricks/workspaces/dbw?api-version=2024-05-01",
    body={"location": "westeurope", "properties": {"defaultStorageFirewall": "Enabled", "managedResourceGroupId": f"{_GROUP}-managed"}},
)  # fmt: skip
_MAKE_GROUP = Attempt(
    who="person", request=f"PUT azure{_GROUP}?api-version=2023-07-01", body={"location": "westeurope"}
)

STARTS = (
    ServiceRule(
        rule="disk-key-needs-its-identity",
        says="With a customer's key for disks no cluster starts until the disks' identity may use the key.",
        page=KEYS_PAGE, on=(*_CREATE, "workspace POST /api/2.?/jobs/run-now"), holds=disk_key_is_usable,
        refusal=(403, "PERMISSION_DENIED",
                 "The managed disk identity of the workspace has no access to the key of its disks in Key Vault."),
        given=(_MAKE_GROUP, _WITH_KEY),
        accepted=Attempt(who="staging", request="POST staging/api/2.1/clusters/create", body=_SPEC),
        refused=Attempt(who="dev", request="POST dev/api/2.1/clusters/create", body=_SPEC),
    ),
    ServiceRule(
        rule="closed-root-storage-needs-endpoints",
        says="With a firewall on the workspace's own storage, compute needs private endpoints for blob and dfs to it.",
        page="https://learn.microsoft.com/en-us/azure/databricks/security/network/storage/firewall-support",
        on=(*_CREATE, "workspace POST /api/2.?/jobs/run-now"), holds=root_storage_is_reached,
        refusal=(403, "PERMISSION_DENIED", "The workspace storage account is closed by its firewall to this compute."),
        given=(_MAKE_GROUP, _CLOSED_ROOT),
        accepted=Attempt(who="staging", request="POST staging/api/2.1/clusters/create", body=_SPEC),
        refused=Attempt(who="dev", request="POST dev/api/2.1/clusters/create", body=_SPEC),
    ),
)  # fmt: skip
"""What starts machines in a workspace's network has to keep: clusters here, and runs of jobs on clusters."""

AREA = Area(
    name="compute",
    endpoints=(
        *POOLS.endpoints(), *POLICIES.endpoints(), *CLUSTERS.endpoints(), *WAREHOUSES.endpoints(),
        *endpoints(WORKSPACE, {
            "GET /api/2.1/clusters/list": _list_clusters,
            "POST /api/2.1/clusters/start": lambda call: _state(call, "RUNNING"),
            "POST /api/2.1/clusters/delete": lambda call: _state(call, "TERMINATED"),
            "POST /api/2.1/clusters/pin": _pin,
            "POST /api/2.1/clusters/unpin": _unpin,
            "GET /api/2.0/preview/sql/data_sources": _data_sources,
            "POST /api/2.0/libraries/install": _install,
            "POST /api/2.0/libraries/uninstall": _uninstall,
            "GET /api/2.0/libraries/cluster-status": _library_status,
        }),
    ),
    rules=(
        ServiceRule(
            rule="policies-pools-warehouses-need-admin",
            says="Without entitlements, only workspace admins create policies, pools and warehouses.",
            page="https://learn.microsoft.com/en-us/azure/databricks/security/auth/entitlements",
            on=("workspace POST /api/2.0/policies/clusters/*", "workspace POST /api/2.0/instance-pools/create",
                "workspace POST /api/2.0/sql/warehouses"),
            holds=Call.is_workspace_admin,
            refusal=(403, "PERMISSION_DENIED", "{caller} is not authorized to create it. Please contact your administrator."),
            accepted=Attempt(who="dev", request="POST dev/api/2.0/policies/clusters/create",
                             body={"name": "p", "definition": "{}"}),
            refused=Attempt(who="analyst", request="POST dev/api/2.0/policies/clusters/create",
                            body={"name": "p", "definition": "{}"}),
        ),
        ServiceRule(
            rule="pinning-needs-a-workspace-admin", says="Only workspace admins pin and unpin clusters.",
            page="https://docs.databricks.com/api/azure/workspace/clusters/pin",
            on=("workspace POST /api/2.1/clusters/pin", "workspace POST /api/2.1/clusters/unpin"), holds=Call.is_workspace_admin,
            refusal=(403, "PERMISSION_DENIED", "Only workspace admins can pin or unpin clusters."),
            given=(Attempt(who="dev", request="POST dev/api/2.1/clusters/create", body=_SPEC),),
            accepted=Attempt(who="dev", request="POST dev/api/2.1/clusters/pin", body={"cluster_id": "<clusters>"}),
            refused=Attempt(who="analyst", request="POST dev/api/2.1/clusters/pin", body={"cluster_id": "<clusters>"}),
        ),
        ServiceRule(
            rule="cluster-needs-a-policy",
            says="Who may not create unrestricted clusters creates one by a policy on which it has CAN_USE.",
            page="https://learn.microsoft.com/en-us/azure/databricks/admin/clusters/policies",
            on=_CREATE, holds=_may_use_policy,
            refusal=(403, "PERMISSION_DENIED", "You are not authorized to create clusters. Please contact your administrator."),
            given=(Attempt(who="dev", request="POST dev/api/2.0/policies/clusters/create",
                           body={"name": "p", "definition": "{}"}), _ALLOW),
            accepted=Attempt(who="analyst", request="POST dev/api/2.1/clusters/create",
                             body={**_SPEC, "policy_id": "<cluster-policies>"}),
            refused=Attempt(who="analyst", request="POST dev/api/2.1/clusters/create", body=_SPEC),
        ),
        ServiceRule(
            rule="pool-needs-attach",
            says="A cluster on a pool needs CAN_ATTACH_TO on the pool.",
            page=PAGE, on=_CREATE, holds=_may_attach,
            refusal=(403, "PERMISSION_DENIED", "{caller} does not have Attach permissions on {instance_pool_id}."),
            given=(Attempt(who="dev", request="POST dev/api/2.0/policies/clusters/create",
                           body={"name": "p", "definition": "{}"}), _ALLOW,
                   Attempt(who="dev", request="POST dev/api/2.0/instance-pools/create",
                           body={"instance_pool_name": "pool", "node_type_id": "Standard_D4ds_v5"})),
            accepted=Attempt(who="dev", request="POST dev/api/2.1/clusters/create",
                             body={**_SPEC, "instance_pool_id": "<instance-pools>"}),
            refused=Attempt(who="analyst", request="POST dev/api/2.1/clusters/create",
                            body={**_SPEC, "policy_id": "<cluster-policies>", "instance_pool_id": "<instance-pools>"}),
        ),
        *STARTS,
    ),
)  # fmt: skip
