"""Converts declared jobs to deployed jobs: first to `JobSettings` of the Databricks SDK, then to Terraform's arguments.

With the SDK's dataclasses, no field name and no enum word can be wrong. All functions are pure: a `JobContext` states the
pool, the policy and the wheel. `infra.checks.read_back` states in which form the provider reads a job back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from databricks.sdk.service import compute, jobs

from infra.config.model import JobCompute, SizeInNodes
from infra.constructs.use_case.schedules import job_continuous, job_schedule
from pipelines.declarations.job import After, AnyTask, ConditionTask, Job, Parameter, RunJobTask, Task
from pipelines.declarations.source_locations import location_text
from pipelines.declarations.standard_jobs.parameters import LOCATION

PACKAGE = "lakehouse-mlops"
ENTRY_POINT = "lakehouse-mlops"
CLUSTER_KEY = "job"
ENVIRONMENT_KEY = "job"
RETRY_PAUSE_SECONDS = 60

TERRAFORM_BLOCKS: Mapping[str, str] = {
    "tasks": "task",
    "job_clusters": "job_cluster",
    "parameters": "parameter",
    "environments": "environment",
}
"""Lists of the Jobs API whose blocks have a name in the singular in Terraform, as has ``libraries`` within a task."""


@dataclass(frozen=True, kw_only=True)
class JobContext:
    """What an environment adds to a declared job.

    Attributes
    ----------
    run_as
        Application id of the environment's service principal.
    machines
        ``instance_pool_id`` or ``node_type_id`` of the job's own cluster.
    wheel_path, requirements_path
        The paths of the wheel, and of the exact versions of what it imports, in the environment's volume.
    wheel_sha256
        The hash of the wheel; None until it is built.
    pause
        Whether the schedule of the job is paused.
    job_ids
        Ids of the jobs that this one may run, by their short names.
    locations
        Where the environment keeps the use case's sources, by their names; a source that is not there is as declared.
    variables
        Environment variables of the job's own cluster.
    """

    environment: str
    run_as: str
    compute: JobCompute
    runtime: str
    serverless_environment: str
    nodes: SizeInNodes
    machines: Mapping[str, str]
    policy_id: str
    budget_policy_id: str
    wheel_path: str
    wheel_sha256: str | None
    requirements_path: str
    tags: Mapping[str, str]
    notify: Sequence[str]
    pause: jobs.PauseStatus
    job_ids: Mapping[str, str]
    locations: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)


def job_settings(job: Job, context: JobContext) -> jobs.JobSettings:
    """Return a declared job as the Jobs API takes it.

    Parameters
    ----------
    job
        The declared job.
    context
        What the environment adds.
    """
    serverless = context.compute is JobCompute.SERVERLESS
    return jobs.JobSettings(
        name=f"{job.address}",
        description=job.description,
        run_as=jobs.JobRunAs(service_principal_name=context.run_as),
        tags=dict(context.tags),
        tasks=sorted((_task(job, task, context) for task in job.tasks), key=lambda task: task.task_key),
        job_clusters=None if serverless else [_cluster(context)],
        environments=[_serverless(context)] if serverless else None,
        budget_policy_id=context.budget_policy_id if serverless else None,
        parameters=[jobs.JobParameterDefinition(name=p.name, default=_default(p, context)) for p in job.parameters]
        or None,
        schedule=job_schedule(job, context.pause),
        continuous=job_continuous(job, context.pause),
        timeout_seconds=job.timeout_minutes * 60,
        max_concurrent_runs=1,
        queue=jobs.QueueSettings(enabled=True),
        email_notifications=jobs.JobEmailNotifications(
            on_failure=list(context.notify),
            on_duration_warning_threshold_exceeded=list(context.notify),
            no_alert_for_skipped_runs=True,
        ),
        health=jobs.JobsHealthRules(
            rules=[
                jobs.JobsHealthRule(
                    metric=jobs.JobsHealthMetric.RUN_DURATION_SECONDS,
                    op=jobs.JobsHealthOperator.GREATER_THAN,
                    value=job.expected_minutes * 60,
                )
            ]
        ),
    )


def _default(parameter: Parameter, context: JobContext) -> str:
    """Return what a run that gives no value takes: as declared, but for what only the environment can say."""
    return location_text(context.locations) if parameter == LOCATION else parameter.default


def terraform_arguments(settings: jobs.JobSettings) -> dict[str, Any]:
    """Return job settings as the arguments of ``databricks_job``."""
    arguments: dict[str, Any] = {TERRAFORM_BLOCKS.get(name, name): value for name, value in settings.as_dict().items()}
    for task in arguments["task"]:
        if "libraries" in task:
            task["library"] = task.pop("libraries")
    return arguments


def _task(job: Job, task: AnyTask, context: JobContext) -> jobs.Task:
    deployed = jobs.Task(
        task_key=task.key,
        description=task.description,
        depends_on=sorted(map(_dependency, task.dependencies), key=lambda after: after.task_key) or None,
        run_if=jobs.RunIf(task.run_if.value),
    )
    if isinstance(task, ConditionTask):
        deployed.condition_task = jobs.ConditionTask(
            op=jobs.ConditionTaskOp(task.operator.value),
            left=task.value.reference,
            right=task.right,
        )
    elif isinstance(task, RunJobTask):
        # The id is an expression until Terraform has created the job; the SDK's type says int.
        job_id = cast("int", context.job_ids[task.job.name])
        given = {name: value.reference for name, value in task.parameters.items()}
        deployed.run_job_task = jobs.RunJobTask(job_id=job_id, job_parameters=given)
    else:
        _call_entry_point(deployed, job, task, context)
    return deployed


def _dependency(after: After) -> jobs.TaskDependency:
    outcome = None if after.outcome is None else str(after.outcome).lower()
    return jobs.TaskDependency(task_key=after.task.key, outcome=outcome)


def _call_entry_point(deployed: jobs.Task, job: Job, task: Task, context: JobContext) -> None:
    """Let the task call the same entry point as on a laptop, with the run's parameters.

    On serverless compute a task is repeated beyond its retries unless its automatic optimization is off, so it is off for
    a task that must not be repeated: learn.microsoft.com/azure/databricks/jobs/run-serverless-jobs.
    """
    deployed.python_wheel_task = jobs.PythonWheelTask(
        package_name=PACKAGE, entry_point=ENTRY_POINT, parameters=entry_arguments(job, task, context.environment)
    )
    deployed.timeout_seconds = task.timeout_minutes * 60
    if not job.continuous:  # which has no retry policy: learn.microsoft.com/azure/databricks/jobs/continuous
        deployed.max_retries = task.retries
        deployed.min_retry_interval_millis = RETRY_PAUSE_SECONDS * 1000 if task.retries else None
        deployed.retry_on_timeout = False
    if context.compute is JobCompute.SERVERLESS:
        deployed.environment_key = ENVIRONMENT_KEY
        deployed.disable_auto_optimization = True if task.retries == 0 else None
    else:
        deployed.job_cluster_key = CLUSTER_KEY
        # The wheel itself names no dependencies, so it does not matter which of the two is installed first.
        deployed.libraries = [
            compute.Library(whl=context.wheel_path),
            compute.Library(requirements=context.requirements_path),
        ]


def entry_arguments(job: Job, task: Task, environment: str) -> list[str]:
    """Return the command line of a deployed task; Databricks replaces the braces by the values of the run."""
    fixed = ["task", job.address, task.key, "--env", environment, "--engine", "databricks"]
    given = [f"{parameter.name}={parameter.reference}" for parameter in task.parameters]
    return [*fixed, "--run-id", "{{job.run_id}}", *(word for pair in given for word in ("--param", pair))]


def _cluster(context: JobContext) -> jobs.JobCluster:
    return jobs.JobCluster(
        job_cluster_key=CLUSTER_KEY,
        new_cluster=compute.ClusterSpec(
            spark_version=context.runtime,
            policy_id=context.policy_id,
            data_security_mode=compute.DataSecurityMode.SINGLE_USER,
            autoscale=compute.AutoScale(
                min_workers=context.nodes.workers_minimum, max_workers=context.nodes.workers_maximum
            ),
            instance_pool_id=context.machines.get("instance_pool_id"),
            node_type_id=context.machines.get("node_type_id"),
            custom_tags=dict(context.tags),
            spark_env_vars=dict(context.variables) or None,
        ),
    )


def _serverless(context: JobContext) -> jobs.JobEnvironment:
    """Return the environment of all tasks.

    Each dependency is a line of a pip requirements file (docs.databricks.com/api/workspace/jobs/create). All lines are
    installed at once, and where one of them has hashes pip asks them of every line
    (pip.pypa.io/en/stable/topics/secure-installs).
    """
    wheel = context.wheel_path + (f" --hash=sha256:{context.wheel_sha256}" if context.wheel_sha256 else "")
    spec = compute.Environment(
        environment_version=context.serverless_environment, dependencies=[f"-r {context.requirements_path}", wheel]
    )
    return jobs.JobEnvironment(environment_key=ENVIRONMENT_KEY, spec=spec)
