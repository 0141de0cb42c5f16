"""What is residue: plain functions of what tables, registry, locks and folders hold."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.declarations.asset import Table
from pipelines.declarations.use_case import UseCase
from pipelines.doctor.residue import Residue, ResidueKind
from pipelines.execution.runner import State
from pipelines.lakehouse.registry.model_version import ModelVersion
from pipelines.lakehouse.registry.upkeep import READY, OpenRun, StoredModel, VersionState

Row = Mapping[str, Any]


def dead_runs(runs: Iterable[Row], table: Table, alive: Collection[str]) -> list[Residue]:
    """Return the runs that are recorded as running although none of `alive` (the runs that hold a lock) is theirs."""
    return [
        Residue(
            kind=ResidueKind.DEAD_RUN,
            where=table.address,
            what=f"run {row['run_id']} of {row['job']} is recorded as running since {row['started_at']:%Y-%m-%d %H:%M:%S} "
            "and its process is gone",
            remedy="record it as interrupted; to continue it, run the job with --run-id",
            subject={"table": table, "row": row},
        )
        for row in runs
        if row["state"] == State.RUNNING.value and row["run_id"] not in alive
    ]


def open_runs(found: Iterable[OpenRun], alive: Collection[str]) -> list[Residue]:
    """Return the MLflow runs that no process will end."""
    return [
        Residue(
            kind=ResidueKind.OPEN_MLFLOW_RUN, where=f"MLflow run {run.run_id}", what=f"{run.name!r} has no end and no process",
            remedy="end it as killed", subject={"run_id": run.run_id},
        )
        for run in found
        if not _of_one(run.name, alive)
    ]  # fmt: skip


def half_versions(versions: Iterable[VersionState], names: Collection[str]) -> list[Residue]:
    """Return the registered versions of these models that never became ready."""
    return [
        Residue(
            kind=ResidueKind.HALF_VERSION, where=version.name, what=f"version {version.number} is {version.state}",
            remedy="remove it", subject={"name": version.name, "number": version.number},
        )
        for version in versions
        if version.name in names and version.state != READY
    ]  # fmt: skip


def unused_models(
    models: Iterable[StoredModel], versions: Iterable[VersionState], alive: Collection[str]
) -> list[Residue]:
    """Return the stored models that no version of any environment uses."""
    used = [(version.model_id, version.location) for version in versions]
    return [
        Residue(
            kind=ResidueKind.UNUSED_MODEL, where=f"stored model {model.model_id}",
            what=f"{'no version uses it' if model.ready else 'it was never finished'}; it is of {model.run_name!r}",
            remedy="remove it and its files", subject={"model_id": model.model_id},
        )
        for model in models
        if not any(model.model_id == model_id or model.model_id in location for model_id, location in used)
        and not _of_one(model.run_name, alive)
    ]  # fmt: skip


def identical_candidates(candidates: Sequence[ModelVersion], name: str) -> list[Residue]:
    """Return the candidates of a training set and an estimator that an earlier candidate has already."""
    same: dict[tuple[str | None, str | None], list[ModelVersion]] = defaultdict(list)
    for version in candidates:
        if "training_set_id" in version.tags:
            same[version.tags["training_set_id"], version.tags.get("estimator")].append(version)
    return [
        Residue(
            kind=ResidueKind.IDENTICAL_CANDIDATE, where=name,
            what=f"version {second.number} is version {first.number} again: {second.tags.get('estimator')} on training set "
            f"{second.tags['training_set_id']}",
            remedy=f"remove version {second.number}", subject={"version": second, "name": name},
        )
        for first, *others in same.values()
        for second in others
    ]  # fmt: skip


def waiting_candidates(
    candidates: Sequence[ModelVersion], runs: Iterable[Row], alive: Collection[str], name: str
) -> list[Residue]:
    """Return the candidates whose run was killed or interrupted: nothing will evaluate them."""
    last: dict[str, Row] = {}
    for row in sorted(runs, key=lambda row: row["started_at"]):
        last[row["run_id"]] = row
    dead = {run_id for run_id, row in last.items() if row["state"] in (State.RUNNING.value, State.INTERRUPTED.value)}
    return [
        Residue(
            kind=ResidueKind.WAITING_CANDIDATE, where=name,
            what=f"version {version.number} waits for an evaluation, and its run {run_id} was ended before",
            remedy=f"take it out of the candidates; to continue instead, run the job with --run-id {run_id}",
            subject={"version": version},
        )
        for version in candidates
        if (run_id := version.tags.get("training_set_id", "")) in dead - set(alive)
    ]  # fmt: skip


def without_features(use_case: UseCase, ingests: Iterable[Row], refreshes: Iterable[Row]) -> list[Residue]:
    """Return the batches that a feature table has not taken in."""
    taken = {(row["feature_table"], row["batch_id"]) for row in refreshes}
    missing: dict[str, list[str]] = defaultdict(list)
    for row in ingests:
        for feature in (*use_case.features, use_case.labels):
            sources = [source.name for source in use_case.sources if source.table in feature.sources]
            if row["source"] in sources and (feature.table.address, row["batch_id"]) not in taken:
                missing[feature.table.address].append(row["batch_id"])
    return [
        Residue(
            kind=ResidueKind.BATCH_WITHOUT_FEATURES, where=address,
            what=f"{len(batches)} ingested batch{'es' if len(batches) > 1 else ''} not taken in, the first "
            f"{min(batches)}",
            remedy=f"run {use_case.name}.features --only build_features,build_labels", subject={"use_case": use_case},
        )
        for address, batches in missing.items()
    ]  # fmt: skip


def duplicate_keys(table: Table, rows: int, keys: int) -> list[Residue]:
    """Return the table if it has more rows than keys.

    Parameters
    ----------
    rows, keys
        How many rows the repeated keys have, and how many such keys there are.
    """
    if not keys:
        return []
    clock = clock_of(table)
    kept = f"the newest row by {clock}" if clock else "one row"
    remedy = (
        f"keep {kept} of each key"
        if window_column(table)
        else "by hand: the table has no column of times by which rows could be replaced; restore an earlier version"
    )
    return [
        Residue(kind=ResidueKind.DUPLICATE_KEYS, where=table.address,
                what=f"{keys:,} key{'s' if keys > 1 else ''} with {rows:,} rows", remedy=remedy, subject={"table": table})
    ]  # fmt: skip


def orphan_files(where: str, files: Sequence[Path]) -> list[Residue]:
    """Return one record for the files of one folder that nothing refers to."""
    if not files:
        return []
    what = f"{len(files)} file{'s' if len(files) > 1 else ''} that nothing refers to, the first {files[0].name}"
    return [
        Residue(
            kind=ResidueKind.ORPHAN_FILES, where=where, what=what, remedy="remove them", subject={"files": tuple(files)}
        )
    ]


def kept_rows(table: Table, rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return one row of each key: the newest by the table's clock, and of equally new ones always the same."""
    clock = clock_of(table)
    best: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in sorted(
        (dict(row) for row in rows), key=lambda row: (row[clock] if clock else 0, repr(sorted(row.items())))
    ):
        best[tuple(row[name] for name in table.row_key)] = row
    return list(best.values())


def clock_of(table: Table) -> str | None:
    """Return the column that says when a row was written; None if the table has none."""
    times = [column.name for column in table.columns if column.type == "timestamp" and not column.nullable]
    own = [name for name in times if name not in table.row_key and name.endswith("_at")]
    return own[-1] if own else None


def window_column(table: Table) -> str | None:
    """Return a column of times or dates that every row has, by which rows can be replaced; None if there is none."""
    kinds = ("timestamp", "date")
    names = [column.name for column in table.columns if column.type in kinds and not column.nullable]
    return next((name for name in (*table.row_key, *names) if name in names), None)


def _of_one(run_name: str, alive: Collection[str]) -> bool:
    return any(run_id in run_name for run_id in alive)
