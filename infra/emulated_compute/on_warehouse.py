"""The process behind the SQL warehouses, the registry of models and the serving endpoints of an emulated metastore.

It reads a request per line and writes an answer per line. It decides nothing about rights: whoever asks has asked the
catalog before. Tables are the folders that the jobs have written, models are in the MLflow store that the jobs have used.
"""

import contextlib
import datetime as dt
import functools
import importlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

Json = dict[str, Any]
TYPES = {"bigint": "LONG", "int": "INT", "smallint": "SHORT", "tinyint": "BYTE", "double": "DOUBLE", "float": "FLOAT",
         "boolean": "BOOLEAN", "timestamp": "TIMESTAMP", "timestamp_ntz": "TIMESTAMP", "string": "STRING", "date": "DATE"}  # fmt: skip
HISTORY = re.compile(r"DESCRIBE\s+HISTORY\s+(\S+)(?:\s+LIMIT\s+(\d+))?", re.IGNORECASE)
RESTORE = re.compile(r"RESTORE\s+TABLE\s+(\S+)\s+TO\s+VERSION\s+AS\s+OF\s+(\d+)", re.IGNORECASE)
READS = re.compile(r"\s*(?:SELECT|WITH|VALUES|SHOW)\b", re.IGNORECASE)


class MetastoreEngine:
    """Tables and models below one folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @functools.cached_property
    def _spark(self) -> Any:
        return importlib.import_module("pipelines.lakehouse.engines.embedded").session()

    @functools.cached_property
    def _models(self) -> Any:
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        uri = f"sqlite:///{self._root / 'registry.db'}"
        importlib.import_module("pipelines.lakehouse.registry.local_stores").prepare(uri)
        mlflow = importlib.import_module("mlflow")
        mlflow.set_registry_uri(uri)
        return mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)

    def _folder(self, table: str) -> str:
        catalog, schema, name = table.split(".")
        return str(self._root / catalog / "tables" / schema / name)

    def statement(self, *, statement: str, tables: list[str], columns: list[Json]) -> Json:
        """Run a statement.

        Parameters
        ----------
        tables
            The tables that it names, as ``catalog.schema.table``; all of them are allowed.
        columns
            What its schema of information shows.
        """
        history, restore = HISTORY.match(statement.strip()), RESTORE.match(statement.strip())
        if history:
            return self._history(_plain(history[1]), int(history[2] or 1000))
        if restore:
            self._delta(_plain(restore[1])).restore(int(restore[2]))
            return _result([], [])
        if not READS.match(statement):
            raise ValueError("the emulated warehouse runs SELECT, DESCRIBE HISTORY and RESTORE TABLE")
        return self._rows(statement, tables, columns)

    def _rows(self, statement: str, tables: list[str], columns: list[Json]) -> Json:
        for table in tables:
            place = self._folder(table)
            if table.split(".")[1] == "information_schema":
                rows = columns or [dict.fromkeys(("table_schema", "table_name", "column_name", "full_data_type"), "")]
                view = self._spark.createDataFrame(
                    [{**row, "ordinal_position": int(row.get("ordinal_position", 0))} for row in rows]
                )
                (view if columns else view.limit(0)).createOrReplaceTempView("information_schema_columns")
                statement = _replaced(statement, table, "information_schema_columns")
            else:
                statement = _replaced(statement, table, f"delta.`{place}`")
        found = self._spark.sql(statement)
        types = [
            (name, TYPES.get(kind, "DECIMAL" if kind.startswith("decimal") else "STRING"))
            for name, kind in found.dtypes
        ]
        return _result(types, [[_text(value) for value in row] for row in found.collect()])

    def _delta(self, table: str) -> Any:
        return importlib.import_module("deltalake").DeltaTable(self._folder(table))

    def _history(self, table: str, limit: int) -> Json:
        file = self._root / "commits" / f"{table}.jsonl"
        lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []
        runs = {line["version"]: line["run"] for line in lines}
        rows = []
        for commit in self._delta(table).history(limit):
            run = runs.get(commit["version"])
            at = dt.datetime.fromtimestamp(commit["timestamp"] / 1000, dt.UTC)
            job = None if run is None else json.dumps({"jobRunId": run, "runId": run})
            rows.append([str(commit["version"]), at.isoformat(), commit["operation"], job])
        return _result(
            [("version", "LONG"), ("timestamp", "TIMESTAMP"), ("operation", "STRING"), ("job", "STRING")], rows
        )

    def versions(self, *, model: str) -> Json:
        """Return the versions and the aliases of a registered model."""
        with contextlib.suppress(importlib.import_module("mlflow.exceptions").MlflowException):
            found = self._models.get_registered_model(model)
            kept = self._models.search_model_versions(f"name = '{model}'")
            numbers = sorted((int(one.version), int(one.creation_timestamp), str(one.run_id)) for one in kept)
            return {"versions": numbers, "aliases": {alias: int(number) for alias, number in found.aliases.items()}}
        return {"versions": [], "aliases": {}}

    def alias(self, *, model: str, alias: str, version: int | None) -> Json:
        """Let an alias name a version, or no version any more."""
        if version is None:
            self._models.delete_registered_model_alias(model, alias)
        else:
            self._models.set_registered_model_alias(model, alias, str(version))
        return {}

    def delete_version(self, *, model: str, version: int) -> Json:
        """Delete a version of a model."""
        self._models.delete_model_version(model, str(version))
        return {}

    def predict(self, *, model: str, version: str, rows: list[Json]) -> Json:
        """Return what a version of a model answers to rows."""
        answer = self._loaded(model, version).predict(importlib.import_module("pandas").DataFrame(rows))
        return {
            "predictions": json.loads(importlib.import_module("pandas").Series(list(answer)).to_json(orient="values"))
        }

    @functools.cache  # noqa: B019 -- the engine lives as long as its process
    def _loaded(self, model: str, version: str) -> Any:
        _ = self._models
        return importlib.import_module("mlflow.pyfunc").load_model(f"models:/{model}/{version}")


def _plain(name: str) -> str:
    return name.replace("`", "").rstrip(";")


def _replaced(statement: str, table: str, by: str) -> str:
    """Return a statement with another name for a table, however its parts are quoted."""
    parts = r"\s*\.\s*".join(f"`?{re.escape(part)}`?" for part in table.split("."))
    return re.sub(rf"(?<![\w`.]){parts}(?![\w`])", lambda _found: by, statement)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dt.datetime):
        return (value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value).isoformat()
    return json.dumps(value) if isinstance(value, (list, dict)) else str(value)


def _result(types: list[tuple[str, str]], rows: list[list[str | None]]) -> Json:
    columns = [
        {"name": name, "type_name": kind, "type_text": kind, "position": at} for at, (name, kind) in enumerate(types)
    ]
    return {
        "manifest": {"schema": {"columns": columns, "column_count": len(columns)}, "total_row_count": len(rows)},
        "result": {"data_array": rows, "row_count": len(rows), "row_offset": 0, "chunk_index": 0},
    }  # fmt: skip


def answers(engine: MetastoreEngine, lines: Iterator[str]) -> Iterator[Json]:
    """Yield an answer to each request; an error is an answer."""
    for line in lines:
        asked = json.loads(line)
        action: Callable[..., Mapping[str, Any]] = getattr(engine, asked.pop("do"))
        try:
            yield {"answer": action(**asked)}
        except Exception as error:  # noqa: BLE001 -- whatever it is, the caller of the service is told
            yield {"error": " ".join(str(error).split())[:2000] or type(error).__name__}


def main(root: str) -> int:
    """Answer requests from standard input until it is closed."""
    answered = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer
    for answer in answers(MetastoreEngine(Path(root)), iter(sys.stdin.readline, "")):
        answered.write(f"{json.dumps(answer)}\n")
        answered.flush()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
