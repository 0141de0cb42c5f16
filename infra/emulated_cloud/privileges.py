"""Who may do what in Unity Catalog: owners, grants and what is inherited from above.

Owner: an owner has all privileges on the object itself, and may grant on it and on everything in it, but does not read
what is in it without a grant (https://learn.microsoft.com/en-us/azure/databricks/data-governance/unity-catalog/manage-privileges/ownership).
Inheritance: a privilege on a catalog or a schema holds for everything in it; those on the metastore are not inherited
(https://learn.microsoft.com/en-us/azure/databricks/data-governance/unity-catalog/manage-privileges/).
"""

from infra.emulated_cloud.calls import Call
from infra.emulated_cloud.world import Json, Store, World

ALL, MANAGE, BROWSE = "ALL_PRIVILEGES", "MANAGE", "BROWSE"
IN_SCHEMA = frozenset({
    "SELECT", "MODIFY", "EXECUTE", "READ_VOLUME", "WRITE_VOLUME", "APPLY_TAG", "REFRESH", "USE_SCHEMA", "CREATE_TABLE",
    "CREATE_VOLUME", "CREATE_MODEL", "CREATE_MODEL_VERSION", "CREATE_FUNCTION", "CREATE_MATERIALIZED_VIEW",
    "EXTERNAL_USE_SCHEMA", MANAGE, ALL,
})  # fmt: skip
APPLICABLE: dict[str, frozenset[str]] = {
    "metastore": frozenset({
        "CREATE_CATALOG", "CREATE_CONNECTION", "CREATE_EXTERNAL_LOCATION", "CREATE_STORAGE_CREDENTIAL",
        "CREATE_SERVICE_CREDENTIAL", "CREATE_SHARE", "CREATE_RECIPIENT", "CREATE_PROVIDER", "MANAGE_ALLOWLIST",
        "SET_SHARE_PERMISSION", "USE_MARKETPLACE_ASSETS", "USE_SHARE", "USE_RECIPIENT", "USE_PROVIDER", "CREATE_CLEAN_ROOM",
    }),
    "catalog": IN_SCHEMA | {"USE_CATALOG", "CREATE_SCHEMA", BROWSE, "ACCESS"},
    "schema": IN_SCHEMA,
    "table": frozenset({"SELECT", "MODIFY", "APPLY_TAG", MANAGE, ALL}),
    "volume": frozenset({"READ_VOLUME", "WRITE_VOLUME", "APPLY_TAG", MANAGE, ALL}),
    "function": frozenset({"EXECUTE", "APPLY_TAG", "CREATE_MODEL_VERSION", MANAGE, ALL}),
    "storage_credential": frozenset({
        "CREATE_EXTERNAL_LOCATION", "CREATE_EXTERNAL_TABLE", "READ_FILES", "WRITE_FILES", MANAGE, ALL,
    }),
    "credential": frozenset({"ACCESS", "CREATE_CONNECTION", MANAGE, ALL}),
    "external_location": frozenset({
        "CREATE_EXTERNAL_TABLE", "CREATE_EXTERNAL_VOLUME", "CREATE_MANAGED_STORAGE", "CREATE_FOREIGN_CATALOG",
        "READ_FILES", "WRITE_FILES", "EXTERNAL_USE_LOCATION", BROWSE, MANAGE, ALL,
    }),
}  # fmt: skip
"""Kind of securable to the privileges that can be granted on it
(https://learn.microsoft.com/en-us/azure/databricks/data-governance/unity-catalog/manage-privileges/privileges)."""
BOUND = ("catalog", "storage_credential", "credential", "external_location")
"""Kinds that can be isolated to the workspaces they are bound to."""
ISOLATED = ("ISOLATED", "ISOLATION_MODE_ISOLATED")
READ_ONLY = "BINDING_TYPE_READ_ONLY"


def securables(world: World, metastore: str, kind: str) -> Store:
    """Return the objects of one kind in a metastore by full name."""
    return world.store(f"metastore {metastore}", kind)


def granted(world: World, metastore: str, kind: str, name: str) -> dict[str, list[str]]:
    """Return principal to privileges, as granted on one object."""
    store = world.store(f"metastore {metastore}", "grants")
    return store.get(f"{kind} {name}", {})


def parents(name: str) -> list[tuple[str, str]]:
    """Return the schema and the catalog that hold an object of a full name, the nearest first."""
    parts = name.split(".")
    kinds = {2: ["catalog"], 3: ["schema", "catalog"]}.get(len(parts), [])
    return [(kind, ".".join(parts[: 2 if kind == "schema" else 1])) for kind in kinds]


class CatalogRights:
    """The rights of one caller in the metastore of the workspace it calls.

    Parameters
    ----------
    call
        The request; its caller and its workspace count.
    """

    def __init__(self, call: Call) -> None:
        metastore = call.world.metastore_of(call.place)
        self.world, self.workspace = call.world, int(call.place)
        self.metastore: Json = metastore or {}
        self.id: str = self.metastore.get("metastore_id", "")
        self.names = call.world.names_of(call.caller.principal)

    def is_metastore_admin(self) -> bool:
        """Return whether the caller is the metastore admin, or in the group that is."""
        return self.metastore.get("owner") in self.names

    def owns(self, kind: str, name: str) -> bool:
        """Return whether the caller or a group of it owns an object."""
        return securables(self.world, self.id, kind).get(name, {}).get("owner") in self.names

    def has(self, privilege: str, kind: str, name: str) -> bool:
        """Return whether a privilege holds on an object: by ownership, grant, or from above."""
        if kind == "metastore":
            return self.is_metastore_admin() or privilege in self._granted("metastore", self.id)
        if self.owns(kind, name):
            return True
        for above in [(kind, name), *parents(name)]:
            held = self._granted(*above)
            if privilege in held or (ALL in held and privilege != MANAGE):
                return True
        return False

    def manages(self, kind: str, name: str) -> bool:
        """Return whether the caller may change, grant on and drop an object."""
        if self.is_metastore_admin() or self.has(MANAGE, kind, name):
            return True
        return any(self.owns(*above) for above in parents(name))

    def enters(self, name: str) -> bool:
        """Return whether the caller may use the catalog and the schema that hold an object."""
        needed = {"catalog": "USE_CATALOG", "schema": "USE_SCHEMA"}
        return all(self.has(needed[kind], kind, above) for kind, above in parents(name))

    def sees(self, kind: str, name: str) -> bool:
        """Return whether the caller may look at an object: it manages it, or has any privilege on it or from above."""
        if self.manages(kind, name) or any(self._granted(*one) for one in [(kind, name), *parents(name)]):
            return True
        return kind in ("catalog", "schema") and any(
            self.owns(below, full)
            for below in ("schema", "table", "volume", "function")
            for full in securables(self.world, self.id, below)
            if full.startswith(f"{name}.")
        )

    def reaches(self, kind: str, name: str, *, write: bool) -> bool:
        """Return whether the workspace may use an object at all: it is open, or bound to this workspace."""
        top = (kind, name) if kind in BOUND else ("catalog", name.split(".")[0])
        document = securables(self.world, self.id, top[0]).get(top[1], {})
        if document.get("isolation_mode") not in ISOLATED:
            return True
        bound = self.world.store(f"metastore {self.id}", "bindings").get(f"{top[0]} {top[1]}", {})
        found = [one["binding_type"] for one in bound.get("bindings", ()) if one["workspace_id"] == self.workspace]
        return bool(found) and not (write and READ_ONLY in found)

    def _granted(self, kind: str, name: str) -> set[str]:
        held = granted(self.world, self.id, kind, name)
        return {privilege for principal in self.names for privilege in held.get(principal, ())}
