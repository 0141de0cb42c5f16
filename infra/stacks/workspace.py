"""The objects inside one environment's workspace: its catalog, and everything its teams have in it."""

from collections.abc import Mapping
from dataclasses import dataclass

from infra.config.model import Team
from infra.config.naming import logical_id, team_group
from infra.constructs.azure.openings import LAKE, own_network, way_to_lake
from infra.constructs.deployment import Deployment
from infra.constructs.use_case.deployed_jobs import deployed_jobs
from infra.constructs.use_case.monitoring import watching
from infra.constructs.use_case.use_case import (
    UseCaseFrame,
    experiments_folder,
    folder,
    use_case_data,
    use_case_workspace,
)
from infra.constructs.workspace.catalog import Lakehouse, lakehouse
from infra.constructs.workspace.compute import INTERACTIVE, Compute, compute, interactive_cluster, policies
from infra.constructs.workspace.hardening import hardening
from infra.constructs.workspace.secrets import secret_scope
from infra.permissions.rights import Object
from infra.stacks.providers import azure_subscription, databricks_account
from infra.synthesis.stack import Provider, RemoteState, Resource, Stack


def workspace_stack(
    deployment: Deployment, account: Stack, platforms: Mapping[str, Stack], state: RemoteState
) -> Stack:
    """Return the workspace stack of one environment.

    Outputs
    -------
    ``catalog``, ``wheel`` (its path in the volume) and, once the wheel is built, ``wheel_sha256``.
    """
    environment = deployment.environment
    platform = platforms[environment]
    stack = Stack(
        name=f"{environment}-workspace",
        description="catalog, compute and, for every team, its data, jobs, permissions, serving and monitoring",
        state=state,
    )
    provider = stack.provider(
        "databricks",
        "workspace",
        host=stack.reading(platform, "workspace_url"),
        azure_workspace_resource_id=stack.reading(platform, "workspace_resource_id"),
        auth_type="azure-cli",
    )
    runner = stack.reading(account, f"runner_{environment}")
    lake = lakehouse(
        stack,
        deployment=deployment,
        connector_id=stack.reading(platform, "connector_id"),
        lake_url=stack.reading(platform, "lake_url"),
        runner=runner,
        reading_workspaces={
            name: stack.reading(platforms[name], "workspace_id")
            for name in dict.fromkeys((*deployment.readers, *deployment.receivers))
        },
        receivers=[stack.reading(account, f"runner_{name}") for name in deployment.receivers],
        provider=provider,
    )
    hardening(stack, deployment=deployment, catalog=lake.catalog, provider=provider)
    shared = compute(stack, deployment=deployment, runner=runner, provider=provider)
    around = _Around(
        deployment=deployment,
        account=account,
        lakehouse=lake,
        shared=shared,
        experiments=experiments_folder(stack, runner=runner, provider=provider),
        runner=runner,
        provider=provider,
    )
    for team in deployment.teams:
        _team(stack, team, around)
    if deployment.let_in_by:
        _openings(stack, deployment, platforms)
    stack.output("catalog", lake.catalog.attribute("name"))
    stack.output("wheel", lake.wheel.attribute("path"))
    if deployment.release.sha256 is not None:
        stack.output("wheel_sha256", deployment.release.sha256, after=lake.wheel)
    return stack


def _openings(stack: Stack, deployment: Deployment, platforms: Mapping[str, Stack]) -> None:
    """Add the network ways to the lakes of all that let this environment in."""
    azure, account = azure_subscription(stack, deployment), databricks_account(stack, deployment.account)
    network = own_network(stack, platforms[deployment.environment])
    for owner in deployment.let_in_by:
        way_to_lake(
            stack,
            owner,
            lake_id=stack.reading(platforms[owner], LAKE),
            deployment=deployment,
            network=network,
            azure=azure,
            account=account,
        )


@dataclass(frozen=True, kw_only=True)
class _Around:
    """What all teams of an environment have around them."""

    deployment: Deployment
    account: Stack
    lakehouse: Lakehouse
    shared: Compute
    experiments: Resource
    runner: str
    provider: Provider


def _team(stack: Stack, team: Team, around: _Around) -> None:
    """Add everything a team has: policies, secrets, its cluster where there is one, and its use cases."""
    deployment, runner, provider = around.deployment, around.runner, around.provider
    group = team_group(deployment.account.organisation, team.name)
    holder = next(holder for holder in deployment.holders if holder.principal == group)
    made = policies(stack, team, deployment=deployment, shared=around.shared, runner=runner, provider=provider)
    secret_scope(stack, team, holder, deployment=deployment, runner=runner, provider=provider)
    if INTERACTIVE in made and Object.CLUSTER in holder.rights.levels:
        interactive_cluster(
            stack,
            team,
            deployment=deployment,
            policy=made[INTERACTIVE],
            shared=around.shared,
            wheel_path=around.lakehouse.wheel.attribute("path"),
            group=group,
            provider=provider,
        )
    budget_policy_id = stack.reading(around.account, f"budget_policy_{logical_id(team.name)}")
    for use_case in deployment.of_team(team):
        frame = UseCaseFrame(
            use_case=use_case,
            team=team,
            deployment=deployment,
            lakehouse=around.lakehouse,
            shared=around.shared,
            runner=runner,
            receivers=tuple(stack.reading(around.account, f"runner_{n}") for n in deployment.received_by(use_case)),
            folder=folder(stack, use_case, deployment=deployment, runner=runner, provider=provider),
            experiments=around.experiments,
            provider=provider,
        )
        use_case_data(stack, frame)
        use_case_workspace(stack, frame)
        watching(stack, frame)
        deployed_jobs(stack, frame, policies=made, budget_policy_id=budget_policy_id)
