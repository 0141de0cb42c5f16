"""Makes all stacks from settings and declarations, in the order in which they are deployed.

The stacks are plain values: nothing here imports cdktf or writes a file.
"""

from collections.abc import Sequence

from infra.config.loading import Settings
from infra.config.stack_names import ACCOUNT, Part, identity_of, stack_name
from infra.constructs.deployment import deployments
from infra.constructs.release import Release
from infra.stacks.account import account_stack
from infra.stacks.environment_account import environment_account_stack
from infra.stacks.platform import platform_stack
from infra.stacks.renaming import move_renamed_teams
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
    made = _stacks(settings, use_cases, release)
    move_renamed_teams(made, settings, lambda others: _stacks(others, use_cases, release))
    return made


def _stacks(settings: Settings, use_cases: Sequence[UseCase], release: Release) -> tuple[Stack, ...]:
    planned = deployments(settings, use_cases, release)
    account = account_stack(settings, _state(ACCOUNT, settings))
    platforms = {
        name: platform_stack(deployment, account, _state(stack_name(Part.PLATFORM, name), settings))
        for name, deployment in planned.items()
    }
    admitted = {
        name: environment_account_stack(
            deployment, account, platforms, _state(stack_name(Part.ENVIRONMENT_ACCOUNT, name), settings)
        )
        for name, deployment in planned.items()
    }
    workspaces = [
        workspace_stack(
            deployment, account, platforms, admitted[name], _state(stack_name(Part.WORKSPACE, name), settings)
        )
        for name, deployment in planned.items()
    ]
    return (account, *platforms.values(), *admitted.values(), *workspaces)


def _state(stack: str, settings: Settings) -> RemoteState:
    """Return the place of a stack's state, to which only the identity that applies the stack may write."""
    identity = identity_of(stack)
    stated = settings.account.state if identity == ACCOUNT else settings.environments[identity].state
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
