"""Online stores of the Feature Store: Lakebase projects to which tables are published, each by a pipeline of the platform.

Pages, on learn.microsoft.com/azure/databricks: machine-learning/feature-store/online-feature-store, oltp/projects/feature-store,
oltp/projects/grant-permissions-programmatically, oltp/projects/sync-tables. A published table has no rows here: it is known up to
which version of its source the pipeline has brought it, which the source states in its property ``delta.lastUpdateVersion``. A
pipeline is done at once. Not known: what roles of Postgres may read, branches, other computes, and when a store is changed.
"""

import copy

from infra.emulated_cloud.areas.databricks.online_store_rules import (
    PG,
    PROJECTS,
    RULES,
    STORES,
    F,
    project_of,
    source_table,
)
from infra.emulated_cloud.areas.databricks.workspace_objects import timestamp
from infra.emulated_cloud.calls import WORKSPACE, Area, Call, endpoints, not_found
from infra.emulated_cloud.collections_of import Collection
from infra.emulated_cloud.privileges import CatalogRights, securables
from infra.emulated_cloud.world import Json

SYNCED, TABLES = "/api/2.0/database/synced_tables", "online table"
VERSION, COMMITTED = "delta.lastUpdateVersion", "delta.lastCommitTimestamp"


def _new_store(call: Call, document: Json) -> Json:
    return {
        "id": document["name"], "creation_time": timestamp(), "creator": call.caller.principal, "state": "AVAILABLE",
    }  # fmt: skip


STORE = Collection(
    service=WORKSPACE, kind=STORES, key="name", unique="name", adds=_new_store, create=f"POST {F}/online-stores",
    read=f"GET {F}/online-stores/{{id}}", lists=f"GET {F}/online-stores", list_field="online_stores",
    change=f"PATCH {F}/online-stores/{{id}}", hidden=frozenset({"id"}),
)  # fmt: skip


def _delete_store(call: Call) -> Json:
    """Forget a store with its permissions; the tables that were published to it are gone with it."""
    name = STORE.find(call)["name"]
    STORE.on_delete(call)
    call.store("permissions").pop(f"{PROJECTS} {name}", None)
    for table in [key for key, one in call.store(TABLES).items() if one["database_instance_name"] == name]:
        _forget(call, table)
    return {}


def _publish(call: Call) -> Json:
    """Publish a table: make its online table, or let the pipeline of the one that is there run again."""
    source, spec = call.arguments["name"], call.fields["publish_spec"]
    name, store = str(spec["online_table_name"]), call.store(TABLES)
    catalog, schema, own = name.split(".")
    if name not in store:
        store[name] = {
            "name": name, "database_instance_name": spec["online_store"], "effective_database_instance_name": spec["online_store"],
            "effective_logical_database_name": catalog, "unity_catalog_provisioning_state": "ACTIVE",
            "spec": {"source_table_full_name": source, "scheduling_policy": spec["publish_mode"]},
            "pipeline_id": call.world.new_uuid(),
        }  # fmt: skip
        rights = CatalogRights(call)
        securables(call.world, rights.id, "table")[name] = {
            "name": own, "catalog_name": catalog, "schema_name": schema, "full_name": name, "owner": call.caller.principal,
            "table_type": "FOREIGN", "table_id": call.world.new_uuid(), "metastore_id": rights.id,
        }  # fmt: skip
    store[name]["synced"] = _state_of(call, source)
    return {"online_table_name": name, "pipeline_id": store[name]["pipeline_id"]}


def _state_of(call: Call, source: str) -> Json:
    properties = source_table(call, source).get("properties", {})
    return {"version": int(properties.get(VERSION, 0)), "at": properties.get(COMMITTED, timestamp())}


def _synced(call: Call) -> Json:
    """Answer an online table: one whose pipeline runs all the time is up to date whenever it is asked for."""
    found = _online_table(call)
    continuous = found["spec"]["scheduling_policy"] == "CONTINUOUS"
    if continuous:
        found["synced"] = _state_of(call, found["spec"]["source_table_full_name"])
    kind = "CONTINUOUS_UPDATE" if continuous else "NO_PENDING_UPDATE"
    info = {"delta_commit_version": found["synced"]["version"], "delta_commit_timestamp": found["synced"]["at"]}
    shown = {name: copy.deepcopy(value) for name, value in found.items() if name not in ("synced", "pipeline_id")}
    return {**shown, "data_synchronization_status": {
        "detailed_state": f"SYNCED_TABLE_ONLINE_{kind}", "pipeline_id": found["pipeline_id"], "message": "",
        "last_sync": {"delta_table_sync_info": info, "sync_end_timestamp": timestamp()},
    }}  # fmt: skip


def _online_table(call: Call) -> Json:
    found = call.store(TABLES).get(call.arguments["name"])
    if found is None:
        raise not_found(f"Synced table {call.arguments['name']}")
    return found


def _delete_table(call: Call) -> Json:
    _forget(call, _online_table(call)["name"])
    return {}


def _forget(call: Call, name: str) -> None:
    call.store(TABLES).pop(name, None)
    securables(call.world, CatalogRights(call).id, "table").pop(name, None)


def _compute(call: Call) -> Json:
    """Answer the compute of a store's project: where its database is reached."""
    store = _project(call, call.arguments["project"])
    host = f"{store['name']}.database.{call.world.site.region}.azuredatabricks.net"
    hosts = {"host": host, **({"read_only_host": f"ro-{host}"} if store.get("read_replica_count") else {})}
    name = f"projects/{store['name']}/branches/production/endpoints/primary"
    return {"name": name, "status": {"current_state": "ACTIVE", "hosts": hosts}}


def _credential(call: Call) -> Json:
    """Answer a password for the database: a token of whoever asks."""
    _project(call, project_of(call))
    return {"token": call.world.issue_token(call.caller), "expire_time": timestamp()}


def _project(call: Call, name: str) -> Json:
    if name not in call.store(STORES):
        raise not_found(f"project {name}")
    return call.store(STORES)[name]


AREA = Area(
    name="online stores",
    endpoints=(
        *STORE.endpoints(),
        *endpoints(WORKSPACE, {
            f"DELETE {F}/online-stores/{{id}}": _delete_store,
            f"POST {F}/tables/{{name}}/publish": _publish,
            f"DELETE {F}/online-tables/{{name}}": _delete_table,
            f"GET {SYNCED}/{{name}}": _synced,
            f"GET {PG}/projects/{{project}}/branches/production/endpoints/primary": _compute,
            f"POST {PG}/credentials": _credential,
        }),
    ),
    rules=RULES,
)  # fmt: skip
