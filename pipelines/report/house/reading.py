"""Reads the records of the whole house from the local environments. Nothing is decided here."""

import datetime as dt
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.spec.errors import LakehouseError
from pipelines.dataframes.newest_row import newest_row
from pipelines.declarations.environment import ENVIRONMENTS
from pipelines.declarations.shared_features import catalogue
from pipelines.declarations.urgency import CauseArea
from pipelines.declarations.use_case import UseCase
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.lakehouse.tables.arrow import in_utc
from pipelines.on_call.cause import Cause, errors_of
from pipelines.on_call.local_condition import condition_of
from pipelines.report.house.records import Freshness, PlacedUseCase
from pipelines.report.reading import exists, mlflow_links


def place_of(root: Path) -> str:
    """Return the option by which commands reach the environments under a folder."""
    return f"--root {shlex.quote(str(root))}"


def read_house(root: Path, use_cases: Sequence[UseCase]) -> tuple[PlacedUseCase, ...]:
    """Return every use case that has run in any local environment under a folder; nothing is created."""
    found = []
    for name in ENVIRONMENTS:
        if not exists(name, root, "embedded"):
            continue
        with open_lakehouse(name, root=root) as lakehouse:
            for one in use_cases:
                try:
                    if lakehouse.tables.exists(one.table("runs")):
                        found.append(_placed(lakehouse, one, place_of(root)))
                except LakehouseError as error:  # a damaged table of one use case hides no other
                    found.append(_damaged(name, one, error))
    return tuple(found)


def read_newest(root: Path, use_cases: Sequence[UseCase]) -> dict[str, dict[str, dt.datetime | None]]:
    """Return the instant of the newest row of each shared feature table, by local environment that has run and by address."""
    shared = catalogue(use_cases)
    found: dict[str, dict[str, dt.datetime | None]] = {}
    for name in ENVIRONMENTS if shared else ():
        if exists(name, root, "embedded"):
            with open_lakehouse(name, root=root) as lakehouse:
                found[name] = {one.table.address: newest_row(lakehouse.tables, one.table) for one in shared}
    return found


def _damaged(environment: str, use_case: UseCase, error: LakehouseError) -> PlacedUseCase:
    return PlacedUseCase(
        environment=environment, use_case=use_case.name, team=use_case.team, description=use_case.description,
        cause=Cause(area=CauseArea.PLATFORM, sentence=f"platform: {error}"), champion=None, verdict=None,
        failed=(f"{use_case.name}: {error}",), findings=(), freshness=(), predictions=0, predicted_until=None, runs=0,
        last_run=None, seconds=0.0, versions=(), readable=False,
    )  # fmt: skip


def _placed(lakehouse: Lakehouse, use_case: UseCase, place: str) -> PlacedUseCase:
    condition = condition_of(lakehouse, use_case, place=place)
    runs, gone = condition.runs, condition.gone
    failed = (*errors_of(runs), *(f"{row['job']}, task {row['task']}: its process is gone" for row in gone))
    verdicts = _newest(lakehouse, use_case, "verdicts", "decided_at", 1)
    count, until = _predictions(lakehouse, use_case)
    every = lakehouse.tables.read(use_case.table("runs"))
    total = (
        every.agg(F.countDistinct("run_id").alias("runs"), F.sum("seconds").alias("seconds")).toArrow().to_pylist()[0]
    )
    return PlacedUseCase(
        environment=lakehouse.environment.name, use_case=use_case.name, team=use_case.team,
        description=use_case.description,
        cause=condition.cause,
        champion=condition.champion, verdict=verdicts[0]["sentence"] if verdicts else None, failed=failed,
        findings=tuple(condition.findings), alarms=condition.alerts,
        freshness=_freshness(lakehouse, use_case), predictions=count, predicted_until=until,
        runs=int(total["runs"] or 0), last_run=max((in_utc(row["started_at"]) for row in runs), default=None),
        seconds=float(total["seconds"] or 0.0), versions=_versions(lakehouse, use_case),
        links=mlflow_links(lakehouse, use_case),
    )  # fmt: skip


def _newest(lakehouse: Lakehouse, use_case: UseCase, table: str, by: str, limit: int) -> list[dict[str, Any]]:
    rows = lakehouse.tables.read(use_case.table(table))
    found: list[dict[str, Any]] = rows.orderBy(rows[by].desc()).limit(limit).toArrow().to_pylist()
    return found


def _predictions(lakehouse: Lakehouse, use_case: UseCase) -> tuple[int, dt.datetime | None]:
    made = lakehouse.tables.read(use_case.table("predictions")).where(F.col("alias") == CHAMPION)
    found = made.agg(F.count(F.lit(1)).alias("rows"), F.max("prediction_at").alias("until")).toArrow().to_pylist()[0]
    return int(found["rows"]), in_utc(found["until"]) if found["until"] else None


def _freshness(lakehouse: Lakehouse, use_case: UseCase) -> tuple[Freshness, ...]:
    read = lakehouse.tables.read(use_case.table("ingests"))
    rows = read.groupBy("source").agg(
        F.max("until").alias("until"), F.sum("rows_read").alias("rows"), F.sum("rows_quarantined").alias("quarantined")
    )
    return tuple(
        Freshness(**{**row, "until": in_utc(row["until"])})
        for row in sorted(rows.toArrow().to_pylist(), key=lambda row: str(row["source"]))
    )


def _versions(lakehouse: Lakehouse, use_case: UseCase) -> tuple[dict[str, Any], ...]:
    return tuple(
        {
            "number": version.number, "aliases": tuple(sorted(version.aliases)),
            "estimator": version.tags.get("estimator", ""), "verdict": version.tags.get("verdict", ""),
            "tables": tuple(sorted(json.loads(version.tags.get("table_versions", "{}")).items())),
            "run_id": version.run_id, "trained_in": version.trained_in,
        }
        for version in reversed(lakehouse.models.versions(use_case.model))
    )  # fmt: skip
