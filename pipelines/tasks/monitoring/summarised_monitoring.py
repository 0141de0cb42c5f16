"""Monitoring where there are more predictions than the driver should hold: the engine summarises, the driver measures."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.labels.maturity import OutcomeState
from ml.metrics.segment_sums import Layout
from ml.monitoring.findings import Window
from ml.monitoring.summarised_windows import COUNTS, LATE_DAYS, measured_quantities, summarised_measurements
from pipelines.dataframes.segment_sums import Asked, Summary, flag, summarise
from pipelines.execution.context import Context
from pipelines.tasks.data.labels import predictions_with_labels
from pipelines.tasks.versions.fitting import weight_column
from pipelines.tasks.versions.measured import metrics_rows

SCORE, WINDOW = "score", "window"
GROUPS = (WINDOW, "alias", "model_version")


def summarised_rows(context: Context, windows: Sequence[Window], end: dt.datetime, count: int) -> list[dict[str, Any]]:
    """Return the rows of the metrics table for the windows, as `pipelines.tasks.monitoring.measurement.measure` writes them.

    Parameters
    ----------
    count
        About how many predictions there are.
    """
    use_case = context.use_case
    kept = tuple(dict.fromkeys((*use_case.slices, *use_case.clusters.columns)))
    made = counted(predictions_with_labels(context, windows[0].start, end, inputs=kept))
    layout = Layout(
        problem=use_case.problem, scores=(SCORE,), groups=GROUPS, slices=use_case.slices,
        entities=use_case.clusters.sampled, day_memory=use_case.clusters.day_memory, counts=COUNTS, ages=LATE_DAYS,
        costs=use_case.costs, weight=weight_column(use_case),
    )  # fmt: skip
    summary = summarise(
        made.withColumn(WINDOW, F.date_trunc(use_case.monitoring.window, "prediction_at")), layout,
        key="request_key", count=count, asked=lambda segments: Asked(
            segments=segments, quantities=measured_quantities(use_case.problem, (SCORE,), use_case.costs)
        ),
    )  # fmt: skip
    rows: list[dict[str, Any]] = []
    for window in windows:
        for alias, version in groups_of(summary, window):
            measured = summarised_measurements(
                summary.segments, summary.errors, group=(window.start.isoformat(), alias, version), score=SCORE,
                slices=use_case.slices, model_version=version,
            )  # fmt: skip
            rows += metrics_rows(context, measured, window, alias)
    return rows


def groups_of(summary: Summary, window: Window) -> list[tuple[str, int]]:
    """Return alias and version of every model that predicted in a window."""
    groups = {one.identity[0] for one in summary.segments.values()}
    return sorted((str(alias), int(version)) for start, alias, version in groups if start == window.start.isoformat())


def counted(made: DataFrame) -> DataFrame:
    """Return predictions with what is known of their outcomes as columns of 0 and 1, as an exact measurement counts."""
    standing, labelled = F.col("standing"), F.col("label").isNotNull()
    due = standing != OutcomeState.NOT_DUE.value
    closed = standing.isin(OutcomeState.LABELLED.value, OutcomeState.WITHOUT_LABEL.value)
    late = due & F.col(LATE_DAYS).isNotNull()
    found = {
        "predictions": F.lit(True), "not_due": ~due, "without_label": due & closed & ~labelled,
        "missing_labels": due & ~closed & ~labelled & ~late, "assumed": labelled & ~closed, "late_labels": late,
    }  # fmt: skip
    flags = {name: flag(found[name]) for name in COUNTS}
    return made.withColumns({**flags, LATE_DAYS: F.when(due, F.col(LATE_DAYS))})
