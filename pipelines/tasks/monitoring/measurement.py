"""The task that measures what has labels: metrics per window, alias, model version and slice."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.labels.maturity import OutcomeState
from ml.metrics.clusters import units_of
from ml.metrics.days import days_of
from ml.monitoring.findings import ALL_ROWS, Window
from ml.monitoring.window_metrics import Predictions
from pipelines.dataframes.scoring import scores_in
from pipelines.execution.context import Context, TaskError, TaskResult
from pipelines.execution.windows import window_label
from pipelines.lakehouse.tables.arrow import in_utc, to_pandas
from pipelines.tasks import row_limits
from pipelines.tasks.data.labels import live_predictions, predictions_with_labels
from pipelines.tasks.monitoring.monitored_windows import monitored_windows, store_measurements
from pipelines.tasks.monitoring.summarised_monitoring import summarised_rows
from pipelines.tasks.versions.fitting import metric_weights
from pipelines.tasks.versions.measured import measured_rows


def measure(context: Context, *, since: dt.datetime | None, until: dt.datetime | None) -> TaskResult:
    """Join the labels that are due to the predictions; metrics per window, alias, model version and slice."""
    end = context.end_of_window(since, until)
    windows = monitored_windows(context, since, end)
    count = live_predictions(context, windows[0].start, end).count()
    if not count and not (since is None and until is None):
        _require_predictions(context, windows[0].start, end)
    limit = row_limits.EXACT_ROWS
    if count > limit:
        context.say(f"{count:,} predictions, more than {limit:,}: measured from summaries")
        rows = summarised_rows(context, windows, end, count)
    else:
        rows = _exact_rows(context, windows, end)
    written = store_measurements(context, "metrics", rows, windows, end)
    for window in windows:
        context.say(_progress(window_label(window.start, context.use_case.monitoring.window), window, rows))
    return TaskResult(rows=written)


def _require_predictions(context: Context, since: dt.datetime, until: dt.datetime) -> None:
    """Raise where a person named a window and nothing was ever scored, or not in it and no champion should have."""
    predictions = context.lakehouse.tables.read(context.use_case.table("predictions"))
    span = predictions.agg(F.min("prediction_at").alias("first"), F.max("prediction_at").alias("last")).toArrow()
    first, last = (span[name][0].as_py() for name in ("first", "last"))
    window = f"no prediction of {context.use_case.name} lies in the window from {since:%Y-%m-%d} to {until:%Y-%m-%d}"
    if first is None:
        raise TaskError(f"{window}, nor in any other: run {context.use_case.job('scoring').address} first.")
    if until <= in_utc(first):
        raise TaskError(
            f"{window}; there are predictions from {first:%Y-%m-%d} to {last:%Y-%m-%d}: name the end of the window, for "
            f"example --param until={last + dt.timedelta(days=1):%Y-%m-%d}."
        )


def _exact_rows(context: Context, windows: Sequence[Window], end: dt.datetime) -> list[dict[str, Any]]:
    """Return the rows of the metrics table, measured on the predictions themselves."""
    kept = tuple(dict.fromkeys((*context.use_case.slices, *context.use_case.clusters.columns)))
    frame = to_pandas(predictions_with_labels(context, windows[0].start, end, inputs=kept))
    # In one order, whatever the engine's: a sum of floating-point numbers depends on it.
    frame = frame.sort_values(["prediction_at", "request_key", "alias"], ignore_index=True)
    rows: list[dict[str, Any]] = []
    for window in windows:
        within = frame[(frame["prediction_at"] >= window.start) & (frame["prediction_at"] < window.end)]
        for (alias, version), part in within.groupby(["alias", "model_version"]):
            rows += measured_rows(context, _as_predictions(context, part), window, str(alias), int(str(version)))
    return rows


def _as_predictions(context: Context, part: pd.DataFrame) -> Predictions:
    standing = part["standing"]
    return Predictions(
        scores=scores_in(part, context.use_case.problem),
        labels=part["label"].to_numpy(np.float64),
        closed=standing.isin([OutcomeState.LABELLED, OutcomeState.WITHOUT_LABEL]).to_numpy(np.bool_),
        due=(standing != OutcomeState.NOT_DUE).to_numpy(np.bool_),
        units=units_of(days_of(part["prediction_at"]), part, context.use_case.clusters),
        slices=part[list(context.use_case.slices)],
        late_days=part["late_days"].to_numpy(np.float64),
        weights=metric_weights(context.use_case, part),
    )


def _progress(label: str, window: Window, rows: Sequence[Mapping[str, Any]]) -> str:
    whole = [row for row in rows if row["window_start"] == window.start and row["slice_key"] == ALL_ROWS]
    said = {
        f"{row['alias']} version {row['model_version']}": f"{row['metric']} {row['value']:.4f} on {row['labelled']:,} labels"
        for row in reversed(whole)
        if row["value"] is not None
    }
    nothing = "no label is due yet" if any(row["predictions"] for row in whole) else "no prediction to measure"
    return f"{label}: " + ("; ".join(f"{who} {what}" for who, what in said.items()) or nothing)
