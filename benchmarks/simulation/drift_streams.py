"""Simulated streams of daily rows with a known change, to measure monitors.

Rows of one day are similar, like real ones: each column has an effect of the day that is correlated with the day
before. A monitor that treats rows as independent finds drift in every such stream.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ml.drift.statistics import chi_squared_pvalue, drift, ks_pvalue
from ml.drift.thresholds import Thresholds, calibrate, fixed
from ml.profiles.numeric_grid import NumericColumn
from ml.profiles.specification import ProfileSpec
from ml.profiles.table_profile import Profile, merge_all, profile
from ml.spec.monitoring_policy import FIXED_THRESHOLDS, MonitoringPolicy

Floats = NDArray[np.float64]
DAYS_PER_YEAR = 365.25
WINDOW_DAYS = 30


class Change(StrEnum):
    """How the changing columns change after the reference."""

    NONE = "none"
    SUDDEN = "sudden"
    GRADUAL = "gradual"
    SEASONAL = "seasonal"


@dataclass(frozen=True, kw_only=True)
class Stream:
    """The parameters of a stream.

    Attributes
    ----------
    columns, categorical
        Number of numeric columns (bell-shaped, skewed and half zero in turn) and of categorical ones.
    changing
        How many numeric columns change.
    size
        How far they change, in standard deviations of a row: at once, over half a year, or up and down over a year.
    day_effect, memory
        Standard deviation of the effect of a day on its rows, and its correlation with the day before.
    reference_days, change_day
        Length of the reference; the day, counted from the start, from which the columns change.
    """

    columns: int = 12
    categorical: int = 3
    changing: int = 3
    rows_per_day: int = 200
    days: int = 360
    reference_days: int = 90
    change_day: int = 180
    change: Change = Change.NONE
    size: float = 0.5
    day_effect: float = 0.2
    memory: float = 0.6


def daily_profiles(stream: Stream, seed: int) -> list[Profile]:
    """Return one profile per day; the specification is made from the reference's rows."""
    days = daily_rows(stream, seed)
    reference = {name: np.concatenate([day[name] for day in days[: stream.reference_days]]) for name in days[0]}
    spec = ProfileSpec.from_sample(reference)
    return [profile(day, spec) for day in days]


def alarms(stream: Stream, seed: int, policy: MonitoringPolicy) -> dict[str, list[bool]]:
    """Return for each rule whether it alarms on each month after the reference.

    The rules are the calibrated thresholds of the policy, the rules of thumb by name, and ``p_value``: a test per
    column at 5%, corrected for the number of columns, that treats rows as independent.
    """
    days = daily_profiles(stream, seed)
    reference_days = days[: stream.reference_days]
    spec = days[0].spec
    rules = {name: fixed(name, spec.columns) for name in FIXED_THRESHOLDS}
    rules["calibrated"] = calibrate(
        reference_days,
        window_days=WINDOW_DAYS,
        window_rows=WINDOW_DAYS * stream.rows_per_day,
        statistics=policy.statistics,
        false_alarms_per_month=policy.false_alarms_per_month,
        negligible=policy.negligible,
        seed=seed,
    )
    reference = merge_all(reference_days, spec)
    result: dict[str, list[bool]] = {name: [] for name in (*rules, "p_value")}
    for start in range(stream.reference_days, stream.days - WINDOW_DAYS + 1, WINDOW_DAYS):
        window = merge_all(days[start : start + WINDOW_DAYS], spec)
        values = drift(reference, window)
        for name, rule in rules.items():
            result[name].append(_any_exceeded(values, rule))
        result["p_value"].append(_smallest_pvalue(reference, window) < 0.05 / len(spec.columns))
    return result


def _any_exceeded(values: Mapping[str, Mapping[str, float]], rule: Thresholds) -> bool:
    return any(values[each.column][each.statistic] > each.value for each in rule.thresholds)


def _smallest_pvalue(reference: Profile, window: Profile) -> float:
    return min(
        (ks_pvalue if isinstance(before.column, NumericColumn) else chi_squared_pvalue)(before, window.columns[name])
        for name, before in reference.columns.items()
    )


def daily_rows(stream: Stream, seed: int) -> Sequence[Mapping[str, NDArray[np.generic]]]:
    """Return the rows of each day, column by column."""
    random = np.random.default_rng(seed)
    count = stream.columns + stream.categorical
    effects = remembering(random.normal(size=(stream.days, count)) * stream.day_effect, stream.memory)
    effects[:, : stream.changing] += _change(stream)[:, None]
    days = []
    for effect in effects:
        values = random.normal(size=(count, stream.rows_per_day)) + effect[:, None]
        day: dict[str, NDArray[np.generic]] = {f"number_{i}": _shaped(values[i], i) for i in range(stream.columns)}
        for i in range(stream.columns, count):
            day[f"category_{i}"] = np.array(list("abcdef"))[np.digitize(values[i], (-1.5, -0.5, 0.0, 0.5, 1.5))]
        days.append(day)
    return days


def _shaped(values: Floats, column: int) -> Floats:
    shapes: tuple[Floats, ...] = (values, np.exp(values), np.maximum(values, 0))
    return shapes[column % len(shapes)]


def remembering(shocks: Floats, memory: float) -> Floats:
    """Return a first-order autoregression for each column of `shocks`, shape (days, columns), with the same spread."""
    effects = shocks.copy()
    for day in range(1, len(shocks)):
        effects[day] = memory * effects[day - 1] + np.sqrt(1 - memory**2) * shocks[day]
    return effects


def _change(stream: Stream) -> Floats:
    """Return the change of each day, shape (days,)."""
    day = np.arange(stream.days)
    shapes = {
        Change.NONE: np.zeros(stream.days),
        Change.SUDDEN: (day >= stream.change_day).astype(float),
        Change.GRADUAL: np.clip((day - stream.change_day) / (DAYS_PER_YEAR / 2), 0, 1),
        Change.SEASONAL: np.sin(2 * np.pi * day / DAYS_PER_YEAR),
    }
    return np.asarray(shapes[stream.change] * stream.size)
