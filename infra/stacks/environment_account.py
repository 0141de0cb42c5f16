"""One environment's place in the Databricks account: what only an account admin may make, once the workspace exists."""

from collections.abc import Mapping

from infra.config.naming import logical_id
from infra.config.stack_names import Part, stack_name
from infra.constructs.account.membership import membership, serverless_network
from infra.constructs.account.metastore_rights import metastore_rights
from infra.constructs.account.restrictions import restrictions
from infra.constructs.azure.openings import LAKE, WORKSPACE_STORAGE
from infra.constructs.deployment import Deployment
from infra.stacks.providers import databricks_account, databricks_workspace
from infra.synthesis.stack import RemoteState, Stack


def environment_account_stack(
    deployment: Deployment, account: Stack, platforms: Mapping[str, Stack], state: RemoteState
) -> Stack:
    """Return the account's part of one environment, which the identity of the account applies.

    Outputs
    -------
    ``workspace_url``, once the environment's own identity may sign in there.
    """
    platform = platforms[deployment.environment]
    stack = Stack(
        name=stack_name(Part.ENVIRONMENT_ACCOUNT, deployment.environment),
        description="the workspace's metastore, members, serverless network and restrictions, rights on the metastore",
        state=state,
    )
    url, workspace_id = stack.reading(platform, "workspace_url"), stack.reading(platform, "workspace_id")
    in_account = databricks_account(stack, deployment.account)
    in_workspace = databricks_workspace(
        stack, "workspace", host=url, resource_id=stack.reading(platform, "workspace_resource_id")
    )
    members = membership(stack, workspace_id, deployment=deployment, account=account, provider=in_account)
    storage = {"lake": stack.reading(platform, LAKE), "workspace": stack.reading(platform, WORKSPACE_STORAGE)}
    storage |= {logical_id(owner, "lake"): stack.reading(platforms[owner], LAKE) for owner in deployment.let_in_by}
    serverless_network(
        stack, workspace_id, deployment=deployment, account=account, storage=storage, provider=in_account
    )
    restrictions(stack, after=members, provider=in_workspace)
    metastore_rights(stack, deployment=deployment, account=account, after=members, provider=in_workspace)
    stack.output("workspace_url", url, after=stack.resources["databricks_grant.metastore"])
    return stack
