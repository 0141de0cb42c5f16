"""Goes on with an earlier run of a deployed job: follows it while it runs, repairs it where it has failed.

A repair runs tasks again within the same run, whose id is what the records of our tasks go by.
"""

from collections.abc import Collection, Mapping

from databricks.sdk.service import jobs as sdk

from pipelines.declarations.job import Job
from pipelines.declarations.mistakes import DeclarationError
from pipelines.execution.parameters import resolve
from pipelines.remote.connection import Remote
from pipelines.remote.deployment import find_job
from pipelines.remote.errors import NotDeployedError
from pipelines.remote.progress import Phase, phase_of
from pipelines.remote.runs import Started, chosen_tasks


def continue_run(
    remote: Remote,
    job: Job,
    run_id: int,
    parameters: Mapping[str, str],
    *,
    only: Collection[str] = (),
    skip: Collection[str] = (),
) -> Started:
    """Return an earlier run that runs again, to be followed.

    A run that is still running is left as it is. One that has ended is repaired: the tasks that are named run again,
    or else those that failed and what comes after them.

    Raises
    ------
    DeclarationError
        If there is nothing to repair, or a running run was to be changed.
    NotDeployedError
        If the job is not deployed there, or has no such run.
    RemoteError
        If the workspace cannot be asked.
    """
    resolve(job, parameters)
    chosen = [task.key for task in job.tasks if task.key in only and task.key not in skip] or None
    if skip and not only:
        chosen = chosen_tasks(job, only=only, skip=skip)
    deployed = find_job(remote, job)
    run = remote.find(f"look at run {run_id}", lambda: remote.client.jobs.get_run(run_id, include_history=True))
    if run is None or run.job_id != deployed.job_id:
        raise NotDeployedError(f"job {job.address} has no run {run_id} in {remote.environment.name}: {deployed.link}")
    started = Started(run_id=run_id, job=deployed)
    phase = phase_of(run.status, run.state)
    if not phase.ended:
        if chosen or parameters:
            raise DeclarationError(
                f"run {run_id} is still running, and what it runs cannot be changed: leave --only, --skip and --param out "
                "to follow it."
            )
        remote.say(f"run {run_id} of {job.address} is running: {started.link}")
        return started
    if phase.good and phase is not Phase.WITH_FAILURES and not chosen:
        raise DeclarationError(f"run {run_id} has succeeded: name the tasks that shall run again with --only.")
    _repair(remote, run, run_id, parameters, chosen)
    remote.say(f"run {run_id} of {job.address} had {phase.value} and is being repaired: {started.link}")
    return started


def _repair(remote: Remote, run: sdk.Run, run_id: int, parameters: Mapping[str, str], chosen: list[str] | None) -> None:
    repairs = [item.id for item in run.repair_history or () if item.id is not None]
    remote.ask(
        f"repair run {run_id}",
        lambda: remote.client.jobs.repair_run(
            run_id,
            job_parameters=dict(parameters) or None,
            rerun_tasks=chosen,
            rerun_all_failed_tasks=None if chosen else True,
            latest_repair_id=repairs[-1] if repairs else None,
        ),
    )
