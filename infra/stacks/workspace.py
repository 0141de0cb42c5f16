"""The objects inside one environment's workspace: its catalog, and everything its teams have in it."""

from collections.abc import Mapping

from infra.config.model import Team
from infra.config.naming import logical_id
from infra.config.stack_names import Part, stack_name
from infra.constructs.azure.openings import LAKE, lake_endpoints, own_network
from infra.constructs.azure.telemetry_outputs import CONNECTION, CONNECTOR
from infra.constructs.deployment import Deployment
from infra.constructs.use_case.context import UseCaseContext
from infra.constructs.use_case.data import use_case_data
from infra.constructs.use_case.deployed_jobs import deployed_jobs
from infra.constructs.use_case.monitoring import dashboard_and_alerts
from infra.constructs.use_case.retired import keep_retired_data, keep_retired_team, keep_shared_schemas
from infra.constructs.use_case.serving import serving_endpoint
from infra.constructs.use_case.workspace_objects import (
    experiment,
    experiments_folder,
    orchestrator_notebook,
    use_case_folder,
)
from infra.constructs.workspace.catalog import EnvironmentCatalog, environment_catalog
from infra.constructs.workspace.cluster_policies import INTERACTIVE, cluster_policies, interactive_cluster
from infra.constructs.workspace.compute import shared_compute
from infra.constructs.workspace.context import WorkspaceContext
from infra.constructs.workspace.hardening import hardening
from infra.constructs.workspace.online_store import online_store
from infra.constructs.workspace.secrets import redaction_scope, secret_scope
from infra.constructs.workspace.telemetry import telemetry_credential, telemetry_variables
from infra.stacks.providers import azure_subscription, databricks_workspace
from infra.synthesis.stack import RemoteState, Resource, Stack
from pipelines.declarations.environment_data import hashes
from pipelines.declarations.job import Size
from pipelines.telemetry.settings import CREDENTIAL

POOL, EXPERIMENTS, RELEASES, TELEMETRY = "pool", "experiments", "releases", "telemetry_credential"
"""What branches use beside their own: outputs where branches may be deployed."""


def policy_output(team: Team, size: Size) -> str:
    """Return the name of the output with the id of a team's cluster policy for jobs of a size."""
    return f"policy_{logical_id(team.name, size.value)}"


def workspace_stack(
    deployment: Deployment, account: Stack, platforms: Mapping[str, Stack], admitted: Stack, state: RemoteState
) -> Stack:
    """Return the workspace stack of one environment, which the environment's own identity applies.

    Parameters
    ----------
    admitted
        The account's part of the environment, after which that identity may sign in.

    Outputs
    -------
    ``catalog``, ``wheel`` (its path in the volume) and, once the wheel is built, ``wheel_sha256``.
    """
    platform = platforms[deployment.environment]
    stack = Stack(
        name=stack_name(Part.WORKSPACE, deployment.environment),
        description="catalog, compute and, for every team, its data, jobs, permissions, serving and monitoring",
        state=state,
    )
    workspace = WorkspaceContext(
        stack=stack,
        provider=databricks_workspace(
            stack,
            "workspace",
            host=stack.reading(admitted, "workspace_url"),
            resource_id=stack.reading(platform, "workspace_resource_id"),
        ),
        deployment=deployment,
        job_principal=stack.reading(account, f"runner_{deployment.environment}"),
    )
    catalog = environment_catalog(
        workspace,
        connector_id=stack.reading(platform, "connector_id"),
        lake_url=stack.reading(platform, "lake_url"),
        reading_workspaces={
            name: stack.reading(platforms[name], "workspace_id")
            for name in dict.fromkeys((*deployment.readers, *deployment.receivers))
        },
        receivers=[stack.reading(account, f"runner_{name}") for name in deployment.receivers],
    )
    hardening(workspace, catalog_name=catalog.name)
    variables = _telemetry(workspace, platform)
    shared = shared_compute(workspace)
    online_store(workspace)
    experiments = experiments_folder(workspace)
    if hashes(source.data_in(deployment.environment) for one in deployment.use_cases for source in one.sources):
        redaction_scope(workspace)
    for team in deployment.teams:
        policies = _team(workspace, team, pool=shared.pool, catalog=catalog)
        for size in Size if deployment.settings.branches else ():
            stack.output(policy_output(team, size), policies[size].id)
        for use_case in deployment.of_team(team):
            context = UseCaseContext(
                workspace=workspace,
                catalog=catalog,
                compute=shared,
                experiments=experiments,
                team=team,
                use_case=use_case,
                receivers=tuple(stack.reading(account, f"runner_{n}") for n in deployment.received_by(use_case)),
                variables=variables,
            )
            budget_policy_id = stack.reading(account, f"budget_policy_{logical_id(team.name)}")
            _use_case(context, policies=policies, budget_policy_id=budget_policy_id)
        for retired in team.retired:
            keep_retired_data(stack, retired)
        keep_shared_schemas(stack, team.retired_shared)
    for retired_team in deployment.retired_teams:
        keep_retired_team(stack, retired_team)
    _openings(stack, deployment, platforms)
    read = {POOL: shared.pool.id, EXPERIMENTS: experiments.attribute("path"), RELEASES: catalog.releases_path}
    for output, value in _read_by_branches(deployment, {**read, **_credential(variables)}).items():
        stack.output(output, value)
    stack.output("catalog", catalog.name)
    stack.output("wheel", catalog.wheel_path)
    if deployment.release.sha256 is not None:
        stack.output("wheel_sha256", deployment.release.sha256, after=catalog.wheel)
    return stack


def _telemetry(workspace: WorkspaceContext, platform: Stack) -> Mapping[str, str]:
    """Add what jobs sign in to Application Insights with and return the variables that they get; none without telemetry."""
    if workspace.deployment.settings.telemetry is None:
        return {}
    credential = telemetry_credential(workspace, connector_id=workspace.stack.reading(platform, CONNECTOR))
    return telemetry_variables(credential, workspace.stack.reading(platform, CONNECTION))


def _credential(variables: Mapping[str, str]) -> Mapping[str, str]:
    """Return the output with what jobs sign in to Application Insights with; none without telemetry."""
    return {TELEMETRY: variables[CREDENTIAL]} if CREDENTIAL in variables else {}


def _read_by_branches(deployment: Deployment, outputs: Mapping[str, str]) -> Mapping[str, str]:
    """Return outputs where branches may be deployed, and none elsewhere."""
    return outputs if deployment.settings.branches else {}


def _team(
    workspace: WorkspaceContext, team: Team, *, pool: Resource, catalog: EnvironmentCatalog
) -> Mapping[str, Resource]:
    """Add the secret scope, the interactive cluster and the cluster policies of a team, and return the policies."""
    policies = cluster_policies(workspace, team, pool)
    secret_scope(workspace, team)
    if INTERACTIVE in policies:
        interactive_cluster(workspace, team, policy=policies[INTERACTIVE], pool=pool, catalog=catalog)
    return policies


def _use_case(context: UseCaseContext, *, policies: Mapping[str, Resource], budget_policy_id: str) -> None:
    """Add everything that one use case has in the workspace."""
    folder = use_case_folder(context)
    use_case_data(context)
    experiment(context)
    orchestrator_notebook(context, folder)
    serving_endpoint(context)
    dashboard_and_alerts(context, folder)
    deployed_jobs(context, policies=policies, budget_policy_id=budget_policy_id)


def _openings(stack: Stack, deployment: Deployment, platforms: Mapping[str, Stack]) -> None:
    """Add the private endpoints to the lakes of all environments that let this one in.

    The provider is there without any: Terraform destroys those of an environment that no longer lets this one in with it.
    """
    azure = azure_subscription(stack, deployment)
    if not deployment.let_in_by:
        return
    network = own_network(stack, platforms[deployment.environment])
    for owner in deployment.let_in_by:
        lake_id = stack.reading(platforms[owner], LAKE)
        lake_endpoints(stack, owner, lake_id=lake_id, deployment=deployment, network=network, azure=azure)
