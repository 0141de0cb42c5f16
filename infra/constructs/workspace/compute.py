"""What the teams of a workspace share: the instance pool of job clusters, the SQL warehouse of dashboards and alerts."""

from dataclasses import dataclass

from databricks.sdk.service.compute import AzureAvailability
from databricks.sdk.service.iam import PermissionLevel
from databricks.sdk.service.sql import CreateWarehouseRequestWarehouseType

from infra.config.naming import ResourceKind
from infra.constructs.workspace.context import WorkspaceContext
from infra.permissions.grants import permissions
from infra.permissions.roles import Object
from infra.synthesis.stack import Resource


@dataclass(frozen=True, kw_only=True)
class SharedCompute:
    """The pool and the warehouse of one workspace."""

    pool: Resource
    warehouse: Resource


def shared_compute(workspace: WorkspaceContext) -> SharedCompute:
    """Add the pool and the warehouse."""
    return SharedCompute(pool=_pool(workspace), warehouse=_warehouse(workspace))


def _pool(workspace: WorkspaceContext) -> Resource:
    deployment, stated = workspace.deployment, workspace.deployment.settings.compute
    pool = workspace.add(
        "databricks_instance_pool",
        "pool",
        instance_pool_name=deployment.name(ResourceKind.POOL),
        node_type_id=stated.pool.node_type,
        min_idle_instances=stated.pool.idle_minimum,
        max_capacity=stated.pool.capacity_maximum,
        idle_instance_autotermination_minutes=stated.pool.idle_minutes,
        preloaded_spark_versions=[stated.runtime],
        enable_elastic_disk=True,
        azure_attributes={"availability": AzureAvailability.ON_DEMAND_AZURE.value},
        custom_tags=dict(deployment.tags()),
    )
    # The principal of the jobs deploys the pool as well: Databricks refuses a list that takes that from it.
    workspace.permit("pool", jobs=PermissionLevel.CAN_MANAGE, instance_pool_id=pool.id)
    return pool


def _warehouse(workspace: WorkspaceContext) -> Resource:
    deployment, stated = workspace.deployment, workspace.deployment.settings.compute.warehouse
    warehouse = workspace.add(
        "databricks_sql_endpoint",
        "warehouse",
        name=deployment.name(ResourceKind.SQL_WAREHOUSE),
        cluster_size=stated.size,
        min_num_clusters=1,
        max_num_clusters=stated.clusters_maximum,
        auto_stop_mins=stated.idle_minutes,
        enable_serverless_compute=True,
        warehouse_type=CreateWarehouseRequestWarehouseType.PRO.value,
        tags={"custom_tags": [{"key": key, "value": value} for key, value in deployment.tags().items()]},
    )
    workspace.permit(
        "warehouse",
        groups=permissions(Object.WAREHOUSE, deployment.holders),
        jobs=PermissionLevel.IS_OWNER,
        sql_endpoint_id=warehouse.id,
    )
    return warehouse
