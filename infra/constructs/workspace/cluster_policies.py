"""The cluster policies of a team and the cluster on which its people work."""

import json
import re
from collections.abc import Mapping
from typing import Any

from databricks.sdk.service.compute import DataSecurityMode
from databricks.sdk.service.iam import PermissionLevel

from infra.config.model import SizeInNodes, Team
from infra.config.naming import ResourceKind
from infra.constructs.deployment import Deployment
from infra.constructs.workspace.catalog import EnvironmentCatalog
from infra.constructs.workspace.cluster_sizes import machines, nodes_of
from infra.constructs.workspace.context import WorkspaceContext
from infra.permissions.grants import permissions
from infra.permissions.roles import Object
from infra.synthesis.stack import Resource
from pipelines.declarations.job import Size

INTERACTIVE = "interactive"
GROUP_CLUSTER = "CLASSIC_PREVIEW"


def cluster_policies(workspace: WorkspaceContext, team: Team, pool: Resource) -> Mapping[str, Resource]:
    """Add a team's policies: one for each size of its jobs, one for its interactive cluster where it has one."""
    deployment = workspace.deployment
    kinds: dict[str, SizeInNodes] = {size.value: nodes_of(size, deployment) for size in Size}
    if (interactive := deployment.settings.compute.interactive_cluster) is not None:
        kinds[INTERACTIVE] = nodes_of(interactive.size, deployment)
    policies = {}
    for kind, nodes in kinds.items():
        definition = policy_definition(nodes, deployment, team, pool, interactive=kind == INTERACTIVE)
        policies[kind] = workspace.add(
            "databricks_cluster_policy",
            team.name,
            kind,
            name=deployment.name(ResourceKind.POLICY, team.name, kind),
            definition=json.dumps(definition, sort_keys=True),
        )
        workspace.permit("policy", team.name, kind, jobs=PermissionLevel.CAN_USE, cluster_policy_id=policies[kind].id)
    return policies


def policy_definition(
    nodes: SizeInNodes, deployment: Deployment, team: Team, pool: Resource, *, interactive: bool
) -> Mapping[str, Mapping[str, object]]:
    """Return the limits of clusters under a policy, in the policy language of Databricks.

    Parameters
    ----------
    nodes
        What the size means in this environment.
    interactive
        Whether people use the cluster, which then terminates when idle; otherwise only jobs may use it.
    """
    stated = deployment.settings.compute
    mode = DataSecurityMode.DATA_SECURITY_MODE_DEDICATED if interactive else DataSecurityMode.SINGLE_USER
    runtime: Mapping[str, Any] = release_and_ml(stated.runtime) if interactive else {"spark_version": stated.runtime}
    limits: dict[str, Mapping[str, object]] = {
        **{name: _fixed(value) for name, value in runtime.items()},
        "data_security_mode": _fixed(mode.value),
        "cluster_type": _fixed("all-purpose" if interactive else "job"),
        "autoscale.min_workers": _fixed(nodes.workers_minimum),
        "autoscale.max_workers": {"type": "range", "maxValue": nodes.workers_maximum},
        "init_scripts.*.volumes.destination": {"type": "forbidden"},
        "init_scripts.*.workspace.destination": {"type": "forbidden"},
    }
    if interactive and stated.interactive_cluster is not None:
        limits["autotermination_minutes"] = _fixed(stated.interactive_cluster.idle_minutes)
    for key, value in machines(nodes, deployment, pool).items():
        limits[key] = _fixed(value)
    for key, value in deployment.tags(team).items():
        if key not in ("use_case", "managed_by"):
            limits[f"custom_tags.{key}"] = _fixed(value)
    return limits


def interactive_cluster(
    workspace: WorkspaceContext, team: Team, *, policy: Resource, pool: Resource, catalog: EnvironmentCatalog
) -> Resource | None:
    """Add the cluster on which a team's people work, if the settings give the environment one and the team access to it.

    Databricks changes the arguments that state its size in place, so a change never replaces the cluster. It is
    dedicated to the team's group, whose members attach by that group's permission and in no other way. A group takes the
    place of a user only on a cluster of this kind, which names release and ML apart:
    github.com/databricks/terraform-provider-databricks/blob/v1.99.0/docs/resources/cluster.md.
    """
    deployment, stated = workspace.deployment, workspace.deployment.settings.compute
    holder = deployment.holder_of(team)
    if stated.interactive_cluster is None or Object.CLUSTER not in holder.rights.levels:
        return None
    nodes = nodes_of(stated.interactive_cluster.size, deployment)
    cluster = workspace.add(
        "databricks_cluster",
        team.name,
        cluster_name=deployment.name(ResourceKind.CLUSTER, team.name),
        kind=GROUP_CLUSTER,
        **release_and_ml(stated.runtime),
        policy_id=policy.id,
        data_security_mode=DataSecurityMode.DATA_SECURITY_MODE_DEDICATED.value,
        single_user_name=holder.principal,
        autotermination_minutes=stated.interactive_cluster.idle_minutes,
        autoscale={"min_workers": nodes.workers_minimum, "max_workers": nodes.workers_maximum},
        library=[{"whl": catalog.wheel_path}, {"requirements": catalog.requirements_path}],
        custom_tags=dict(deployment.tags(team)),
        no_wait=True,
        **machines(nodes, deployment, pool),
    )
    workspace.permit("cluster", team.name, groups=permissions(Object.CLUSTER, [holder]), cluster_id=cluster.id)
    return cluster


def release_and_ml(runtime: str) -> Mapping[str, Any]:
    """Return a runtime as clusters of the newer kind name it: the release without ``cpu-ml``, and whether it is ML."""
    return {"spark_version": _ML.sub("-", runtime), "use_ml_runtime": True}


_ML = re.compile(r"-(cpu|gpu)-ml-")


def _fixed(value: object) -> Mapping[str, object]:
    return {"type": "fixed", "value": value}
