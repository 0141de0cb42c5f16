"""Examines a local environment: reads tables, registry, locks and folders, and has `diagnosis` say what is residue."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from pipelines.declarations.asset import Table
from pipelines.declarations.registry import use_cases
from pipelines.declarations.use_case import UseCase
from pipelines.doctor import diagnosis
from pipelines.doctor.residue import Residue
from pipelines.execution.branches import branches_in
from pipelines.execution.locks import alive_in
from pipelines.execution.run_history import killed
from pipelines.execution.runner import State
from pipelines.lakehouse.lakehouse import Lakehouse
from pipelines.lakehouse.registry.upkeep import Leftovers
from pipelines.lakehouse.tables.unreferenced import unreferenced

UNTOUCHED_SECONDS = 3600.0
"""A file that nothing refers to may belong to a write that is under way; after an hour it does not."""


def examine(lakehouse: Lakehouse, folder: Path) -> tuple[Residue, ...]:
    """Return everything that was left behind in an environment, in the order of its repair; only reads.

    Parameters
    ----------
    folder
        The environment's, with its tables, artifacts and locks.
    """
    alive = alive_in(folder)
    everyone = (*use_cases(), *branches_in(lakehouse, use_cases()))
    found = [residue for use_case in everyone for residue in _of_use_case(lakehouse, use_case, alive)]
    found += _of_registry(lakehouse, everyone, folder, alive)
    found += _of_files(folder)
    order = list(type(found[0].kind)) if found else []
    return tuple(sorted(found, key=lambda residue: order.index(residue.kind)))


def rows_with_repeated_keys(lakehouse: Lakehouse, table: Table) -> list[dict[str, Any]]:
    """Return every row whose key another row has too."""
    rows = lakehouse.tables.read(table)
    repeated = rows.groupBy(*table.row_key).agg(F.count(F.lit(1)).alias("times")).where(F.col("times") > 1)
    if not repeated.limit(1).count():
        return []
    found: list[dict[str, Any]] = rows.join(repeated.drop("times"), on=list(table.row_key)).toArrow().to_pylist()
    return found


def upkeep_of(lakehouse: Lakehouse, folder: Path) -> Leftovers:
    """Return the upkeep of an environment's registry."""
    lakehouse.models  # noqa: B018 -- opens the registry, and creates it where nothing has used it
    return Leftovers(lakehouse.model_stores, lakehouse.guard, folder=folder)


def _of_use_case(lakehouse: Lakehouse, use_case: UseCase, alive: set[str]) -> Iterator[Residue]:
    runs = _rows(lakehouse, use_case.table("runs"))
    # A run may have begun since, or ended.
    gone = {row["run_id"] for row in killed(lakehouse, use_case, runs)}
    alive = alive | {row["run_id"] for row in runs if row["state"] == State.RUNNING} - gone
    yield from diagnosis.dead_runs(runs, use_case.table("runs"), alive)
    ingests, refreshes = (_rows(lakehouse, use_case.table(name)) for name in ("ingests", "refreshes"))
    if not any(job.address in {row["job"] for row in runs if row["run_id"] in alive} for job in use_case.jobs):
        yield from diagnosis.without_features(use_case, ingests, refreshes)
    candidates = lakehouse.models.candidates(use_case.model)
    name = lakehouse.models.name(use_case.model)
    identical = diagnosis.identical_candidates(candidates, name)
    yield from identical
    others = [one for one in candidates if one not in [residue.subject["version"] for residue in identical]]
    yield from diagnosis.waiting_candidates(others, runs, alive, name)
    for table in use_case.tables:
        if table.row_key and lakehouse.tables.exists(table):
            repeated = rows_with_repeated_keys(lakehouse, table)
            keys = {tuple(row[name] for name in table.row_key) for row in repeated}
            yield from diagnosis.duplicate_keys(table, len(repeated), len(keys))


def _of_registry(lakehouse: Lakehouse, everyone: Sequence[UseCase], folder: Path, alive: set[str]) -> list[Residue]:
    upkeep, experiments = upkeep_of(lakehouse, folder), [use_case.name for use_case in everyone]
    names = {lakehouse.models.name(use_case.model) for use_case in everyone}
    versions = upkeep.versions()
    return [
        *diagnosis.open_runs(upkeep.open_runs(experiments), alive),
        *diagnosis.half_versions(versions, names),
        *diagnosis.unused_models(upkeep.stored_models(experiments), versions, alive),
        *diagnosis.orphan_files(str(folder / "artifacts"), _old(upkeep.unknown_folders(experiments))),
    ]


def _of_files(folder: Path) -> list[Residue]:
    limit = time.time() - UNTOUCHED_SECONDS
    found = []
    for schema in sorted((folder / "tables").glob("*/*")):
        found += diagnosis.orphan_files(str(schema), unreferenced(schema, older_than=limit))
    for place in (folder, folder.parent):
        started = [file for file in place.glob(".*.db.*") if file.is_file()]
        found += diagnosis.orphan_files(str(place), _old(started))
    return [*found, *diagnosis.orphan_files(str(folder / "locks"), _old(sorted((folder / "locks").glob("*.new"))))]


def _old(files: tuple[Path, ...] | list[Path]) -> list[Path]:
    limit = time.time() - UNTOUCHED_SECONDS
    return [file for file in files if file.stat().st_mtime < limit]


def _rows(lakehouse: Lakehouse, table: Table) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = lakehouse.tables.read(table).toArrow().to_pylist()
    return rows
