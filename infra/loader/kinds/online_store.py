"""The online store of a workspace."""

from infra.loader.kind import rest

STORES = "/api/2.0/feature-store/online-stores"
KINDS = {
    "databricks_online_store": rest(
        create=f"POST {STORES}", one=f"{STORES}/{{name}}", key="name",
        body=lambda plan: {
            name: plan[name] for name in ("name", "capacity", "read_replica_count") if plan.get(name) is not None
        },
        gives={"state": "state", "creator": "creator", "creation_time": "creation_time"},
        shows=("capacity", "read_replica_count", "state"),
    ),
}  # fmt: skip
