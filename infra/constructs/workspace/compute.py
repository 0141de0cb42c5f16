"""What work runs on: the instance pool, the SQL warehouse, cluster policies by team and size, interactive clusters."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from databricks.sdk.service.compute import AzureAvailability, DataSecurityMode
from databricks.sdk.service.iam import PermissionLevel
from databricks.sdk.service.sql import CreateWarehouseRequestWarehouseType

from infra.config.model import SizeInNodes, Team
from infra.config.naming import Kind, logical_id
from infra.constructs.deployment import Deployment
from infra.permissions.access import Permission, permissions
from infra.permissions.rights import Object
from infra.synthesis.stack import Provider, Resource, Stack
from pipelines.declarations.job import Size

INTERACTIVE = "interactive"


@dataclass(frozen=True, kw_only=True)
class Compute:
    """What teams share."""

    pool: Resource
    warehouse: Resource


def compute(stack: Stack, *, deployment: Deployment, runner: str, provider: Provider) -> Compute:
    """Add the pool from which job clusters draw, and the warehouse of dashboards and alerts."""
    stated = deployment.settings.compute
    pool = stack.add(
        "databricks_instance_pool",
        "pool",
        provider=provider,
        instance_pool_name=deployment.name(Kind.POOL),
        node_type_id=stated.pool.node_type,
        min_idle_instances=stated.pool.idle_minimum,
        max_capacity=stated.pool.capacity_maximum,
        idle_instance_autotermination_minutes=stated.pool.idle_minutes,
        preloaded_spark_versions=[stated.runtime],
        enable_elastic_disk=True,
        azure_attributes={"availability": AzureAvailability.ON_DEMAND_AZURE.value},
        custom_tags=dict(deployment.tags()),
    )
    attach = [Permission(principal=runner, level=PermissionLevel.CAN_ATTACH_TO)]
    permit(stack, "pool", {"instance_pool_id": pool.id}, [], attach, provider)
    warehouse = stack.add(
        "databricks_sql_endpoint",
        "warehouse",
        provider=provider,
        name=deployment.name(Kind.SQL_WAREHOUSE),
        cluster_size=stated.warehouse.size,
        min_num_clusters=1,
        max_num_clusters=stated.warehouse.clusters_maximum,
        auto_stop_mins=stated.warehouse.idle_minutes,
        enable_serverless_compute=True,
        warehouse_type=CreateWarehouseRequestWarehouseType.PRO.value,
        tags={"custom_tags": [{"key": key, "value": value} for key, value in deployment.tags().items()]},
    )
    people = permissions(Object.WAREHOUSE, deployment.holders)
    use = [Permission(principal=runner, level=PermissionLevel.CAN_USE)]
    permit(stack, "warehouse", {"sql_endpoint_id": warehouse.id}, people, use, provider)
    return Compute(pool=pool, warehouse=warehouse)


def permit(
    stack: Stack,
    label: str,
    target: Mapping[str, Any],
    groups: tuple[Permission, ...] | list[Permission],
    principals: list[Permission],
    provider: Provider,
) -> Resource:
    """Add the one list of permissions of a workspace object, for groups and for service principals."""
    return stack.add(
        "databricks_permissions",
        label,
        provider=provider,
        access_control=[
            *({"service_principal_name": p.principal, "permission_level": p.level.value} for p in principals),
            *({"group_name": p.principal, "permission_level": p.level.value} for p in groups),
        ],
        **target,
    )


def policies(
    stack: Stack, team: Team, *, deployment: Deployment, shared: Compute, runner: str, provider: Provider
) -> Mapping[str, Resource]:
    """Add a team's cluster policies: one for each size of its jobs, one for its interactive cluster where it has one."""
    stated = deployment.settings.compute
    kinds: dict[str, SizeInNodes] = {size.value: stated.sizes[size] for size in Size}
    if stated.interactive_cluster is not None:
        kinds[INTERACTIVE] = stated.sizes[stated.interactive_cluster.size]
    made = {}
    for kind, nodes in kinds.items():
        label = logical_id(team.name, kind)
        definition = policy_definition(
            nodes, interactive=kind == INTERACTIVE, team=team, deployment=deployment, pool=shared.pool
        )
        made[kind] = stack.add(
            "databricks_cluster_policy",
            label,
            provider=provider,
            name=deployment.name(Kind.POLICY, team.name, kind),
            definition=json.dumps(definition, sort_keys=True),
        )
        use = [Permission(principal=runner, level=PermissionLevel.CAN_USE)]
        permit(stack, logical_id("policy", label), {"cluster_policy_id": made[kind].id}, [], use, provider)
    return made


def policy_definition(
    nodes: SizeInNodes, *, interactive: bool, team: Team, deployment: Deployment, pool: Resource
) -> Mapping[str, Mapping[str, object]]:
    """Return what clusters under a policy must be, in the policy language of Databricks.

    Parameters
    ----------
    nodes
        What the size means in this environment.
    interactive
        For people, and ending by itself; otherwise for jobs alone.
    """
    stated = deployment.settings.compute
    mode = DataSecurityMode.DATA_SECURITY_MODE_DEDICATED if interactive else DataSecurityMode.SINGLE_USER
    idle = stated.interactive_cluster.idle_minutes if interactive and stated.interactive_cluster else None
    limits: dict[str, Mapping[str, object]] = {
        "spark_version": _fixed(stated.runtime),
        "data_security_mode": _fixed(mode.value),
        "cluster_type": _fixed("all-purpose" if interactive else "job"),
        "autoscale.min_workers": _fixed(nodes.workers_minimum),
        "autoscale.max_workers": {"type": "range", "maxValue": nodes.workers_maximum},
        "init_scripts.*.volumes.destination": {"type": "forbidden"},
        "init_scripts.*.workspace.destination": {"type": "forbidden"},
    }
    if idle is not None:
        limits["autotermination_minutes"] = _fixed(idle)
    for key, value in machines(nodes, deployment, pool).items():
        limits[key] = _fixed(value)
    for key, value in deployment.tags(team).items():
        if key not in ("use_case", "managed_by"):
            limits[f"custom_tags.{key}"] = _fixed(value)
    return limits


def machines(nodes: SizeInNodes, deployment: Deployment, pool: Resource) -> Mapping[str, Any]:
    """Return which machines a cluster uses: the pool's where its node type is the pool's, else its own."""
    if nodes.node_type == deployment.settings.compute.pool.node_type:
        return {"instance_pool_id": pool.id}
    return {"node_type_id": nodes.node_type}


def _fixed(value: object) -> Mapping[str, object]:
    return {"type": "fixed", "value": value}


def interactive_cluster(
    stack: Stack,
    team: Team,
    *,
    deployment: Deployment,
    policy: Resource,
    shared: Compute,
    wheel_path: str,
    group: str,
    provider: Provider,
) -> Resource:
    """Add the cluster on which a team's people work: under its policy, with the wheel, ending by itself.

    Its size stands in arguments that Databricks changes in place, so a change never replaces the cluster. It is
    dedicated to the team's group, whose members attach by that group's permission and in no other way.
    """
    stated = deployment.settings.compute
    if stated.interactive_cluster is None:
        raise ValueError(f"environment {deployment.environment} has no interactive clusters.")
    nodes = stated.sizes[stated.interactive_cluster.size]
    cluster = stack.add(
        "databricks_cluster",
        logical_id(team.name),
        provider=provider,
        cluster_name=deployment.name(Kind.CLUSTER, team.name),
        spark_version=stated.runtime,
        policy_id=policy.id,
        apply_policy_default_values=True,
        data_security_mode=DataSecurityMode.DATA_SECURITY_MODE_DEDICATED.value,
        single_user_name=group,
        autotermination_minutes=stated.interactive_cluster.idle_minutes,
        autoscale={"min_workers": nodes.workers_minimum, "max_workers": nodes.workers_maximum},
        library=[{"whl": wheel_path}],
        custom_tags=dict(deployment.tags(team)),
        no_wait=True,
        **machines(nodes, deployment, shared.pool),
    )
    people = permissions(Object.CLUSTER, [h for h in deployment.holders if h.principal == group])
    permit(stack, logical_id("cluster", team.name), {"cluster_id": cluster.id}, people, [], provider)
    return cluster
