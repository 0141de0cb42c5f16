"""Reads what the report tells from the tables and the registry of the environments, and writes the page.

What the rows mean and how they look is in `pipelines.report.page`; nothing is decided here.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.spec.errors import LakehouseError
from pipelines.declarations.environment import ENVIRONMENTS
from pipelines.declarations.job import RunJobTask
from pipelines.declarations.registry import use_cases
from pipelines.declarations.use_case import UseCase
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.lakehouse.registry.aliases import BASELINE, CHAMPION
from pipelines.lakehouse.tables.arrow import to_pandas
from pipelines.report.page import render
from pipelines.report.records import EnvironmentRecords, EstateSummary, ReportRecords, Rows, Scored, Version
from pipelines.tasks.measured import EVALUATION

FILE = "report.html"
SUMMED_UP = ("metrics", "verdicts", "ingests", "runs")
"""The tables that are read of every environment."""
TOLD = ("estimates", "retrainings", "findings", "quarantine")
"""The tables that are read as well of the one whose life is told."""


class NothingToReportError(LakehouseError, LookupError):
    """There is no one use case to tell of in the environment; the message says what to run or to name."""

    exit_code = 2


def write_report(
    root: Path,
    use_case: UseCase,
    *,
    environments: Sequence[str] = tuple(ENVIRONMENTS),
    main: str = "prod",
    engine: str = "embedded",
    out: Path | None = None,
    estate: EstateSummary | None = None,
) -> Path:
    """Write the report of a use case as one HTML file.

    Parameters
    ----------
    root
        The folder of the local environments.
    environments
        Those that are set side by side.
    main
        The one whose life is told month by month.
    out
        The file to write; ``report.html`` in `root` if not given.
    estate
        What the environments consist of in the cloud; left out of the page if not given.

    Raises
    ------
    NothingToReportError
        If nothing has run in `main`; no file is written then.
    """
    names = tuple(environments) if main in environments else (*environments, main)
    records = ReportRecords(
        use_case=use_case.name,
        description=use_case.description,
        team=use_case.team,
        problem=use_case.problem,
        policy=use_case.gate,
        drift_statistics=use_case.monitoring.statistics,
        minimum_rows=use_case.monitoring.minimum_labelled,
        environments=tuple(_environment(name, use_case, root, engine, whole=name == main) for name in names),
        main=main,
        champion=CHAMPION,
        baseline=BASELINE,
        evaluation=EVALUATION,
        estate=estate,
    )
    if not records.told.runs:
        raise NothingToReportError(_nothing_has_run(main, root))
    file = out or root / FILE
    file.write_text(render(records), encoding="utf-8")
    return file


def only_use_case(root: Path, environment: str, *, engine: str = "embedded") -> UseCase:
    """Return the use case that has run in an environment.

    Raises
    ------
    NothingToReportError
        If none has, or more than one, with their names.
    """
    with open_lakehouse(environment, engine=engine, root=root) as lakehouse:
        found = [declared for declared in use_cases() if lakehouse.tables.exists(declared.table("runs"))]
    if not found:
        raise NothingToReportError(_nothing_has_run(environment, root))
    if len(found) > 1:
        names = ", ".join(declared.name for declared in found)
        raise NothingToReportError(
            f"several use cases have run in {environment!r}: {names}. Say which with --use-case."
        )
    return found[0]


def _nothing_has_run(environment: str, root: Path) -> str:
    return f"nothing has run in {environment!r} under {root}: run a job there first, or name another environment or folder."


def _environment(name: str, use_case: UseCase, root: Path, engine: str, *, whole: bool) -> EnvironmentRecords:
    """Return what an environment says; of those that are only summed up, only what that takes."""
    with open_lakehouse(name, engine=engine, root=root) as lakehouse:
        if not lakehouse.tables.exists(use_case.table("runs")):
            # Asking the registry would create its files in an environment that nobody has used.
            return EnvironmentRecords(name=name)
        tables = (*SUMMED_UP, *(TOLD if whole else ()))
        return EnvironmentRecords(
            name=name,
            **{table: _rows(lakehouse, use_case, table) for table in tables},
            drift=_drift(lakehouse, use_case) if whole else (),
            versions=_versions(lakehouse, use_case),
            scored=_scored(lakehouse, use_case) if whole else None,
            starts=_starts(use_case),
        )


def _rows(lakehouse: Lakehouse, use_case: UseCase, table: str) -> Rows:
    return _plain(lakehouse.tables.read(use_case.table(table)).toArrow().to_pylist())


def _drift(lakehouse: Lakehouse, use_case: UseCase) -> Rows:
    """Return the comparisons with the training profile, without what the report does not show."""
    rows = lakehouse.tables.read(use_case.table("drift")).where(F.col("drift_type") == "BASELINE")
    shown = rows.select("window_start", "column_name", "model_id", "computed_at", *_drift_statistics(use_case))
    return _plain(shown.toArrow().to_pylist())


def _drift_statistics(use_case: UseCase) -> tuple[str, ...]:
    return tuple(dict.fromkeys(("js_distance", *use_case.monitoring.statistics)))


def _plain(rows: list[dict[str, Any]]) -> Rows:
    return tuple({name: _utc(value) for name, value in row.items()} for row in rows)


def _utc(value: Any) -> Any:
    if not isinstance(value, dt.datetime):
        return value
    return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


def _versions(lakehouse: Lakehouse, use_case: UseCase) -> tuple[Version, ...]:
    return tuple(
        Version(number=version.number, aliases=version.aliases, tags=_text(version.tags))
        for version in lakehouse.models.versions(use_case.model)
    )


def _text(tags: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in tags.items()}


def _starts(use_case: UseCase) -> frozenset[tuple[str, str]]:
    return frozenset(
        (job.address, task.key) for job in use_case.jobs for task in job.tasks if isinstance(task, RunJobTask)
    )


def _scored(lakehouse: Lakehouse, use_case: UseCase) -> Scored:
    """Return every request that the champion scored, with its label and what the baseline said of it."""
    made = lakehouse.tables.read(use_case.table("predictions"))
    names = ("request_key", "score", "model_version")
    live = made.where(F.col("alias") == CHAMPION).select(*names, "prediction_at")
    first = made.where(F.col("alias") == BASELINE).select(
        "request_key", F.col("score").alias("baseline_score"), F.col("model_version").alias("baseline_version")
    )
    labels = lakehouse.tables.read(use_case.labels.table).select("request_key", "label")
    joined = live.join(first, on="request_key", how="left").join(labels, on="request_key", how="left")
    frame = to_pandas(joined.drop("request_key"))
    return Scored(
        instants=frame["prediction_at"].to_numpy("datetime64[us]"),
        labels=frame["label"].to_numpy(np.float64),
        champion=frame["score"].to_numpy(np.float64),
        baseline=frame["baseline_score"].to_numpy(np.float64),
        champion_version=frame["model_version"].to_numpy(np.int64),
        baseline_version=frame["baseline_version"].fillna(0).to_numpy(np.int64),
    )
