"""Measured predictions as rows of the metrics table, which evaluation and monitoring both write."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ml.monitoring.findings import Window
from ml.monitoring.measurements import Measurement
from ml.monitoring.window_metrics import Predictions, measure_window
from pipelines.execution.context import Context

EVALUATION = "evaluation"
"""The alias under which the metrics table has the metrics of a version's evaluation."""
LAST_INSTANT = dt.timedelta(seconds=1)
"""How long after its last row the window of an evaluation ends."""


def measured_rows(
    context: Context, predictions: Predictions, window: Window, alias: str, version: int
) -> list[dict[str, Any]]:
    """Return the rows of the metrics table for the predictions of one version in one window."""
    measured = measure_window(
        predictions, model_version=version, problem=context.use_case.problem, costs=context.use_case.costs
    )
    return metrics_rows(context, measured, window, alias)


def metrics_rows(context: Context, measured: Sequence[Measurement], window: Window, alias: str) -> list[dict[str, Any]]:
    """Return measurements of one window and alias as rows of the metrics table."""
    return [
        {
            **asdict(one), "window_start": window.start, "window_end": window.end, "alias": alias,
            "computed_at": context.now,
        }
        for one in measured
    ]  # fmt: skip
