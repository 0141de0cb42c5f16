"""Repairs what the examination found. Every repair may be repeated: one that was cut off is done again."""

import datetime as dt
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import MappingProxyType

from pipelines.declarations.registry import use_cases
from pipelines.doctor.diagnosis import kept_rows, window_column
from pipelines.doctor.examination import examine, rows_with_repeated_keys, upkeep_of
from pipelines.doctor.residue import Residue, ResidueKind
from pipelines.execution.context import TaskError
from pipelines.execution.jobs import run_and_record
from pipelines.execution.locks import hold
from pipelines.execution.run_history import new_run_id
from pipelines.execution.runner import State
from pipelines.lakehouse.lakehouse import Lakehouse
from pipelines.lakehouse.registry.models import CANDIDATE
from pipelines.lakehouse.tables.arrow import records
from pipelines.tasks.versions.promotion import EVALUATED_IN

ROUNDS = 3
"""One repair can bring another residue to light: a version that is removed leaves a model that no version uses."""
GONE = "the process ended without a record"


def repair(lakehouse: Lakehouse, folder: Path, *, say: Callable[[str], None]) -> tuple[Residue, ...]:
    """Repair what the examination finds, and return what is left.

    Parameters
    ----------
    say
        Takes a line about each repair.

    Raises
    ------
    LockHeldError
        If a job is running, with who runs it; nothing was changed.
    """
    with _no_job_running(lakehouse, folder) as run_id:
        found = examine(lakehouse, folder)
        for _ in range(ROUNDS):
            for residue in found:
                done = _REPAIRS[residue.kind](_Patient(lakehouse, folder, run_id), residue)
                say(f"{residue.kind.value}, {residue.where}: {done}")
            found = examine(lakehouse, folder)
            if not found:
                break
        return found


@contextmanager
def _no_job_running(lakehouse: Lakehouse, folder: Path) -> Iterator[str]:
    """Hold the lock of every job of an environment, and give the id of the run that holds them."""
    run_id = f"doctor-{new_run_id(dt.datetime.now(dt.UTC))}"
    with ExitStack() as held:
        for job in (job for use_case in use_cases() for job in use_case.jobs):
            lock = held.enter_context(hold(folder, job.address, environment=lakehouse.environment.name, run_id=run_id))
            held.enter_context(lakehouse.guard.under(lock.writing))
        yield run_id


class _Patient:
    """The environment that is repaired, and the run that repairs it."""

    def __init__(self, lakehouse: Lakehouse, folder: Path, run_id: str) -> None:
        self.lakehouse, self.folder, self.run_id = lakehouse, folder, run_id


def _dead_run(patient: _Patient, residue: Residue) -> str:
    table, row = residue.subject["table"], residue.subject["row"]
    ended = {**row, "state": State.INTERRUPTED.value, "error": GONE}
    patient.lakehouse.tables.merge(table, records(table, [ended]))
    return "recorded as interrupted"


def _open_run(patient: _Patient, residue: Residue) -> str:
    upkeep_of(patient.lakehouse, patient.folder).end_run(residue.subject["run_id"])
    return "ended as killed"


def _half_version(patient: _Patient, residue: Residue) -> str:
    upkeep_of(patient.lakehouse, patient.folder).remove_version(residue.subject["name"], residue.subject["number"])
    return "removed"


def _unused_model(patient: _Patient, residue: Residue) -> str:
    upkeep_of(patient.lakehouse, patient.folder).remove_model(residue.subject["model_id"])
    return "removed"


def _identical(patient: _Patient, residue: Residue) -> str:
    """Remove a version that nothing has decided about; its files are then found as a model without version."""
    version = residue.subject["version"]
    if version.aliases or EVALUATED_IN in version.tags:
        return _waiting(patient, residue)
    upkeep_of(patient.lakehouse, patient.folder).remove_version(residue.subject["name"], version.number)
    return f"version {version.number} removed"


def _waiting(patient: _Patient, residue: Residue) -> str:
    version = residue.subject["version"]
    patient.lakehouse.models.delete_tags(version, [CANDIDATE])
    return f"version {version.number} is no candidate any more"


def _duplicates(patient: _Patient, residue: Residue) -> str:
    """Replace the time that the repeated keys span by the same rows with each key once."""
    table, tables = residue.subject["table"], patient.lakehouse.tables
    column = window_column(table)
    if column is None:
        raise TaskError(
            f"table {table.address} has no column of times by which rows could be replaced: {residue.remedy}."
        )
    times = [row[column] for row in rows_with_repeated_keys(patient.lakehouse, table)]
    if not times:
        return "nothing is left to do"
    step = dt.timedelta(microseconds=1) if isinstance(times[0], dt.datetime) else dt.timedelta(days=1)
    start, end = min(times), max(times) + step
    rows = tables.read(table)
    within = rows.where((rows[column] >= start) & (rows[column] < end)).toArrow().to_pylist()
    kept = kept_rows(table, within)
    tables.overwrite_window(table, records(table, kept), column=column, start=start, end=end)
    return f"{len(within) - len(kept):,} rows removed"


def _without_features(patient: _Patient, residue: Residue) -> str:
    job = residue.subject["use_case"].job("features")
    done = run_and_record(patient.lakehouse, job, {}, run_id=patient.run_id, only=["build_features", "build_labels"])
    if not done.succeeded:
        failed = next(run.error for run in done.last.values() if run.error)
        raise TaskError(f"{job.address} did not take the batches in: {failed}")
    return f"{job.address} has taken in what was missing"


def _orphans(patient: _Patient, residue: Residue) -> str:  # noqa: ARG001 -- all repairs are called alike
    files: tuple[Path, ...] = residue.subject["files"]
    for file in files:
        remove = partial(shutil.rmtree, ignore_errors=True) if file.is_dir() else partial(Path.unlink, missing_ok=True)
        remove(file)
    return f"{len(files)} removed"


_REPAIRS: Mapping[ResidueKind, Callable[[_Patient, Residue], str]] = MappingProxyType(
    {
        ResidueKind.DEAD_RUN: _dead_run,
        ResidueKind.OPEN_MLFLOW_RUN: _open_run,
        ResidueKind.HALF_VERSION: _half_version,
        ResidueKind.UNUSED_MODEL: _unused_model,
        ResidueKind.IDENTICAL_CANDIDATE: _identical,
        ResidueKind.WAITING_CANDIDATE: _waiting,
        ResidueKind.DUPLICATE_KEYS: _duplicates,
        ResidueKind.BATCH_WITHOUT_FEATURES: _without_features,
        ResidueKind.ORPHAN_FILES: _orphans,
    }
)
