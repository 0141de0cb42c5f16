"""Sends recorded requests of the real providers to a cloud, and compares what it answers with what they were content with.

The ids that a service chose are learned from the answers: where the recorded answer has one and ours another, later
requests get ours. Everything else is compared.
"""

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.emulated_cloud.areas.databricks.principals import add_principal
from infra.emulated_cloud.cloud import Cloud, Request
from infra.emulated_cloud.prepared import add_metastore, new_cloud, token_of
from infra.emulated_cloud.world import GROUP, SERVICE_PRINCIPAL, Site, World

RECORDINGS = Path(__file__).parent / "recordings"
ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}|\d{17,}|[0-9A-F]{16}|\d{7,}|etag-\d+")
"""What an id looks like inside a path or another text."""
CHOSEN = re.compile(
    r"(.*_)?(id|uid|etag)|.*Id|creator.*|.*_by|owner|.*user_name|.*time.*|.*_at|endpoint_name|artifact_location"
    r"|storage_location|jdbc_url|run_page_url|.*message|spark_context_id|publisherDomain|email|host"
)
"""Fields whose value the service chooses; they are compared by their type."""
EMULATORS_OWN = frozenset({
    "effective_predictive_optimization_flag", "aws_attributes", "worker_env_vars", "disk_spec", "driver_healthy",
})  # fmt: skip
"""Fields that only the emulator of the recording fills in this way, and that no provider compares."""
EXCEPTIONS = {
    r"GET //metadata/endpoints": "the recording had no metadata; the provider goes on without",
    r"GET /certificates/contacts": "the recording knew no vault; a closed vault answers 403, and the provider goes on without",
    r"GET .*/privateDnsZoneGroups": "the recording had no lists of children",
    r"GET .*/workspaces/0": "the recording answered for a workspace that does not exist",
    r"GET .*/preview/sql/data_sources": "the recording had a warehouse of its own",
    r"GET .*/sql/warehouses": "the recording had a warehouse of its own",
    r"GET .*/clusters/list": "the recording had clusters of its own",
    r"GET /subscriptions/s/.*": "the recording made up a subscription",
    r".*/storageAccounts/.*/providers/.*": "the recording gave what is below a storage account the account's type and fields",
    r"DELETE .*/lakeview/dashboards/.*": "the recording answered the dashboard, the service nothing",
    r".*/jobs/runs?[-/].*": "the recording executed the runs",
}
"""Pattern of a request to the reason why its answer may differ."""
HIDDEN = (404, 403)
"""The recording did not find what belongs to another environment; here it is refused to who has no privilege on it."""
IDENTITY = ("principal", "group_name", "service_principal_name", "user_name", "workspace_id", "task_key", "key", "name")
"""Fields that say which object of a list one is, so that the order of the list does not count."""


@dataclass
class Replay:
    """One recording, sent to one cloud.

    Parameters
    ----------
    cloud
        Who answers.
    tokens
        Host name to the token with which it is called.
    ids
        Host name and recorded id to the one that this cloud gave; without a host name the last one that any gave.
    """

    cloud: Cloud
    tokens: dict[str, str]
    ids: dict[tuple[str, str], Any] = field(default_factory=dict)

    def differences(self, record: dict[str, Any]) -> list[str]:
        """Send one recorded request and return how its answer differs from the recorded one."""
        answer = self.cloud.answer(self._request(record))
        recorded, host = record.get("answer"), record["host"]
        ours = answer.body if not isinstance(answer.body, bytes) else None
        self._learn(recorded, ours, host)
        if any(re.fullmatch(pattern, f"{record['method']} {record['path']}") for pattern in EXCEPTIONS):
            return []
        found = (record["status"], answer.status)
        if found[0] != found[1] and max(found) >= 300 and found != HIDDEN:
            return [f"status {record['status']} recorded, {answer.status} answered: {answer.body}"]
        if not isinstance(recorded, dict | list) or record["status"] >= 300:
            return []  # no document, or one that was too long to be recorded whole
        return list(_compare(self._translated(recorded, host), ours, ""))

    def _request(self, record: dict[str, Any]) -> Request:
        query, host = f"?{record['query']}" if record.get("query") else "", record["host"]
        body = self._translated(record.get("body"), host)
        return Request(
            host=host, method=record["method"], target=self._text(record["path"] + query, host),
            content=b"" if body is None else json.dumps(body).encode(), token=self.tokens.get(host, self.tokens[""]),
        )  # fmt: skip

    def _translated(self, value: Any, host: str) -> Any:
        """Return a recorded value with the ids of this cloud."""
        if isinstance(value, dict):
            return {key: self._translated(one, host) for key, one in value.items()}
        if isinstance(value, list):
            return [self._translated(one, host) for one in value]
        if isinstance(value, str):
            return self._text(value, host)
        return self._id(str(value), host, value) if isinstance(value, int) and not isinstance(value, bool) else value

    def _id(self, recorded: str, host: str, otherwise: Any) -> Any:
        return self.ids.get((host, recorded), self.ids.get(("", recorded), otherwise))

    def _text(self, value: str, host: str) -> str:
        found = self._id(value, host, None)
        if found is not None:
            return str(found)
        return ID.sub(lambda match: str(self._id(match[0], host, match[0])), value)

    def _learn(self, recorded: Any, ours: Any, host: str, key: str = "") -> None:
        if isinstance(recorded, dict) and isinstance(ours, dict):
            for name in recorded:
                self._learn(recorded[name], ours.get(name), host, name)
        elif isinstance(recorded, list) and isinstance(ours, list):
            for one, other in zip(recorded, ours, strict=False):
                self._learn(one, other, host, key)
        elif recorded != ours and ours is not None and re.search(r"(^|_)id$|Id$|^etag$", key):
            self.ids[host, str(recorded)] = self.ids["", str(recorded)] = ours


def records(name: str) -> list[dict[str, Any]]:
    """Return the records of one recording, in their order."""
    with gzip.open(RECORDINGS / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _compare(recorded: Any, ours: Any, where: str) -> Iterator[str]:
    name = where.rpartition(".")[2].partition("[")[0]
    if name in EMULATORS_OWN:
        return
    if isinstance(recorded, dict):
        yield from _compare_objects(recorded, ours, where)
    elif isinstance(recorded, list):
        yield from _compare_lists(recorded, ours, where)
    elif CHOSEN.fullmatch(name):
        if type(recorded) is not type(ours):
            yield f"{where}: {recorded!r} is recorded, {ours!r} answered"
    elif recorded != ours:
        yield f"{where}: {recorded!r} is recorded, {ours!r} answered"


def _compare_objects(recorded: dict[str, Any], ours: Any, where: str) -> Iterator[str]:
    """Compare two objects by the fields that are recorded; empty ones need not be answered."""
    if not isinstance(ours, dict):
        yield f"{where}: an object is recorded, {ours!r} answered"
        return
    for key, value in recorded.items():
        if key in ours:
            yield from _compare(value, ours[key], f"{where}.{key}")
        elif key not in EMULATORS_OWN and value not in ("", None):
            yield f"{where}.{key}: {value!r} is recorded, nothing answered"


def _compare_lists(recorded: list[Any], ours: Any, where: str) -> Iterator[str]:
    """Compare two lists: objects that say which one they are by that, all others by their place.

    Permissions that come from a folder and MLflow's own tags name the people of the recording.
    """
    if not isinstance(ours, list):
        yield f"{where}: a list is recorded, {ours!r} answered"
        return
    present = {_identity(one): one for one in ours if _identity(one)}
    for index, value in enumerate(recorded):
        identity = _identity(value)
        if identity and (_is_inherited(value) or identity.startswith("key mlflow.")):
            continue
        if identity not in present and (identity or index >= len(ours)):
            yield f"{where}: {value!r} is recorded, not answered"
        else:
            yield from _compare(value, present.get(identity, ours[min(index, len(ours) - 1)]), f"{where}[{index}]")


def _identity(value: Any) -> str:
    found = [f"{key} {value[key]}" for key in IDENTITY if key in value] if isinstance(value, dict) else []
    return found[0] if found else ""


def _is_inherited(value: dict[str, Any]) -> bool:
    return any(one.get("inherited") for one in value.get("all_permissions", ()))


def cloud_of(name: str, *, account_admins: bool = True) -> Cloud:
    """Return a cloud in the state that a recording began with.

    The recorded stacks assume that an environment's principal administers the account too and may create in the
    metastore; without ``account_admins`` it has the rights of a workspace admin only.
    """
    in_workspaces = name in ("workspaces", "serverless")
    cloud = new_cloud(Site(prepared=in_workspaces))
    world = cloud.world
    for group in sorted(_groups([record.get("body") for record in records(name)])) if in_workspaces else ():
        add_principal(world, GROUP, {"displayName": group})
    for known in ("ncc-dev", "ncc-prod"):
        world.store("account", "network connectivity configuration")[known] = {"network_connectivity_config_id": known}
    if name == "dev-platform":
        add_metastore(world)
    if in_workspaces:
        for document in world.scim(SERVICE_PRINCIPAL).values():
            _assume_rights(world, document, account_admins=account_admins)
    return cloud


def replay_of(name: str, *, account_admins: bool = True) -> Replay:
    """Return a recording's replay in a cloud of its own, each host called as the recording called it."""
    cloud = cloud_of(name, account_admins=account_admins)
    tokens = {f"adb-{number}.7.azuredatabricks.net": token_of(cloud.world, environment)
              for environment, number in cloud.world.site.workspaces}  # fmt: skip
    return Replay(cloud=cloud, tokens=tokens | {"": token_of(cloud.world, "person")})


def _assume_rights(world: World, document: dict[str, Any], *, account_admins: bool) -> None:
    principal, metastore = document["applicationId"], world.site.metastore
    document["displayName"] = "runner"
    grants = world.store(f"metastore {metastore}", "grants").setdefault(f"metastore {metastore}", {})
    grants[principal] = ["CREATE_CATALOG", "CREATE_EXTERNAL_LOCATION", "CREATE_STORAGE_CREDENTIAL"]
    if account_admins:
        world.account_admins.add(principal)


def _groups(value: Any) -> set[str]:
    """Return the groups that recorded bodies name; the account's stack had made them before."""
    if isinstance(value, list):
        return {name for one in value for name in _groups(one)}
    if not isinstance(value, dict):
        return set()
    named = {value[key] for key in ("group_name", "principal") if isinstance(value.get(key), str)}
    return {name for name in named if not ID.fullmatch(name)} | _groups(list(value.values()))
