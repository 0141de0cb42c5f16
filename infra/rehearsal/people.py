"""People of the company in the emulated cloud: requests to a workspace as somebody of a group."""

import json
import urllib.request
from collections.abc import Mapping
from typing import Any

from infra.emulated_cloud.areas.databricks.principals import add_principal
from infra.emulated_cloud.world import GROUP, USER, Caller
from infra.rehearsal import sign_in
from infra.rehearsal.site import RehearsalSite


def member_of(site: RehearsalSite, group: str) -> str:
    """Return a person who is in one group, made on the first call."""
    world = site.cloud.world
    address = f"{group}@rehearsal.example"
    if world.principal(address) is None:
        document = add_principal(world, USER, {"userName": address, "displayName": address})
        found = next(one for one in world.scim(GROUP).values() if one["displayName"] == group)
        found.setdefault("members", []).append({"value": document["id"]})
        world.issue_token(Caller(name=address, principal=address, kind=USER, object_id=f"object of {address}"))
    return address


def statement_of(site: RehearsalSite, environment: str, group: str, statement: str) -> dict[str, Any]:
    """Return the answer to a statement on the warehouse of a workspace, asked by a person of a group."""
    body = {"statement": statement, "warehouse_id": "any"}
    return ask_workspace(site, environment, member_of(site, group), "POST", "/api/2.0/sql/statements", body)


def ask_workspace(
    site: RehearsalSite, environment: str, principal: str, method: str, path: str, body: Mapping[str, Any]
) -> dict[str, Any]:
    """Send a request to a workspace as a principal and return the answer, a refusal too."""
    described = json.loads(site.addresses.tokens.read_text(encoding="utf-8"))
    token = site.cloud.world.token_of(principal)
    request = urllib.request.Request(  # noqa: S310 -- an address of the emulated cloud
        f"{site.addresses.hosts[environment]}{path}", data=json.dumps(body).encode(), method=method,
        headers={"Authorization": f"Bearer {token or sign_in.token_of(described, principal)}"},
    )  # fmt: skip
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request) as answer:
            return dict(json.load(answer))
    except urllib.error.HTTPError as refused:
        message = str(json.load(refused).get("message", refused.reason))
        return {"status": {"state": "FAILED", "error": {"message": message}}}
