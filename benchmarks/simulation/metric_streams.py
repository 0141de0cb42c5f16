"""Simulated streams of labelled predictions with known quality, to measure the monitor of metrics.

Each month goes through the real path, `ml.monitoring.window_metrics.measure_window` and
`ml.monitoring.finding_rules.window_findings`, against the evaluation of the days before. Days differ in how many rows
are positive and in how well the two classes are separated, and may depend on the day before; so do entities, such as
shops: a monitor that takes rows for independent sees the metric fall in quiet months.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
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
Codes = NDArray[np.int64]
EVALUATION_DAYS = 28
DECLARED = "declared"
ALONE = ("days", "rows")
UNITS = (DECLARED, *ALONE)
"""What the standard error allows for: what the use case declares, as the monitor does, and for comparison days or rows
that are independent of each other."""
ENTITY = "shop"
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
    entities, entity_effect
        Number of entities over which the rows of a month are spread, and the same standard deviations between them.
    renewed
        Whether other entities come in every month, as accounts do; else they are the same ones, as shops are.
    declared_memory
        What the use case declares of its days.
    """

    months: int = 9
    rows_per_day: int = 300
    auc: float = 0.72
    positive_share: float = 0.2
    fall: float = 0.0
    day_effect: float = 0.0
    memory: float = 0.0
    entities: int = 0
    entity_effect: float = 0.0
    renewed: bool = False
    declared_memory: float = 0.0


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """Labels, scores, days and entities of the rows of some days, shape (rows,) each."""

    labels: Floats
    scores: Floats
    days: Codes
    entities: Codes


def metric_alarms(
    stream: MetricStream, seed: int, policy: MonitoringPolicy, units: Sequence[str] = UNITS
) -> dict[str, list[bool]]:
    """Return for each of `units` whether the fall of the ROC AUC is found in each month after the evaluation."""
    random = np.random.default_rng(seed)
    days = EVALUATION_DAYS + stream.months * WINDOW_DAYS
    effects = remembering(random.normal(size=(days, 2)) * stream.day_effect, stream.memory)
    entities = _entity_effects(stream, random)
    evaluated = _drawn(stream, effects[:EVALUATION_DAYS], entities, 0.0, random)
    found: dict[str, list[bool]] = {unit: [] for unit in units}
    for month in _months(effects[EVALUATION_DAYS:]):
        if stream.renewed:
            entities = _entity_effects(stream, random)
        predicted = _drawn(stream, month, entities, stream.fall, random)
        for unit in units:
            before, now = (_measured(stream, rows, unit) for rows in (evaluated, predicted))
            found[unit].append(_is_found(before, now, policy))
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


def _measured(stream: MetricStream, rows: _Rows, unit: str) -> Measurement:
    known = np.ones(rows.labels.size, dtype=np.bool_)
    predictions = Predictions(
        scores=rows.scores, labels=rows.labels, closed=known, due=known, slices=pd.DataFrame(),
        units=_units(stream, rows, unit),
    )  # fmt: skip
    measured = measure_window(predictions, model_version=1, problem=Problem.BINARY)
    return next(one for one in measured if (one.metric, one.slice_key) == (METRIC, ALL_ROWS))


def _units(stream: MetricStream, rows: _Rows, unit: str) -> Units:
    if unit == "rows":
        return Units(days=np.arange(rows.labels.size))
    if unit == "days":
        return Units(days=rows.days)
    sampled = {ENTITY: rows.entities} if stream.entities else {}
    return Units(days=rows.days, entities=sampled, day_memory=stream.declared_memory)


def _entity_effects(stream: MetricStream, random: np.random.Generator) -> Floats:
    """Return what each entity adds to the log odds and to the distance, shape (entities, 2); one of 0 where there are none."""
    return random.normal(size=(max(1, stream.entities), 2)) * stream.entity_effect


def _drawn(
    stream: MetricStream, effects: Floats, entity_effects: Floats, fall: float, random: np.random.Generator
) -> _Rows:
    """Return the rows of some days; `effects` has shape (days, 2)."""
    days = np.repeat(np.arange(len(effects)), stream.rows_per_day)
    entities = random.integers(0, len(entity_effects), days.size)
    moved = effects[days] + entity_effects[entities]
    labels = (random.random(days.size) < special.expit(special.logit(stream.positive_share) + moved[:, 0])).astype(
        np.float64
    )
    # Of two normal scores with equal spread at this distance, one exceeds the other with probability `auc`.
    distance = np.sqrt(2) * stats.norm.ppf(stream.auc - fall) + moved[:, 1] / 2
    scores = special.expit(labels * distance + random.normal(size=days.size))
    return _Rows(labels=labels, scores=scores, days=days, entities=entities)


def _months(effects: Floats) -> Iterator[Floats]:
    for start in range(0, len(effects), WINDOW_DAYS):
        yield effects[start : start + WINDOW_DAYS]
