"""Makes all stacks from settings and declarations, in the order in which they are deployed.

The stacks are plain values: nothing here imports cdktf or writes a file.
"""

from collections.abc import Sequence

from infra.config.loading import Settings
from infra.config.model import StateStorage
from infra.constructs.deployment import Release, deployments
from infra.stacks.account import account_stack
from infra.stacks.platform import platform_stack
from infra.stacks.workspace import workspace_stack
from infra.synthesis.stack import RemoteState, Stack
from pipelines.declarations.use_case import UseCase


def stacks(settings: Settings, use_cases: Sequence[UseCase], release: Release) -> tuple[Stack, ...]:
    """Return every stack, each after those it reads.

    Parameters
    ----------
    settings
        The checked settings.
    use_cases
        The declared use cases.
    release
        The code to deploy.
    """
    planned = deployments(settings, use_cases, release)
    account = account_stack(settings, _state("account", settings.account.state))
    platforms = {
        name: platform_stack(deployment, account, _state(f"{name}-platform", deployment.settings.state))
        for name, deployment in planned.items()
    }
    workspaces = [
        workspace_stack(deployment, account, platforms, _state(f"{name}-workspace", deployment.settings.state))
        for name, deployment in planned.items()
    ]
    return (account, *platforms.values(), *workspaces)


def _state(stack: str, stated: StateStorage | None) -> RemoteState:
    if stated is None:
        return RemoteState(stack=stack, azure=None)
    return RemoteState(
        stack=stack,
        azure={
            "subscription_id": stated.subscription_id,
            "resource_group_name": stated.resource_group,
            "storage_account_name": stated.storage_account,
            "container_name": stated.container,
            "key": f"{stack}.tfstate",
        },
    )
