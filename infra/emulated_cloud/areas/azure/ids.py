"""Ids of Azure resources: their types, and where they are kept."""

from infra.emulated_cloud.calls import Call
from infra.emulated_cloud.world import Json, Store

ASSIGNMENT = "Microsoft.Authorization/roleAssignments"
FIXED: dict[str, Json] = {
    "microsoft.network/privatednszones/soa": {"ttl": 3600, "soaRecord": {
        "email": "azureprivatedns-host.microsoft.com", "expireTime": 2419200, "host": "azureprivatedns.net", "minimumTtl": 10,
        "refreshTime": 3600, "retryTime": 300, "serialNumber": 1,
    }},
    "microsoft.storage/storageaccounts/fileservices": {},
    "microsoft.storage/storageaccounts/blobservices": {},
}  # fmt: skip
"""Type to the properties of a resource that exists with what it belongs to."""


def resource_type(path: str) -> str:
    """Return the type of a resource from its id: the last provider's, with the types of its children."""
    parts = path.strip("/").split("/")
    lowered = [part.lower() for part in parts]
    if "providers" not in lowered[:-1]:
        return (
            "Microsoft.Resources/resourceGroups" if "resourcegroups" in lowered else "Microsoft.Resources/subscriptions"
        )
    start = len(lowered) - 1 - lowered[::-1].index("providers", 1)
    return "/".join([parts[start + 1], *parts[start + 2 :: 2]])


def resources(call: Call) -> Store:
    """Return every resource by its id in small letters."""
    return call.world.store("azure", "resources")
