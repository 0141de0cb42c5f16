"""The proof after a release that an environment is what was released: it only reads, and finds everything at once.

What is expected is the declarations of this very code and, where it is given, the name of the wheel.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from pipelines.declarations.asset import Table
from pipelines.declarations.job import Job
from pipelines.declarations.use_case import UseCase
from pipelines.execution.check import CheckResult
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.remote.connection import Remote
from pipelines.remote.deployment import ENVIRONMENT_TAG, has_own_catalog, jobs_named
from pipelines.remote.errors import NotDeployedError, RefusedError, RemoteError, UnreachableError
from pipelines.remote.registry import is_ready, registered
from pipelines.remote.statements import NoTableError, Sql, quoted

if TYPE_CHECKING:
    from databricks.sdk.service.jobs import JobSettings

RELEASES = "/Volumes/{catalog}/deployment/releases"
"""Where Terraform puts the wheels."""


def smoke(
    remote: Remote, use_cases: Sequence[UseCase], *, wheel: str | None = None, schedules: str | None = None
) -> Iterator[CheckResult]:
    """Yield every check of an environment, each as soon as it is made.

    Parameters
    ----------
    wheel
        File name of the wheel that every task must install; by default any, if it is the same for all.
    schedules
        ``running`` or ``paused``; by default either, if it is the same for all.

    Raises
    ------
    NotDeployedError
        If it is the workspace of another environment: that says nothing about the release.
    UnreachableError
        If the workspace cannot be asked, or no longer; what it refuses or lacks is a check that did not hold.
    """
    _require_own_workspace(remote, use_cases)
    me = remote.ask("ask who is logged in", remote.client.current_user.me)
    yield CheckResult(about="identity", held=True, found=f"{me.user_name} at {remote.host}")
    found: dict[str, JobSettings] = {}
    for job in (job for use_case in use_cases for job in use_case.jobs):
        yield _asked(f"job {job.address}", lambda one=job: _job(remote, one, found))  # type: ignore[misc] # mypy cannot type a lambda's default
    yield from _wheel(remote, found, wheel)
    yield _schedules(use_cases, found, schedules)
    for use_case in use_cases:
        yield _asked(f"champion of {use_case.name}", lambda one=use_case: _champion(remote, one))  # type: ignore[misc] # mypy cannot type a lambda's default
    sql = Sql(remote)
    for table in (table for use_case in use_cases for table in use_case.tables):
        yield _asked(f"table {table.address}", lambda one=table: _table(remote, sql, one))  # type: ignore[misc] # as above


def _require_own_workspace(remote: Remote, use_cases: Sequence[UseCase]) -> None:
    """Raise if every deployed job bears another environment's tag, or none is there and the catalog is not either."""
    try:
        found = [one for use_case in use_cases for job in use_case.jobs for one in jobs_named(remote, job.address)]
        own = any(one.environment == remote.environment.name for one in found)
        if own or (not found and has_own_catalog(remote)):
            return
    except UnreachableError:
        raise
    except RemoteError:
        return  # what is refused here is refused to a check below, which says so
    tags = " and ".join(sorted({f"environment={one.environment or 'none'}" for one in found}))
    seen = (
        f"its jobs bear the tag {tags}"
        if found
        else f"it has none of the jobs and sees no catalog {remote.environment.catalog!r}"
    )
    raise NotDeployedError(
        f"{remote.host} is not the workspace of {remote.environment.name}: {seen}. Set DATABRICKS_HOST, or the profile, to the "
        f"workspace of {remote.environment.name}."
    )


def _asked(about: str, look: Callable[[], CheckResult]) -> CheckResult:
    """Return a check; what the workspace refuses is one that did not hold, a workspace that is lost is none."""
    try:
        return look()
    except UnreachableError:
        raise
    except RemoteError as error:
        return CheckResult(about=about, held=False, found=str(error))


def _job(remote: Remote, job: Job, found: "dict[str, JobSettings]") -> CheckResult:
    """Return whether a job is deployed, once, by this environment, with its declared tasks; keep its settings."""
    about, name = f"job {job.address}", remote.environment.name
    deployed = jobs_named(remote, job.address)
    if len(deployed) != 1:
        ids = f" (ids {', '.join(str(one.job_id) for one in deployed)})" if deployed else ""
        return CheckResult(about=about, held=False, found=f"deployed {len(deployed)} times{ids} instead of once")
    (one,) = deployed
    settings = remote.ask(f"look at {about}", lambda: remote.client.jobs.get(one.job_id)).settings
    wrong = []
    if one.environment != name:
        wrong.append(f"its tag {ENVIRONMENT_TAG} is {one.environment}, not {name}")
    if settings is not None:
        found[job.address] = settings
        tasks, declared = {task.task_key for task in settings.tasks or ()}, {task.key for task in job.tasks}
        wrong += [f"task {key} is not deployed" for key in sorted(declared - tasks)]
        wrong += [f"task {key} is not declared" for key in sorted(tasks - declared)]
    return CheckResult(
        about=about, held=not wrong, found="; ".join(wrong) or f"id {one.job_id}, {len(job.tasks)} tasks"
    )


def _wheel(remote: Remote, found: "dict[str, JobSettings]", wanted: str | None) -> Iterator[CheckResult]:
    """Yield whether every task installs the one wheel, and whether its file is there."""
    folder = RELEASES.format(catalog=remote.environment.catalog)
    installed = {name: _wheels(settings) for name, settings in found.items()}
    every = sorted(set().union(*installed.values()))
    expected = f"{folder}/{wanted}" if wanted else (every[0] if len(every) == 1 else None)
    if expected is None:
        shown = "; ".join(f"{name}: {', '.join(sorted(paths)) or 'none'}" for name, paths in sorted(installed.items()))
        yield CheckResult(
            about="wheel of all tasks", held=False, found=f"not the same one: {shown}" if shown else "no task"
        )
        return
    wrong = [
        f"{name} installs {', '.join(sorted(paths)) or 'none'}"
        for name, paths in sorted(installed.items())
        if paths != {expected}
    ]
    said = f"{'; '.join(wrong)} instead of {expected}" if wrong else expected
    yield CheckResult(about="wheel of all tasks", held=not wrong, found=said)
    yield _asked(f"file {expected}", lambda: _file(remote, expected))


def _file(remote: Remote, path: str) -> CheckResult:
    there = remote.find(f"look for {path}", lambda: remote.client.files.get_metadata(path))
    return CheckResult(
        about="file of the wheel", held=there is not None, found=path if there else f"{path} is not there"
    )


def _wheels(settings: "JobSettings") -> set[str]:
    """Return the paths of every wheel that a task of the job installs; an empty one for a task that installs none."""
    serverless = {
        one.environment_key: [
            path
            for path in (line.partition(" ")[0] for line in (one.spec.dependencies if one.spec else None) or ())
            if path.endswith(".whl")
        ]
        for one in settings.environments or ()
    }
    paths: set[str] = set()
    for task in settings.tasks or ():
        if task.python_wheel_task is None:
            continue
        own = [library.whl for library in task.libraries or () if library.whl]
        paths.update(own or serverless.get(task.environment_key or "", []) or [""])
    return paths


def _schedules(use_cases: Sequence[UseCase], found: "dict[str, JobSettings]", wanted: str | None) -> CheckResult:
    """Return whether jobs start when they are declared to, and all of them or none."""
    wrong, states = [], set()
    for job in (job for use_case in use_cases for job in use_case.jobs if job.address in found):
        settings = found[job.address]
        declared = job.schedule.cron if job.schedule else None
        deployed = settings.schedule.quartz_cron_expression if settings.schedule else None
        if declared != deployed:
            wrong.append(f"{job.address} is scheduled {deployed or 'never'}, declared {declared or 'never'}")
        if settings.schedule is not None:
            paused = settings.schedule.pause_status is not None and settings.schedule.pause_status.value == "PAUSED"
            states.add(state := "paused" if paused else "running")
            if wanted is not None and state != wanted:
                wrong.append(f"the schedule of {job.address} is {state}, not {wanted}")
    if len(states) > 1 and wanted is None:
        wrong.append("some schedules are running and others paused")
    return CheckResult(about="schedules", held=not wrong, found="; ".join(wrong) or f"all {' '.join(states) or 'none'}")


def _champion(remote: Remote, use_case: UseCase) -> CheckResult:
    about = f"champion of {use_case.name}"
    found = registered(remote, use_case.model)
    if found is None:
        return CheckResult(
            about=about, held=False, found=f"the model {remote.name(use_case.model.address)} is not registered"
        )
    number = found.aliases.get(CHAMPION)
    if number is None:
        return CheckResult(about=about, held=True, found="none yet")
    ready = is_ready(remote, found.name, number)
    return CheckResult(
        about=about, held=ready, found=f"version {number}" + ("" if ready else " is not there or not ready")
    )


def _table(remote: Remote, sql: Sql, table: Table) -> CheckResult:
    about, name = f"table {table.address}", remote.name(table.address)
    columns = ", ".join(f"`{column.name}`" for column in table.columns)
    try:
        rows = sql.rows(f"SELECT {columns} FROM {quoted(name)} LIMIT 1")  # noqa: S608 - declared names, quoted
    except NoTableError:
        return CheckResult(about=about, held=True, found="not written yet")
    except RefusedError as error:
        return CheckResult(about=about, held=False, found=f"not readable: {error}")
    return CheckResult(about=about, held=True, found="readable" if rows else "readable, no rows")
