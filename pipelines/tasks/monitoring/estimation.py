"""Task of the monitoring job: estimate the metrics of a window's predictions before their labels arrive.

`ml.estimation.metric_estimates` makes the estimate; the realised values are recorded with it once labels arrive, and the error
of the estimate. Findings are made from realised metrics only (see `pipelines.tasks.monitoring.retraining`).
"""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.estimation.metric_estimates import Estimate, Estimation, estimates, learn
from ml.labels.maturity import OutcomeState
from ml.metrics.clusters import units_of
from ml.metrics.days import days_of
from ml.models.prediction import PredictionError, known_inputs, predict
from ml.monitoring.findings import Window
from pipelines.dataframes.scoring import scores_in
from pipelines.dataframes.training_rows import sampled
from pipelines.execution.context import Context, TaskResult
from pipelines.execution.windows import windows_to_monitor
from pipelines.lakehouse.tables.arrow import records, to_pandas
from pipelines.tasks import row_limits
from pipelines.tasks.data.labels import live_predictions, predictions_with_labels
from pipelines.tasks.monitoring.summarised_estimation import summarised
from pipelines.tasks.versions.fitting import metric_weights
from pipelines.tasks.versions.training import EVALUATION


def estimate(context: Context, *, since: dt.datetime | None, until: dt.datetime | None) -> TaskResult:
    """Estimate the metrics per window, alias and version without labels, and record the realised values once labels arrive."""
    end = context.end_of_window(since, until)
    use_case = context.use_case
    windows = windows_to_monitor(since, end, use_case.monitoring.window, use_case.label_due_days)
    count = live_predictions(context, windows[0].start, end).count()
    limit = row_limits.EXACT_ROWS
    if count > limit:
        context.say(f"{count:,} predictions, more than {limit:,}: estimated from summaries")
        rows = _from_summaries(context, windows, end, count)
    else:
        rows = _exact_rows(context, windows, end)
    table = context.use_case.table("estimates")
    written = context.lakehouse.tables.merge(table, records(table, rows))
    return TaskResult(rows=written.rows)


def _exact_rows(context: Context, windows: Sequence[Window], end: dt.datetime) -> list[dict[str, Any]]:
    """Return the rows of the estimates table, estimated on the predictions themselves."""
    frame = to_pandas(predictions_with_labels(context, windows[0].start, end, inputs=context.use_case.kept_columns))
    # In one order, whatever the engine's: a sum of floating-point numbers depends on it.
    frame = frame.sort_values(["prediction_at", "request_key", "alias"], ignore_index=True)
    rows: list[dict[str, Any]] = []
    for number, made in frame.groupby("model_version"):
        estimation = _learned(context, int(str(number)))
        if estimation is None:
            continue
        for window in windows:
            within = made[(made["prediction_at"] >= window.start) & (made["prediction_at"] < window.end)]
            for alias, part in within.groupby("alias"):
                rows += _rows(context, window, part, str(alias), int(str(number)), estimation)
    return rows


def _from_summaries(context: Context, windows: Sequence[Window], end: dt.datetime, count: int) -> list[dict[str, Any]]:
    made = live_predictions(context, windows[0].start, end)
    numbers = sorted(made.select("model_version").distinct().toArrow()["model_version"].to_pylist())
    learned = {number: _learned(context, number) for number in numbers}
    estimations = {number: estimation for number, estimation in learned.items() if estimation is not None}
    if not estimations:
        return []
    return [
        row
        for window, alias, version, counts, found in summarised(context, windows, end, count, estimations)
        for row in _records(context, window, alias, version, counts, found)
    ]


def _rows(
    context: Context, window: Window, part: pd.DataFrame, alias: str, version: int, estimation: Estimation
) -> list[dict[str, Any]]:
    scores, labels = scores_in(part, context.use_case.problem), part["label"].to_numpy(np.float64)
    inputs = part[list(context.use_case.inputs)]
    units = units_of(days_of(part["prediction_at"]), part, context.use_case.clusters)
    counts = {"predictions": len(part), "labelled": int((~np.isnan(labels)).sum())}
    counts["not_due"] = int((part["standing"] == OutcomeState.NOT_DUE).sum())
    found = estimates(estimation, inputs, scores, labels, units, metric_weights(context.use_case, part))
    return _records(context, window, alias, version, counts, found)


def _records(
    context: Context, window: Window, alias: str, version: int, counts: Mapping[str, int], found: Sequence[Estimate]
) -> list[dict[str, Any]]:
    """Return a row of the estimates table for each metric."""
    return [
        {
            "alias": alias, "model_version": version, "computed_at": context.now,
            "window_start": window.start, "window_end": window.end, "metric": one.metric,
            "estimated": _finite(one.estimated), "realised": _finite(one.realised), "error": _finite(one.error),
            "standard_error": _finite(one.standard_error), **counts,
        }
        for one in found
    ]  # fmt: skip


def _learned(context: Context, number: int) -> Estimation | None:
    """Return what was learned about a version's scores on the rows of its evaluation; None if it cannot be scored on them any more."""
    use_case, models = context.use_case, context.lakehouse.models
    version = models.version(use_case.model, number)
    stored = context.lakehouse.tables.read(use_case.table("training_set"))
    # A model that another environment trained was evaluated here on rows of a run of its own.
    evaluated_in = version.tags.get("evaluation_id", version.tags.get("training_set_id", ""))
    own = (F.col("training_set_id") == evaluated_in) & (F.col("part") == EVALUATION)
    evaluated = stored.where(own)
    count, limit = evaluated.count(), row_limits.EXACT_ROWS
    if not count:
        context.say(f"version {number}: none of its evaluation rows are stored, so nothing is estimated")
        return None
    if count > limit:
        context.say(f"version {number}: learned from a share of {limit / count:.2%} of {count:,} evaluation rows")
        evaluated = evaluated.where(sampled(F.col("request_key"), limit / count, row_limits.SAMPLE_SEED))
    model = models.load(version)
    try:
        known = known_inputs(model, use_case.inputs)
    except PredictionError:
        context.say(f"version {number}: an input of it is declared no more, so nothing is estimated")
        return None
    rows = to_pandas(evaluated.select("label", *use_case.inputs))
    inputs = rows[list(use_case.inputs)]
    scores = predict(model, inputs[known], problem=use_case.problem)
    return learn(
        use_case.problem, inputs, scores, rows["label"].to_numpy(np.float64),
        numeric=use_case.numeric_inputs, categorical=use_case.categorical_inputs, costs=use_case.costs,
    )  # fmt: skip


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
