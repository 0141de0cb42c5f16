"""Adds the declared jobs of a use case to a workspace, with who may see and run them."""

from collections.abc import Mapping
from dataclasses import replace

from databricks.sdk.service.iam import PermissionLevel

from infra.config.naming import logical_id
from infra.constructs.use_case.context import UseCaseContext
from infra.constructs.use_case.jobs import JobContext, job_settings, terraform_arguments
from infra.constructs.use_case.schedules import pause_status
from infra.constructs.workspace.cluster_sizes import machines, nodes_of
from infra.permissions.roles import Object
from infra.synthesis.stack import Resource
from pipelines.declarations.job import Job


def deployed_jobs(context: UseCaseContext, *, policies: Mapping[str, Resource], budget_policy_id: str) -> None:
    """Add every job of a use case.

    Parameters
    ----------
    policies
        The cluster policies of the team, by size.
    """
    name = context.use_case.name
    for declared in context.use_case.jobs:
        job = replace(declared, schedule=None, continuous=False) if context.is_branch else declared
        settings = job_settings(job, job_context(context, job, policies[job.size], budget_policy_id))
        deployed = context.workspace.add("databricks_job", name, job.name, **terraform_arguments(settings))
        owner = PermissionLevel.IS_OWNER
        context.permit(Object.JOB, "job", name, job.name, jobs=owner, job_id=deployed.id)


def job_context(context: UseCaseContext, job: Job, policy: Resource, budget_policy_id: str) -> JobContext:
    """Return what the environment adds to one declared job."""
    deployment = context.workspace.deployment
    stated, nodes = deployment.settings.compute, nodes_of(job.size, deployment)
    return JobContext(
        environment=deployment.environment,
        run_as=context.workspace.job_principal,
        compute=stated.jobs_run_on,
        runtime=stated.runtime,
        serverless_environment=stated.serverless_environment,
        nodes=nodes,
        machines=machines(nodes, deployment, context.compute.pool),
        policy_id=policy.id,
        budget_policy_id=budget_policy_id,
        wheel_path=context.catalog.wheel_path,
        wheel_sha256=deployment.release.sha256,
        requirements_path=context.catalog.requirements_path,
        tags={**context.tags, "git_commit": deployment.release.commit},
        notify=deployment.settings.jobs.notify,
        pause=pause_status(deployment.settings.jobs.schedules),
        job_ids={
            other.name: f"${{databricks_job.{logical_id(other.use_case, other.name)}.id}}"
            for other in context.use_case.jobs
        },
        locations=deployment.settings.source_locations.get(context.use_case.name, {}),
        variables=context.variables,
    )
