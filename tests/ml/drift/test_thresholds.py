"""Thresholds come from the reference, keep their stated rate of false alarms, and see changes."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.simulation.drift_streams import Change, Stream, alarms, daily_profiles, daily_rows
from ml.drift.statistics import drift
from ml.drift.thresholds import Thresholds, calibrate, fixed
from ml.profiles.specification import ProfileSpec
from ml.profiles.table_profile import Profile, merge_all, profile
from ml.spec.monitoring_policy import FIXED_THRESHOLDS, MonitoringPolicy

SMALL = Stream(columns=6, categorical=2, changing=2, rows_per_day=100)
POLICY = MonitoringPolicy()
SEEDS = range(6)


def months(change: Change, size: float = 0.5) -> dict[str, np.ndarray]:
    """Return for each rule which months alarm, shape (streams, months)."""
    stream = Stream(**{**SMALL.__dict__, "change": change, "size": size})
    runs = [alarms(stream, seed, POLICY) for seed in SEEDS]
    return {rule: np.array([run[rule] for run in runs]) for rule in runs[0]}


@pytest.fixture(scope="module")
def unchanged() -> dict[str, np.ndarray]:
    """Streams without any change."""
    return months(Change.NONE)


@pytest.fixture(scope="module")
def days() -> list[Profile]:
    """The daily profiles of one reference."""
    return daily_profiles(SMALL, seed=1)[: SMALL.reference_days]


def calibrated(days: list[Profile], **changes: object) -> Thresholds:
    """Calibrate with the arguments under test."""
    arguments = {"window_days": 30, "statistics": POLICY.statistics, "false_alarms_per_month": 0.05, "seed": 3}
    return calibrate(days, **{**arguments, **changes})  # type: ignore[arg-type] # a test's shorthand


def test_months_without_change_alarm_about_as_often_as_stated(unchanged: dict[str, np.ndarray]) -> None:
    """Stated 5%; of 54 months at most 6 may alarm, which a rate of 5% exceeds once in fifty times."""
    assert unchanged["calibrated"].sum() <= 6


def rare_amounts(random: np.random.Generator) -> np.ndarray:
    """A day of a column that is 0 but for 0.2% of its rows, each of which has an amount of its own."""
    return np.where(random.random(200) < 0.002, random.normal(size=200), 0.0)


def rare_names(random: np.random.Generator) -> np.ndarray:
    """A day of a column that is one text but for 0.2% of its rows, each of which has a text of its own."""
    return np.where(random.random(200) < 0.002, random.integers(0, 10**9, 200).astype(str), "usual")


@pytest.mark.parametrize("day", [rare_amounts, rare_names])
def test_rare_values_beside_a_frequent_one_are_no_drift_because_they_are_new(
    day: Callable[[np.random.Generator], np.ndarray],
) -> None:
    """A window has other ones than the reference. Amounts alarmed in 15% of months and names in 48%, at a stated 5%."""
    alarmed = []
    for seed in range(8):
        random = np.random.default_rng([9, seed])
        rows = [day(random) for _ in range(300)]
        spec = ProfileSpec.from_sample({"value": np.concatenate(rows[:90])})
        each = [profile({"value": values}, spec) for values in rows]
        limits = calibrated(each[:90], negligible=POLICY.negligible, window_rows=6_000)
        reference = merge_all(each[:90], spec)
        for start in range(90, 300, 30):
            found = drift(reference, merge_all(each[start : start + 30], spec))["value"]
            alarmed.append(any(found[one.statistic] > one.value for one in limits.thresholds))
    assert len(alarmed) == 56
    assert sum(alarmed) <= 6


def test_a_test_that_treats_rows_as_independent_alarms_nearly_always(unchanged: dict[str, np.ndarray]) -> None:
    """P-values are therefore stored but raise no finding."""
    assert unchanged["p_value"].mean() > 0.9


def test_a_sudden_change_is_seen_within_two_months() -> None:
    """Half a standard deviation in two of eight columns, from the fourth month on, in nearly every stream."""
    after = months(Change.SUDDEN)["calibrated"][:, 3:5]
    assert after.any(axis=1).mean() >= 5 / 6


@pytest.mark.proof
def test_a_change_that_a_rule_of_thumb_misses_is_seen() -> None:
    """PSI 0.25 misses a shift by a third of a standard deviation, calibrated thresholds find it in most streams."""
    change = months(Change.SUDDEN, size=0.35)
    assert change["calibrated"][:, 3:].mean() > 0.6
    assert change["psi_0_25"][:, 3:].mean() < 0.1


def test_the_same_seed_gives_the_same_thresholds(days: list[Profile]) -> None:
    """And another seed others."""
    assert calibrated(days) == calibrated(days)
    assert calibrated(days) != calibrated(days, seed=4)


def test_fewer_false_alarms_mean_higher_thresholds(days: list[Profile]) -> None:
    """For every column and statistic."""
    few, many = calibrated(days, false_alarms_per_month=0.01), calibrated(days, false_alarms_per_month=0.4)
    assert all(a.value >= b.value for a, b in zip(few.thresholds, many.thresholds, strict=True))
    assert few.value("number_0", "js_distance") > many.value("number_0", "js_distance")


def test_smaller_windows_have_higher_thresholds(days: list[Profile]) -> None:
    """A week is noisier than a month."""
    week, month = calibrated(days, window_days=7), calibrated(days)
    assert all(week.value(f"number_{i}", "js_distance") > month.value(f"number_{i}", "js_distance") for i in range(6))


@pytest.mark.proof
def test_fewer_rows_a_day_are_no_drift() -> None:
    """A tenth of the rows scatters three times as much; thresholds for all of them alarm in nearly every month."""
    quiet = replace(SMALL, rows_per_day=300, day_effect=0.05, days=270)
    alarmed: dict[int | None, list[bool]] = {None: [], 30 * 30: []}
    for seed in range(4):
        many = daily_profiles(quiet, seed)[:90]
        reference, spec = merge_all(many, many[0].spec), many[0].spec
        few = [profile(day, spec) for day in daily_rows(replace(quiet, rows_per_day=30), seed + 100)]
        for rows, found in alarmed.items():
            rule = calibrated(many, window_rows=rows)
            for start in range(90, 270, 30):
                values = drift(reference, merge_all(few[start : start + 30], spec))
                found.append(any(values[t.column][t.statistic] > t.value for t in rule.thresholds))
    assert np.mean(alarmed[None]) > 0.8
    assert sum(alarmed[30 * 30]) <= 3


def test_similar_rows_within_a_day_raise_the_threshold() -> None:
    """The same rows, shuffled over the days, have thresholds that are too low."""
    memory = Stream(**{**SMALL.__dict__, "day_effect": 0.4})
    none = Stream(**{**SMALL.__dict__, "day_effect": 0.0})
    with_memory, without = (calibrated(daily_profiles(s, 2)[:90]) for s in (memory, none))
    assert with_memory.value("number_0", "js_distance") > 1.5 * without.value("number_0", "js_distance")


def test_a_column_without_noise_has_the_negligible_difference_for_a_threshold() -> None:
    """Otherwise a single different row would be a finding."""
    spec = ProfileSpec.from_sample({"x": np.zeros(10), "y": np.zeros(10)})
    thresholds = calibrated([profile({"x": np.zeros(10), "y": np.zeros(10)}, spec)] * 40)
    for statistic, value in POLICY.negligible.items():
        assert thresholds.value("x", statistic) == value


def test_a_rare_burst_in_one_column_does_not_silence_the_others() -> None:
    """One day without values in one column, out of four hundred, leaves the threshold of another as good as unchanged."""
    random = np.random.default_rng(0)
    rows = [{"x": random.normal(size=50), "y": random.normal(size=50)} for _ in range(400)]
    spec = ProfileSpec.from_sample(rows[0])
    quiet = [profile(day, spec) for day in rows]
    burst = [*quiet[:40], profile({**rows[40], "x": np.full(50, np.nan)}, spec), *quiet[41:]]
    before, after = calibrated(quiet), calibrated(burst)
    assert after.value("y", "js_distance") < 1.3 * before.value("y", "js_distance")


def test_rules_of_thumb_are_the_same_for_every_column(days: list[Profile]) -> None:
    """They exist by name, for comparison."""
    columns = days[0].spec.columns
    for name, values in FIXED_THRESHOLDS.items():
        thresholds = fixed(name, columns)
        assert len(thresholds.thresholds) == len(columns)
        assert {t.value for t in thresholds.thresholds} == set(values.values())
    with pytest.raises(ValueError, match="no fixed thresholds 'psi'"):
        fixed("psi", columns)


def test_a_short_reference_has_high_thresholds(days: list[Profile]) -> None:
    """Two weeks are the minimum and say little about the variation of months."""
    short, long = (
        np.mean([t.value for t in calibrated(reference).thresholds if t.statistic == "js_distance"])
        for reference in (days[:14], days)
    )
    assert short > 1.3 * long


def test_a_statistic_outside_the_policy_has_no_threshold(days: list[Profile]) -> None:
    """Absent, not infinite."""
    assert calibrated(days).value("number_0", "ks_test") is None


def test_every_reason_that_prevents_calibration_is_reported_at_once(days: list[Profile]) -> None:
    """Too short a reference, an unknown statistic and an empty window in one sentence."""
    with pytest.raises(
        ValueError, match=r"unknown statistic psi .*13 days .* window_days is 0.* window_rows is 0"
    ) as caught:
        calibrated(days[:13], statistics=("psi",), window_days=0, window_rows=0)
    assert str(caught.value).count("\n") == 0
