"""Sends a rule's examples to a cloud in this process."""

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from infra.emulated_cloud.areas.databricks.object_permissions import KINDS
from infra.emulated_cloud.areas.entra.tokens import assertion
from infra.emulated_cloud.calls import SIGN_IN, Attempt, CloudAnswer
from infra.emulated_cloud.cloud import Cloud, Request
from infra.emulated_cloud.prepared import token_of
from infra.emulated_cloud.world import World

NAMES = {
    "account": "accounts.azuredatabricks.net", "azure": "management.azure.com", "graph": "graph.microsoft.com",
    SIGN_IN: "login.microsoftonline.com",
}  # fmt: skip


def perform(cloud: Cloud, attempt: Attempt) -> CloudAnswer:
    """Send one request; ``<kind>`` in it stands for the id of the newest object of the kind."""
    text = _filled(cloud.world, attempt.request)
    method, _, rest = text.partition(" ")
    short, slash, path = rest.partition("/")
    filled = _filled(cloud.world, json.dumps(attempt.body))
    form = short == SIGN_IN
    content = b"" if attempt.body is None else (urlencode(json.loads(filled)) if form else filled).encode()
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


def _secret(world: World, which: int) -> str:
    return next(iter(list(world.store("graph", "applications").values())[which]["~secrets"].values()))


def _assertion(world: World, **other: str) -> str:
    """Sign what the newest federated credential names, but for what differs."""
    named = next(iter(list(world.store("graph", "applications").values())[-1]["~federated"].values())) | other
    return assertion(world, named["issuer"], named["subject"])


SIGNS_IN: dict[str, Callable[[World], str]] = {
    "secret": lambda world: _secret(world, -1), "first secret": lambda world: _secret(world, 0),
    "appId of a service principal": lambda world: str(list(world.store("graph", "servicePrincipals").values())[-1]["appId"]),
    "token of person": lambda world: token_of(world, "person"), "assertion": _assertion,
    "assertion of another issuer": lambda world: _assertion(world, issuer="https://other.example"),
    "assertion of another subject": lambda world: _assertion(world, subject="sc://organisation/project/other"),
}  # fmt: skip
"""What an identity signs in with, by what an example calls it."""


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
    if kind in SIGNS_IN:
        return SIGNS_IN[kind](world)
    if kind == "servicePrincipals":
        return list(world.store("graph", kind))[-1]
    if kind == "instrumentation key":
        keys = [
            one.get("properties", {}).get("InstrumentationKey") for one in world.store("azure", "resources").values()
        ]
        return str(next(key for key in keys if key))
    resource = next(one for path, one in world.store("azure", "resources").items() if path.endswith(f"/{kind}"))
    return str(resource["identity"]["principalId"])
