"""Unity Catalog: catalogs, schemas, tables, volumes, registered models, credentials, locations, and their bindings.

Not known: lineage, system tables, row filters, sharing, and the files behind a location.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass

from infra.emulated_cloud.areas.databricks.catalog_rules import RULES
from infra.emulated_cloud.areas.databricks.model_versions import aliases
from infra.emulated_cloud.areas.databricks.storage_credentials import RULES as CREDENTIAL_RULES
from infra.emulated_cloud.calls import (
    WORKSPACE,
    Area,
    Call,
    CloudAnswer,
    CloudRefusalError,
    Endpoint,
    endpoints,
    not_found,
    taken,
)
from infra.emulated_cloud.privileges import ISOLATED, CatalogRights, granted, parents, securables
from infra.emulated_cloud.world import Json, Store

UC = "/api/2.1/unity-catalog"
READ_WRITE = "BINDING_TYPE_READ_WRITE"


@dataclass(frozen=True)
class Securable:
    """One kind of object of Unity Catalog: its path, the fields of its full name, the names of its list and its id."""

    kind: str
    path: str
    name_fields: tuple[str, ...]
    listed: str
    id_field: str

    def full_name(self, document: Json) -> str:
        """Return the full name that a new object gets."""
        return ".".join(str(document[field]) for field in self.name_fields)

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return what answers the requests for this kind."""
        root = f"{UC}/{self.path}"
        return endpoints(WORKSPACE, {
            f"POST {root}": self.create, f"GET {root}": self.list, f"GET {root}/{{name}}": self.read,
            f"PATCH {root}/{{name}}": self.change, f"DELETE {root}/{{name}}": self.delete,
        })  # fmt: skip

    def create(self, call: Call) -> Json:
        """Keep a new object, owned by who creates it, with what the service adds."""
        rights, document = CatalogRights(call), copy.deepcopy(call.fields)
        name, store = self.full_name(document), securables(call.world, CatalogRights(call).id, self.kind)
        if name in store:
            raise taken(f"{self.kind} '{name}'")
        now, caller = call.world.now(), call.caller.principal
        document |= {
            "full_name": name, "metastore_id": rights.id, "owner": caller, "created_at": now, "created_by": caller,
            "updated_at": now, "updated_by": caller, self.id_field: call.world.new_uuid(), "browse_only": False,
        }  # fmt: skip
        document |= ADDED[self.kind](call, document)
        store[name] = document
        if self.kind == "catalog":
            _add_default_schemas(call, document)
        return copy.deepcopy(document)

    def read(self, call: Call) -> Json:
        """Answer an object; a model with its aliases where they are asked for."""
        document = copy.deepcopy(self._find(call))
        if call.query.get("include_aliases") == "true":
            document["aliases"] = aliases(call, call.arguments["name"])
        return document

    def list(self, call: Call) -> Json:
        """Answer the objects that the caller sees from this workspace."""
        rights = CatalogRights(call)
        store = securables(call.world, rights.id, self.kind)
        start = ".".join(call.query[field] for field in ("catalog_name", "schema_name") if field in call.query)
        found = [
            copy.deepcopy(document) for name, document in store.items()
            if (not start or name.startswith(f"{start}.")) and rights.sees(self.kind, name)
            and rights.reaches(self.kind, name, write=False)
        ]  # fmt: skip
        return {self.listed: found}

    def change(self, call: Call) -> Json:
        """Change an object; isolating it binds it to this workspace."""
        document, changes = self._find(call), copy.deepcopy(call.fields)
        now_isolated = changes.get("isolation_mode") in ISOLATED and document.get("isolation_mode") not in ISOLATED
        changes.pop("new_name", None)
        if "azure_managed_identity" in changes:
            changes["azure_managed_identity"] = document["azure_managed_identity"] | changes["azure_managed_identity"]
        document |= {**changes, "updated_at": call.world.now(), "updated_by": call.caller.principal}
        if now_isolated:
            _bind(call, self.kind, document["name"])
        return copy.deepcopy(document)

    def delete(self, call: Call) -> CloudAnswer:
        """Forget an object; what holds others goes only with ``force``.

        Raises
        ------
        CloudRefusalError
            If it holds others.
        """
        self._find(call)
        name, metastore = call.arguments["name"], CatalogRights(call).id
        inside = _inside(call, metastore, name) if self.kind in ("catalog", "schema") else []
        if (
            inside
            and call.query.get("force") != "true"
            and any(full != f"{name}.information_schema" for _, full in inside)
        ):
            held = ", ".join(full for _, full in inside[:3])
            raise CloudRefusalError(400, "INVALID_STATE", f"{self.kind.title()} '{name}' is not empty: {held}.")
        for kind, full in [*inside, (self.kind, name)]:
            securables(call.world, metastore, kind).pop(full, None)
            call.world.store(f"metastore {metastore}", "grants").pop(f"{kind} {full}", None)
        return CloudAnswer()

    def _find(self, call: Call) -> Json:
        document = securables(call.world, CatalogRights(call).id, self.kind).get(call.arguments["name"])
        if document is None:
            kind = self.kind.replace("_", " ").title()
            raise CloudRefusalError(
                404, f"{self.kind.upper()}_DOES_NOT_EXIST", f"{kind} '{call.arguments['name']}' does not exist."
            )
        return document


def _inside(call: Call, metastore: str, name: str) -> list[tuple[str, str]]:
    kinds = ("table", "volume", "function", "schema")
    return [
        (kind, full)
        for kind in kinds
        for full in securables(call.world, metastore, kind)
        if full.startswith(f"{name}.")
    ]


def _add_default_schemas(call: Call, catalog: Json) -> None:
    """Give a new catalog its schemas ``default`` and ``information_schema``."""
    store = securables(call.world, catalog["metastore_id"], "schema")
    for name in ("default", "information_schema"):
        full = f"{catalog['name']}.{name}"
        store[full] = {
            "name": name, "catalog_name": catalog["name"], "full_name": full, "owner": call.caller.principal,
            "metastore_id": catalog["metastore_id"], "created_at": catalog["created_at"], "schema_id": call.world.new_uuid(),
            "created_by": call.caller.principal, "catalog_type": "MANAGED_CATALOG", "browse_only": False,
        }  # fmt: skip


def _bind(call: Call, kind: str, name: str) -> None:
    store = call.world.store(f"metastore {CatalogRights(call).id}", "bindings")
    kept = store.setdefault(f"{kind} {name}", {"bindings": []})["bindings"]
    if all(one["workspace_id"] != int(call.place) for one in kept):
        kept.append({"workspace_id": int(call.place), "binding_type": READ_WRITE})


def _catalog(call: Call, document: Json) -> Json:  # noqa: ARG001 -- the interface of what a service adds
    return {"catalog_type": "MANAGED_CATALOG", "isolation_mode": document.get("isolation_mode", "OPEN")}


def _schema(call: Call, document: Json) -> Json:
    return {
        "catalog_type": "MANAGED_CATALOG", "enable_predictive_optimization": "INHERIT",
        "effective_predictive_optimization_flag": {
            "inherited_from_name": CatalogRights(call).metastore.get("name", ""), "inherited_from_type": "METASTORE",
            "value": "ENABLE",
        },
        "properties": document.get("properties", {}),
    }  # fmt: skip


def _credential(call: Call, document: Json) -> Json:
    identity = document.get("azure_managed_identity", {})
    return {
        "azure_managed_identity": {**identity, "credential_id": call.world.new_uuid()},
        "isolation_mode": document.get("isolation_mode", "ISOLATION_MODE_OPEN"), "used_for_managed_storage": False,
    }  # fmt: skip


def _location(call: Call, document: Json) -> Json:
    credential = securables(call.world, CatalogRights(call).id, "storage_credential").get(document["credential_name"])
    if credential is None:
        raise not_found(f"Storage Credential '{document['credential_name']}'")
    return {
        "credential_id": credential["id"], "fallback": False, "read_only": document.get("read_only", False),
        "isolation_mode": document.get("isolation_mode", "ISOLATION_MODE_OPEN"),
    }  # fmt: skip


def _volume(call: Call, document: Json) -> Json:
    root = f"abfss://metastore@{CatalogRights(call).id[:8]}.dfs.core.windows.net/volumes/{call.world.new_uuid()}"
    return {"storage_location": document.get("storage_location", root)}


def _plain(call: Call, document: Json) -> Json:  # noqa: ARG001 -- the interface of what a service adds
    return {}


ADDED = {
    "catalog": _catalog, "schema": _schema, "table": _plain, "volume": _volume, "function": _plain,
    "storage_credential": _credential, "credential": _credential, "external_location": _location,
}  # fmt: skip
THREE = ("catalog_name", "schema_name", "name")
SECURABLES = (
    Securable("catalog", "catalogs", ("name",), "catalogs", "id"),
    Securable("schema", "schemas", ("catalog_name", "name"), "schemas", "schema_id"),
    Securable("table", "tables", THREE, "tables", "table_id"),
    Securable("volume", "volumes", THREE, "volumes", "volume_id"),
    Securable("function", "models", THREE, "registered_models", "id"),
    Securable("storage_credential", "storage-credentials", ("name",), "storage_credentials", "id"),
    Securable("credential", "credentials", ("name",), "credentials", "id"),
    Securable("external_location", "external-locations", ("name",), "external_locations", "id"),
)
"""A registered model is a function to the grants."""


def _grants(call: Call) -> dict[str, list[str]]:
    store = call.world.store(f"metastore {CatalogRights(call).id}", "grants")
    return store.setdefault(f"{call.arguments['kind']} {call.arguments['name']}", {})


def _shown_grants(held: Mapping[str, list[str]]) -> Json:
    shown = [
        {"principal": who, "privileges": sorted(privileges)} for who, privileges in sorted(held.items()) if privileges
    ]
    return {"privilege_assignments": shown} if shown else {}


def _read_grants(call: Call) -> Json:
    return _shown_grants(granted(call.world, CatalogRights(call).id, call.arguments["kind"], call.arguments["name"]))


def _effective_grants(call: Call) -> Json:
    metastore, kind, name = CatalogRights(call).id, call.arguments["kind"], call.arguments["name"]
    shown: Store = {}
    for above, full in [(kind, name), *parents(name)]:
        for principal, privileges in granted(call.world, metastore, above, full).items():
            one = shown.setdefault(principal, {"principal": principal, "privileges": []})
            inherited = {} if full == name else {"inherited_from_type": above.upper(), "inherited_from_name": full}
            one["privileges"] += [{"privilege": privilege, **inherited} for privilege in privileges]
    return {"privilege_assignments": [one for one in shown.values() if one["privileges"]]}


def _change_grants(call: Call) -> Json:
    held = _grants(call)
    for change in call.fields.get("changes", ()):
        kept = set(held.get(change["principal"], ())) | set(change.get("add", ()))
        held[change["principal"]] = sorted(kept - set(change.get("remove", ())))
    return _shown_grants(held)


def _bindings(call: Call) -> Json:
    store = call.world.store(f"metastore {CatalogRights(call).id}", "bindings")
    kind = {"catalogs": "catalog"}.get(call.arguments["kind"], call.arguments["kind"])
    return store.setdefault(f"{kind} {call.arguments['name']}", {"bindings": []})


def _read_bindings(call: Call) -> Json:
    return copy.deepcopy(_bindings(call))


def _change_bindings(call: Call) -> Json:
    kept = {one["workspace_id"]: one["binding_type"] for one in _bindings(call)["bindings"]}
    for one in call.fields.get("remove", ()):
        kept.pop(one["workspace_id"], None)
    kept |= {one["workspace_id"]: one.get("binding_type", READ_WRITE) for one in call.fields.get("add", ())}
    _bindings(call)["bindings"] = [{"binding_type": how, "workspace_id": number} for number, how in kept.items()]
    return copy.deepcopy(_bindings(call))


def _change_workspaces(call: Call) -> Json:
    """Answer the older request for the bindings of a catalog, which knows only whole access."""
    bindings = _bindings(call)
    gone = set(call.fields.get("unassign_workspaces", ()))
    kept = [one for one in bindings["bindings"] if one["workspace_id"] not in gone]
    present = {one["workspace_id"] for one in kept}
    new = [number for number in call.fields.get("assign_workspaces", ()) if number not in present]
    bindings["bindings"] = kept + [{"workspace_id": number, "binding_type": READ_WRITE} for number in new]
    return {"workspaces": [one["workspace_id"] for one in bindings["bindings"]]}


def _assignment(call: Call) -> Json:
    found = call.world.store("account", "metastore assignments").get(call.place)
    if found is None:
        raise CloudRefusalError(404, "METASTORE_DOES_NOT_EXIST", "No metastore assigned for the current workspace.")
    return dict(found)


def _summary(call: Call) -> Json:
    _assignment(call)
    return {name: value for name, value in CatalogRights(call).metastore.items() if name != "account_id"}


AREA = Area(
    name="Unity Catalog",
    endpoints=(
        *(endpoint for securable in SECURABLES for endpoint in securable.endpoints()),
        *endpoints(WORKSPACE, {
            f"GET {UC}/permissions/{{kind}}/{{name}}": _read_grants,
            f"PATCH {UC}/permissions/{{kind}}/{{name}}": _change_grants,
            f"GET {UC}/effective-permissions/{{kind}}/{{name}}": _effective_grants,
            f"GET {UC}/bindings/{{kind}}/{{name}}": _read_bindings,
            f"PATCH {UC}/bindings/{{kind}}/{{name}}": _change_bindings,
            f"PATCH {UC}/workspace-bindings/{{kind}}/{{name}}": _change_workspaces,
            f"GET {UC}/current-metastore-assignment": _assignment,
            f"GET {UC}/metastore_summary": _summary,
        }),
    ),
    rules=RULES + CREDENTIAL_RULES,
)  # fmt: skip
