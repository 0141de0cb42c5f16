"""Deployed jobs and the snapshots of their runs, as a test puts them into the workspace on loopback."""

import time

from databricks.sdk.service import compute, jobs
from databricks.sdk.service.jobs import RunLifecycleStateV2State as Cycle
from databricks.sdk.service.jobs import RunResultState as Result
from databricks.sdk.service.jobs import TerminationCodeCode as Code

from infra.config.model import JobCompute, SizeInNodes
from infra.constructs.use_case.jobs import JobContext, job_settings
from pipelines.declarations.registry import use_case
from pipelines.declarations.use_case import UseCase

WHEEL = "lakehouse_mlops-0.1.0+g0123456789ab-py3-none-any.whl"
FLIGHT_DELAY = use_case("flight_delay")
BEGUN = int(time.time() * 1000)


def wheel_path(environment: str, wheel: str = WHEEL) -> str:
    """Return the path at which Terraform puts the wheel."""
    return f"/Volumes/{environment}/deployment/releases/{wheel}"


def deployed_jobs(
    environment: str = "staging",
    *,
    wheel: str = WHEEL,
    running: bool = False,
    jobs_of: UseCase = FLIGHT_DELAY,
    first_id: int = 100,
) -> list[jobs.Job]:
    """Return the jobs of a use case as infra deploys them, made with infra's own function for job settings."""
    ids = {job.name: first_id + place for place, job in enumerate(jobs_of.jobs)}
    context = JobContext(
        environment=environment, run_as="b7c1", compute=JobCompute.JOB_CLUSTER, runtime="18.x-cpu-ml-scala2.13",
        serverless_environment="5",
        nodes=SizeInNodes(node_type="Standard_D4ds_v5", workers_minimum=1, workers_maximum=2),
        machines={"node_type_id": "Standard_D4ds_v5"}, policy_id="p", budget_policy_id="b",
        wheel_path=wheel_path(environment, wheel), wheel_sha256="1a" * 32,
        requirements_path=wheel_path(environment, "requirements-1a1a1a1a1a1a.txt"), tags={"environment": environment}, notify=["a@b.example"],
        pause=jobs.PauseStatus.UNPAUSED if running else jobs.PauseStatus.PAUSED, job_ids=ids,
    )  # fmt: skip
    return [
        jobs.Job(job_id=ids[job.name], settings=jobs.JobSettings.from_dict(job_settings(job, context).as_dict()))
        for job in jobs_of.jobs
    ]


def status(state: Cycle, code: Code | None = None, message: str = "") -> jobs.RunStatus:
    """Return a status in the form of the Jobs API."""
    details = None
    if code is not None:
        details = jobs.TerminationDetails(code=code, type=jobs.TerminationTypeType.CLIENT_ERROR, message=message)
    return jobs.RunStatus(state=state, termination_details=details)


RUNNING = status(Cycle.RUNNING)
BLOCKED = status(Cycle.BLOCKED)
SUCCEEDED = status(Cycle.TERMINATED, Code.SUCCESS)
FAILED = status(Cycle.TERMINATED, Code.RUN_EXECUTION_ERROR, "Workload failed, see run output for details")
SKIPPED = status(Cycle.TERMINATED, Code.SKIPPED)
CANCELLED = status(Cycle.TERMINATED, Code.USER_CANCELED, "Run cancelled by ada@meridian-air.example")


def task(
    key: str,
    run_id: int,
    now: jobs.RunStatus,
    *,
    attempt: int = 0,
    result: Result | None = None,
    starts: int | None = None,
) -> jobs.RunTask:
    """Return one attempt at a task, as a snapshot of a run holds it."""
    return jobs.RunTask(
        task_key=key, run_id=run_id, status=now, attempt_number=attempt,
        run_page_url=f"https://adb.example/jobs/100/runs/{run_id}", start_time=BEGUN,
        end_time=BEGUN + 65_000 if now.state is Cycle.TERMINATED else None,
        state=jobs.RunState(result_state=result) if result else None,
        run_job_task=jobs.RunJobTask(job_id=starts) if starts else None,
        libraries=[compute.Library(whl=wheel_path("staging"))],
    )  # fmt: skip


def snapshot(
    run_id: int,
    now: jobs.RunStatus,
    *tasks: jobs.RunTask,
    job: str = "flight_delay.features",
    job_id: int = 100,
    result: Result | None = None,
) -> jobs.Run:
    """Return one state of a run, as the Jobs API answers it."""
    return jobs.Run(
        run_id=run_id, job_id=job_id, run_name=job, status=now, tasks=list(tasks), start_time=BEGUN,
        run_page_url=f"https://adb.example/jobs/{job_id}/runs/{run_id}",
        state=jobs.RunState(result_state=result) if result else None,
    )  # fmt: skip


UPSTREAM_FAILED = Result.UPSTREAM_FAILED
NOT_NEEDED = Result.EXCLUDED
