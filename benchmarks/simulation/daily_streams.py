"""Streams of days for the daily alarm: days that depend on the day before, a pattern of weekdays, and sudden changes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.simulation.drift_streams import Change, Stream, daily_rows
from ml.drift.daily_test import daily_moves
from ml.profiles.column_profile import ColumnProfile
from ml.profiles.specification import ProfileSpec
from ml.profiles.table_profile import Profile, profile
from ml.spec.monitoring_policy import MonitoringPolicy

HISTORY_DAYS = 60
MONTH = 30
WEEKEND = 0.5
"""By so many standard deviations of a row every second number is higher on two days of seven."""
Rows = Mapping[str, NDArray[np.generic]]
Break = Callable[[Rows, np.random.Generator], tuple[str, NDArray[np.generic]]]


def quiet(stream: Stream) -> Stream:
    """Return the stream without its change, as long as the history and three months."""
    return replace(stream, change=Change.NONE, reference_days=HISTORY_DAYS, days=HISTORY_DAYS + 3 * MONTH)


def weekly_rows(stream: Stream, seed: int) -> list[dict[str, NDArray[np.generic]]]:
    """Return the rows of each day, with a pattern of weekdays in every second number."""
    days = []
    for day, rows in enumerate(daily_rows(stream, seed)):
        moved = {
            name: values + WEEKEND if name.startswith("number") and int(name[7:]) % 2 and day % 7 > 4 else values  # type: ignore[operator] # numbers
            for name, values in rows.items()
        }
        days.append(moved)
    return days


def columns_of(days: Sequence[Profile]) -> dict[str, list[ColumnProfile]]:
    """Return the profiles of single days by column."""
    return {name: [day.columns[name] for day in days] for name in days[0].spec.names}


def alarmed_months(stream: Stream, seed: int, policy: MonitoringPolicy) -> list[bool]:
    """Return for each month after the history whether any of its days raises an alarm."""
    days = weekly_rows(stream, seed)
    profiles = _profiled(days, stream.reference_days)
    history = columns_of(profiles[: stream.reference_days])
    return [
        any(_moved(history, profiles[start : day + 1], policy) for day in range(start, start + MONTH))
        for start in range(stream.reference_days, stream.days - MONTH + 1, MONTH)
    ]


def seen_on_the_day(stream: Stream, seed: int, change: str, policy: MonitoringPolicy) -> bool:
    """Return whether a change of one day is found on it, and the column is the one that changed."""
    days = weekly_rows(stream, seed)[: stream.reference_days + 5]
    name, broken = DAILY_CHANGES[change](days[-1], np.random.default_rng(seed))
    profiles = _profiled([*days[:-1], {**days[-1], name: broken}], stream.reference_days)
    found = daily_moves(
        columns_of(profiles[: stream.reference_days]), columns_of(profiles[stream.reference_days :]),
        false_alarms_per_month=policy.daily_false_alarms_per_month, negligible=policy.daily_negligible,
    )  # fmt: skip
    return any(move.column == name for move in found)


def _profiled(days: Sequence[Rows], reference_days: int) -> list[Profile]:
    spec = ProfileSpec.from_sample({n: np.concatenate([day[n] for day in days[:reference_days]]) for n in days[0]})
    return [profile(day, spec) for day in days]


def _moved(history: Mapping[str, Sequence[ColumnProfile]], month: Sequence[Profile], policy: MonitoringPolicy) -> bool:
    found = daily_moves(
        history, columns_of(month),
        false_alarms_per_month=policy.daily_false_alarms_per_month, negligible=policy.daily_negligible,
    )  # fmt: skip
    return bool(found)


def _unit(day: Rows, _random: np.random.Generator) -> tuple[str, NDArray[np.generic]]:
    return "number_1", day["number_1"] * 60  # type: ignore[operator] # a number


def _category(day: Rows, random: np.random.Generator) -> tuple[str, NDArray[np.generic]]:
    name = min(name for name in day if name.startswith("category"))
    return name, np.where(random.random(len(day[name])) < 0.3, "new", day[name].astype(object))


def _missing(day: Rows, random: np.random.Generator) -> tuple[str, NDArray[np.generic]]:
    return "number_0", np.where(random.random(len(day["number_0"])) < 0.3, np.nan, day["number_0"])


def _constant(day: Rows, _random: np.random.Generator) -> tuple[str, NDArray[np.generic]]:
    return "number_0", np.full(len(day["number_0"]), 999.0)


DAILY_CHANGES: Mapping[str, Break] = {
    "a unit, 60-fold": _unit,
    "a new category in 30% of the rows": _category,
    "missing values in 30% of the rows": _missing,
    "one value for all rows": _constant,
}
"""Each returns the column that it changes on a day, and the column's values."""
