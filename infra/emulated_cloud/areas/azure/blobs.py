"""Block blobs of storage accounts, with leases, metadata and conditions: what keeps Terraform's states and records.

Operations: https://learn.microsoft.com/en-us/rest/api/storageservices/blob-service-rest-api. Not known: snapshots,
versions, blocks, shared keys and signatures, tiers.
"""

import email.utils
import re
from xml.sax.saxutils import escape

from infra.emulated_cloud.areas.azure.data import STORAGE_RULES
from infra.emulated_cloud.calls import (
    STORAGE,
    Area,
    Attempt,
    Call,
    CloudAnswer,
    CloudRefusalError,
    ServiceRule,
    endpoints,
)
from infra.emulated_cloud.world import Json

BLOBS = "blob"
PREFIX = "x-ms-meta-"
RANGE = re.compile(r"bytes=(\d+)-(\d*)")
LEASE_PAGE = "https://learn.microsoft.com/en-us/rest/api/storageservices/lease-blob"
CONDITION_PAGE = "https://learn.microsoft.com/en-us/rest/api/storageservices/specifying-conditional-headers-for-blob-service-operations"


def _place(call: Call) -> tuple[str, str]:
    return f"storage {call.place}", call.path


def _kept(call: Call) -> Json | None:
    return call.world.store(f"storage {call.place}", BLOBS).get(call.path)


def _blob(call: Call) -> Json:
    found = _kept(call)
    if found is None:
        raise CloudRefusalError(404, "BlobNotFound", "The specified blob does not exist.")
    return found


def _touched(call: Call, document: Json) -> dict[str, str]:
    document["etag"] = f'"0x{next(call.world.numbers):X}"'
    document["modified"] = email.utils.formatdate(usegmt=True)
    return {"ETag": document["etag"], "Last-Modified": document["modified"]}


def _metadata(call: Call) -> dict[str, str]:
    return {name.removeprefix(PREFIX): value for name, value in call.headers.items() if name.startswith(PREFIX)}


def _put(call: Call) -> CloudAnswer:
    if call.query.get("comp") == "lease":
        return _lease(call)
    if call.query.get("comp") == "metadata":
        document = _blob(call)
        document["metadata"] = _metadata(call)
        return CloudAnswer(body=b"", headers=_touched(call, document))
    store = call.world.store(f"storage {call.place}", BLOBS)
    document = store.setdefault(call.path, {"lease": "", "metadata": {}})
    document["metadata"] = _metadata(call)
    document["type"] = call.headers.get("content-type", "application/octet-stream")
    call.world.contents[_place(call)] = call.raw
    return CloudAnswer(status=201, body=b"", headers=_touched(call, document))


def _lease(call: Call) -> CloudAnswer:
    document, action = _blob(call), call.headers.get("x-ms-lease-action", "")
    named = call.headers.get("x-ms-lease-id", "")
    if action == "acquire":
        document["lease"] = call.headers.get("x-ms-proposed-lease-id") or call.world.new_uuid()
        return CloudAnswer(status=201, body=b"", headers={"x-ms-lease-id": document["lease"]})
    if action == "renew":
        return CloudAnswer(body=b"", headers={"x-ms-lease-id": named})
    document["lease"] = ""
    return CloudAnswer(status=202 if action == "break" else 200, body=b"")


def _described(document: Json, size: int) -> dict[str, str]:
    leased = bool(document["lease"])
    return {
        "Content-Type": str(document["type"]), "Content-Length": str(size), "ETag": str(document["etag"]),
        "Last-Modified": str(document["modified"]), "x-ms-blob-type": "BlockBlob",
        "x-ms-lease-state": "leased" if leased else "available", "x-ms-lease-status": "locked" if leased else "unlocked",
        **{f"{PREFIX}{name}": str(value) for name, value in document["metadata"].items()},
    }  # fmt: skip


def _get(call: Call) -> CloudAnswer:
    if call.query.get("restype"):
        return _list(call) if call.query.get("comp") == "list" else _available(call)
    document, content = _blob(call), call.world.contents[_place(call)]
    asked = RANGE.fullmatch(call.headers.get("x-ms-range") or call.headers.get("range", ""))
    if asked is None or call.method == "HEAD":
        return CloudAnswer(body=content, headers=_described(document, len(content)))
    return _part(document, content, int(asked[1]), int(asked[2] or len(content)))


def _part(document: Json, content: bytes, first: int, last: int) -> CloudAnswer:
    """Answer a part of a blob.

    https://learn.microsoft.com/en-us/rest/api/storageservices/specifying-the-range-header-for-blob-service-operations
    """
    if first >= len(content):
        raise CloudRefusalError(
            416, "InvalidRange", "The range specified is invalid for the current size of the resource."
        )
    part = content[first : last + 1]
    told = {"Content-Range": f"bytes {first}-{first + len(part) - 1}/{len(content)}"}
    return CloudAnswer(status=206, body=part, headers=_described(document, len(part)) | told)


def _list(call: Call) -> CloudAnswer:
    start = f"{call.path}/{call.query.get('prefix', '')}"
    names = [path.removeprefix(f"{call.path}/") for path in call.world.store(f"storage {call.place}", BLOBS)
             if path.startswith(start)]  # fmt: skip
    blobs = "".join(f"<Blob><Name>{escape(name)}</Name><Properties/></Blob>" for name in names)
    content = f'<?xml version="1.0" encoding="utf-8"?><EnumerationResults><Blobs>{blobs}</Blobs><NextMarker/></EnumerationResults>'
    return CloudAnswer(body=content.encode(), headers={"Content-Type": "application/xml"})


def _delete(call: Call) -> CloudAnswer:
    _blob(call)
    del call.world.store(f"storage {call.place}", BLOBS)[call.path]
    call.world.contents.pop(_place(call), None)
    return CloudAnswer(status=202, body=b"")


def _available(call: Call) -> CloudAnswer:
    _ = call
    return CloudAnswer(
        body=b'<?xml version="1.0"?><StorageServiceProperties/>', headers={"Content-Type": "application/xml"}
    )


# Rules ---------------------------------------------------------------------------------------------------------------


def _is_free(call: Call) -> bool:
    acquires = call.query.get("comp") == "lease" and call.headers.get("x-ms-lease-action") == "acquire"
    document = _kept(call)
    return not acquires or document is None or document["lease"] in ("", call.headers.get("x-ms-proposed-lease-id"))


def _has_lease(call: Call) -> bool:
    document = _kept(call)
    acquires = call.query.get("comp") == "lease" and call.headers.get("x-ms-lease-action") in ("acquire", "break")
    return acquires or document is None or document["lease"] in ("", call.headers.get("x-ms-lease-id"))


def _condition_holds(call: Call) -> bool:
    document = _kept(call)
    present = str(document["etag"]) if document else ""
    wanted, unwanted = call.headers.get("if-match", ""), call.headers.get("if-none-match", "")
    if wanted and wanted != "*" and wanted.strip('"') != present.strip('"'):
        return False
    return not (unwanted == "*" and document is not None)


_GROUP = "/subscriptions/5a0b1c2d-3e4f-4a5b-8c6d-7e8f90a1b2c3/resourceGroups/rg"
_GIVEN = (
    Attempt(who="dev", request=f"PUT azure{_GROUP}?api-version=2023-07-01", body={"location": "westeurope"}),
    Attempt(who="dev", request=f"PUT azure{_GROUP}/providers/Microsoft.Storage/storageAccounts/lake", body={"properties": {}}),
    Attempt(
        who="person",
        request=f"PUT azure{_GROUP}/providers/Microsoft.Authorization/roleAssignments/44444444-3333-4333-8333-333333333333",
        body={"properties": {"principalId": "bbbbbbbb-0000-4000-8000-000000000001",
                             "roleDefinitionId": "/x/ba92f5b4-2d11-453d-a403-e96b0029c9fe"}},
    ),
    Attempt(who="dev", request="PUT lake.blob/states/dev", body={"version": 4}),
)  # fmt: skip


def _acquire(identity: str) -> Attempt:
    headers = {"x-ms-lease-action": "acquire", "x-ms-proposed-lease-id": identity}
    return Attempt(who="dev", request="PUT lake.blob/states/dev?comp=lease", headers=headers)


_PUT = "PUT lake.blob/states/dev"
AREA = Area(
    name="blobs",
    endpoints=endpoints(STORAGE, {
        "GET /": _available, "GET /{path*}": _get, "HEAD /{path*}": _get, "PUT /{path*}": _put, "DELETE /{path*}": _delete,
    }),
    rules=(
        *STORAGE_RULES,
        ServiceRule(
            rule="one-lease-at-a-time", says="A blob that is leased is leased to nobody else.", page=LEASE_PAGE,
            on=("storage PUT /*",), holds=_is_free,
            refusal=(409, "LeaseAlreadyPresent", "There is already a lease present."), given=(*_GIVEN, _acquire("one")),
            accepted=_acquire("one"), refused=_acquire("two"),
        ),
        ServiceRule(
            rule="leased-blobs-need-the-lease", says="A leased blob is changed and deleted with the id of the lease alone.",
            page=LEASE_PAGE, on=("storage PUT /*", "storage DELETE /*"), holds=_has_lease,
            refusal=(412, "LeaseIdMissing", "There is currently a lease on the blob and no lease ID was specified in the request."),
            given=(*_GIVEN, _acquire("one")),
            accepted=Attempt(who="dev", request=_PUT, body={"version": 5}, headers={"x-ms-lease-id": "one"}),
            refused=Attempt(who="dev", request=_PUT, body={"version": 5}),
        ),
        ServiceRule(
            rule="conditions-on-the-version", says="A write under a condition happens only if the blob's version keeps it.",
            page=CONDITION_PAGE, on=("storage PUT /*", "storage GET /*"), holds=_condition_holds,
            refusal=(412, "ConditionNotMet", "The condition specified using HTTP conditional header(s) is not met."),
            given=_GIVEN,
            accepted=Attempt(who="dev", request="PUT lake.blob/states/new", body={"version": 1}, headers={"if-none-match": "*"}),
            refused=Attempt(who="dev", request=_PUT, body={"version": 1}, headers={"if-none-match": "*"}),
        ),
    ),
)  # fmt: skip
