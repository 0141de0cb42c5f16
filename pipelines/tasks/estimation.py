"""Task of the monitoring job: estimate the metrics of a window's predictions before their labels arrive.

`ml.estimation.metric_estimates` makes the estimate; the realised values are recorded with it once labels arrive, and the error
of the estimate. Findings are made from realised metrics only (see `pipelines.tasks.monitoring`).
"""

import datetime as dt
import math
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.estimation.metric_estimates import Estimation, estimates, learn
from ml.labels.maturity import OutcomeState
from ml.metrics.clusters import units_of
from ml.metrics.days import days_of
from ml.models.prediction import predict
from ml.monitoring.findings import Window
from pipelines.execution.context import Context, TaskResult
from pipelines.execution.windows import windows_to_monitor
from pipelines.lakehouse.tables.arrow import records, to_pandas
from pipelines.tasks.fitting import metric_weights
from pipelines.tasks.labels import predictions_with_labels
from pipelines.tasks.training import EVALUATION


def estimate(context: Context, *, since: dt.datetime | None, until: dt.datetime | None) -> TaskResult:
    """Estimate the metrics per window, alias and version without labels, and record the realised values once labels arrive."""
    end = context.end_of_window(since, until)
    use_case = context.use_case
    windows = windows_to_monitor(since, end, use_case.monitoring.window, use_case.label_due_days)
    frame = to_pandas(predictions_with_labels(context, windows[0].start, end, inputs=use_case.kept_columns))
    # In one order, whatever the engine's: a sum of floating-point numbers depends on it.
    frame = frame.sort_values(["prediction_at", "request_key", "alias"], ignore_index=True)
    rows: list[dict[str, Any]] = []
    for number, made in frame.groupby("model_version"):
        estimation = _learned(context, int(str(number)))
        if estimation is None:
            context.say(f"version {number}: none of its evaluation rows are stored, so nothing is estimated")
            continue
        for window in windows:
            within = made[(made["prediction_at"] >= window.start) & (made["prediction_at"] < window.end)]
            for alias, part in within.groupby("alias"):
                identity = {"alias": str(alias), "model_version": int(str(number)), "computed_at": context.now}
                rows += [{**identity, **row} for row in _rows(context, window, part, estimation)]
    table = context.use_case.table("estimates")
    written = context.lakehouse.tables.merge(table, records(table, rows))
    return TaskResult(rows=written.rows)


def _rows(context: Context, window: Window, part: pd.DataFrame, estimation: Estimation) -> list[dict[str, Any]]:
    """Return a row of the estimates table for each metric."""
    scores, labels = part["score"].to_numpy(np.float64), part["label"].to_numpy(np.float64)
    inputs = part[list(context.use_case.inputs)]
    units = units_of(days_of(part["prediction_at"]), part, context.use_case.clusters)
    counts = {"predictions": len(part), "labelled": int((~np.isnan(labels)).sum())}
    counts["not_due"] = int((part["standing"] == OutcomeState.NOT_DUE).sum())
    return [
        {
            "window_start": window.start, "window_end": window.end, "metric": found.metric,
            "estimated": _finite(found.estimated), "realised": _finite(found.realised), "error": _finite(found.error),
            "standard_error": _finite(found.standard_error), **counts,
        }
        for found in estimates(estimation, inputs, scores, labels, units, metric_weights(context.use_case, part))
    ]  # fmt: skip


def _learned(context: Context, number: int) -> Estimation | None:
    """Return what was learned about a version's scores on the rows of its evaluation; None if no such row is stored."""
    use_case, models = context.use_case, context.lakehouse.models
    version = models.version(use_case.model, number)
    stored = context.lakehouse.tables.read(use_case.table("training_set"))
    # A model that another environment trained was evaluated here on rows of a run of its own.
    evaluated_in = version.tags.get("evaluation_id", version.tags.get("training_set_id", ""))
    own = (F.col("training_set_id") == evaluated_in) & (F.col("part") == EVALUATION)
    rows = to_pandas(stored.where(own).select("label", *use_case.inputs))
    if rows.empty:
        return None
    inputs = rows[list(use_case.inputs)]
    scores = predict(models.load(version), inputs, problem=use_case.problem)
    return learn(
        use_case.problem, inputs, scores, rows["label"].to_numpy(np.float64),
        numeric=use_case.numeric_inputs, categorical=use_case.categorical_inputs, costs=use_case.costs,
    )  # fmt: skip


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
