"""A Databricks workspace as an Azure resource: its number, its address, and the metastore it is attached to."""

from infra.emulated_cloud.world import Json, World


def workspace_added(world: World, document: Json, kept: Json) -> None:
    """Give a workspace its number and address, and attach it to the metastore of its region, if there is one.

    New workspaces are attached by themselves:
    https://learn.microsoft.com/en-us/azure/databricks/data-governance/unity-catalog/enable-workspaces
    """
    properties = document["properties"]
    number = str(kept.get("properties", {}).get("workspaceId") or _next_number(world, str(document.get("id", ""))))
    properties |= {"workspaceId": number, "workspaceUrl": host_of(number)}
    if properties.get("encryption", {}).get("entities", {}).get("managedDisk"):
        old = kept.get("properties", {}).get("managedDiskIdentity")
        properties["managedDiskIdentity"] = old or {"principalId": world.new_uuid(), "type": "SystemAssigned"}
    if properties.get("parameters", {}).get("prepareEncryption", {}).get("value"):
        old = kept.get("properties", {}).get("storageAccountIdentity")
        properties["storageAccountIdentity"] = old or {"principalId": world.new_uuid(), "type": "SystemAssigned"}
    add_workspace(world, number, document["name"])


def add_workspace(world: World, number: str, name: str) -> None:
    """Let the account know a workspace."""
    known = world.store("account", "workspaces")
    known.setdefault(number, {
        "account_id": world.site.account, "workspace_id": int(number), "workspace_name": name,
        "workspace_status": "RUNNING", "location": world.site.region, "deployment_name": host_of(number).partition(".")[0],
    })  # fmt: skip
    for metastore in world.store("account", "metastores").values():
        if metastore["region"] == world.site.region:
            world.store("account", "metastore assignments").setdefault(number, {
                "metastore_id": metastore["metastore_id"], "default_catalog_name": "main", "workspace_id": int(number),
            })  # fmt: skip


def workspace_removed(world: World, document: Json) -> None:
    """Forget a workspace with everything in it."""
    number = str(document["properties"]["workspaceId"])
    world.store("account", "workspaces").pop(number, None)
    world.store("account", "metastore assignments").pop(number, None)
    for place, kind in list(world.stores):
        if place == f"workspace {number}":
            del world.stores[place, kind]


def host_of(number: str) -> str:
    """Return the host name of a workspace."""
    return f"adb-{number}.7.azuredatabricks.net"


def _next_number(world: World, path: str) -> str:
    """Return the number that the site plans for the subscription's workspace, or a new one."""
    taken = {
        str(one.get("properties", {}).get("workspaceId")) for one in world.store("azure", "resources").values()
    }  # fmt: skip
    here = {name for name, subscription in world.site.subscriptions if f"/subscriptions/{subscription}/" in path}
    planned = [number for name, number in world.site.workspaces if name in here and number not in taken]
    return planned[0] if planned else str(9_000_000_000_000_000 + next(world.numbers))
