"""SQL statements: whether the caller may use the tables that a statement names; they return no rows."""

import copy
import re
from typing import Any

from infra.emulated_cloud.calls import WORKSPACE, Area, Call, endpoints, not_found
from infra.emulated_cloud.privileges import CatalogRights, securables
from infra.emulated_cloud.world import Json

TABLE = re.compile(
    r"\b(?:FROM|JOIN|INTO|UPDATE|TABLE)\s+((?:`[^`]+`|\w+)(?:\s*\.\s*(?:`[^`]+`|\w+)){1,2})", re.IGNORECASE
)


def _statement(call: Call) -> Json:
    identity = call.world.new_uuid()
    error = table_error(call, str(call.fields.get("statement", "")), str(call.fields.get("catalog", "")))
    status: Any = (
        {"state": "FAILED", "error": {"error_code": "BAD_REQUEST", "message": error}}
        if error
        else {"state": "SUCCEEDED"}
    )
    kept = {"statement_id": identity, "status": status}
    if not error:
        kept |= {
            "manifest": {"schema": {"columns": []}, "total_row_count": 0},
            "result": {"data_array": [], "row_count": 0},
        }
    call.store("statement")[identity] = kept
    return copy.deepcopy(kept)


def table_error(call: Call, statement: str, catalog: str = "") -> str:
    """Return why the caller may not use a table that a statement names; empty if it may use them all."""
    rights = CatalogRights(call)
    for written in TABLE.findall(statement):
        parts = re.sub(r"[`\s]", "", written).split(".")
        name = ".".join([catalog, *parts] if len(parts) == 2 and catalog else parts)
        if not rights.reaches("table", name, write=False):
            return f"[PERMISSION_DENIED] Catalog '{name.split('.')[0]}' is not accessible in current workspace."
        for kind, above in (("catalog", name.split(".")[0]), ("schema", ".".join(name.split(".")[:2]))):
            privilege = f"USE_{kind.upper()}"
            if above in securables(call.world, rights.id, kind) and not rights.has(privilege, kind, above):
                return f"[INSUFFICIENT_PERMISSIONS] User does not have {privilege.replace('_', ' ')} on {kind.title()} '{above}'."
        if name not in securables(call.world, rights.id, "table"):
            return f"[TABLE_OR_VIEW_NOT_FOUND] The table or view `{name.replace('.', '`.`')}` cannot be found."
        if not rights.has("SELECT", "table", name):
            return f"[INSUFFICIENT_PERMISSIONS] User does not have SELECT on Table '{name}'."
    return ""


def _read_statement(call: Call) -> Json:
    found = call.store("statement").get(call.arguments["id"])
    if found is None:
        raise not_found(f"Statement {call.arguments['id']}")
    return copy.deepcopy(found)


AREA = Area(
    name="SQL statements",
    endpoints=endpoints(WORKSPACE, {
        "POST /api/2.0/sql/statements": _statement, "POST /api/2.0/sql/statements/": _statement,
        "GET /api/2.0/sql/statements/{id}": _read_statement,
    }),
)  # fmt: skip
