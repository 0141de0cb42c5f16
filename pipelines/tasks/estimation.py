"""Task of the monitoring job: how well the predictions of a month probably do, before their labels arrive.

The estimate is made in `ml.estimated_performance`; what the labels say as they come stands beside it, with the error of
the estimate. Findings are made of realised metrics only (see `pipelines.tasks.monitoring`).
"""

import datetime as dt
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.estimated_performance import Calibration, Performance, estimation_error, log_loss, roc_auc_score
from ml.monitoring import Window
from ml.scoring import predict
from ml.specification import Problem
from pipelines.arrow import records, to_pandas
from pipelines.context import Context, TaskResult
from pipelines.tasks.training import EVALUATION
from pipelines.windows import month_before, months

ESTIMATED = (roc_auc_score, log_loss)
"""The metrics that follow from probabilities alone."""


def estimate(context: Context, *, since: dt.datetime | None, until: dt.datetime | None) -> TaskResult:
    """Estimate the metrics of every month, alias and version from its calibrated scores; labels, where known, beside."""
    if context.use_case.problem is not Problem.BINARY:
        context.say("nothing is estimated without labels: the predictions are no probabilities")
        return TaskResult(rows=0)
    end = until or context.now
    newest = months(end - dt.timedelta(microseconds=1), end)[-1]
    windows = months(since or month_before(newest).start, end)
    frame = to_pandas(_predictions(context, windows[0].start, end))
    rows: list[dict[str, Any]] = []
    for number, made in frame.groupby("model_version"):
        calibration = _calibration(context, int(str(number)))
        if calibration is None:
            context.say(f"version {number}: none of its evaluation rows are stored, so nothing is estimated")
            continue
        for window in windows:
            within = made[(made["prediction_at"] >= window.start) & (made["prediction_at"] < window.end)]
            for alias, part in within.groupby("alias"):
                identity = {"alias": str(alias), "model_version": int(str(number)), "computed_at": context.now}
                rows += [{**identity, **row} for row in _estimates(window, part, calibration)]
    estimates = context.use_case.table("estimates")
    written = context.workspace.tables.merge(estimates, records(estimates, rows))
    return TaskResult(rows=written.rows)


def _estimates(window: Window, part: pd.DataFrame, calibration: Calibration) -> Iterator[dict[str, Any]]:
    """Yield a row for each metric: estimated on all rows, and compared with the realised value on those with labels."""
    scores, labels = part["score"].to_numpy(np.float64), part["label"].to_numpy(np.float64)
    chances, known = calibration(scores), ~np.isnan(labels)
    for metric in ESTIMATED:
        expected = metric(scores, chances)
        compared = estimation_error(metric(scores[known], chances[known]), metric(scores[known], labels[known]))
        yield {
            "window_start": window.start, "window_end": window.end, **_estimated(expected),
            "realised": _finite(compared.realised), "error": _finite(compared.error),
            "standard_error": _finite(compared.standard_error), "predictions": len(part), "labelled": int(known.sum()),
        }  # fmt: skip


def _estimated(performance: Performance) -> dict[str, Any]:
    return {"metric": performance.metric, "estimated": _finite(performance.value)}


def _calibration(context: Context, number: int) -> Calibration | None:
    """Return which probability stands behind a version's scores, from the rows it was evaluated on before it scored."""
    use_case, models = context.use_case, context.workspace.models
    version = models.version(use_case.model, number)
    stored = context.workspace.tables.read(use_case.table("training_set"))
    own = (F.col("training_set_id") == version.tags.get("training_set_id", "")) & (F.col("part") == EVALUATION)
    rows = to_pandas(stored.where(own).select("label", *use_case.inputs))
    if rows.empty:
        return None
    scores = predict(models.load(version), rows[list(use_case.inputs)], problem=use_case.problem)
    return Calibration.fit(scores, rows["label"].to_numpy(np.float64))


def _predictions(context: Context, since: dt.datetime, until: dt.datetime) -> DataFrame:
    use_case, tables = context.use_case, context.workspace.tables
    due = F.col("prediction_at")
    made = tables.read(use_case.table("predictions")).where((due >= F.lit(since)) & (due < F.lit(until)))
    labels = tables.read(use_case.labels.table).where(F.col("known_at") < F.lit(until)).select("request_key", "label")
    scored = made.select("request_key", "alias", "model_version", "prediction_at", "score")
    return scored.join(labels, on="request_key", how="left")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
