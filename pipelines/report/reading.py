"""Reads the records of the report from the tables and the registry of an environment. Nothing is decided here."""

import datetime as dt
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.metrics.clusters import codes_of
from ml.profiles.table_profile import Profile
from ml.spec.target import score_columns
from ml.spec.weights import SAMPLE_WEIGHT
from pipelines.dataframes.label_maturity import with_standing
from pipelines.dataframes.scoring import scores_in
from pipelines.dataframes.training_rows import sampled, weight_of
from pipelines.declarations.environment import environment
from pipelines.declarations.job import RunJobTask
from pipelines.declarations.use_case import UseCase
from pipelines.lakehouse.engines.choice import LOCAL
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.lakehouse.registry.aliases import BASELINE, CHAMPION
from pipelines.lakehouse.registry.model_version import NoModelVersionError
from pipelines.lakehouse.tables.arrow import in_utc, to_pandas
from pipelines.report.maturity_reading import read_maturity
from pipelines.report.mlflow_links import MlflowLinks
from pipelines.report.records import EnvironmentRecords, Rows, Scored, Version
from pipelines.report.sections.findings import OF_COLUMNS
from pipelines.report.served_reading import read_served
from pipelines.tasks import row_limits
from pipelines.tasks.data.labels import made_live
from pipelines.tasks.versions.reference import Reference

OF_EVERY_ENVIRONMENT = ("metrics", "verdicts", "ingests", "runs")
"""The tables that are read of every environment."""
OF_THE_MAIN_ONE = (
    "estimates", "evaluations", "retrainings", "findings", "findings_history", "quarantine", "model_cards", "skew",
)  # fmt: skip
"""The tables that are read as well of the environment reported month by month."""


def read_environment(name: str, use_case: UseCase, root: Path, engine: str, *, whole: bool) -> EnvironmentRecords:
    """Return the records of an environment; without any where nothing has run.

    Parameters
    ----------
    whole
        Whether it is reported month by month; of the others only what their summary takes is read.
    """
    if not exists(name, root, engine):
        return EnvironmentRecords(name=name)
    with open_lakehouse(name, engine=engine, root=root) as lakehouse:
        if not lakehouse.tables.exists(use_case.table("runs")):
            # Asking the registry would create its files in an environment that nobody has used.
            return EnvironmentRecords(name=name)
        tables = (*OF_EVERY_ENVIRONMENT, *(OF_THE_MAIN_ONE if whole else ()))
        rows = {table: _rows(lakehouse, use_case, table) for table in tables}
        profiles = _profiles(lakehouse, use_case, rows["findings_history"]) if whole else {}
        return EnvironmentRecords(
            name=name,
            **rows,
            profiles=profiles,
            references=_references(lakehouse, use_case, {version for _, version in profiles}),
            drift=_drift(lakehouse, use_case, "drift") if whole else (),
            drift_history=_drift(lakehouse, use_case, "drift_history", "recorded_at") if whole else (),
            versions=_versions(lakehouse, use_case),
            scored=_scored(lakehouse, use_case) if whole else None,
            maturity=read_maturity(lakehouse, use_case, at=_present(lakehouse, use_case)) if whole else None,
            served=read_served(lakehouse, use_case) if whole else None,
            starts=_starts(use_case),
            links=mlflow_links(lakehouse, use_case) if engine in LOCAL else None,
        )


def exists(name: str, root: Path, engine: str) -> bool:
    """Return whether there is a local environment to read; opening one that is missing would create its folder."""
    return engine not in LOCAL or (root / environment(name).catalog).is_dir()


def mlflow_links(lakehouse: Lakehouse, use_case: UseCase) -> MlflowLinks:
    """Return where MLflow shows the runs and versions of a use case."""
    return MlflowLinks(
        environment=lakehouse.environment.name, model=lakehouse.models.name(use_case.model),
        experiment_id=lakehouse.models.experiment_id(use_case.name),
    )  # fmt: skip


def _rows(lakehouse: Lakehouse, use_case: UseCase, table: str) -> Rows:
    return _plain(lakehouse.tables.read(use_case.table(table)).toArrow().to_pylist())


def _drift(lakehouse: Lakehouse, use_case: UseCase, table: str, *more: str) -> Rows:
    """Return the comparisons with the training profile, without what the report does not show."""
    rows = lakehouse.tables.read(use_case.table(table)).where(F.col("drift_type") == "BASELINE")
    shown = rows.select("window_start", "column_name", "model_id", "computed_at", *more, *_drift_statistics(use_case))
    return _plain(shown.toArrow().to_pylist())


def _drift_statistics(use_case: UseCase) -> tuple[str, ...]:
    return tuple(dict.fromkeys(("js_distance", *use_case.monitoring.statistics)))


def _profiles(lakehouse: Lakehouse, use_case: UseCase, findings: Rows) -> Mapping[tuple[dt.datetime, int], Profile]:
    """Return the profiles of the windows that have findings about columns, by window and version."""
    starts = {finding["window_start"] for finding in findings if finding["kind"] in OF_COLUMNS}
    stored = lakehouse.tables.read(use_case.table("profiles")).where(F.col("profile").isNotNull())
    rows = _plain(stored.select("window_start", "model_id", "profile").toArrow().to_pylist() if starts else [])
    return {
        (row["window_start"], int(row["model_id"])): Profile.from_json(row["profile"])
        for row in rows
        if row["window_start"] in starts
    }


def _references(lakehouse: Lakehouse, use_case: UseCase, numbers: Collection[int]) -> Mapping[int, Profile]:
    """Return the profiles of the rows that versions were trained on, of those that are still registered with one."""
    found = {}
    for version in lakehouse.models.versions(use_case.model) if numbers else ():
        if version.number in numbers:
            with suppress(NoModelVersionError):
                found[version.number] = Reference.stored(lakehouse.models, version).profile
    return found


def _plain(rows: list[dict[str, Any]]) -> Rows:
    return tuple({name: _utc(value) for name, value in row.items()} for row in rows)


def _utc(value: Any) -> Any:
    return in_utc(value) if isinstance(value, dt.datetime) else value


def _versions(lakehouse: Lakehouse, use_case: UseCase) -> tuple[Version, ...]:
    return tuple(
        Version(number=version.number, aliases=version.aliases, tags=_text(version.tags), run_id=version.run_id)
        for version in lakehouse.models.versions(use_case.model)
    )


def _text(tags: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in tags.items()}


def _starts(use_case: UseCase) -> frozenset[tuple[str, str]]:
    return frozenset(
        (job.address, task.key) for job in use_case.jobs for task in job.tasks if isinstance(task, RunJobTask)
    )


def _present(lakehouse: Lakehouse, use_case: UseCase) -> dt.datetime:
    """Return the instant that the newest run took for the present: what was due and known then is shown."""
    runs = lakehouse.tables.read(use_case.table("runs"))
    newest_run: dt.datetime = _utc(runs.agg(F.max("as_of").alias("now")).toArrow()["now"][0].as_py())
    return newest_run


def _scored(lakehouse: Lakehouse, use_case: UseCase) -> Scored:
    """Return the requests that the champion scored live, with the label if it was due and the score of the baseline.

    What a version scored in hindsight, rows that it was trained or evaluated on among them, shows nothing about it.

    All of them up to `row_limits.EXACT_ROWS`, above it about so many, drawn by key.
    """
    stored = lakehouse.tables.read(use_case.table("predictions"))
    made = stored.where(made_live())
    scores = score_columns(use_case.problem)
    names = ("request_key", *scores, "model_version")
    weight = use_case.weight if use_case.weight_in_metrics else None
    of_label = use_case.label_columns[1:] if weight else ()
    of_request = (SAMPLE_WEIGHT,) if weight and not of_label else ()
    own = F.col("alias") == CHAMPION
    share = min(1.0, row_limits.EXACT_ROWS / max(made.where(own).count(), 1))
    if share < 1:
        made = made.where(sampled(F.col("request_key"), share, row_limits.SAMPLE_SEED))
    sampled_entities = use_case.clusters.sampled
    belongs = [F.col(name).alias(f"entity_{place}") for place, name in enumerate(sampled_entities)]
    live = made.where(own).select(*names, "prediction_at", *of_request, *belongs)
    first = made.where(F.col("alias") == BASELINE).select(
        "request_key",
        *(F.col(name).alias(f"baseline_{name}") for name in scores),
        F.col("model_version").alias("baseline_version"),
    )
    judged = with_standing(
        live, lakehouse.tables.read(use_case.labels.table), key="request_key", time="prediction_at",
        due_days=use_case.label_due_days, at=_present(lakehouse, use_case), without_outcome=use_case.without_outcome,
        further=of_label,
    )  # fmt: skip
    counted = (
        [weight_of(F.col(name), weight).alias(SAMPLE_WEIGHT) for name in (*of_label, *of_request)] if weight else []
    )
    entities = [f"entity_{place}" for place in range(len(sampled_entities))]
    joined = judged.select(*names, "prediction_at", "label", *counted, *entities).join(
        first, on="request_key", how="left"
    )
    frame = to_pandas(joined.drop("request_key"))
    return Scored(
        instants=frame["prediction_at"].to_numpy("datetime64[us]"),
        labels=frame["label"].to_numpy(np.float64),
        champion=scores_in(frame, use_case.problem),
        baseline=scores_in(frame, use_case.problem, before="baseline_"),
        champion_version=frame["model_version"].to_numpy(np.int64),
        baseline_version=frame["baseline_version"].fillna(0).to_numpy(np.int64),
        weights=frame[SAMPLE_WEIGHT].to_numpy(np.float64) if weight else None,
        entities=np.stack([codes_of(frame[name]) for name in entities], axis=1) if entities else None,
        share=share,
        day_memory=use_case.clusters.day_memory,
    )
