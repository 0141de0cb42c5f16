"""The objects inside one environment's workspace: its catalog, and everything its teams have in it."""

from collections.abc import Mapping

from infra.access import Holder
from infra.constructs.compute import Compute, compute, interactive_cluster, policies
from infra.constructs.deployed_jobs import deployed_jobs
from infra.constructs.hardening import hardening
from infra.constructs.lakehouse import Lakehouse, lakehouse
from infra.constructs.secrets import secret_scope
from infra.constructs.use_case import UseCaseFrame, folder, use_case_data, use_case_workspace
from infra.constructs.watching import watching
from infra.deployment import Deployment
from infra.naming import logical_id, team_group
from infra.settings_model import Team
from infra.stack import Provider, RemoteState, Stack


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
        reading_workspaces={name: stack.reading(platforms[name], "workspace_id") for name in deployment.readers},
        provider=provider,
    )
    hardening(stack, deployment=deployment, catalog=lake.catalog, provider=provider)
    shared = compute(stack, deployment=deployment, runner=runner, provider=provider)
    for team in deployment.teams:
        _team(stack, team, deployment, account, lake, shared, runner, provider)
    stack.output("catalog", lake.catalog.attribute("name"))
    stack.output("wheel", lake.wheel.attribute("path"))
    if deployment.release.sha256 is not None:
        stack.output("wheel_sha256", deployment.release.sha256)
    return stack


def _team(
    stack: Stack,
    team: Team,
    deployment: Deployment,
    account: Stack,
    lake: Lakehouse,
    shared: Compute,
    runner: str,
    provider: Provider,
) -> None:
    """Add everything a team has: policies, secrets, its cluster where there is one, and its use cases."""
    group = team_group(deployment.account.organisation, team.name)
    holder = next(holder for holder in deployment.holders if holder.principal == group)
    made = policies(stack, team, deployment=deployment, shared=shared, runner=runner, provider=provider)
    secret_scope(stack, team, holder, deployment=deployment, runner=runner, provider=provider)
    if "interactive" in made and _works_here(holder):
        interactive_cluster(
            stack,
            team,
            deployment=deployment,
            policy=made["interactive"],
            shared=shared,
            wheel_path=lake.wheel.attribute("path"),
            group=group,
            provider=provider,
        )
    budget_policy_id = stack.reading(account, f"budget_policy_{logical_id(team.name)}")
    for use_case in deployment.of_team(team):
        frame = UseCaseFrame(
            use_case=use_case,
            team=team,
            deployment=deployment,
            lakehouse=lake,
            shared=shared,
            runner=runner,
            folder=folder(stack, use_case, deployment=deployment, runner=runner, provider=provider),
            provider=provider,
        )
        use_case_data(stack, frame)
        use_case_workspace(stack, frame)
        watching(stack, frame)
        deployed_jobs(stack, frame, policies=made, budget_policy_id=budget_policy_id)


def _works_here(holder: Holder) -> bool:
    """Return whether a team's people may use a cluster in this environment; without that right it gets none."""
    return any(kind.value == "cluster" for kind in holder.rights.levels)
