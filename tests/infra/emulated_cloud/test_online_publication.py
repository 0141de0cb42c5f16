"""The task that publishes features, with the real SDK: against the emulated cloud, as the jobs' identity and as others."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import PermissionDenied
from databricks.sdk.errors.base import DatabricksError
from databricks.sdk.service.ml import OnlineStore

from infra.emulated_cloud.areas.databricks.online_stores import TABLES, VERSION
from infra.emulated_cloud.cloud import Cloud
from infra.emulated_cloud.prepared import new_cloud, token_of
from infra.emulated_cloud.privileges import securables
from infra.emulated_cloud.server import served
from infra.emulated_compute.on_cluster import AllowedStore, Catalog
from pipelines.api import OnlinePolicy, PublishMode
from pipelines.declarations.asset import Table
from pipelines.declarations.online_store import STORE, store_address
from pipelines.declarations.registry import use_case
from pipelines.execution.context import Context, TaskError
from pipelines.lakehouse.lakehouse import open_lakehouse
from pipelines.lakehouse.tables.arrow import records
from pipelines.lakehouse.tables.tables import Tables
from pipelines.scoring.columns import ARROW_TYPES
from pipelines.scoring.declared import feature_lookups
from pipelines.scoring.lakebase import connect, connection_arguments
from pipelines.scoring.online import StoreError
from pipelines.tasks.predictions import online_publication
from pipelines.tasks.predictions.online_publication import note, publish_all, publish_online
from pipelines.tasks.predictions.publishing import Lag
from pipelines.tasks.predictions.synced_tables import SyncedTable
from tests.pipelines.serving.test_online_upkeep import FEATURES, HOUR, NOON, PLAIN, refresh

FLIGHTS = replace(use_case("flight_delay"), online=OnlinePolicy(lag_hours=1.0, wait_minutes=1))
NEVER_WRITTEN = FLIGHTS.features[-1].table
METASTORE = "120efa64-9b68-46ba-be38-f319458430d2"
RUNNER = "aaaaaaaa-0000-4000-8000-000000000001"
FEED = "delta.enableChangeDataFeed"


@dataclass
class Workspace:
    """Dev's workspace, a context of its jobs, and who is signed in."""

    cloud: Cloud
    context: Context
    clients: dict[str, WorkspaceClient]
    said: list[str]

    def version(self, table: Table) -> int:
        """The newest version of a table."""
        found = self.context.lakehouse.tables.version(table)
        assert found is not None
        return found

    def declare(self, *, feed: bool = True, **versions: int) -> None:
        """Let the catalog say of each feature table what the lakehouse has of it, as a table of Databricks does itself."""
        known = securables(self.cloud.world, METASTORE, "table")
        for table in FLIGHTS.feature_tables:
            name, version = f"dev.{table.address}", versions.get(table.address, self.version(table))
            known[name] = {
                "name": table.name, "catalog_name": "dev", "schema_name": table.schema, "full_name": name, "owner": RUNNER,
                "table_constraints": [{"primary_key_constraint": {"name": "key", "child_columns": list(table.primary_key)}}],
                "properties": {VERSION: str(version), **({FEED: "true"} if feed else {})},
            }  # fmt: skip
        for kind, held in (("schema", {table.schema for table in FLIGHTS.feature_tables}), ("catalog", {""})):
            for one in held:
                full = f"dev.{one}".rstrip(".")
                securables(self.cloud.world, METASTORE, kind)[full] = {
                    "name": one or "dev",
                    "full_name": full,
                    "owner": RUNNER,
                }

    def online(self) -> list[str]:
        """The online tables of the workspace."""
        return sorted(self.pipelines())

    def pipelines(self) -> dict[str, str]:
        """The pipeline of each online table."""
        found = self.cloud.world.store("workspace 1000000000000001", TABLES)
        return {name: one["pipeline_id"] for name, one in found.items()}

    def findings(self) -> list[dict[str, Any]]:
        """The findings of the use case."""
        return list(self.context.lakehouse.tables.read(FLIGHTS.table("findings")).toArrow().to_pylist())


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """An environment with a store, whose feature tables exist and whose first one has a row."""
    cloud, said = new_cloud(), list[str]()
    with served(cloud, tmp_path / "cloud") as addresses, open_lakehouse("dev", root=tmp_path / "dev") as local:
        tokens = json.loads(addresses.tokens.read_text(encoding="utf-8"))["identities"]
        clients = {
            who: WorkspaceClient(host=addresses.hosts["dev"], token=tokens[who]["token"], auth_type="pat")
            for who in ("dev", "analyst")
        }
        monkeypatch.setenv("DATABRICKS_HOST", addresses.hosts["dev"])
        monkeypatch.setenv("DATABRICKS_TOKEN", tokens["dev"]["token"])
        clients["dev"].feature_store.create_online_store(OnlineStore(name=STORE, capacity="CU_1"))
        deployed = replace(local, engine="databricks")
        found = Workspace(cloud=cloud, clients=clients, said=said, context=Context(
            lakehouse=deployed, use_case=FLIGHTS, run_id="r", now=NOON, say=said.append))  # fmt: skip
        for feature in FLIGHTS.features:
            columns = feature.table.columns
            if feature.table == NEVER_WRITTEN:
                schema = pa.schema([(column.name, ARROW_TYPES[column.type]) for column in columns])
                local.tables.merge(feature.table, schema.empty_table())
            else:
                row = {c.name: NOON - HOUR if c.type == "timestamp" else PLAIN[c.type] for c in columns}
                local.tables.merge(feature.table, records(feature.table, [row]))
        refresh(found.context, NOON - HOUR)
        found.declare()
        yield found


def no_wait(_seconds: float) -> None:
    """Let no time pass between two looks."""


def test_every_table_that_predictions_look_up_is_published_and_the_same_again_changes_nothing(
    workspace: Workspace,
) -> None:
    """By the task itself; each online table stands beside its feature table, and nothing is behind.

    What was never written waits for the run that writes it.
    """
    wanted = sorted({lookup.table.address for lookup in FLIGHTS.lookups} - {NEVER_WRITTEN.address})
    for _ in range(2):
        result = publish_online(workspace.context)
        assert dict(result.values) == {"published": str(len(wanted))}
        assert workspace.online() == [f"dev.{address}_online" for address in wanted]
    assert workspace.findings() == []
    assert workspace.said[-1].endswith("is published whole.")
    (first,) = [one for one in workspace.cloud.world.store("workspace 1000000000000001", TABLES).values()
                if one["name"] == f"dev.{FEATURES.address}_online"]  # fmt: skip
    assert first["spec"] == {"source_table_full_name": f"dev.{FEATURES.address}", "scheduling_policy": "TRIGGERED"}


def test_a_table_that_stays_behind_is_a_finding_that_goes_with_the_next_publication(workspace: Workspace) -> None:
    """The pipeline brings what it had; which table, how many rows."""
    strict = replace(workspace.context, use_case=replace(FLIGHTS, online=OnlinePolicy(lag_hours=1e-9, wait_minutes=1)))
    old = workspace.version(FEATURES)
    refresh(workspace.context, NOON)
    workspace.declare(**{FEATURES.address: old})
    waited: list[float] = []
    lags = publish_all(strict, workspace.clients["dev"], sleep=waited.append)
    note(strict, lags)
    assert sum(waited) == 60
    (behind,) = [lag for lag in lags if lag.waiting]
    assert (behind.table, behind.waiting) == (FEATURES.address, 1)
    (found,) = workspace.findings()
    assert (found["kind"], found["statistic"]) == ("features_stale", FEATURES.address)
    assert any(line.startswith(f"{FEATURES.address}: the online store is ") for line in workspace.said)
    workspace.declare()
    assert all(not lag.waiting for lag in publish_all(strict, workspace.clients["dev"], sleep=no_wait))


def test_without_a_store_the_sentence_says_what_to_state(workspace: Workspace) -> None:
    """Nothing is published, and the feature tables are left as they are."""
    workspace.clients["dev"].feature_store.delete_online_store(STORE)
    with pytest.raises(
        TaskError, match=r"no online store 'online-features': state serving.online_store in the settings"
    ):
        publish_online(workspace.context)
    assert workspace.online() == []


@pytest.mark.parametrize(
    ("mode", "feed", "refused"),
    [(PublishMode.TRIGGERED, False, True), (PublishMode.SNAPSHOT, False, False), (PublishMode.CONTINUOUS, True, False)],
)
def test_each_mode_is_what_the_service_takes(
    mode: PublishMode, feed: bool, refused: bool, workspace: Workspace
) -> None:
    """Without a feed of changes only whole tables can be published; a pipeline that runs all the time is asked for once."""
    workspace.declare(feed=feed)
    context = replace(workspace.context, use_case=replace(FLIGHTS, online=OnlinePolicy(mode=mode, wait_minutes=1)))
    if refused:
        with pytest.raises(DatabricksError, match="Change data feed must be enabled"):
            publish_all(context, workspace.clients["dev"], sleep=no_wait)
        return
    assert all(lag.waiting == 0 for lag in publish_all(context, workspace.clients["dev"], sleep=no_wait))
    refresh(workspace.context, NOON)
    workspace.declare(feed=feed)
    pipelines = workspace.pipelines()
    assert all(lag.waiting == 0 for lag in publish_all(context, workspace.clients["dev"], sleep=no_wait))
    assert workspace.pipelines() == pipelines


def test_somebody_else_publishes_nothing(workspace: Workspace) -> None:
    """A member of the workspace has no permission on the store that the jobs' identity has made."""
    with pytest.raises(PermissionDenied, match="does not have CAN USE on the online store"):
        publish_all(workspace.context, workspace.clients["analyst"], sleep=no_wait)
    with pytest.raises(PermissionDenied, match="does not have CAN USE on the online store"):
        connection_arguments(workspace.clients["analyst"], store_address("dev"))


def test_a_pipeline_that_failed_ends_the_task_with_its_words(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a minute: until its next update has begun, the service shows how the last one ended."""
    looks: list[str] = []

    def failed(_context: Context, _client: WorkspaceClient, table: Table) -> SyncedTable:
        looks.append(table.name)
        state = "SYNCED_TABLE_ONLINE_PIPELINE_FAILED"
        return SyncedTable(name=f"dev.{table.address}_online", state=state, version=0, message="the disk is full")

    monkeypatch.setattr(online_publication, "_seen", failed)
    refresh(workspace.context, NOON)
    with pytest.raises(TaskError, match=r"_online is SYNCED_TABLE_ONLINE_PIPELINE_FAILED: the disk is full"):
        publish_all(workspace.context, workspace.clients["dev"], sleep=no_wait)
    assert looks.count(FEATURES.name) == online_publication.LOOKS_BEFORE_FAILURE + 1


def test_an_endpoint_connects_as_itself_to_the_compute_of_the_store(workspace: Workspace) -> None:
    """By a password that the service gives it; to the replicas where the store has some."""
    client, address = workspace.clients["dev"], store_address("dev")
    found = connection_arguments(client, address)
    assert (found["host"], found["dbname"]) == (f"{STORE}.database.westeurope.azuredatabricks.net", "dev")
    assert (found["user"], found["sslmode"]) == ("aaaaaaaa-0000-4000-8000-000000000001", "require")
    assert workspace.cloud.world.tokens[found["password"]].name == "dev"
    client.feature_store.update_online_store(STORE, OnlineStore(name=STORE, capacity="CU_1", read_replica_count=1), "*")
    assert connection_arguments(client, address)["host"] == f"ro-{STORE}.database.westeurope.azuredatabricks.net"
    client.feature_store.delete_online_store(STORE)
    with pytest.raises(StoreError, match="gives no way to the online store lakebase:online-features/dev"):
        connect(address)


def test_a_local_engine_says_who_publishes(workspace: Workspace) -> None:
    """Its endpoint; no workspace is asked."""
    local = replace(workspace.context, lakehouse=replace(workspace.context.lakehouse, engine="embedded"))
    assert dict(publish_online(local).values) == {"published": ""}
    assert "the endpoint publishes features" in workspace.said[-1]
    assert workspace.online() == []


def test_what_a_job_writes_can_be_published_with_what_the_catalog_knows_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables that an emulated cluster has made have their key there, and the feed that the task asks for before it publishes."""
    cloud = new_cloud()
    grants = cloud.world.store(f"metastore {METASTORE}", "grants")
    grants[f"metastore {METASTORE}"] = {RUNNER: ["CREATE_CATALOG"]}
    with served(cloud, tmp_path / "cloud") as addresses, open_lakehouse("dev", root=tmp_path / "dev") as local:
        token = token_of(cloud.world, "dev")
        client = WorkspaceClient(host=addresses.hosts["dev"], token=token, auth_type="pat")
        client.catalogs.create("dev")
        client.schemas.create(FEATURES.schema, "dev")
        client.feature_store.create_online_store(OnlineStore(name=STORE, capacity="CU_1"))
        store = AllowedStore(
            local.tables._store, Catalog(addresses.hosts["dev"], token), "dev", tmp_path / "commits", "r"
        )
        tables = Tables(local.spark, store)
        row = {c.name: NOON if c.type == "timestamp" else PLAIN[c.type] for c in FEATURES.columns}
        tables.merge(FEATURES, records(FEATURES, [row]))
        told = client.tables.get(f"dev.{FEATURES.address}")
        assert (told.owner, FEED in (told.properties or {})) == (RUNNER, False)
        lookups = tuple(one for one in FLIGHTS.lookups if one.table == FEATURES)
        monkeypatch.setattr(
            online_publication, "published_tables", lambda _context: feature_lookups(replace(FLIGHTS, lookups=lookups))
        )
        deployed = replace(local, engine="databricks", tables=tables)
        context = Context(lakehouse=deployed, use_case=FLIGHTS, run_id="r", now=NOON, say=lambda _: None)
        assert publish_all(context, client, sleep=no_wait) == (Lag(table=FEATURES.address, hours=0.0, waiting=0),)
        assert client.tables.get(f"dev.{FEATURES.address}_online").owner == RUNNER
