"""SQL statements, and what an engine asks before it uses a table: whether the caller may.

Where the cloud has compute, statements run on the tables that the jobs have written; otherwise they return no rows. Not
known: warehouses that sleep, results in several parts, row filters and column masks.
"""

import copy
import re

from infra.emulated_cloud.calls import (
    WORKSPACE,
    Area,
    Attempt,
    Call,
    CloudRefusalError,
    ServiceRule,
    endpoints,
    not_found,
)
from infra.emulated_cloud.privileges import CatalogRights, securables
from infra.emulated_cloud.world import EngineError, Json

NAME = r"((?:`[^`]+`|\w+)(?:\s*\.\s*(?:`[^`]+`|\w+)){1,2})"
TABLE = re.compile(rf"\b(?:FROM|JOIN|INTO|UPDATE|TABLE|HISTORY)\s+{NAME}", re.IGNORECASE)
CHANGES = re.compile(r"\s*(?:RESTORE|INSERT|UPDATE|DELETE|MERGE)\b", re.IGNORECASE)
INFORMATION = "information_schema"
PAGE = "https://learn.microsoft.com/en-us/azure/databricks/data-governance/unity-catalog/manage-privileges/privileges"


def _statement(call: Call) -> Json:
    identity, statement = call.world.new_uuid(), str(call.fields.get("statement", ""))
    tables = tables_of(statement, str(call.fields.get("catalog", "")))
    privileges = ("SELECT", "MODIFY") if CHANGES.match(statement) else ("SELECT",)
    error = next(filter(None, (table_error(call, name, privileges) for name in tables)), "")
    kept: Json = {"statement_id": identity}
    kept |= _failed(error) if error else _answer(call, statement, tables)
    call.store("statement")[identity] = kept
    return copy.deepcopy(kept)


def _failed(message: str) -> Json:
    return {"status": {"state": "FAILED", "error": {"error_code": "BAD_REQUEST", "message": message}}}


def _answer(call: Call, statement: str, tables: list[str]) -> Json:
    if call.world.compute is None:
        return {
            "status": {"state": "SUCCEEDED"}, "manifest": {"schema": {"columns": []}, "total_row_count": 0},
            "result": {"data_array": [], "row_count": 0},
        }  # fmt: skip
    columns = [row for name in tables if _is_information(name) for row in _columns_seen(call, name.split(".")[0])]
    try:
        metastore = CatalogRights(call).id
        found = call.world.compute.ask(metastore, "statement", statement=statement, tables=tables, columns=columns)
    except EngineError as error:
        return _failed(str(error))
    return {"status": {"state": "SUCCEEDED"}, **found}


def _columns_seen(call: Call, catalog: str) -> list[Json]:
    """Return the columns of the tables of a catalog that the caller sees."""
    rights = CatalogRights(call)
    return [
        {"table_schema": table["schema_name"], "table_name": table["name"], "column_name": column["name"],
         "full_data_type": column["type_text"], "ordinal_position": column.get("position", 0)}
        for name, table in securables(call.world, rights.id, "table").items()
        if table["catalog_name"] == catalog and rights.sees("table", name)
        for column in table.get("columns", ())
    ]  # fmt: skip


def tables_of(statement: str, catalog: str) -> list[str]:
    """Return the full name of each table that a statement names."""
    parts = [re.sub(r"[`\s]", "", written).split(".") for written in TABLE.findall(statement)]
    return list(dict.fromkeys(".".join([catalog, *one] if len(one) == 2 and catalog else one) for one in parts))


def _is_information(name: str) -> bool:
    return name.split(".")[1] == INFORMATION


def table_error(call: Call, name: str, privileges: tuple[str, ...] = ("SELECT",)) -> str:
    """Return why the caller may not use a table; empty if it may."""
    rights = CatalogRights(call)
    if not rights.reaches("table", name, write="MODIFY" in privileges):
        return f"[PERMISSION_DENIED] Catalog '{name.split('.')[0]}' is not accessible in current workspace."
    for kind, above in (("catalog", name.split(".")[0]), ("schema", ".".join(name.split(".")[:2]))):
        privilege = f"USE_{kind.upper()}"
        if _is_information(name) and kind == "schema":
            return ""
        if above in securables(call.world, rights.id, kind) and not rights.has(privilege, kind, above):
            return f"[INSUFFICIENT_PERMISSIONS] User does not have {privilege.replace('_', ' ')} on {kind.title()} '{above}'."
    if name not in securables(call.world, rights.id, "table"):
        return f"[TABLE_OR_VIEW_NOT_FOUND] The table or view `{name.replace('.', '`.`')}` cannot be found."
    for privilege in privileges:
        if not rights.has(privilege, "table", name):
            return f"[INSUFFICIENT_PERMISSIONS] User does not have {privilege} on Table '{name}'."
    return ""


def _read_statement(call: Call) -> Json:
    found = call.store("statement").get(call.arguments["id"])
    if found is None:
        raise not_found(f"Statement {call.arguments['id']}")
    return copy.deepcopy(found)


def _may_use_table(call: Call) -> bool:
    error = _access_error(call)
    if error and not error.startswith("[TABLE_OR_VIEW_NOT_FOUND]"):
        raise CloudRefusalError(403, "PERMISSION_DENIED", error, rule="engine-asks-for-grants")
    return True


def _access_error(call: Call) -> str:
    wanted = str(call.fields.get("privilege", "SELECT"))
    return table_error(call, str(call.fields["table"]), ("SELECT",) if wanted == "SELECT" else ("SELECT", wanted))


def _access(call: Call) -> Json:
    return {"exists": not _access_error(call)}


ANALYST = "analyst@meridian-air.example"
UC = "/api/2.1/unity-catalog"
ACCESS = "/api/2.0/emulated-compute/table-access"
"""Not of the service: what a cluster's engine asks the catalog, which the service does within."""
_SHOP = (
    Attempt(who="person", request=f"PATCH dev{UC}/permissions/metastore/120efa64-9b68-46ba-be38-f319458430d2",
            body={"changes": [{"principal": "aaaaaaaa-0000-4000-8000-000000000001", "add": ["CREATE_CATALOG"]}]}),
    Attempt(who="dev", request=f"POST dev{UC}/catalogs", body={"name": "shop"}),
    Attempt(who="dev", request=f"POST dev{UC}/schemas", body={"catalog_name": "shop", "name": "bronze"}),
    Attempt(who="dev", request=f"POST dev{UC}/tables",
            body={"catalog_name": "shop", "schema_name": "bronze", "name": "orders"}),
    Attempt(who="dev", request=f"PATCH dev{UC}/permissions/catalog/shop", body={"changes": [
        {"principal": ANALYST, "add": ["USE_CATALOG", "USE_SCHEMA", "SELECT"]}]}),
)  # fmt: skip
_ORDERS = {"table": "shop.bronze.orders"}

AREA = Area(
    name="SQL statements",
    endpoints=endpoints(WORKSPACE, {
        "POST /api/2.0/sql/statements": _statement, "POST /api/2.0/sql/statements/": _statement,
        "GET /api/2.0/sql/statements/{id}": _read_statement, f"POST {ACCESS}": _access,
    }),
    rules=(
        ServiceRule(
            rule="engine-asks-for-grants",
            says="An engine reads a table with SELECT and changes it with MODIFY too, USE SCHEMA and USE CATALOG above.",
            page=PAGE, on=(f"workspace POST {ACCESS}",), holds=_may_use_table,
            refusal=(403, "PERMISSION_DENIED", "{caller} may not use {table}."), given=_SHOP,
            accepted=Attempt(who="analyst", request=f"POST dev{ACCESS}", body={**_ORDERS, "privilege": "SELECT"}),
            refused=Attempt(who="analyst", request=f"POST dev{ACCESS}", body={**_ORDERS, "privilege": "MODIFY"}),
        ),
    ),
)  # fmt: skip
