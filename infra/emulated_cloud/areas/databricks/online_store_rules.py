"""The rules of online stores: who makes, changes and uses one, and which tables can be published to it."""

import re

from infra.emulated_cloud.areas.databricks.catalog_rules import DOCS, UC, allow
from infra.emulated_cloud.areas.databricks.object_permissions import holds_level
from infra.emulated_cloud.calls import Attempt, Call, ServiceRule
from infra.emulated_cloud.privileges import CatalogRights, securables
from infra.emulated_cloud.world import Json

F, PG = "/api/2.0/feature-store", "/api/2.0/postgres"
PROJECTS, STORES = "database-projects", "online store"
PAGE = f"{DOCS}/machine-learning/feature-store/online-feature-store"
PERMISSIONS_PAGE = f"{DOCS}/oltp/projects/grant-permissions-programmatically"
CAPACITIES = ("CU_1", "CU_2", "CU_4", "CU_8")
MODES = ("TRIGGERED", "CONTINUOUS", "SNAPSHOT")
FEED = "delta.enableChangeDataFeed"


def project_of(call: Call) -> str:
    """Return the project whose database a request for a password names."""
    return str(call.fields.get("endpoint")).removeprefix("projects/").partition("/")[0]


def source_table(call: Call, name: str) -> Json:
    """Return a table of the catalog; empty if there is none."""
    return securables(call.world, CatalogRights(call).id, "table").get(name, {})


def _spec(call: Call) -> Json:
    found = call.fields.get("publish_spec")
    return found if isinstance(found, dict) else {}


def _has_capacity(call: Call) -> bool:
    stated = call.fields.get("capacity")
    return stated in CAPACITIES if call.method == "POST" else stated is None or stated in CAPACITIES


def _name_fits(call: Call) -> bool:
    return re.fullmatch(r"[A-Za-z0-9-]{1,63}", str(call.fields.get("name"))) is not None


def _manages(call: Call) -> bool:
    name = call.arguments.get("id", "")
    return name not in call.store(STORES) or holds_level(call, PROJECTS, name, "CAN_MANAGE")


def _may_use(call: Call) -> bool:
    name = str(_spec(call).get("online_store", "")) or project_of(call)
    return name not in call.store(STORES) or holds_level(call, PROJECTS, name, "CAN_USE")


def _store_is_there(call: Call) -> bool:
    return str(_spec(call).get("online_store")) in call.store(STORES)


def _may_read_source(call: Call) -> bool:
    rights, source = CatalogRights(call), call.arguments["name"]
    return rights.has("SELECT", "table", source) and rights.enters(source)


def _may_create_target(call: Call) -> bool:
    rights, schema = CatalogRights(call), str(_spec(call).get("online_table_name")).rpartition(".")[0]
    return all(rights.has(one, "schema", schema) for one in ("CREATE_TABLE", "USE_SCHEMA")) and rights.enters(schema)


def _has_key(call: Call) -> bool:
    constraints = source_table(call, call.arguments["name"]).get("table_constraints", ())
    return any("primary_key_constraint" in one for one in constraints)


def _has_feed(call: Call) -> bool:
    properties = source_table(call, call.arguments["name"]).get("properties", {})
    return _spec(call).get("publish_mode") == "SNAPSHOT" or str(properties.get(FEED)).lower() == "true"


def _is_apart(call: Call) -> bool:
    return _spec(call).get("online_table_name") != call.arguments["name"] and _spec(call).get("publish_mode") in MODES


_MAKE = f"workspace POST {F}/online-stores"
_CHANGE = tuple(f"workspace {method} {F}/online-stores/*" for method in ("PATCH", "DELETE"))
_PUBLISH = (f"workspace POST {F}/tables/*/publish",)
_DENIED, _INVALID = (403, "PERMISSION_DENIED"), (400, "INVALID_PARAMETER_VALUE")
SCHEMA, SOURCE = "shop.features", "shop.features.baskets"
KEYED = {"primary_key_constraint": {"name": "baskets_key", "child_columns": ["basket"]}}


def store(capacity: str = "CU_1", name: str = "online", who: str = "dev") -> Attempt:
    """Return the request by which an identity makes a store in the workspace of dev."""
    return Attempt(who=who, request=f"POST dev{F}/online-stores", body={"name": name, "capacity": capacity})


def published(who: str = "dev", to: str = "online", mode: str = "TRIGGERED", into: str = f"{SOURCE}_online") -> Attempt:
    """Return the request by which an identity publishes the table of the examples."""
    spec = {"online_store": to, "online_table_name": into, "publish_mode": mode}
    return Attempt(who=who, request=f"POST dev{F}/tables/{SOURCE}/publish", body={"publish_spec": spec})


def table(*, keyed: bool = True, feed: bool = True) -> tuple[Attempt, ...]:
    """Return the requests by which dev makes the catalog, the schema and the table of the examples."""
    made: Json = {
        "catalog_name": "shop", "schema_name": "features", "name": "baskets", "table_constraints": [KEYED] if keyed else [],
        "properties": {FEED: "true"} if feed else {},
    }  # fmt: skip
    return (
        allow("person", "metastore", "120efa64-9b68-46ba-be38-f319458430d2", "CREATE_CATALOG"),
        Attempt(who="dev", request=f"POST dev{UC}/catalogs", body={"name": "shop"}),
        Attempt(who="dev", request=f"POST dev{UC}/schemas", body={"catalog_name": "shop", "name": "features"}),
        Attempt(who="dev", request=f"POST dev{UC}/tables", body=made),
    )  # fmt: skip


def _lets(who: str, level: str) -> Attempt:
    entry = {"user_name": f"{who}@meridian-air.example", "permission_level": level}
    return Attempt(
        who="dev", request=f"PATCH dev/api/2.0/permissions/{PROJECTS}/online", body={"access_control_list": [entry]}
    )


def _granted(kind: str, name: str, *privileges: str) -> Attempt:
    return allow("dev", kind, name, *privileges, to="analyst@meridian-air.example")


_ENTERS = (_granted("catalog", "shop", "USE_CATALOG"), _lets("analyst", "CAN_USE"))
"""What lets the analyst in, but for the schema."""

RULES: tuple[ServiceRule, ...] = (
    ServiceRule(
        rule="online-stores-have-a-capacity", says="An online store has one of four capacities.", page=PAGE,
        on=(_MAKE, *_CHANGE), holds=_has_capacity,
        refusal=(*_INVALID, f"Capacity '{{capacity}}' is not valid. Valid values are {', '.join(CAPACITIES)}."),
        accepted=store("CU_8"), refused=store("CU_3"),
    ),
    ServiceRule(
        rule="online-stores-have-a-short-name",
        says="The name of an online store has 1 to 63 letters, digits and hyphens.",
        page=f"{DOCS}/oltp/instances/create", on=(_MAKE,), holds=_name_fits,
        refusal=(*_INVALID, "Name '{name}' must be 1 to 63 characters of letters, numbers and hyphens."),
        accepted=store(name="online-2"), refused=store(name="online_store"),
    ),
    ServiceRule(
        rule="online-stores-need-management", says="An online store is changed and deleted by who has CAN_MANAGE on it.",
        page=PERMISSIONS_PAGE, on=_CHANGE, holds=_manages,
        refusal=(*_DENIED, "{caller} does not have CAN MANAGE on online store {id}."), given=(store(),),
        accepted=Attempt(who="dev", request=f"PATCH dev{F}/online-stores/online", body={"capacity": "CU_2"}),
        refused=Attempt(who="analyst", request=f"DELETE dev{F}/online-stores/online"),
    ),
    ServiceRule(
        rule="publishing-needs-a-store", says="A table is published to an online store of the same workspace.", page=PAGE,
        on=_PUBLISH, holds=_store_is_there, refusal=(404, "RESOURCE_DOES_NOT_EXIST", "Online store {online_store} does not exist."),
        given=(store(), *table()), accepted=published(), refused=published(to="another"),
    ),
    ServiceRule(
        rule="publishing-needs-use-of-the-store", says="A table is published by who has CAN_USE on the online store.",
        page=f"{DOCS}/oltp/projects/sync-tables", on=(*_PUBLISH, f"workspace POST {PG}/credentials"), holds=_may_use,
        refusal=(*_DENIED, "{caller} does not have CAN USE on the online store."),
        given=(store(), *table(), _granted("catalog", "shop", "USE_CATALOG"),
               _granted("schema", SCHEMA, "USE_SCHEMA", "SELECT", "CREATE_TABLE")),
        accepted=published(), refused=published(who="analyst"),
    ),
    ServiceRule(
        rule="publishing-reads-the-source", says="Who publishes a table must be able to read it.", page=PAGE,
        on=_PUBLISH, holds=_may_read_source, refusal=(*_DENIED, "{caller} does not have SELECT on Table '{name}'."),
        given=(store(), *table(), *_ENTERS, _granted("schema", SCHEMA, "USE_SCHEMA", "CREATE_TABLE")),
        accepted=published(), refused=published(who="analyst"),
    ),
    ServiceRule(
        rule="publishing-creates-a-table", says="Who publishes a table must be able to create one in the schema of the online table.",
        page=PAGE, on=_PUBLISH, holds=_may_create_target,
        refusal=(*_DENIED, "{caller} does not have CREATE TABLE on the schema of '{online_table_name}'."),
        given=(store(), *table(), *_ENTERS, _granted("schema", SCHEMA, "USE_SCHEMA", "SELECT")),
        accepted=published(), refused=published(who="analyst"),
    ),
    ServiceRule(
        rule="published-tables-have-a-key", says="A table without a primary key cannot be published.", page=PAGE,
        on=_PUBLISH, holds=_has_key, refusal=(*_INVALID, "Table '{name}' has no primary key constraint."),
        given=(store(), *table(keyed=False), *(
            Attempt(who="dev", request=f"POST dev{UC}/tables", body={
                "catalog_name": "shop", "schema_name": "features", "name": "keyed", "table_constraints": [KEYED],
                "properties": {FEED: "true"}}),
        )),
        accepted=Attempt(who="dev", request=f"POST dev{F}/tables/{SCHEMA}.keyed/publish", body={"publish_spec": {
            "online_store": "online", "online_table_name": f"{SCHEMA}.keyed_online", "publish_mode": "TRIGGERED"}}),
        refused=published(),
    ),
    ServiceRule(
        rule="changes-are-read-from-a-feed",
        says="The modes TRIGGERED and CONTINUOUS need the change data feed of the table; SNAPSHOT does not.", page=PAGE,
        on=_PUBLISH, holds=_has_feed,
        refusal=(*_INVALID, "Change data feed must be enabled on table '{name}' for publish mode {publish_mode}."),
        given=(store(), *table(feed=False)), accepted=published(mode="SNAPSHOT"), refused=published(),
    ),
    ServiceRule(
        rule="online-tables-have-a-name-of-their-own",
        says="An online table is another one than its source, and is published in one of three modes.", page=PAGE,
        on=_PUBLISH, holds=_is_apart, refusal=(*_INVALID, "Online table '{online_table_name}' cannot be published in that way."),
        given=(store(), *table()), accepted=published(), refused=published(into=SOURCE),
    ),
)  # fmt: skip
