"""Ingests small deliveries of flights, and refreshes features and labels from them; shared by their tests."""

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipelines.declarations.registry import use_case
from pipelines.execution.context import Context, TaskResult
from pipelines.tasks.data.features import build_features
from pipelines.tasks.data.ingest import ingest
from pipelines.tasks.data.labels import build_labels
from tests.pipelines.flight_files import write_all

FLIGHT_DELAY = use_case("flight_delay")
JANUARY, FEBRUARY, MARCH = (dt.datetime(2013, month, 1, tzinfo=dt.UTC) for month in (1, 2, 3))


def rows(context: Context, name: str) -> list[dict[str, Any]]:
    """The rows of a table."""
    return context.lakehouse.tables.read(context.use_case.table(name)).toArrow().to_pylist()


def count_of(context: Context, source: str) -> dict[str, Any]:
    """The newest count of a source's batches."""
    return max((row for row in rows(context, "ingests") if row["source"] == source), key=lambda row: row["until"])


def refresh(context: Context, files: Path, until: dt.datetime, *flights: dict[str, str]) -> TaskResult:
    """Ingest flights up to an instant and bring the feature tables up to date."""
    write_all(files, *flights)
    ingest(replace(context, run_id=str(until)), since=None, until=until, location=str(files))
    build_labels(context)
    return build_features(context)


def landing(flight: int, day: int, delay: str = "0", **more: str) -> dict[str, str]:
    """A flight that landed on a day of January with a delay."""
    at = f"2013-01-{day:02d}T14:00:00Z"
    return {"flight": str(flight), "day": str(day), "time_hour": at, "arr_delay": delay, **more}


def history(context: Context) -> dict[int, dict[str, Any]]:
    """The history of the carrier, by day of landing."""
    return {row["known_at"].day: row for row in rows(context, "carrier_history")}
