"""The settings of a workspace in the Databricks account: metastore, members, network of serverless compute.

All of it needs an account admin, which no environment's identity is.
"""

from collections.abc import Mapping

from databricks.sdk.service.iam import WorkspacePermission

from infra.config.naming import ResourceKind, logical_id
from infra.constructs.deployment import Deployment
from infra.permissions.grants import Holder
from infra.synthesis.stack import Provider, Resource, Stack

SERVICES = ("dfs", "blob")
"""The services of storage that serverless compute reaches through private endpoints."""


def membership(
    stack: Stack, workspace_id: str, *, deployment: Deployment, account: Stack, provider: Provider
) -> tuple[Resource, ...]:
    """Attach the workspace to the metastore and add its members.

    Returns
    -------
    tuple of Resource
        What the environment's own identity and that of the account need before they can sign in to the workspace.
    """
    assignment = stack.add(
        "databricks_metastore_assignment",
        "metastore",
        provider=provider,
        workspace_id=workspace_id,
        metastore_id=stack.reading(account, "metastore_id"),
    )
    job_principal = stack.reading(account, f"runner_id_{deployment.environment}")
    runner = _admit(stack, "runner", workspace_id, job_principal, WorkspacePermission.ADMIN, assignment, provider)
    # A setting that only account admins may change is changed by an account admin who is a member of the workspace.
    own = stack.reading(account, "deployer_id")
    deployer = _admit(stack, "deployer", workspace_id, own, WorkspacePermission.ADMIN, assignment, provider)
    for holder in deployment.holders:
        if holder.rights.workspace is not None:
            label = _label(holder, deployment)
            group = stack.reading(account, f"group_{label}")
            _admit(stack, label, workspace_id, group, holder.rights.workspace, assignment, provider)
    return (runner, deployer)


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
) -> Resource:
    return stack.add(
        "databricks_mws_permission_assignment",
        label,
        provider=provider,
        depends_on=(assignment,),
        workspace_id=workspace_id,
        principal_id=principal_id,
        permissions=[level.value],
    )


def serverless_network(
    stack: Stack,
    workspace_id: str,
    *,
    deployment: Deployment,
    account: Stack,
    storage: Mapping[str, str],
    provider: Provider,
) -> None:
    """Let serverless compute reach storage privately, and the internet within the network policy.

    Parameters
    ----------
    storage
        Azure ids of storage accounts, each by the label of its private endpoints: the environment's lake, the workspace's
        own, and the lakes of environments that give this one access, whose owners approve the endpoints.
    """
    connectivity = stack.add(
        "databricks_mws_network_connectivity_config",
        "serverless",
        provider=provider,
        name=deployment.name(ResourceKind.CONNECTIVITY),
        region=deployment.settings.region,
    )
    config_id = connectivity.attribute("network_connectivity_config_id")
    for label, storage_id in storage.items():
        for service in SERVICES:
            stack.add(
                "databricks_mws_ncc_private_endpoint_rule",
                logical_id(label, service),
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
