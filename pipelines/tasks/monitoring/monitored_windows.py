"""The windows (months, unless the policy says weeks or days) that a monitoring run touches, and the tables that it fills.

Labels that arrive late are counted in their own window by the next run.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.monitoring.findings import Window
from ml.monitoring.findings_history import measurement_changes
from pipelines.execution.context import Context
from pipelines.execution.windows import windows_to_monitor
from pipelines.lakehouse.tables.arrow import in_utc, records
from pipelines.tasks.data.labels import made_live


def monitored_windows(context: Context, since: dt.datetime | None, until: dt.datetime) -> tuple[Window, ...]:
    """Return the windows to monitor, without those before the first live prediction: missing ones there are no finding."""
    use_case = context.use_case
    asked = windows_to_monitor(since, until, use_case.monitoring.window, use_case.label_due_days)
    predictions = context.lakehouse.tables.read(context.use_case.table("predictions")).where(made_live())
    first = predictions.agg(F.min("prediction_at").alias("first")).toArrow()["first"][0].as_py()
    return tuple(window for window in asked if first is not None and window.end > in_utc(first)) or asked[-1:]


def store_measurements(
    context: Context, name: str, rows: Sequence[Mapping[str, Any]], windows: Sequence[Window], end: dt.datetime
) -> int:
    """Bring measurements into their table, and what is new or differs into its history first; return the rows written.

    The history is written first: a run that is cut off between the two repeats the same rows.
    """
    tables, table, history = (
        context.lakehouse.tables, context.use_case.table(name), context.use_case.table(f"{name}_history"),
    )  # fmt: skip
    start = F.col("window_start")
    stored = tables.read(table).where((start >= F.lit(windows[0].start)) & (start < F.lit(windows[-1].end)))
    before = [
        {column: in_utc(value) if isinstance(value, dt.datetime) else value for column, value in row.items()}
        for row in stored.toArrow().to_pylist()
    ]
    changes = measurement_changes(before, rows, key=table.primary_key, recorded_at=end)
    tables.merge(history, records(history, changes))
    return int(tables.merge(table, records(table, rows)).rows)
