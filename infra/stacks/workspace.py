"""The objects inside one environment's workspace."""

from collections.abc import Mapping

from infra.deployment import Deployment
from infra.stack import RemoteState, Stack


def workspace_stack(
    deployment: Deployment, account: Stack, platforms: Mapping[str, Stack], state: RemoteState
) -> Stack:
    """Return the workspace stack of one environment."""
    platform = platforms[deployment.environment]
    stack = Stack(name=f"{deployment.environment}-workspace", description="catalog, compute, jobs", state=state)
    stack.provider(
        "databricks",
        "workspace",
        host=stack.reading(platform, "workspace_url"),
        azure_workspace_resource_id=stack.reading(platform, "workspace_resource_id"),
        auth_type="azure-cli",
    )
    stack.output("runner", stack.reading(account, f"runner_{deployment.environment}"))
    return stack
