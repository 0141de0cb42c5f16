"""The settings of a workspace in the Databricks account: metastore, members, network of serverless compute."""

from collections.abc import Mapping

from databricks.sdk.service.iam import WorkspacePermission

from infra.config.naming import ResourceKind, logical_id
from infra.constructs.deployment import Deployment
from infra.permissions.grants import Holder
from infra.synthesis.stack import Provider, Resource, Stack


def membership(
    stack: Stack,
    workspace: Resource,
    *,
    deployment: Deployment,
    account: Stack,
    storage_ids: Mapping[str, str],
    provider: Provider,
) -> Resource:
    """Attach the workspace to the metastore, add its members and its network policy.

    Parameters
    ----------
    storage_ids
        Resource ids of the storage accounts that serverless compute uses, by a label.

    Returns
    -------
    Resource
        The network configuration of serverless compute.
    """
    workspace_id = workspace.attribute("workspace_id")
    assignment = stack.add(
        "databricks_metastore_assignment",
        "metastore",
        provider=provider,
        workspace_id=workspace_id,
        metastore_id=stack.reading(account, "metastore_id"),
    )
    job_principal = stack.reading(account, f"runner_id_{deployment.environment}")
    _admit(stack, "runner", workspace_id, job_principal, WorkspacePermission.ADMIN, assignment, provider)
    for holder in deployment.holders:
        if holder.rights.workspace is not None:
            label = _label(holder, deployment)
            group = stack.reading(account, f"group_{label}")
            _admit(stack, label, workspace_id, group, holder.rights.workspace, assignment, provider)
    return _connect_serverless(stack, workspace_id, deployment, account, storage_ids, provider)


def _label(holder: Holder, deployment: Deployment) -> str:
    """Return the label of a holder's group in the outputs of the account stack."""
    return logical_id(holder.principal.removeprefix(f"grp-{deployment.account.organisation}-"))


def _admit(
    stack: Stack,
    label: str,
    workspace_id: str,
    principal_id: str,
    level: WorkspacePermission,
    assignment: Resource,
    provider: Provider,
) -> None:
    stack.add(
        "databricks_mws_permission_assignment",
        label,
        provider=provider,
        depends_on=(assignment,),
        workspace_id=workspace_id,
        principal_id=principal_id,
        permissions=[level.value],
    )


def _connect_serverless(
    stack: Stack,
    workspace_id: str,
    deployment: Deployment,
    account: Stack,
    storage_ids: Mapping[str, str],
    provider: Provider,
) -> Resource:
    """Let serverless compute reach the storage privately, and the internet within the network policy."""
    connectivity = stack.add(
        "databricks_mws_network_connectivity_config",
        "serverless",
        provider=provider,
        name=deployment.name(ResourceKind.CONNECTIVITY),
        region=deployment.settings.region,
    )
    config_id = connectivity.attribute("network_connectivity_config_id")
    for label, storage_id in storage_ids.items():
        for service in ("dfs", "blob"):
            stack.add(
                "databricks_mws_ncc_private_endpoint_rule",
                f"{label}_{service}",
                provider=provider,
                network_connectivity_config_id=config_id,
                resource_id=storage_id,
                group_id=service,
            )
    stack.add(
        "databricks_mws_ncc_binding",
        "serverless",
        provider=provider,
        network_connectivity_config_id=config_id,
        workspace_id=workspace_id,
    )
    stack.add(
        "databricks_workspace_network_option",
        "egress",
        provider=provider,
        workspace_id=workspace_id,
        network_policy_id=stack.reading(account, f"network_policy_{deployment.environment}"),
    )
    return connectivity
