"""Files in volumes, and the folders, notebooks and files of a workspace.

Not known: the size limits of uploads, and DBFS.
"""

import base64
import copy
import email.utils

from infra.emulated_cloud.calls import (
    WORKSPACE,
    Area,
    Attempt,
    Call,
    CloudAnswer,
    CloudRefusalError,
    ServiceRule,
    endpoints,
    not_found,
    taken,
)
from infra.emulated_cloud.privileges import CatalogRights, securables
from infra.emulated_cloud.world import Json, Store

FS = "/api/2.0/fs"
W = "/api/2.0/workspace"
ITEMS = "workspace item"
MODIFIED = "time of a file"
FILES_PAGE = "https://docs.databricks.com/api/workspace/files"


def _volume(call: Call) -> str:
    """Return the full name of the volume that a path lies in."""
    parts = call.arguments["path"].strip("/").split("/")
    return ".".join(parts[1:4]) if parts[0] == "Volumes" else ""


def _place(call: Call) -> tuple[str, str]:
    """Return where a file is kept: a volume belongs to its metastore, not to a workspace."""
    return f"metastore {CatalogRights(call).id}", f"/{call.arguments['path'].strip('/')}"


def _times(call: Call) -> Store:
    """Return when each file was written, beside the files."""
    return call.world.store(_place(call)[0], MODIFIED)


def _upload(call: Call) -> CloudAnswer:
    if _place(call) in call.world.contents and call.query.get("overwrite") == "false":
        raise taken(f"The file {_place(call)[1]}")
    call.world.contents[_place(call)] = call.raw
    _times(call)[_place(call)[1]] = {"at": email.utils.formatdate(usegmt=True)}
    return CloudAnswer(status=204, body=None)


def _content(call: Call) -> bytes:
    found = call.world.contents.get(_place(call))
    if found is None:
        raise CloudRefusalError(404, "NOT_FOUND", f"The file {_place(call)[1]} was not found.")
    return found


def _headers(call: Call, content: bytes) -> dict[str, str]:
    # The Go SDK reads both on HEAD; without them it takes the file for missing. The provider keeps the first, and takes another
    # one for a change by somebody else.
    written = _times(call).get(_place(call)[1], {"at": email.utils.formatdate(usegmt=True)})
    return {"Last-Modified": written["at"], "Content-Length": str(len(content)),
            "Content-Type": "application/octet-stream"}  # fmt: skip


def _download(call: Call) -> CloudAnswer:
    return CloudAnswer(body=_content(call), headers=_headers(call, _content(call)))


def _delete(call: Call) -> CloudAnswer:
    _content(call)
    del call.world.contents[_place(call)]
    _times(call).pop(_place(call)[1], None)
    return CloudAnswer(status=204, body=None)


def _list_directory(call: Call) -> Json:
    metastore, start = _place(call)
    found: dict[str, Json] = {}
    for place, path in call.world.contents:
        if place == metastore and path.startswith(f"{start}/"):
            name, _, rest = path[len(start) + 1 :].partition("/")
            found[name] = {"path": f"{start}/{name}", "name": name, "is_directory": bool(rest),
                           "file_size": 0 if rest else len(call.world.contents[place, path])}  # fmt: skip
    return {"contents": list(found.values())}


def _nothing(call: Call) -> CloudAnswer:  # noqa: ARG001 -- folders of a volume exist by what is in them
    return CloudAnswer(status=204, body=None)


# The workspace's own tree --------------------------------------------------------------------------------------------


def _item(call: Call, path: str, kind: str, **more: str) -> Json:
    kept = call.store(ITEMS).get(path)
    document = {
        "object_id": kept["object_id"] if kept else call.world.new_object_number(),
        "object_type": kind,
        "path": path,
    }
    call.store(ITEMS)[path] = {**document, "~creator": call.caller.principal, **more}
    return document


def _mkdirs(call: Call) -> Json:
    parts = call.asked("path").strip("/").split("/")
    for length in range(1, len(parts) + 1):
        path = "/" + "/".join(parts[:length])
        if path not in call.store(ITEMS):
            _item(call, path, "DIRECTORY")
    return {}


def _import(call: Call) -> Json:
    path, content = call.asked("path"), base64.b64decode(call.fields.get("content", ""))
    if path in call.store(ITEMS) and not call.fields.get("overwrite"):
        raise taken(path)
    call.world.contents[call.where, path] = content
    language = call.asked("language")
    return {"object_id": _item(call, path, "NOTEBOOK" if language else "FILE", language=language)["object_id"]}


def _found(call: Call) -> Json:
    found = call.store(ITEMS).get(call.asked("path"))
    if found is None:
        raise not_found(f"Path ({call.asked('path')})")
    return found


def _status(call: Call) -> Json:
    return {
        name: value for name, value in copy.deepcopy(_found(call)).items() if not name.startswith("~") and value != ""
    }


def _list_items(call: Call) -> Json:
    start = call.asked("path").rstrip("/")
    found = [one for path, one in call.store(ITEMS).items() if path.rpartition("/")[0] == start]
    return {"objects": [{name: value for name, value in one.items() if not name.startswith("~")} for one in found]}


def _export(call: Call) -> Json:
    path = _found(call)["path"]
    return {"content": base64.b64encode(call.world.contents.get((call.where, path), b"")).decode(), "file_type": "py"}


def _delete_item(call: Call) -> Json:
    path = _found(call)["path"]
    below = [one for one in call.store(ITEMS) if one.startswith(f"{path}/")]
    if below and not call.fields.get("recursive"):
        raise CloudRefusalError(400, "DIRECTORY_NOT_EMPTY", f"Folder {path} is not empty.")
    for one in [path, *below]:
        del call.store(ITEMS)[one]
        call.world.contents.pop((call.where, one), None)
    return {}


def _may_use_volume(call: Call) -> bool:
    volume, rights = _volume(call), CatalogRights(call)
    privilege = "READ_VOLUME" if call.method in ("GET", "HEAD") else "WRITE_VOLUME"
    if volume not in securables(call.world, rights.id, "volume"):
        return True
    return rights.has(privilege, "volume", volume) and rights.enters(volume)


def _volume_is_there(call: Call) -> bool:
    return _volume(call) in securables(call.world, CatalogRights(call).id, "volume")


def _volume_is_reached(call: Call) -> bool:
    return CatalogRights(call).reaches("volume", _volume(call), write=call.method not in ("GET", "HEAD"))


_ON = tuple(f"workspace {method} {FS}/*" for method in ("GET", "HEAD", "PUT", "DELETE"))
UC = "/api/2.1/unity-catalog"
GIVEN = (
    Attempt(who="person", request=f"PATCH dev{UC}/permissions/metastore/120efa64-9b68-46ba-be38-f319458430d2",
            body={"changes": [{"principal": "aaaaaaaa-0000-4000-8000-000000000001", "add": ["CREATE_CATALOG"]}]}),
    Attempt(who="dev", request=f"POST dev{UC}/catalogs", body={"name": "shop"}),
    Attempt(who="dev", request=f"POST dev{UC}/schemas", body={"catalog_name": "shop", "name": "raw"}),
    Attempt(who="dev", request=f"POST dev{UC}/volumes",
            body={"catalog_name": "shop", "schema_name": "raw", "name": "landing", "volume_type": "MANAGED"}),
    Attempt(who="dev", request=f"PUT dev{FS}/files/Volumes/shop/raw/landing/a.csv", body={"a": 1}),
)  # fmt: skip
_FILE = f"{FS}/files/Volumes/shop/raw/landing/a.csv"

AREA = Area(
    name="files",
    endpoints=endpoints(WORKSPACE, {
        f"PUT {FS}/files/{{path*}}": _upload, f"GET {FS}/files/{{path*}}": _download,
        f"HEAD {FS}/files/{{path*}}": _download, f"DELETE {FS}/files/{{path*}}": _delete,
        f"GET {FS}/directories/{{path*}}": _list_directory, f"PUT {FS}/directories/{{path*}}": _nothing,
        f"HEAD {FS}/directories/{{path*}}": _nothing, f"DELETE {FS}/directories/{{path*}}": _nothing,
        f"POST {W}/mkdirs": _mkdirs, f"POST {W}/import": _import, f"GET {W}/get-status": _status,
        f"GET {W}/list": _list_items, f"GET {W}/export": _export, f"POST {W}/delete": _delete_item,
    }),
    rules=(
        ServiceRule(
            rule="volume-exists", says="Files are in a volume that exists.", page=FILES_PAGE, on=_ON,
            holds=_volume_is_there, refusal=(404, "NOT_FOUND", "The volume of '/{path}' does not exist."), given=GIVEN,
            accepted=Attempt(who="dev", request=f"GET dev{_FILE}"),
            refused=Attempt(who="dev", request=f"GET dev{FS}/files/Volumes/shop/raw/other/a.csv"),
        ),
        ServiceRule(
            rule="volume-is-bound-to-the-workspace",
            says="A file is reached only from workspaces that the catalog of its volume is bound to.",
            page="https://learn.microsoft.com/en-us/azure/databricks/catalogs/binding", on=_ON, holds=_volume_is_reached,
            refusal=(403, "PERMISSION_DENIED", "The catalog of '/{path}' is not accessible in current workspace."),
            given=(*GIVEN, Attempt(who="dev", request=f"PATCH dev{UC}/catalogs/shop", body={"isolation_mode": "ISOLATED"})),
            accepted=Attempt(who="dev", request=f"GET dev{_FILE}"),
            refused=Attempt(who="person", request=f"GET prod{_FILE}"),
        ),
        ServiceRule(
            rule="volume-needs-privileges",
            says="A file needs READ VOLUME or WRITE VOLUME, USE SCHEMA and USE CATALOG.",
            page="https://learn.microsoft.com/en-us/azure/databricks/volumes/privileges", on=_ON, holds=_may_use_volume,
            refusal=(403, "PERMISSION_DENIED", "{caller} does not have READ VOLUME or WRITE VOLUME on the volume of '/{path}'."),
            given=(*GIVEN, Attempt(who="dev", request=f"PATCH dev{UC}/permissions/catalog/shop", body={"changes": [
                {"principal": "analyst@meridian-air.example", "add": ["USE_CATALOG", "USE_SCHEMA", "READ_VOLUME"]}]})),
            accepted=Attempt(who="analyst", request=f"GET dev{_FILE}"),
            refused=Attempt(who="analyst", request=f"DELETE dev{_FILE}"),
        ),
    ),
)  # fmt: skip
