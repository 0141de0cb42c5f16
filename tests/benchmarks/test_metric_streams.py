"""The monitor of metrics keeps its rate of false alarms where days differ, and sees a fall."""

from dataclasses import replace

import numpy as np

from benchmarks.simulation.metric_streams import UNITS, MetricStream, metric_alarms
from ml.spec.monitoring_policy import MonitoringPolicy

AT_THE_EDGE = MonitoringPolicy(metric_tolerance=0)
"""Without tolerance nothing but the standard errors holds an alarm back."""
DIFFERING = MetricStream(rows_per_day=200, months=6, day_effect=0.6)


def rates(stream: MetricStream, policy: MonitoringPolicy = AT_THE_EDGE) -> dict[str, float]:
    """The share of months in which a fall is found, by what the errors take for independent."""
    runs = [metric_alarms(stream, seed, policy) for seed in range(12)]
    return {unit: float(np.mean([run[unit] for run in runs])) for unit in UNITS}


def test_quiet_months_alarm_about_as_often_as_stated() -> None:
    """Stated 1%: of 72 months at most 3, which is exceeded once in two hundred times; by row every seventh alarms."""
    found = rates(DIFFERING)
    assert found["days"] <= 3 / 72
    assert found["rows"] > 0.1


def test_where_days_are_alike_they_cost_little() -> None:
    """A fall of 0.05 is seen in nearly every month, with days as units as with rows."""
    found = rates(replace(DIFFERING, day_effect=0.0, fall=0.05), MonitoringPolicy())
    assert found["days"] > 0.85
    assert found["rows"] > 0.85


def test_a_fall_is_seen_although_days_differ() -> None:
    """It has to be larger than what the days do."""
    small, large = (rates(replace(DIFFERING, fall=fall), MonitoringPolicy())["days"] for fall in (0.02, 0.12))
    assert small < 0.2
    assert large > 0.8


def test_entities_that_change_every_month_are_allowed_for_where_they_are_declared() -> None:
    """Ten accounts a month, others each: with days alone as units every eighth month or more seems to fall."""
    accounts = MetricStream(months=3, entities=10, entity_effect=1.0, renewed=True)
    runs = [metric_alarms(accounts, seed, AT_THE_EDGE, ["declared", "days"]) for seed in range(24)]
    declared, days = (float(np.mean([run[unit] for run in runs])) for unit in ("declared", "days"))
    assert declared <= 4 / 72
    assert days > 0.12
