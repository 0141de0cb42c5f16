"""Publishes feature tables to the Online Feature Store of a workspace; the last task of the job that refreshes them.

Terraform declares the store. What is in it is published by the service: each feature table has an online table beside it in the
catalog, which a pipeline of the platform fills with the newest row of each entity
(https://learn.microsoft.com/en-us/azure/databricks/machine-learning/feature-store/online-feature-store). Publishing again brings
what has changed since; so this task may be repeated. Local engines have no such store: the endpoint there keeps its own
(`pipelines.serving.online_upkeep`), and the task says so.

Only the identity that made the store, the administrators of the workspace and whoever has a permission on it may publish to it;
that identity is the one of the jobs. Beside that it needs what the job has anyway: to read the feature tables, and to create
tables in their schemas.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from ml.monitoring.stale_features import stale_finding
from ml.spec.online_policy import OnlinePolicy, PublishMode
from pipelines.declarations.asset import Table
from pipelines.declarations.online_store import STORE, online_table
from pipelines.execution.context import Context, TaskError, TaskResult
from pipelines.execution.windows import window_of
from pipelines.tasks.kept_findings import keep_finding
from pipelines.tasks.predictions.publishing import Lag, published_tables
from pipelines.tasks.predictions.synced_tables import (
    SyncedTable,
    Synchronisation,
    behind,
    newest_change,
    synchronisation,
)
from pipelines.telemetry.attributes import TABLE
from pipelines.telemetry.events import STORE_BEHIND
from pipelines.telemetry.instruments import STORE_LAG
from pipelines.telemetry.recording import event, measure

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

SECONDS_BETWEEN_LOOKS = 10.0
LOOKS_BEFORE_FAILURE = 6
"""So often a pipeline may be seen as failed before it counts: until the update that was asked for has begun, the last one's state is shown."""
UNREADY = ("DELETING", "STOPPED")
"""States of a store that takes no publication and will not by itself."""


def publish_online(context: Context) -> TaskResult:
    """Bring the online tables of the use case up to its feature tables, and keep a finding of each that stays behind.

    Raises
    ------
    TaskError
        If the workspace has no store, or a pipeline has failed, with the service's own words.
    """
    if context.lakehouse.engine != "databricks":
        context.say("this engine has no online store of its own: the endpoint publishes features as long as it runs")
        return TaskResult(values={"published": ""})
    from databricks.sdk import WorkspaceClient

    lags = publish_all(context, WorkspaceClient())
    note(context, lags)
    return TaskResult(values={"published": str(len(lags))})


def publish_all(
    context: Context, client: "WorkspaceClient", *, sleep: Callable[[float], None] = time.sleep
) -> tuple[Lag, ...]:
    """Publish every feature table that predictions look up, wait for the pipelines, and return how far each is behind.

    A table that was never written is left for the next run: there is nothing yet that a pipeline could read.

    Raises
    ------
    TaskError
        As `publish_online`.
    """
    policy = context.use_case.online or OnlinePolicy()
    require_store(client)
    by_address = {table.address: table for table in context.use_case.feature_tables}
    tables = [by_address[lookup.table] for lookup in published_tables(context)]
    wanted = {table: newest_change(context.lakehouse.tables.history(table)) for table in tables}
    written = [table for table, version in wanted.items() if version is not None]
    for table in written:
        if policy.mode.reads_changes:
            context.lakehouse.tables.record_changes(table)
        _publish(context, client, table, policy)
    seen = _awaited(
        context, client, written, {table: wanted[table] for table in written},
        looks=int(policy.wait_minutes * 60 / SECONDS_BETWEEN_LOOKS), sleep=sleep,
    )  # fmt: skip
    found = []
    for table in written:
        hours, waiting = behind(context.lakehouse.tables.history(table), seen[table].version)
        found.append(Lag(table=table.address, hours=hours, waiting=waiting))
    return tuple(found)


def require_store(client: "WorkspaceClient") -> None:
    """Refuse to publish where there is no store, or one that was stopped.

    Raises
    ------
    TaskError
        With what to do.
    """
    from databricks.sdk.errors import NotFound

    try:
        state = client.feature_store.get_online_store(STORE).state
    except NotFound:
        raise TaskError(
            f"the workspace has no online store {STORE!r}: state serving.online_store in the settings of the environment and "
            "deploy it, or leave `online` out of the use case."
        ) from None
    if state is not None and state.value in UNREADY:
        raise TaskError(f"the online store {STORE!r} is {state.value}: start it in the workspace, or deploy it again.")


def note(context: Context, lags: Sequence[Lag]) -> None:
    """Say and measure how far each online table is behind; too far is a finding of the day."""
    policy = context.use_case.online or OnlinePolicy()
    for lag in lags:
        context.say(lag.sentence)
        hours = lag.hours
        if hours is None:  # never published: all hours of the limit, and one more
            hours = policy.lag_hours + 1
        measure(STORE_LAG, hours * 3600, {TABLE: lag.table})
        found = stale_finding(
            window_of(context.now, "day"), table=lag.table, waiting=lag.waiting, hours=hours, allowed=policy.lag_hours,
            at=context.now, look="look at the pipeline of its online table in the workspace",
        )  # fmt: skip
        if found is not None:
            event(STORE_BEHIND, {TABLE: lag.table})
            keep_finding(context, found, at=context.now)


def _publish(context: Context, client: "WorkspaceClient", table: Table, policy: OnlinePolicy) -> None:
    """Publish one table; a pipeline that runs all the time needs to be told once."""
    from databricks.sdk.service.ml import PublishSpec, PublishSpecPublishMode

    if policy.mode is PublishMode.CONTINUOUS and _seen(context, client, table) is not None:
        return
    client.feature_store.publish_table(
        _address(context, table),
        PublishSpec(
            online_store=STORE,
            online_table_name=_online(context, table),
            publish_mode=PublishSpecPublishMode(policy.mode.value),
        ),
    )


def _awaited(
    context: Context, client: "WorkspaceClient", tables: Sequence[Table], wanted: Mapping[Table, int | None], *, looks: int,
    sleep: Callable[[float], None],
) -> dict[Table, SyncedTable]:  # fmt: skip
    """Return what the platform says of each online table, once all are done or the wait is over."""
    for look in range(looks + 1):
        seen = {
            table: _seen(context, client, table) or SyncedTable(name=_online(context, table), state="", version=None)
            for table in tables
        }
        where = {table: synchronisation(one, wanted[table]) for table, one in seen.items()}
        failed = [seen[table] for table in tables if where[table] is Synchronisation.FAILED]
        if failed and look >= min(looks, LOOKS_BEFORE_FAILURE):
            said = "; ".join(
                f"{one.name} is {one.state}: {one.message or 'the service says no more'}" for one in failed
            )
            raise TaskError(f"{said}. Look at its pipeline in the workspace; the next run publishes again.")
        if look == looks or all(one is Synchronisation.DONE for one in where.values()):
            return seen
        sleep(SECONDS_BETWEEN_LOOKS)
    raise AssertionError  # the last look returns


def _seen(context: Context, client: "WorkspaceClient", table: Table) -> SyncedTable | None:
    """Return what the platform says of an online table; None if there is none."""
    from databricks.sdk.errors import NotFound

    name = _online(context, table)
    try:
        status = client.database.get_synced_database_table(name).data_synchronization_status
    except NotFound:
        return None
    if status is None:
        return SyncedTable(name=name, state="", version=None)
    info = status.last_sync.delta_table_sync_info if status.last_sync else None
    return SyncedTable(
        name=name, state=status.detailed_state.value if status.detailed_state else "",
        version=info.delta_commit_version if info else None, message=status.message or "",
    )  # fmt: skip


def _address(context: Context, table: Table) -> str:
    return f"{context.lakehouse.environment.catalog}.{table.address}"


def _online(context: Context, table: Table) -> str:
    return f"{context.lakehouse.environment.catalog}.{online_table(table.address)}"
