"""The task that profiles what was scored, and compares it with the training rows and the window before."""

import datetime as dt
from typing import Any

from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.monitoring.profile_tables import drift_rows, profile_rows
from pipelines.dataframes.profiling import profile_frame_by
from pipelines.execution.context import Context, TaskResult
from pipelines.execution.windows import granularity, window_before
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.lakehouse.tables.arrow import in_utc, records
from pipelines.tasks.data.labels import live_predictions
from pipelines.tasks.monitoring.monitored_champion import monitored_champion
from pipelines.tasks.monitoring.monitored_windows import monitored_windows, store_measurements
from pipelines.tasks.versions.reference import Reference


def detect_drift(context: Context, *, since: dt.datetime | None, until: dt.datetime | None) -> TaskResult:
    """Profile what the champion scored, per window, and compare it with its training rows and the window before."""
    end = context.end_of_window(since, until)
    windows = monitored_windows(context, since, end)
    champion = monitored_champion(context)
    if champion is None:
        context.say("no champion: there is nothing to compare with")
        return TaskResult(rows=0)
    reference = Reference.of(context, champion)
    length = context.use_case.monitoring.window
    scored = live_predictions(context, window_before(windows[0], length).start, end).where(F.col("alias") == CHAMPION)
    profiles = profile_frame_by(
        scored.withColumn("window", F.date_trunc(length, "prediction_at")), reference.spec, ["window"]
    )
    by_start = {in_utc(start): profile for (start,), profile in profiles.items()}
    profiled: list[dict[str, Any]] = []
    drifted: list[dict[str, Any]] = []
    for window in windows:
        earlier = window_before(window, length)
        current, before = by_start.get(window.start), by_start.get(earlier.start)
        if current is None:
            continue
        where: dict[str, Any] = {"granularity": granularity(length), "model_id": str(champion.number)}
        profiled += profile_rows(window, current, **where)
        drifted += drift_rows(window, current, reference.profile, reference.window, drift_type="BASELINE", **where)
        if before is not None:
            drifted += drift_rows(window, current, before, earlier, drift_type="CONSECUTIVE", **where)
    table = context.use_case.table("profiles")
    context.lakehouse.tables.merge(table, records(table, [{**row, "computed_at": context.now} for row in profiled]))
    store_measurements(context, "drift", [{**row, "computed_at": context.now} for row in drifted], windows, end)
    return TaskResult(rows=len(profiled) + len(drifted))
