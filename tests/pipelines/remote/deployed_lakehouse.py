"""A deployed environment whose jobs and statements are real: jobs run on the embedded lakehouse, SQL on its tables.

The workspace on loopback sends its requests here. What Unity Catalog adds to Delta tables is simulated: three-part names,
the information schema, and in a table's history the job run that made a commit.
"""

import datetime as dt
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from databricks.sdk.service import catalog
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import DataFrame

from pipelines.declarations.asset import Table
from pipelines.declarations.use_case import UseCase
from pipelines.execution.jobs import run_and_record
from pipelines.execution.runner import State
from pipelines.integration.steps import IntegrationStep
from pipelines.lakehouse.lakehouse import open_lakehouse
from tests.pipelines.remote import deployed
from tests.pipelines.remote.loopback_routes import RefusalError
from tests.pipelines.remote.loopback_workspace import LoopbackWorkspace, StatementResult

TYPES = {"string": "STRING", "bigint": "LONG", "int": "INT", "double": "DOUBLE", "boolean": "BOOLEAN",
         "timestamp": "TIMESTAMP", "date": "DATE"}  # fmt: skip
STATES = {State.SUCCEEDED: deployed.SUCCEEDED, State.FAILED: deployed.FAILED, State.UPSTREAM_FAILED: deployed.SKIPPED}


class DeployedLakehouse:
    """One environment of one use case.

    Attributes
    ----------
    steps
        The steps of an integration run that a fixture has carried out here.
    runs
        The id of the run of each of these steps.
    jobs_ran
        Address and parameters of every job that was started, in order.
    commits
        Which run made which version of which table.
    fail
        Addresses of jobs that fail after they have written something.
    """

    def __init__(self, server: LoopbackWorkspace, root: Path, use_case: UseCase, environment: str = "staging") -> None:
        self.server, self.use_case, self.environment = server, use_case, environment
        self.folder = root / environment / "tables"
        with open_lakehouse(environment, root=root) as self.lakehouse:
            pass
        self.steps: tuple[IntegrationStep, ...] = ()
        self.runs: list[int] = []
        self.jobs_ran: list[tuple[str, Mapping[str, str]]] = []
        self.commits: dict[tuple[str, int], int] = {}
        self.fail: set[str] = set()
        server.held.jobs = deployed.deployed_jobs(environment, jobs_of=use_case)
        server.held.catalogs = {environment}
        server.start_job, server.statement = self.start, self.statement
        server.page = 100
        self.publish_models()

    def start(self, job_id: int, body: Mapping[str, Any]) -> int:
        """Run a job to its end and return the id of its run; the state of the run is requested afterwards."""
        (settings,) = (one.settings for one in self.server.held.jobs if one.job_id == job_id)
        job, run_id = self.use_case.job(settings.name), 500 + len(self.jobs_ran)
        self.jobs_ran.append((job.address, body["job_parameters"]))
        before = self.versions()
        skip = [task.key for task in job.tasks if task.key not in body.get("only", [task.key])]
        if job.address in self.fail:
            states = {job.tasks[0].key: State.FAILED}
            self._write_something()
        else:
            done = run_and_record(self.lakehouse, job, body["job_parameters"], skip=skip, run_id=str(run_id))
            states = {key: run.state for key, run in done.last.items()}
        for path, version in self.versions().items():
            for number in range(before.get(path, -1) + 1, version + 1):
                self.commits[(path, number)] = run_id
        self.publish_models()
        tasks = [
            deployed.task(key, run_id * 100 + place, STATES[state])
            for place, (key, state) in enumerate(states.items())
            if state in STATES
        ]
        failed = any(state is State.FAILED for state in states.values())
        ended = deployed.FAILED if failed else deployed.SUCCEEDED
        name = {"job": job.address, "job_id": job_id}
        self.server.held.runs[run_id] = [
            deployed.snapshot(run_id, deployed.RUNNING, **name), deployed.snapshot(run_id, ended, *tasks, **name),
        ]  # fmt: skip
        return run_id

    def _write_something(self) -> None:
        """Append a copy of an existing row to the table of runs."""
        table = DeltaTable(self.path(self.use_case.table("runs")))
        write_deltalake(table, table.to_pyarrow_table().slice(0, 1), mode="append")

    def versions(self) -> dict[str, int]:
        """Return the newest version of every table that exists, by its folder."""
        found = (self.path(table) for table in self.use_case.tables)
        return {path: DeltaTable(path).version() for path in found if DeltaTable.is_deltatable(path)}

    def path(self, table: Table) -> str:
        """Return the folder of a table."""
        return str(self.folder / table.schema / table.name)

    def publish_models(self) -> None:
        """Copy models, versions and aliases from MLflow into the registry of the workspace."""
        models, model = self.lakehouse.models, self.use_case.model
        name = models.name(model)
        versions = models.versions(model)
        aliases = [
            catalog.RegisteredModelAlias(alias_name=alias, version_num=one.number)
            for one in versions
            for alias in one.aliases
        ]
        self.server.held.models[name] = catalog.RegisteredModelInfo(full_name=name, aliases=aliases)
        for one in versions:
            self.server.held.versions[(name, one.number)] = catalog.ModelVersionInfo(
                version=one.number, status=catalog.ModelVersionInfoStatus.READY
            )

    def statement(self, text: str, _catalog: str) -> StatementResult:
        """Run one statement and return its result in the form of the statement API."""
        history = re.fullmatch(r"DESCRIBE HISTORY (\S+)(?: LIMIT (\d+))?", text)
        if history:
            return self._history(self._delta(history[1]), int(history[2] or 1000))
        restore = re.fullmatch(r"RESTORE TABLE (\S+) TO VERSION AS OF (\d+)", text)
        if restore:
            self._delta(restore[1]).restore(int(restore[2]))
            return [("num_restored_files", "LONG")], [["0"]]
        return self._query(text)

    def _history(self, table: DeltaTable, limit: int) -> StatementResult:
        rows = []
        for line in table.history()[:limit]:
            run_id = self.commits.get((table.table_uri.removeprefix("file://").rstrip("/"), line["version"]))
            job = json.dumps({"jobId": "1", "jobRunId": str(run_id)}) if run_id else None
            rows.append([str(line["version"]), line["operation"], job])
        return [("version", "LONG"), ("operation", "STRING"), ("job", "STRUCT")], rows

    def _delta(self, name: str) -> DeltaTable:
        path = self._folder(*name.replace("`", "").split(".")[1:])
        if not DeltaTable.is_deltatable(path):
            raise RefusalError(400, "BAD_REQUEST", f"[TABLE_OR_VIEW_NOT_FOUND] The table {name} cannot be found.")
        return DeltaTable(path)

    def _folder(self, schema: str, table: str) -> str:
        return str(self.folder / schema / table)

    def _query(self, text: str) -> StatementResult:
        spark = self.lakehouse.spark
        for name in set(re.findall(rf"`{self.environment}`\.`\w+`\.`\w+`", text)):
            schema, table = name.replace("`", "").split(".")[1:]
            if schema == "information_schema":
                self._information_schema().createOrReplaceTempView("information_schema_columns")
                text = text.replace(name, "information_schema_columns")
            else:
                self._delta(name)
                text = text.replace(name, f"delta.`{self._folder(schema, table)}`")
        frame = spark.sql(text)
        columns = [(name, TYPES[kind]) for name, kind in frame.dtypes]
        return columns, [[_told(value) for value in row.values()] for row in frame.toArrow().to_pylist()]

    def _information_schema(self) -> DataFrame:
        rows = [
            (table.schema, table.name, name, kind, place)
            for table in self.use_case.tables
            if self.lakehouse.tables.exists(table)
            for place, (name, kind) in enumerate(self.lakehouse.tables.read(table).dtypes)
        ]
        return self.lakehouse.spark.createDataFrame(
            rows,
            "table_schema string, table_name string, column_name string, full_data_type string, ordinal_position int",
        )


def _told(value: object) -> str | None:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None else str(value)
