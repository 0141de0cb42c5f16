"""Switches telemetry on for a run of a job, or for an endpoint, if the environment asks for it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from ml.spec.errors import NotPossibleError
from pipelines.telemetry.attributes import COMMIT, ENGINE, ENVIRONMENT, JOB, RELEASE, RUN, SERVICE, USE_CASE, Attribute
from pipelines.telemetry.events import RUN_BEGUN
from pipelines.telemetry.identity import identity_of
from pipelines.telemetry.recording import Noted, active, event, span
from pipelines.telemetry.settings import exporters_asked_for

if TYPE_CHECKING:  # loads OpenTelemetry
    from pipelines.telemetry.providers import OpenTelemetry

JOBS, SERVING = "mlops.jobs", "mlops.serving"
Say = Callable[[str], None]


@contextmanager
def traced_run(
    *, environment: str, engine: str, folder: Path | None, commit: Callable[[], str], job: str, run_id: str, first: bool,
    say: Say,
) -> Iterator[Noted]:  # fmt: skip
    """Give the span of a job's run; everything that the block records belongs to its trace.

    Parameters
    ----------
    folder
        Of a local environment; None on Databricks.
    commit
        Of the running code; asked for only if telemetry is on.
    first
        Whether this process is the one that records the span of the job: the one that begins the run.
    say
        Takes a line about telemetry that was not sent; a run never fails by it.

    Raises
    ------
    RequestError
        If the environment asks for an exporter that does not exist.
    """
    with switched_on(JOBS, environment=environment, engine=engine, folder=folder, commit=commit, say=say) as telemetry:
        if telemetry is None:
            with span("") as nothing:
                yield nothing
            return
        facts: dict[Attribute, object] = {JOB: job, RUN: run_id}
        name = f"job {job}" if first else f"part of job {job}"
        with telemetry.run(name, facts, identity_of(environment, run_id), first=first) as noted:
            event(RUN_BEGUN, facts)
            yield noted


@contextmanager
def traced_endpoint(
    use_case: str, *, environment: str, engine: str, folder: Path | None, commit: Callable[[], str], say: Say
) -> Iterator[None]:
    """Let requests that are answered within the block be recorded."""
    with switched_on(
        SERVING, environment=environment, engine=engine, folder=folder, commit=commit, say=say, use_case=use_case
    ) as telemetry:
        try:
            yield
        finally:
            if telemetry is not None:
                telemetry.flush(at_end=True)


@contextmanager
def switched_on(
    service: str, *, environment: str, engine: str, folder: Path | None, commit: Callable[[], str], say: Say,
    use_case: str | None = None,
) -> Iterator["OpenTelemetry | None"]:  # fmt: skip
    """Switch telemetry on for the block, if the environment asks for it and it can be had here; else give None."""
    asked = exporters_asked_for()
    if not asked:
        yield None
        return
    try:
        from pipelines.telemetry.providers import telemetry_of

        resource: dict[Attribute, object] = {
            SERVICE: service, RELEASE: _release(), ENVIRONMENT: environment, COMMIT: commit(), ENGINE: engine,
            USE_CASE: use_case,
        }  # fmt: skip
        telemetry = telemetry_of(asked, resource, folder)
    except (ImportError, NotPossibleError, OSError) as error:
        say(f"telemetry stays off: {error}")
        yield None
        return
    try:
        with active(telemetry):
            yield telemetry
    finally:
        if telemetry.complaint:
            say(f"telemetry: {telemetry.complaint}.")


def _release() -> str:
    """Return the version of the installed wheel, which names its commit; the source tree has none."""
    try:
        return metadata.version("lakehouse-mlops")
    except metadata.PackageNotFoundError:
        return "source-tree"
