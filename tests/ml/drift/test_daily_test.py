"""The daily test keeps its rate of false alarms on days that differ, and sees on one day what cannot wait."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.simulation.daily_streams import DAILY_CHANGES, HISTORY_DAYS, alarmed_months, columns_of, quiet
from benchmarks.simulation.drift_streams import Stream, daily_rows
from ml.drift.daily_test import MINIMUM_DAYS, Look, Move, Place, daily_moves
from ml.profiles.specification import ProfileSpec
from ml.profiles.table_profile import Profile, profile
from ml.spec.monitoring_policy import MonitoringPolicy

POLICY = MonitoringPolicy()
SMALL = replace(quiet(Stream()), columns=6, categorical=3, rows_per_day=100)
LEVELS = {
    "false_alarms_per_month": POLICY.daily_false_alarms_per_month,
    "negligible": POLICY.daily_negligible,
}
Days = list[dict[str, np.ndarray]]


@pytest.fixture(scope="module")
def days() -> Days:
    """The rows of the days of one stream without change."""
    return [dict(day) for day in daily_rows(SMALL, 3)][: HISTORY_DAYS + 5]


def moves(days: Days, *, history: int = HISTORY_DAYS, last: dict[str, np.ndarray] | None = None) -> tuple[Move, ...]:
    """Judge the last day, or another one in its place, by the first ones and the month so far."""
    spec = ProfileSpec.from_sample({name: np.concatenate([day[name] for day in days[:history]]) for name in days[0]})
    month = [*days[history:-1], last or days[-1]]
    past, now = (columns_of([profile(day, spec) for day in part]) for part in (days[:history], month))
    return daily_moves(past, now, **LEVELS)


def changed(days: Days, name: str, values: np.ndarray) -> tuple[Move, ...]:
    """Judge the last day with other values in one column."""
    return moves(days, last={**days[-1], name: values})


def test_a_day_like_those_before_has_no_move(days: Days) -> None:
    """Nothing is said."""
    assert moves(days) == ()


@pytest.mark.parametrize("change", DAILY_CHANGES)
def test_every_change_that_cannot_wait_is_seen_on_its_first_day(change: str, days: Days) -> None:
    """Only the column that changed is named."""
    column, broken = DAILY_CHANGES[change](days[-1], np.random.default_rng(0))
    assert [(move.column, move.look) for move in changed(days, column, broken)] == [(column, Look.DAY)]


def test_a_unit_is_found_in_a_quantile_and_a_new_category_among_the_unseen(days: Days) -> None:
    """With the share of rows in the history and now."""
    (unit,) = changed(days, "number_1", 60 * days[-1]["number_1"])
    assert (unit.place, unit.upward, unit.rows) == (Place.QUANTILE, True, 100)
    assert unit.now > 0.5 > unit.before
    new = days[-1]["category_6"].astype(object)
    new[:30] = "new"
    (category,) = changed(days, "category_6", new)
    assert (category.place, category.now, category.before, category.highest) == (Place.UNSEEN, 0.3, 0.0, 0.0)


def test_values_that_are_gone_and_a_category_that_is_gone_are_found(days: Days) -> None:
    """Missing values have a share of their own, and a known category its name."""
    (gone,) = changed(days, "number_0", np.full(100, np.nan))
    assert (gone.place, gone.now) == (Place.MISSING, 1.0)
    (lost,) = changed(days, "category_7", np.full(100, "f"))
    assert (lost.place, lost.category) == (Place.CATEGORY, "f")


def test_few_rows_and_a_short_history_say_nothing(days: Days) -> None:
    """Nineteen rows are no day, and thirteen days are no history."""
    broken = {name: values[:19] for name, values in days[-1].items()}
    assert moves(days, last={**broken, "number_1": broken["number_1"] * 1e6}) == ()
    short = days[: MINIMUM_DAYS + 1]
    assert moves(short, history=MINIMUM_DAYS - 1, last={**short[-1], "number_1": short[-1]["number_1"] * 1e6}) == ()
    assert moves(short, history=MINIMUM_DAYS, last={**short[-1], "number_1": short[-1]["number_1"] * 1e6}) != ()


def test_a_share_below_the_negligible_one_is_no_move(days: Days) -> None:
    """Four percent of new values, although there was none in sixty days."""
    few, many = (days[-1]["category_6"].astype(object) for _ in range(2))
    few[:4], many[:30] = "new", "new"
    assert changed(days, "category_6", few) == ()
    assert changed(days, "category_6", many) != ()


def test_what_lasts_is_seen_when_a_day_alone_is_not_enough() -> None:
    """A shift of one and a half standard deviations: no single day stands out, ten together do."""
    rows = [dict(day) for day in daily_rows(replace(SMALL, day_effect=0.3, memory=0.0, days=110), 5)]
    shifted = [{**day, "number_3": day["number_3"] + 1.5} for day in rows[90:105]]
    found = [moves([*rows[:90], *shifted[: count + 1]], history=90) for count in range(len(shifted))]
    looks = [move.look for day in found for move in day if move.column == "number_3"]
    assert looks
    assert set(looks) == {Look.MONTH_TO_DATE}


def test_months_without_change_alarm_about_as_often_as_stated() -> None:
    """Stated 1%; of 12 months at most one may alarm, which a rate of 1% exceeds less than once in a hundred times."""
    alarmed = [
        month for seed in range(4) for month in alarmed_months(replace(SMALL, days=HISTORY_DAYS + 90), seed, POLICY)
    ]
    assert len(alarmed) == 12
    assert sum(alarmed) <= 1


def test_rows_taken_for_the_unit_would_alarm_in_most_months() -> None:
    """Without the days' own variance the same test is of no use: that it is in the noise is what keeps the rate."""
    stream = replace(SMALL, days=HISTORY_DAYS + 90, day_effect=0.8)
    shuffled = _shuffled(daily_rows(stream, 1))
    spec = ProfileSpec.from_sample(
        {n: np.concatenate([day[n] for day in shuffled[:HISTORY_DAYS]]) for n in shuffled[0]}
    )
    past = columns_of([profile(day, spec) for day in shuffled[:HISTORY_DAYS]])
    later: Sequence[Profile] = [profile(day, spec) for day in daily_rows(stream, 1)[HISTORY_DAYS:]]
    alarms = [bool(daily_moves(past, columns_of([day]), **LEVELS)) for day in later]
    assert np.mean(alarms) > 0.05


def _shuffled(days: Sequence[dict[str, np.ndarray]]) -> Days:
    """The same rows, dealt to the days at random: days that do not differ."""
    random = np.random.default_rng(0)
    pooled = {name: random.permutation(np.concatenate([day[name] for day in days])) for name in days[0]}
    parts = zip(*(np.split(values, len(days)) for values in pooled.values()), strict=True)
    return [dict(zip(pooled, day, strict=True)) for day in parts]
