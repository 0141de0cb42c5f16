"""Declared jobs as they are deployed: found by name, and only where the workspace is the environment's own."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.declarations.job import Job
from pipelines.remote.connection import Remote
from pipelines.remote.errors import NotDeployedError, RefusedError

if TYPE_CHECKING:
    from databricks.sdk.service import jobs as sdk

PAGE = 100
ENVIRONMENT_TAG = "environment"
"""The tag of every deployed job, which distinguishes the workspace of one environment from that of another."""


@dataclass(frozen=True, kw_only=True)
class DeployedJob:
    """One job of the workspace.

    Attributes
    ----------
    environment
        What its tag says; None for a job that was not deployed from here.
    """

    job_id: int
    name: str
    environment: str | None
    link: str


def jobs_named(remote: Remote, name: str) -> tuple[DeployedJob, ...]:
    """Return every job of exactly that name that the caller may see: none, one, or several by mistake.

    Raises
    ------
    RemoteError
        If the workspace cannot be asked.
    """
    # The filter of the API does not tell upper from lower case.
    found = remote.ask(f"list the jobs named {name}", lambda: list(remote.client.jobs.list(name=name, limit=PAGE)))
    return tuple(_record(remote, job) for job in found if job.settings and job.settings.name == name and job.job_id)


def find_job(remote: Remote, job: Job) -> DeployedJob:
    """Return the one deployed job of a declaration.

    Raises
    ------
    NotDeployedError
        If it is not deployed, more than once deployed, or deployed by another environment.
    RemoteError
        If the workspace cannot be asked.
    """
    found, name = jobs_named(remote, job.address), remote.environment.name
    foreign = sorted({one.environment or "none" for one in found} - {name})
    if foreign:
        raise NotDeployedError(
            f"{remote.host} is not the workspace of {name}: its job {job.address} bears the tag environment="
            f"{' and '.join(foreign)}. Set DATABRICKS_HOST, or the profile, to the workspace of {name}."
        )
    if not found:
        raise NotDeployedError(_absent(remote, job))
    if len(found) > 1:
        raise NotDeployedError(
            f"job {job.address} is deployed {len(found)} times in {name} (ids "
            f"{', '.join(str(one.job_id) for one in found)}): delete those that Terraform does not know."
        )
    return found[0]


def has_own_catalog(remote: Remote) -> bool:
    """Return whether the workspace sees the catalog of the environment, also where the caller may not look into it."""
    catalog = remote.environment.catalog
    try:
        return remote.find(f"look for the catalog {catalog}", lambda: remote.client.catalogs.get(catalog)) is not None
    except RefusedError:
        return True


def _absent(remote: Remote, job: Job) -> str:
    name = remote.environment.name
    if not has_own_catalog(remote):
        return (
            f"job {job.address} is not deployed in {remote.host}, and the workspace sees no catalog {name!r} either: is it "
            f"the workspace of {name}? See DATABRICKS_HOST and --profile."
        )
    return (
        f"job {job.address} is not deployed in {name} ({remote.host}), or you may not see it: deploy {name}-workspace "
        "first, or ask for the right to see its jobs."
    )


def _record(remote: Remote, job: "sdk.BaseJob") -> DeployedJob:
    tags = (job.settings.tags if job.settings else None) or {}
    return DeployedJob(
        job_id=job.job_id or 0,
        name=(job.settings.name if job.settings else None) or "",
        environment=tags.get(ENVIRONMENT_TAG),
        link=f"{remote.host}/jobs/{job.job_id}",
    )
