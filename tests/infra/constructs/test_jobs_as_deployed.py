"""Every declared job is deployed as declared, with what an environment adds."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest
from databricks.sdk.service import jobs as sdk

from infra.config.loading import Settings
from infra.config.model import JobCompute
from infra.constructs.release import Release
from infra.constructs.use_case.jobs import JobContext, entry_arguments, job_settings, terraform_arguments
from infra.stacks.estate import stacks
from infra.synthesis.stack import Stack
from ml.spec.rollout_policy import RolloutPolicy, RolloutWay
from pipelines import __main__ as entry_point
from pipelines.command_line.program import parsed
from pipelines.declarations.environment import ENVIRONMENTS
from pipelines.declarations.job import ConditionTask, Job, RunJobTask, Task
from pipelines.declarations.registry import jobs, use_case, use_cases


@pytest.fixture
def context(settings: Settings) -> JobContext:
    """What staging adds to a job."""
    stated = settings.environments["staging"].compute
    return JobContext(
        environment="staging", run_as="00000000-app", compute=JobCompute.JOB_CLUSTER, runtime=stated.runtime,
        serverless_environment=stated.serverless_environment,
        nodes=stated.sizes[next(iter(stated.sizes))], machines={"instance_pool_id": "pool"}, policy_id="policy",
        budget_policy_id="budget", wheel_path="/Volumes/staging/deployment/releases/x.whl",
        wheel_sha256="1a" * 32, requirements_path="/Volumes/staging/deployment/releases/requirements.txt", tags={"team": "a"},
        notify=("oncall@meridian-air.example",), pause=sdk.PauseStatus.UNPAUSED,
        job_ids={name: f"${{databricks_job.{name}.id}}" for name in ("features", "training", "scoring", "monitoring")},
    )  # fmt: skip


@pytest.mark.parametrize("job", jobs(), ids=lambda job: job.address)
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_declared_job_is_deployed_in_every_environment(
    job: Job, environment: str, estate: Mapping[str, Stack]
) -> None:
    """With its tasks by key, and everything that keeps a job from running unseen, twice, forever or as a person."""
    deployed = estate[f"{environment}-workspace"].resources[f"databricks_job.{job.use_case}_{job.name}"].arguments
    assert deployed["name"] == job.address
    assert [task["task_key"] for task in deployed["task"]] == sorted(task.key for task in job.tasks)
    assert f"runner_{environment}" in deployed["run_as"]["service_principal_name"]
    assert deployed["max_concurrent_runs"] == 1
    assert deployed["queue"] == {"enabled": True}
    assert deployed["timeout_seconds"] == job.timeout_minutes * 60
    assert deployed["email_notifications"]["on_failure"]
    assert deployed["health"]["rules"][0]["value"] == job.expected_minutes * 60
    assert {"environment", "team", "cost_centre", "use_case", "git_commit"} <= set(deployed["tags"])
    assert deployed["tags"]["environment"] == environment
    (cluster,) = deployed["job_cluster"]
    assert f"_{job.size}.id" in cluster["new_cluster"]["policy_id"]
    assert "existing_cluster_id" not in str(deployed)


def test_schedules_run_only_where_settings_say_so(estate: Mapping[str, Stack], settings: Settings) -> None:
    """The same schedule everywhere, paused where the settings pause it; a job without one has none anywhere."""
    for environment, stated in settings.environments.items():
        for job in jobs():
            deployed = estate[f"{environment}-workspace"].resources[f"databricks_job.{job.use_case}_{job.name}"]
            if job.schedule is None:
                assert "schedule" not in deployed.arguments
                continue
            expected = "UNPAUSED" if stated.jobs.schedules == "running" else "PAUSED"
            assert deployed.arguments["schedule"]["pause_status"] == expected
            assert deployed.arguments["schedule"]["quartz_cron_expression"] == job.schedule.cron
    assert {stated.jobs.schedules.value for stated in settings.environments.values()} == {"paused", "running"}


@pytest.mark.parametrize("job", jobs(), ids=lambda job: job.address)
def test_a_deployed_task_calls_what_the_command_line_understands(job: Job) -> None:
    """The arguments of each task parse as those of `python -m pipelines task`, each parameter once."""
    for task in job.tasks:
        if isinstance(task, Task):
            words = entry_arguments(job, task, "prod")
            found = parsed(entry_point.PROGRAM, words)
            assert words[0] == "task"
            assert [found[name] for name in ("job", "task", "env", "engine")] == [
                job.address, task.key, "prod", "databricks",
            ]  # fmt: skip
            parameters = found["parameters"] or []
            assert [word.split("=")[0] for word in parameters] == list(task.keywords)
            assert all(word == "{0}={{{{job.parameters.{0}}}}}".format(word.split("=")[0]) for word in parameters)


def test_a_condition_compares_the_value_that_a_task_returned(context: JobContext) -> None:
    """And what follows depends on its outcome."""
    job = use_case("flight_delay").job("monitoring")
    declared = next(task for task in job.tasks if isinstance(task, ConditionTask))
    tasks = {task.task_key: task for task in job_settings(job, context).tasks or []}
    condition = tasks[declared.key].condition_task
    assert condition is not None
    assert condition.left == f"{{{{tasks.{declared.value.task.key}.values.{declared.value.name}}}}}"
    assert (condition.op, condition.right) == (sdk.ConditionTaskOp.EQUAL_TO, declared.right)
    follower = next(task for task in job.tasks if isinstance(task, RunJobTask))
    (dependency,) = tasks[follower.key].depends_on or []
    assert (dependency.task_key, dependency.outcome) == (declared.key, "true")
    assert tasks[declared.key].max_retries is None
    assert tasks[declared.key].python_wheel_task is None


def test_a_job_that_runs_another_names_it_by_its_id(context: JobContext) -> None:
    """The monitoring job starts the training job of the same stack, with the finding as cause."""
    job = use_case("flight_delay").job("monitoring")
    arguments = terraform_arguments(job_settings(job, context))
    run = next(task["run_job_task"] for task in arguments["task"] if "run_job_task" in task)
    assert run["job_id"] == "${databricks_job.training.id}"
    assert run["job_parameters"]["cause"] == "{{tasks.decide.values.cause}}"


def test_every_parameter_of_a_job_keeps_its_default(context: JobContext) -> None:
    """What a run does not give is what the declaration says."""
    for job in jobs():
        settings = job_settings(job, dataclasses.replace(context, job_ids={j.name: "1" for j in jobs()}))
        assert {p.name: p.default for p in settings.parameters or []} == {p.name: p.default for p in job.parameters}


def test_retries_and_timeouts_are_those_of_the_task(context: JobContext) -> None:
    """A task that must not be repeated is not."""
    job = use_case("flight_delay").job("training")
    tasks = {task.task_key: task for task in job_settings(job, context).tasks or []}
    assert len(tasks) == len(job.tasks)
    for declared in job.tasks:
        deployed = tasks[declared.key]
        if isinstance(declared, Task):
            assert deployed.max_retries == declared.retries
            assert deployed.timeout_seconds == declared.timeout_minutes * 60
            assert (deployed.min_retry_interval_millis is None) == (declared.retries == 0)
            assert deployed.disable_auto_optimization is None


def test_serverless_compute_repeats_no_task_that_must_run_once(context: JobContext) -> None:
    """Its automatic optimization repeats a failed task beyond the declared retries, so it is off where there are none."""
    job = use_case("flight_delay").job("training")
    settings = job_settings(job, dataclasses.replace(context, compute=JobCompute.SERVERLESS))
    retries = {task.key: task.retries for task in job.tasks if isinstance(task, Task)}
    assert set(retries.values()) == {0, 1}
    for task in settings.tasks or []:
        assert task.max_retries == retries[task.task_key]
        assert task.disable_auto_optimization == (True if retries[task.task_key] == 0 else None)


def test_an_evaluation_runs_once_one_estimator_was_trained_and_every_other_task_after_all_before_it(
    context: JobContext,
) -> None:
    """In the words of the Jobs API; the evaluation of a delivery has one task before it."""
    once = {
        (job.name, task.task_key)
        for job in jobs()
        for task in job_settings(job, dataclasses.replace(context, job_ids={j.name: "1" for j in jobs()})).tasks or []
        if task.run_if is not sdk.RunIf.ALL_SUCCESS
    }
    assert once == {("training", "evaluate")}
    (evaluate,) = (
        t for t in job_settings(use_case("air_time").job("training"), context).tasks or [] if t.task_key == "evaluate"
    )
    assert evaluate.run_if is sdk.RunIf.AT_LEAST_ONE_SUCCESS


def test_serverless_jobs_have_an_environment_instead_of_a_cluster(context: JobContext) -> None:
    """By one setting; the wheel is a dependency of the environment then, and the budget policy pays."""
    job = use_case("flight_delay").job("scoring")
    settings = job_settings(job, dataclasses.replace(context, compute=JobCompute.SERVERLESS))
    assert settings.job_clusters is None
    assert settings.budget_policy_id == "budget"
    (environment,) = settings.environments or []
    assert environment.spec is not None
    assert environment.spec.dependencies == [
        f"-r {context.requirements_path}",
        f"{context.wheel_path} --hash=sha256:{context.wheel_sha256}",
    ]
    unbuilt = dataclasses.replace(context, compute=JobCompute.SERVERLESS, wheel_sha256=None)
    (environment,) = job_settings(job, unbuilt).environments or []
    assert environment.spec is not None
    assert (environment.spec.dependencies or [])[1] == context.wheel_path
    for task in settings.tasks or []:
        assert (task.environment_key, task.job_cluster_key, task.libraries) == (environment.environment_key, None, None)


@pytest.mark.parametrize("job", jobs(), ids=lambda job: job.address)
def test_terraform_gets_every_field_of_the_job_settings(job: Job, context: JobContext) -> None:
    """Renaming lists to blocks loses nothing and invents nothing."""
    ids: Any = {j.name: 1 for j in jobs()}
    settings = job_settings(job, dataclasses.replace(context, job_ids=ids))
    arguments = terraform_arguments(settings)
    back: dict[str, Any] = {
        {"task": "tasks", "job_cluster": "job_clusters", "parameter": "parameters"}.get(name, name): value
        for name, value in arguments.items()
    }
    for task in back["tasks"]:
        if "library" in task:
            task["libraries"] = task.pop("library")
    assert sdk.JobSettings.from_dict(back).as_dict() == settings.as_dict()


def test_a_use_case_with_rollouts_has_their_job_in_every_environment(settings: Settings, release: Release) -> None:
    """With who may see and run it; the endpoint's configuration stays what the job has made of it."""
    policy = RolloutPolicy(way=RolloutWay.CANARY)
    declared = [dataclasses.replace(one, rollout=policy) if one.name == "flight_delay" else one for one in use_cases()]
    found = {stack.name: stack for stack in stacks(settings, declared, release)}
    for environment in ENVIRONMENTS:
        resources = found[f"{environment}-workspace"].resources
        deployed = resources["databricks_job.flight_delay_rollout"].arguments
        assert [task["task_key"] for task in deployed["task"]] == ["collect", "decide", "serve"]
        assert deployed["schedule"]["quartz_cron_expression"] == "0 10 * * * ?"
        assert "databricks_permissions.job_flight_delay_rollout" in resources
        assert "databricks_job.air_time_rollout" not in resources
        endpoint = resources.get("databricks_model_serving.flight_delay")
        assert endpoint is None or "config" in endpoint.ignore_changes
