"""Sends a rule's examples to a cloud in this process."""

import json
import re
from typing import Any

from infra.emulated_cloud.areas.object_permissions import KINDS
from infra.emulated_cloud.calls import Attempt, CloudAnswer
from infra.emulated_cloud.cloud import Cloud, Request
from infra.emulated_cloud.prepared import token_of
from infra.emulated_cloud.world import World

NAMES = {"account": "accounts.azuredatabricks.net", "azure": "management.azure.com", "graph": "graph.microsoft.com"}


def perform(cloud: Cloud, attempt: Attempt) -> CloudAnswer:
    """Send one request; ``<kind>`` in it stands for the id of the newest object of the kind."""
    text = _filled(cloud.world, attempt.request)
    method, _, rest = text.partition(" ")
    short, slash, path = rest.partition("/")
    content = b"" if attempt.body is None else _filled(cloud.world, json.dumps(attempt.body)).encode()
    return cloud.answer(
        Request(
            host=_host(cloud.world, short), method=method, target=slash + path, content=content,
            token=token_of(cloud.world, attempt.who), network=attempt.network, headers=attempt.headers,
        )
    )  # fmt: skip


def _host(world: World, short: str) -> str:
    workspaces = dict(world.site.workspaces)
    if short in workspaces:
        return f"adb-{workspaces[short]}.7.azuredatabricks.net"
    name, _, kind = short.partition(".")
    if kind == "monitor":
        return f"{name}.in.applicationinsights.azure.com"
    return NAMES.get(short) or (f"{name}.vault.azure.net" if kind == "vault" else f"{short}.core.windows.net")


def _filled(world: World, text: str) -> str:
    return re.sub(r"<([\w /-]+)>", lambda found: _newest(world, found[1]), text)


def _newest(world: World, kind: str) -> str:
    if kind in KINDS:
        documents: list[Any] = [
            one for (place, name), store in world.stores.items()
            if name == KINDS[kind].store and place.startswith("workspace") for one in store.values()
        ]  # fmt: skip
        identity = next(name for name in documents[-1] if name == "id" or name.endswith("_id"))
        return str(documents[-1][identity])
    if kind in ("applications", "appId"):
        application = list(world.store("graph", "applications").values())[-1]
        return str(application["id" if kind == "applications" else "appId"])
    if kind == "servicePrincipals":
        return list(world.store("graph", kind))[-1]
    if kind == "instrumentation key":
        keys = [
            one.get("properties", {}).get("InstrumentationKey") for one in world.store("azure", "resources").values()
        ]
        return str(next(key for key in keys if key))
    resource = next(one for path, one in world.store("azure", "resources").items() if path.endswith(f"/{kind}"))
    return str(resource["identity"]["principalId"])
