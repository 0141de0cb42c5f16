"""A branch of use cases beside the originals, in dev: their data, model, experiment and jobs, in a state of their own.

It uses what the workspace shares (catalog, pool, cluster policies, the volume of releases) and changes nothing of it. Destroying the
stack removes the branch with everything that is its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from infra.config.loading import Settings
from infra.config.model import EnvironmentSettings
from infra.config.naming import logical_id
from infra.config.stack_names import branch_stack_name
from infra.constructs.azure.telemetry_outputs import CONNECTION
from infra.constructs.deployment import Deployment, deployments
from infra.constructs.release import Release
from infra.constructs.use_case.context import UseCaseContext
from infra.constructs.use_case.data import use_case_data
from infra.constructs.use_case.deployed_jobs import deployed_jobs
from infra.constructs.use_case.workspace_objects import experiment
from infra.constructs.workspace.catalog import EnvironmentCatalog, requirements_file, wheel_file
from infra.constructs.workspace.compute import SharedCompute
from infra.constructs.workspace.context import WorkspaceContext
from infra.constructs.workspace.telemetry import telemetry_variables
from infra.stacks.providers import databricks_workspace
from infra.stacks.workspace import EXPERIMENTS, POOL, RELEASES, TELEMETRY, policy_output
from infra.synthesis.stack import Provider, RemoteState, Resource, Stack, StackError
from ml.spec.errors import DeclarationError
from pipelines.declarations.branch import branched, original_of
from pipelines.declarations.environment import DEV
from pipelines.declarations.job import Size
from pipelines.declarations.use_case import UseCase


@dataclass(frozen=True, kw_only=True)
class SharedObject(Resource):
    """An object of the workspace's own stack, whose attributes are read from its outputs."""

    read: Mapping[str, str]

    def attribute(self, name: str) -> str:
        """Return the expression for the output with an attribute."""
        if name not in self.read:
            raise StackError(f"{self.type}.{self.name}: no output has its {name!r}.")
        return self.read[name]


def branches_of(use_cases: Sequence[UseCase], chosen: Sequence[str], branch: str) -> tuple[UseCase, ...]:
    """Return the branches of chosen use cases.

    Raises
    ------
    DeclarationError
        If the branch cannot have that name.
    """
    return tuple(branched(one, branch) for one in use_cases if one.name in chosen)


def with_branches(settings: Settings, branches: Sequence[UseCase]) -> Settings:
    """Return the settings as they are while branches are there: each belongs to the team of its original.

    Raises
    ------
    DeclarationError
        If dev's settings allow no branches.
    """
    if not settings.environments[DEV.name].branches:
        raise DeclarationError(
            f"the settings of {DEV.name} allow no branches: state `branches: true` in {DEV.name}.yaml."
        )
    added = {one.name: original_of(one.name)[0] for one in branches}
    teams = tuple(
        team.model_copy(
            update={"use_cases": (*team.use_cases, *(name for name, of in added.items() if of in team.use_cases))}
        )
        for team in settings.teams
    )
    return replace(settings, teams=teams)


def branch_stack(
    settings: Settings,
    use_cases: Sequence[UseCase],
    branches: Sequence[UseCase],
    release: Release,
    made: Sequence[Stack],
) -> Stack:
    """Return the stack of the branches of some use cases, all with one branch's name.

    Parameters
    ----------
    settings
        As `with_branches` returns them.
    release
        The branch's own code.
    made
        Every stack of the estate, as it is deployed.
    """
    by_name = {stack.name: stack for stack in made}
    account, admitted = by_name["account"], by_name[f"{DEV.name}-account"]
    platform, shared = by_name[f"{DEV.name}-platform"], by_name[f"{DEV.name}-workspace"]
    branch = original_of(branches[0].name)[1]
    name = branch_stack_name(DEV.name, branch)
    stack = Stack(
        name=name,
        description=f"branch {branch} of {', '.join(original_of(one.name)[0] for one in branches)}, beside the originals",
        state=_state_beside(shared.state, name),
    )
    provider = databricks_workspace(
        stack,
        "workspace",
        host=stack.reading(admitted, "workspace_url"),
        resource_id=stack.reading(platform, "workspace_resource_id"),
    )
    deployment = _deployment(settings, (*use_cases, *branches), release)
    workspace = WorkspaceContext(
        stack=stack, provider=provider, deployment=deployment,
        job_principal=stack.reading(account, f"runner_{DEV.name}"),
    )  # fmt: skip
    catalog = _catalog(
        workspace, stack.reading(shared, "catalog"), f"{stack.reading(shared, RELEASES)}/branches/{branch}"
    )
    pool = _shared(provider, "databricks_instance_pool", "pool", id=stack.reading(shared, POOL))
    nothing = _shared(provider, "databricks_sql_endpoint", "warehouse")
    experiments = _shared(provider, "databricks_directory", "experiments", path=stack.reading(shared, EXPERIMENTS))
    variables = _telemetry(workspace, shared, platform)
    for team in deployment.teams:
        policies = {
            size.value: _shared(
                provider, "databricks_cluster_policy", size.value, id=stack.reading(shared, policy_output(team, size))
            )
            for size in Size
        }
        for use_case in (one for one in branches if one.name in team.use_cases):
            context = UseCaseContext(
                workspace=workspace, catalog=catalog, compute=SharedCompute(pool=pool, warehouse=nothing),
                experiments=experiments, team=team, use_case=use_case, receivers=(), variables=variables,
                is_branch=True,
            )  # fmt: skip
            use_case_data(context)
            experiment(context)
            budget = stack.reading(account, f"budget_policy_{logical_id(team.name)}")
            deployed_jobs(context, policies=policies, budget_policy_id=budget)
    return stack


def _deployment(settings: Settings, use_cases: Sequence[UseCase], release: Release) -> Deployment:
    """Return dev's deployment without locks: a branch goes as it came."""
    found = deployments(settings, use_cases, release)[DEV.name]
    unlocked: EnvironmentSettings = found.settings.model_copy(update={"locks": False})
    return replace(found, settings=unlocked)


def _telemetry(workspace: WorkspaceContext, shared: Stack, platform: Stack) -> Mapping[str, str]:
    """Return the variables with which the branch's jobs send what those of the originals send; none without telemetry."""
    if workspace.deployment.settings.telemetry is None:
        return {}
    stack, name = workspace.stack, workspace.stack.reading(shared, TELEMETRY)
    credential = _shared(workspace.provider, "databricks_credential", "telemetry", name=name)
    return telemetry_variables(credential, stack.reading(platform, CONNECTION))


def _catalog(workspace: WorkspaceContext, name: str, folder: str) -> EnvironmentCatalog:
    """Return the environment's catalog with code of the branch's own beside the released one."""
    provider = workspace.provider
    wheel = wheel_file(workspace, workspace.deployment.release, folder=folder)
    return EnvironmentCatalog(
        catalog=_shared(provider, "databricks_catalog", "catalog", name=name),
        releases=_shared(provider, "databricks_volume", "releases", volume_path=folder),
        wheel=wheel,
        requirements=requirements_file(workspace, wheel, folder=folder),
    )


def _shared(provider: Provider, type_: str, label: str, **read: str) -> SharedObject:
    return SharedObject(type=type_, name=label, provider=provider, arguments={}, read=read)


def _state_beside(state: RemoteState, name: str) -> RemoteState:
    """Return the place of the branch's state, beside that of the workspace's stack."""
    azure = None if state.azure is None else {**state.azure, "key": f"{name}.tfstate"}
    return RemoteState(stack=name, azure=azure)
