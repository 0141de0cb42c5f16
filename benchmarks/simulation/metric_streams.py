"""Simulated streams of labelled predictions with known quality, to measure the monitor of metrics.

Each month goes through the real path, `ml.monitoring.window_metrics.measure_window` and
`ml.monitoring.finding_rules.window_findings`, against the evaluation of the days before. Days differ in how many rows
are positive and in how well the two classes are separated, and may depend on the day before: a monitor that takes rows
for independent sees the metric fall in quiet months.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special, stats

from benchmarks.simulation.drift_streams import WINDOW_DAYS, remembering
from ml.metrics.clusters import Units
from ml.monitoring.finding_rules import window_findings
from ml.monitoring.findings import ALL_ROWS, Window
from ml.monitoring.measurements import EvaluatedMetric, Measurement
from ml.monitoring.window_metrics import Predictions, measure_window
from ml.spec.estimator import Problem
from ml.spec.monitoring_policy import MonitoringPolicy

Floats = NDArray[np.float64]
EVALUATION_DAYS = 28
UNITS = ("days", "rows")
"""The units that the standard error treats as independent: days in the monitor, rows for comparison."""
METRIC = "roc_auc_score"
_START = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, kw_only=True)
class MetricStream:
    """The parameters of a stream.

    Attributes
    ----------
    auc, positive_share
        Of an ordinary day.
    fall
        By how much the ROC AUC is lower in every month after the evaluation.
    day_effect, memory
        Standard deviation of a day's log odds of a positive row and, half as large, of the distance between the classes
        in standard deviations of the score; the correlation of both with the day before.
    """

    months: int = 9
    rows_per_day: int = 300
    auc: float = 0.72
    positive_share: float = 0.2
    fall: float = 0.0
    day_effect: float = 0.0
    memory: float = 0.0


def metric_alarms(stream: MetricStream, seed: int, policy: MonitoringPolicy) -> dict[str, list[bool]]:
    """Return for each of `UNITS` whether the fall of the ROC AUC is found in each month after the evaluation."""
    random = np.random.default_rng(seed)
    days = EVALUATION_DAYS + stream.months * WINDOW_DAYS
    effects = remembering(random.normal(size=(days, 2)) * stream.day_effect, stream.memory)
    evaluated = _drawn(stream, effects[:EVALUATION_DAYS], 0.0, random)
    found: dict[str, list[bool]] = {unit: [] for unit in UNITS}
    for month in _months(effects[EVALUATION_DAYS:]):
        predicted = _drawn(stream, month, stream.fall, random)
        for unit in UNITS:
            found[unit].append(_is_found(_measured(*evaluated, unit), _measured(*predicted, unit), policy))
    return found


def _is_found(evaluated: Measurement, measured: Measurement, policy: MonitoringPolicy) -> bool:
    names = EvaluatedMetric.__dataclass_fields__
    before = EvaluatedMetric(**{name: value for name, value in asdict(evaluated).items() if name in names})
    window = Window(start=_START, end=_START + dt.timedelta(days=WINDOW_DAYS))
    findings = window_findings(
        window, measurements=[measured], evaluated=[before], reference=None, current=None, thresholds=None,
        policy=policy, until=window.end,
    )  # fmt: skip
    return bool(findings)


def _measured(labels: Floats, scores: Floats, days: NDArray[np.int64], unit: str) -> Measurement:
    known = np.ones(labels.size, dtype=np.bool_)
    predictions = Predictions(
        scores=scores, labels=labels, closed=known, due=known, slices=pd.DataFrame(),
        units=Units(days=days if unit == "days" else np.arange(labels.size)),
    )  # fmt: skip
    measured = measure_window(predictions, model_version=1, problem=Problem.BINARY)
    return next(one for one in measured if (one.metric, one.slice_key) == (METRIC, ALL_ROWS))


def _drawn(
    stream: MetricStream, effects: Floats, fall: float, random: np.random.Generator
) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Return labels, scores and days of the rows of some days; `effects` has shape (days, 2)."""
    days = np.repeat(np.arange(len(effects)), stream.rows_per_day)
    rate = special.expit(special.logit(stream.positive_share) + effects[days, 0])
    labels = (random.random(days.size) < rate).astype(np.float64)
    # Of two normal scores with equal spread at this distance, one exceeds the other with probability `auc`.
    distance = np.sqrt(2) * stats.norm.ppf(stream.auc - fall) + effects[days, 1] / 2
    return labels, special.expit(labels * distance + random.normal(size=days.size)), days


def _months(effects: Floats) -> Iterator[Floats]:
    for start in range(0, len(effects), WINDOW_DAYS):
        yield effects[start : start + WINDOW_DAYS]
