"""The rules of Unity Catalog: who creates, sees, changes, grants, binds and drops what, and from which workspace."""

from infra.emulated_cloud.calls import Attempt, Call, ServiceRule
from infra.emulated_cloud.privileges import APPLICABLE, BOUND, CatalogRights, securables
from infra.emulated_cloud.world import Json

METASTORE = "120efa64-9b68-46ba-be38-f319458430d2"
UC = "/api/2.1/unity-catalog"
AREA_ON = f"workspace {{}} {UC}/"
DOCS = "https://learn.microsoft.com/en-us/azure/databricks"
PRIVILEGES_PAGE = f"{DOCS}/data-governance/unity-catalog/manage-privileges/privileges"
OWNERSHIP_PAGE = f"{DOCS}/data-governance/unity-catalog/manage-privileges/ownership"
GRANTS_PAGE = f"{DOCS}/data-governance/unity-catalog/manage-privileges/"
KINDS = {
    "catalogs": "catalog", "schemas": "schema", "tables": "table", "volumes": "volume", "models": "function",
    "storage-credentials": "storage_credential", "credentials": "credential", "external-locations": "external_location",
}  # fmt: skip
CREATES = {"tables": "CREATE_TABLE", "volumes": "CREATE_VOLUME", "models": "CREATE_MODEL"}
DENIED = (403, "PERMISSION_DENIED")


def _target(call: Call) -> tuple[str, str]:
    """Return kind and full name of the object that a request is about."""
    if "kind" in call.arguments:
        kind = call.arguments["kind"]
        return KINDS.get(kind, kind), call.arguments["name"]
    return KINDS[call.path.split("/")[4]], call.arguments.get("name", "")


def _exists(call: Call) -> bool:
    kind, name = _target(call)
    return kind == "metastore" or name in securables(call.world, CatalogRights(call).id, kind)


def _may_create_in_schema(call: Call) -> bool:
    schema = f"{call.fields.get('catalog_name')}.{call.fields.get('schema_name')}"
    rights, privilege = CatalogRights(call), CREATES[call.path.split("/")[4]]
    return (
        rights.has(privilege, "schema", schema) and rights.has("USE_SCHEMA", "schema", schema) and rights.enters(schema)
    )


def _may_create_schema(call: Call) -> bool:
    catalog, rights = str(call.fields.get("catalog_name")), CatalogRights(call)
    return rights.has("CREATE_SCHEMA", "catalog", catalog) and rights.has("USE_CATALOG", "catalog", catalog)


def _may_create_on_metastore(call: Call) -> bool:
    kind = call.path.split("/")[4]
    if kind == "credentials":
        kind = "service-credentials" if call.fields.get("purpose") == "SERVICE" else "storage-credentials"
    privilege = {
        "catalogs": "CREATE_CATALOG", "storage-credentials": "CREATE_STORAGE_CREDENTIAL",
        "service-credentials": "CREATE_SERVICE_CREDENTIAL",
    }[kind]  # fmt: skip
    return CatalogRights(call).has(privilege, "metastore", "")


def _may_create_location(call: Call) -> bool:
    rights, privilege = CatalogRights(call), "CREATE_EXTERNAL_LOCATION"
    credential = str(call.fields.get("credential_name"))
    return rights.has(privilege, "metastore", "") and rights.has(privilege, "storage_credential", credential)


def _may_use_root(call: Call) -> bool:
    root, rights = str(call.fields.get("storage_root", "")), CatalogRights(call)
    locations = securables(call.world, rights.id, "external_location")
    covering = [name for name, one in locations.items() if root.startswith(one["url"].rstrip("/"))]
    return not root or any(rights.has("CREATE_MANAGED_STORAGE", "external_location", name) for name in covering)


def _sees(call: Call) -> bool:
    return not _exists(call) or CatalogRights(call).sees(*_target(call))


def _manages(call: Call) -> bool:
    kind, name = _target(call)
    if kind == "metastore":
        return CatalogRights(call).is_metastore_admin() or call.is_account_admin()
    return not _exists(call) or CatalogRights(call).manages(kind, name)


def _reached(call: Call) -> bool:
    if call.method == "POST":
        kind, name = "catalog", str(call.fields.get("catalog_name"))
    else:
        kind, name = _target(call)
    if "bindings/" in call.path or (kind in BOUND and call.method == "PATCH"):
        return True
    return CatalogRights(call).reaches(kind, name, write=call.method != "GET")


def _principals_exist(call: Call) -> bool:
    return all(
        call.world.principal(change["principal"]) for change in call.fields.get("changes", ()) if change.get("add")
    )


def _privileges_apply(call: Call) -> bool:
    known = APPLICABLE.get(call.arguments["kind"], frozenset())
    return all(set(change.get("add", ())) <= known for change in call.fields.get("changes", ()))


def _owner_exists(call: Call) -> bool:
    owner = call.fields.get("owner")
    return owner is None or call.world.principal(owner) is not None


def _name_is_free(call: Call) -> bool:
    kind = KINDS[call.path.split("/")[4]]
    return call.fields.get("name") not in securables(call.world, CatalogRights(call).id, kind)


def _has_metastore(call: Call) -> bool:
    return call.world.metastore_of(call.place) is not None


def _is_right_metastore(call: Call) -> bool:
    return call.arguments["kind"] != "metastore" or call.arguments["name"] == CatalogRights(call).id


def allow(who: str, kind: str, name: str, *privileges: str, to: str = "") -> Attempt:
    """Return the request by which an identity grants privileges; to the principal of dev unless another is named."""
    body: Json = {"changes": [{"principal": to or "aaaaaaaa-0000-4000-8000-000000000001", "add": list(privileges)}]}
    return Attempt(who=who, request=f"PATCH dev{UC}/permissions/{kind}/{name}", body=body)


def made(who: str, path: str, **fields: str) -> Attempt:
    """Return the request by which an identity creates an object in the workspace of dev."""
    return Attempt(who=who, request=f"POST dev{UC}/{path}", body=fields)


ANALYST = "analyst@meridian-air.example"
MAY_CREATE = allow(
    "person", "metastore", METASTORE, "CREATE_CATALOG", "CREATE_STORAGE_CREDENTIAL", "CREATE_EXTERNAL_LOCATION"
)
SHOP = (
    MAY_CREATE,
    made("dev", "catalogs", name="shop"),
    made("dev", "schemas", catalog_name="shop", name="bronze"),
    made("dev", "tables", catalog_name="shop", schema_name="bronze", name="orders"),
)
"""The catalog ``shop`` with the table ``shop.bronze.orders``, all of it owned by the principal of dev."""
CREDENTIAL = made("dev", "storage-credentials", name="lake")
_ISOLATE = Attempt(who="dev", request=f"PATCH dev{UC}/catalogs/shop", body={"isolation_mode": "ISOLATED"})
_READ_SHOP = Attempt(who="dev", request=f"GET dev{UC}/catalogs/shop")

RULES = (
    ServiceRule(
        rule="workspace-has-a-metastore",
        says="Unity Catalog answers only in a workspace that is attached to a metastore.",
        page=f"{DOCS}/data-governance/unity-catalog/enable-workspaces",
        on=tuple(AREA_ON.format("*") + f"{part}*" for part in (*KINDS, "permissions", "bindings", "metastore_summary")),
        holds=_has_metastore,
        refusal=(404, "METASTORE_DOES_NOT_EXIST", "No metastore assigned for the current workspace."),
        accepted=Attempt(who="dev", request=f"GET dev{UC}/metastore_summary"),
        given=(Attempt(
            who="person",
            request="DELETE account/api/2.0/accounts/7c1f2a54-3f0e-4a6b-9d57-2f8f4f0b6a11/workspaces/3000000000000003"
                    f"/metastores/{METASTORE}",
        ),),
        refused=Attempt(who="prod", request=f"GET prod{UC}/metastore_summary"),
    ),
    ServiceRule(
        rule="create-on-metastore",
        says="A catalog or a storage credential is created by who has the privilege on the metastore, or by its admin.",
        page=f"{DOCS}/data-governance/unity-catalog/manage-privileges/admin-privileges",
        on=(AREA_ON.format("POST") + "catalogs", AREA_ON.format("POST") + "storage-credentials"),
        holds=_may_create_on_metastore,
        refusal=(*DENIED, "User does not have CREATE CATALOG or CREATE STORAGE CREDENTIAL on Metastore."),
        accepted=made("person", "catalogs", name="shop"),
        refused=made("dev", "catalogs", name="shop"),
    ),
    ServiceRule(
        rule="create-service-credential",
        says="A service credential is created by who has CREATE SERVICE CREDENTIAL on the metastore, or by its admin.",
        page=f"{DOCS}/connect/unity-catalog/cloud-services/service-credentials",
        on=(AREA_ON.format("POST") + "credentials",),
        holds=_may_create_on_metastore,
        refusal=(*DENIED, "User does not have CREATE SERVICE CREDENTIAL on Metastore."),
        given=(allow("person", "metastore", METASTORE, "CREATE_SERVICE_CREDENTIAL"),),
        accepted=made("dev", "credentials", name="telemetry", purpose="SERVICE"),
        refused=made("dev", "credentials", name="lake", purpose="STORAGE"),
    ),
    ServiceRule(
        rule="create-external-location",
        says="An external location needs CREATE EXTERNAL LOCATION on the metastore and on its credential.",
        page=f"{DOCS}/connect/unity-catalog/cloud-storage/external-locations",
        on=(AREA_ON.format("POST") + "external-locations",),
        holds=_may_create_location,
        refusal=(*DENIED, "User does not have CREATE EXTERNAL LOCATION on Metastore or Storage Credential '{credential_name}'."),
        given=(MAY_CREATE, CREDENTIAL, allow("person", "metastore", METASTORE, "CREATE_EXTERNAL_LOCATION", to=ANALYST)),
        accepted=made("dev", "external-locations", name="lake", credential_name="lake", url="abfss://c@s.dfs.core.windows.net/"),
        refused=made("analyst", "external-locations", name="b", credential_name="lake", url="abfss://d@s.dfs.core.windows.net/"),
    ),
    ServiceRule(
        rule="catalog-root-in-a-location",
        says="The storage of a catalog lies in an external location on which its creator has CREATE MANAGED STORAGE.",
        page=f"{DOCS}/catalogs/create-catalog",
        on=(AREA_ON.format("POST") + "catalogs",),
        holds=_may_use_root,
        refusal=(*DENIED, "User does not have CREATE MANAGED STORAGE on an External Location of '{storage_root}'."),
        given=(
            MAY_CREATE, CREDENTIAL,
            made("dev", "external-locations", name="lake", credential_name="lake", url="abfss://c@s.dfs.core.windows.net/"),
        ),
        accepted=made("dev", "catalogs", name="shop", storage_root="abfss://c@s.dfs.core.windows.net/shop"),
        refused=made("dev", "catalogs", name="shop", storage_root="abfss://other@s.dfs.core.windows.net/shop"),
    ),
    ServiceRule(
        rule="names-are-unique-in-the-metastore",
        says="Catalogs, credentials and locations share their names with every workspace of the metastore.",
        page=f"{DOCS}/data-governance/unity-catalog/",
        on=tuple(AREA_ON.format("POST") + path for path in ("catalogs", "storage-credentials", "credentials", "external-locations")),
        holds=_name_is_free,
        refusal=(409, "RESOURCE_ALREADY_EXISTS", "'{name}' already exists."),
        given=SHOP,
        accepted=made("dev", "catalogs", name="another"),
        refused=Attempt(who="person", request=f"POST prod{UC}/catalogs", body={"name": "shop"}),
    ),
    ServiceRule(
        rule="create-schema",
        says="A schema needs USE CATALOG and CREATE SCHEMA on its catalog; the metastore admin has neither by itself.",
        page=PRIVILEGES_PAGE,
        on=(AREA_ON.format("POST") + "schemas",),
        holds=_may_create_schema,
        refusal=(*DENIED, "User does not have USE CATALOG and CREATE SCHEMA on Catalog '{catalog_name}'."),
        given=SHOP,
        accepted=made("dev", "schemas", catalog_name="shop", name="silver"),
        refused=made("person", "schemas", catalog_name="shop", name="silver"),
    ),
    ServiceRule(
        rule="create-in-schema",
        says="A table, volume or model needs the privilege to create it and USE SCHEMA on its schema, USE CATALOG above.",
        page=PRIVILEGES_PAGE,
        on=tuple(AREA_ON.format("POST") + path for path in CREATES),
        holds=_may_create_in_schema,
        refusal=(*DENIED, "User does not have the privilege to create it on Schema '{catalog_name}.{schema_name}'."),
        given=(*SHOP, allow("dev", "schema", "shop.bronze", "USE_SCHEMA", "CREATE_TABLE", to=ANALYST)),
        accepted=made("dev", "volumes", catalog_name="shop", schema_name="bronze", name="landing", volume_type="MANAGED"),
        refused=made("analyst", "tables", catalog_name="shop", schema_name="bronze", name="mine"),
    ),
    ServiceRule(
        rule="bound-to-the-workspace",
        says="An isolated object is reached only from workspaces it is bound to; a read-only binding refuses changes.",
        page=f"{DOCS}/catalogs/binding",
        on=tuple(AREA_ON.format("*") + f"{path}/*" for path in KINDS)
        + tuple(AREA_ON.format("POST") + path for path in ("schemas", *CREATES))
        + (AREA_ON.format("GET") + "permissions/*",),
        holds=_reached,
        refusal=(*DENIED, "'{name}' is not accessible in current workspace."),
        given=(*SHOP, _ISOLATE),
        accepted=_READ_SHOP,
        refused=Attempt(who="person", request=f"GET prod{UC}/catalogs/shop"),
    ),
    ServiceRule(
        rule="sees-with-a-privilege",
        says="An object is shown to who owns or manages it or has a privilege on it or on what holds it.",
        page=GRANTS_PAGE,
        on=tuple(AREA_ON.format("GET") + f"{path}/*" for path in KINDS),
        holds=_sees,
        refusal=(*DENIED, "User does not have BROWSE or any other privilege on '{name}'."),
        given=(*SHOP, CREDENTIAL, allow("dev", "catalog", "shop", "BROWSE", to="account users")),
        accepted=Attempt(who="analyst", request=f"GET dev{UC}/tables/shop.bronze.orders"),
        refused=Attempt(who="analyst", request=f"GET dev{UC}/storage-credentials/lake"),
    ),
    ServiceRule(
        rule="changes-need-ownership",
        says="An object is changed and dropped by its owner, an owner of what holds it, MANAGE, or the metastore admin.",
        page=OWNERSHIP_PAGE,
        on=tuple(AREA_ON.format(method) + f"{path}/*" for path in KINDS for method in ("PATCH", "DELETE")),
        holds=_manages,
        refusal=(*DENIED, "User is not an owner of '{name}' and does not have MANAGE on it."),
        given=(*SHOP, allow("dev", "catalog", "shop", "ALL_PRIVILEGES", to=ANALYST)),
        accepted=Attempt(who="dev", request=f"PATCH dev{UC}/schemas/shop.bronze", body={"comment": "as delivered"}),
        refused=Attempt(who="analyst", request=f"PATCH dev{UC}/schemas/shop.bronze", body={"comment": "mine"}),
    ),
    ServiceRule(
        rule="grants-need-ownership",
        says="Privileges are granted by the owner, an owner of what holds the object, MANAGE, or the metastore admin.",
        page=GRANTS_PAGE,
        on=(AREA_ON.format("PATCH") + "permissions/*", AREA_ON.format("*") + "bindings/*",
            AREA_ON.format("*") + "workspace-bindings/*"),
        holds=_manages,
        refusal=(*DENIED, "User is not an owner of '{name}' and does not have MANAGE on it."),
        given=SHOP,
        accepted=allow("dev", "table", "shop.bronze.orders", "SELECT", to=ANALYST),
        refused=allow("analyst", "table", "shop.bronze.orders", "SELECT", to=ANALYST),
    ),
    ServiceRule(
        rule="grants-name-principals",
        says="Privileges are granted to users, service principals and groups of the account.",
        page=GRANTS_PAGE,
        on=(AREA_ON.format("PATCH") + "permissions/*",),
        holds=_principals_exist,
        refusal=(404, "PRINCIPAL_DOES_NOT_EXIST", "Could not find principal with name {principal}"),
        given=SHOP,
        accepted=allow("dev", "schema", "shop.bronze", "USE_SCHEMA", to="account users"),
        refused=allow("dev", "schema", "shop.bronze", "USE_SCHEMA", to="no such group"),
    ),
    ServiceRule(
        rule="grants-fit-the-object",
        says="Each privilege is granted on the kinds of object that it exists for.",
        page=PRIVILEGES_PAGE,
        on=(AREA_ON.format("PATCH") + "permissions/*",),
        holds=_privileges_apply,
        refusal=(400, "INVALID_PARAMETER_VALUE", "A privilege is not applicable to this kind of object: {kind}."),
        given=SHOP,
        accepted=allow("dev", "catalog", "shop", "USE_CATALOG", to=ANALYST),
        refused=allow("dev", "schema", "shop.bronze", "USE_CATALOG", to=ANALYST),
    ),
    ServiceRule(
        rule="metastore-is-its-own",
        says="Privileges on a metastore are those of the metastore that the workspace is attached to.",
        page=GRANTS_PAGE,
        on=(AREA_ON.format("*") + "permissions/metastore/*",),
        holds=_is_right_metastore,
        refusal=(404, "METASTORE_DOES_NOT_EXIST", "Metastore '{name}' does not exist."),
        accepted=allow("person", "metastore", METASTORE, "CREATE_CATALOG"),
        refused=allow("person", "metastore", "another", "CREATE_CATALOG"),
    ),
    ServiceRule(
        rule="owners-exist",
        says="The owner of an object is a user, service principal or group of the account.",
        page=OWNERSHIP_PAGE,
        on=tuple(AREA_ON.format("PATCH") + f"{path}/*" for path in KINDS),
        holds=_owner_exists,
        refusal=(404, "PRINCIPAL_DOES_NOT_EXIST", "Could not find principal with name {owner}"),
        given=SHOP,
        accepted=Attempt(who="dev", request=f"PATCH dev{UC}/catalogs/shop", body={"owner": ANALYST}),
        refused=Attempt(who="dev", request=f"PATCH dev{UC}/catalogs/shop", body={"owner": "no such group"}),
    ),
)  # fmt: skip
