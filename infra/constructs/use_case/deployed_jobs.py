"""The jobs of a use case as deployed: the jobs table of `pipelines`, in the frame of an environment."""

from collections.abc import Mapping

from databricks.sdk.service.iam import PermissionLevel

from infra.config.model import Schedules
from infra.config.naming import logical_id
from infra.constructs.use_case.jobs import JobFrame, job_settings, terraform_arguments
from infra.constructs.use_case.use_case import UseCaseFrame
from infra.constructs.workspace.compute import machines, permit
from infra.permissions.access import Permission, permissions
from infra.permissions.rights import Object
from infra.synthesis.stack import Resource, Stack
from pipelines.declarations.job import Job


def deployed_jobs(
    stack: Stack, frame: UseCaseFrame, *, policies: Mapping[str, Resource], budget_policy_id: str
) -> None:
    """Add every job of a use case, with who may see and run it."""
    ids = {job.name: f"${{databricks_job.{_label(job)}.id}}" for job in frame.use_case.jobs}
    for job in frame.use_case.jobs:
        around = job_frame(job, frame, policy=policies[job.size], budget_policy_id=budget_policy_id, ids=ids)
        arguments = terraform_arguments(job_settings(job, around))
        deployed = stack.add("databricks_job", _label(job), provider=frame.provider, **arguments)
        people = permissions(Object.JOB, frame.deployment.holders, frame.only)
        own = [Permission(principal=frame.runner, level=PermissionLevel.IS_OWNER)]
        permit(stack, logical_id("job", _label(job)), {"job_id": deployed.id}, people, own, frame.provider)


def job_frame(
    job: Job, frame: UseCaseFrame, *, policy: Resource, budget_policy_id: str, ids: Mapping[str, str]
) -> JobFrame:
    """Return what an environment puts around one job."""
    deployment = frame.deployment
    stated = deployment.settings.compute
    nodes = stated.sizes[job.size]
    tags = {**deployment.tags(frame.team, frame.use_case.name), "git_commit": deployment.release.commit}
    return JobFrame(
        environment=deployment.environment,
        run_as=frame.runner,
        compute=stated.jobs_run_on,
        runtime=stated.runtime,
        nodes=nodes,
        machines=machines(nodes, deployment, frame.shared.pool),
        policy_id=policy.id,
        budget_policy_id=budget_policy_id,
        wheel_path=frame.lakehouse.wheel.attribute("path"),
        tags=tags,
        notify=deployment.settings.jobs.notify,
        running=deployment.settings.jobs.schedules is Schedules.RUNNING,
        job_ids=ids,
    )


def _label(job: Job) -> str:
    return logical_id(job.use_case, job.name)
