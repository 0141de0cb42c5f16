"""What an emulated cluster does for one task: it opens the engine as the job's identity and calls the wheel's entry point.

This file runs in the environment of the task, with the release that is deployed there: it imports nothing of this
repository, and the modules of the wheel by their names. The engine ``databricks`` stands on the embedded one; before each
use of a table the catalog of the workspace is asked, with the identity of the job, whether it allows that.
"""

import builtins
import dataclasses
import functools
import importlib
import importlib.metadata
import io
import json
import os
import sys
import types
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

Json = dict[str, Any]
NO_TABLE = frozenset({"accept", "facts", "conform", "is_conflict"})
"""Calls of a store of tables that touch no table of the catalog."""
CHANGE_FEED, NEWEST = "delta.enableChangeDataFeed", "delta.lastUpdateVersion"
"""Properties of a table as Databricks keeps them in the catalog, so far as something is decided by them."""
READS = frozenset({"columns", "version", "read", "find", "history"})


class Catalog:
    """The workspace's catalog, asked with the identity of the job."""

    def __init__(self, host: str, token: str) -> None:
        self._host, self._token = host, token
        self._known: set[tuple[str, str]] = set()

    def exists(self, table: str, privilege: str) -> bool:
        """Return whether a table is there, after the catalog has allowed to use it.

        Raises
        ------
        PermissionError
            With the grant that is missing.
        """
        if (table, privilege) in self._known:
            return True
        body = {"table": table, "privilege": privilege}
        found = bool(self.ask("POST", "/api/2.0/emulated-compute/table-access", body)["exists"])
        if found:
            self._known.add((table, privilege))
        return found

    def ask(self, method: str, path: str, body: Json) -> Json:
        """Send a request and return its answer."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        request = urllib.request.Request(  # noqa: S310 -- the address of the emulated workspace
            f"{self._host}{path}", data=json.dumps(body).encode(), method=method, headers=headers
        )
        try:
            with urllib.request.urlopen(request) as answer:  # noqa: S310 -- as above
                return dict(json.load(answer) or {})
        except urllib.error.HTTPError as refused:
            message = str(json.load(refused).get("message", refused.reason))
            raise PermissionError(message) from refused


class AllowedStore:
    """A store of tables that asks the catalog before each call."""

    def __init__(self, store: Any, catalog: Catalog, name: str, commits: Path, run: str) -> None:
        self._store, self._catalog, self._name, self._commits, self._run = store, catalog, name, commits, run

    def __getattr__(self, name: str) -> Any:
        """Return a method of the store that asks first."""
        found = getattr(self._store, name)
        if name.startswith("_") or name in NO_TABLE or not callable(found):
            return found
        return functools.partial(self._asked, name, found)

    def _asked(self, name: str, method: Callable[..., Any], table: Any, *given: Any, **named: Any) -> Any:
        full = f"{self._name}.{table.schema}.{table.name}"
        there = self._catalog.exists(full, "SELECT" if name in READS or name == "create" else "MODIFY")
        if name == "create" and not there:
            self._register(table)
        if name in READS:
            return method(table, *given, **named)
        before = self._store.version(table)
        done = method(table, *given, **named)
        self._note(full, -1 if before is None else before, self._store.version(table) or 0)
        if name == "add_columns":
            self._catalog.ask("PATCH", f"/api/2.1/unity-catalog/tables/{full}", {"columns": _columns(table)})
        if name == "record_changes":
            properties = {CHANGE_FEED: "true", NEWEST: str(self._store.version(table))}
            self._catalog.ask("PATCH", f"/api/2.1/unity-catalog/tables/{full}", {"properties": properties})
        return done

    def _register(self, table: Any) -> None:
        key = getattr(table, "primary_key", ())
        self._catalog.ask("POST", "/api/2.1/unity-catalog/tables", {
            "catalog_name": self._name, "schema_name": table.schema, "name": table.name, "table_type": "MANAGED",
            "data_source_format": "DELTA", "comment": table.comment, "columns": _columns(table),
            "table_constraints": [{"primary_key_constraint": {"name": f"{table.name}_key", "child_columns": list(key)}}] if key else [],
        })  # fmt: skip

    def _note(self, full: str, before: int, after: int) -> None:
        """Keep which run made a commit: the history of a table names it."""
        self._commits.mkdir(parents=True, exist_ok=True)
        with (self._commits / f"{full}.jsonl").open("a", encoding="utf-8") as lines:
            for version in range(before + 1, after + 1):
                lines.write(json.dumps({"version": version, "run": self._run}) + "\n")


def _columns(table: Any) -> list[Json]:
    return [
        {"name": column.name, "type_text": str(column.type).lower(), "position": position}
        for position, column in enumerate(table.columns)
    ]


def mount_volumes(place: str) -> None:
    """Let Python's own functions find the volumes of the metastore where this machine keeps them."""

    def moved(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(path: Any, *given: Any, **named: Any) -> Any:
            text = os.fspath(path) if isinstance(path, (str, os.PathLike)) else ""
            inside = isinstance(text, str) and text.startswith("/Volumes/")
            return function(f"{place}{text}" if inside else path, *given, **named)

        return call

    for module, names in ((os, ("stat", "listdir", "scandir", "open")), (io, ("open",)), (builtins, ("open",))):
        for name in names:
            setattr(module, name, moved(getattr(module, name)))


def prepare(task: Json, kept: Path) -> None:
    """Let the engine ``databricks`` of the deployed release be the embedded one, and keep the values that the task sets."""
    choice = importlib.import_module("pipelines.lakehouse.engines.choice")
    embedded = choice.ENGINES["embedded"]
    catalog = Catalog(task["host"], task["token"])

    def engine(environment: Any, _root: Path) -> Any:
        root = Path(task["root"])
        parts = embedded(environment, root)
        commits = root / "commits"
        store = AllowedStore(parts.store, catalog, environment.catalog, commits, task["run_id"])
        return dataclasses.replace(parts, store=store)

    setattr(choice, "ENGINES", MappingProxyType({**choice.ENGINES, "databricks": engine}))  # noqa: B010 -- of a module found by name
    values: dict[str, Any] = {}
    runtime = types.ModuleType("databricks.sdk.runtime")

    def set_value(key: str, value: Any) -> None:
        values[key] = value
        kept.write_text(json.dumps(values), encoding="utf-8")

    task_values = types.SimpleNamespace(set=set_value)
    runtime.dbutils = types.SimpleNamespace(jobs=types.SimpleNamespace(taskValues=task_values))  # type: ignore[attr-defined] # Databricks adds it
    sys.modules["databricks.sdk.runtime"] = runtime


def main(file: str) -> int:
    """Run the task that a file describes; the values that it sets are written beside the file."""
    task = json.loads(Path(file).read_text(encoding="utf-8"))
    found = importlib.metadata.distribution(task["package"]).entry_points
    entry = next((one for one in found if one.name == task["entry_point"]), None)
    if entry is None:
        print(f"the wheel {task['package']} has no entry point {task['entry_point']}", file=sys.stderr)
        return 1
    prepare(task, Path(file).with_suffix(".values"))
    mount_volumes(task["volumes"])
    sys.argv = [task["entry_point"], *task["parameters"]]
    return int(entry.load()() or 0)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
