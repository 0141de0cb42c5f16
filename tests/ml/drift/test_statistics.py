"""Every drift statistic behaves as one must, and agrees with scipy on the raw data."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from ml.drift.statistics import STATISTICS, Statistic, Tally, chi_squared_pvalue, drift, ks_pvalue
from ml.profiles.column_profile import ColumnProfile
from ml.profiles.numeric_grid import NumericColumn
from ml.profiles.specification import ProfileSpec
from ml.profiles.table_profile import empty, merge, profile
from ml.spec.monitoring_policy import NEGLIGIBLE
from ml.spec.profile_columns import DRIFT_STATISTICS

RANDOM = np.random.default_rng(0)
REFERENCE = RANDOM.normal(size=20_000)
LETTERS = np.array(list("abcdef"))
NUMERIC = ProfileSpec.from_sample({"x": REFERENCE})
CATEGORICAL = ProfileSpec.from_sample({"x": LETTERS[RANDOM.integers(0, 5, 5_000)]})
SHIFTS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)


def numbers(values: np.ndarray) -> ColumnProfile:
    """Profile a numeric column on the grid of the reference."""
    return profile({"x": values}, NUMERIC).columns["x"]


def letters(values: np.ndarray) -> ColumnProfile:
    """Profile a categorical column by the categories of the reference."""
    return profile({"x": values}, CATEGORICAL).columns["x"]


def shifted(statistic: Statistic, shift: float, *, categorical: bool, rows: int = 4_000) -> ColumnProfile:
    """Return a column that lies the further from the one at shift 0 the larger the shift is."""
    values = np.random.default_rng(7).normal(size=rows)
    if statistic.of_missing:
        values[: int(rows * shift / 5)] = np.nan
    else:
        values = values + shift
    if not categorical:
        return numbers(values)
    names = LETTERS[np.digitize(np.nan_to_num(values), (-1, -0.3, 0.3, 1))].astype(object)
    return letters(np.where(np.isnan(values), None, names))


def cases() -> list:
    """Return every statistic with every kind of column it applies to."""
    return [
        pytest.param(s, kind == "categorical", id=f"{s.name}-{kind}")
        for s in STATISTICS.values()
        for kind in ("numeric", "categorical")
        if getattr(s, kind)
    ]


def test_the_registry_is_complete() -> None:
    """Each statistic is registered under its name, has a column, and applies to some kind of column."""
    assert tuple(STATISTICS) == DRIFT_STATISTICS
    assert all(name == s.name == s.compare.__name__ for name, s in STATISTICS.items())
    assert all(s.numeric or s.categorical for s in STATISTICS.values())


@pytest.mark.parametrize(("statistic", "categorical"), cases())
class TestEveryStatistic:
    """What holds for every statistic and kind of column."""

    def test_is_zero_on_identical_columns(self, statistic: Statistic, categorical: bool) -> None:
        """No difference, no drift; also on twice the same rows."""
        column = shifted(statistic, 0.5, categorical=categorical)
        assert statistic(column, column) == pytest.approx(0, abs=1e-12)

    def test_does_not_depend_on_which_side_is_the_reference(self, statistic: Statistic, categorical: bool) -> None:
        """Groups are fixed by the specification, so every statistic is symmetric."""
        a, b = (shifted(statistic, s, categorical=categorical) for s in (0.0, 1.0))
        assert statistic(a, b) == pytest.approx(statistic(b, a))

    def test_is_bounded_and_finite_at_the_worst(self, statistic: Statistic, categorical: bool) -> None:
        """Nothing in common on either side gives a finite value within the bounds."""
        a, b = shifted(statistic, 0.0, categorical=categorical), shifted(statistic, 5.0, categorical=categorical)
        value = statistic(a, b)
        assert 0 < value <= statistic.upper
        assert math.isfinite(value)

    def test_grows_with_the_shift(self, statistic: Statistic, categorical: bool) -> None:
        """A larger change never has a smaller value."""
        reference = shifted(statistic, 0.0, categorical=categorical)
        values = [statistic(reference, shifted(statistic, s, categorical=categorical)) for s in SHIFTS]
        assert all(after > before for before, after in itertools.pairwise(values)), values

    def test_is_zero_without_rows(self, statistic: Statistic, categorical: bool) -> None:
        """A side without rows gives 0, and so do two."""
        column = shifted(statistic, 0.0, categorical=categorical)
        nothing = (empty(CATEGORICAL if categorical else NUMERIC)).columns["x"]
        for a, b in ((column, nothing), (nothing, column), (nothing, nothing)):
            assert statistic(a, b) == 0

    def test_is_finite_on_a_single_row(self, statistic: Statistic, categorical: bool) -> None:
        """One row against many has a finite value."""
        one = shifted(statistic, 0.0, categorical=categorical, rows=1)
        assert math.isfinite(statistic(shifted(statistic, 0.0, categorical=categorical), one))

    def test_works_on_stacks_as_on_single_profiles(self, statistic: Statistic, categorical: bool) -> None:
        """Resampled stacks, with which thresholds are drawn, give what single profiles give."""
        a, b, c = (shifted(statistic, s, categorical=categorical) for s in (0.0, 0.5, 2.0))
        stacked = statistic.compare(Tally.stack([a, a]), Tally.stack([b, c]))
        assert stacked == pytest.approx([statistic(a, b), statistic(a, c)])


def test_jensen_shannon_psi_and_total_variation_agree_with_scipy_on_the_groups() -> None:
    """On raw data cut at the same edges, to rounding."""
    current = RANDOM.normal(0.4, 1.3, size=7_000)
    grid = NUMERIC.columns[0]
    assert isinstance(grid, NumericColumn)
    cuts = grid.boundaries[np.array(grid.groups[1:]) - 1]
    p, q = (np.bincount(np.digitize(v, cuts), minlength=len(cuts) + 1) for v in (REFERENCE, current))
    a, b = numbers(REFERENCE), numbers(current)
    assert STATISTICS["js_distance"](a, b) == pytest.approx(jensenshannon(p, q, base=2), rel=1e-9)
    assert STATISTICS["tv_distance"](a, b) == pytest.approx(np.abs(p / p.sum() - q / q.sum()).sum() / 2)
    half_a_row = 0.5 / min(p.sum(), q.sum())
    ps, qs = (v / v.sum() + half_a_row for v in (p, q))
    assert STATISTICS["population_stability_index"](a, b) == pytest.approx(
        stats.entropy(ps, qs) + stats.entropy(qs, ps)
    )


@pytest.mark.parametrize(
    "current",
    [
        pytest.param(RANDOM.normal(0.3, 1.0, 5_000), id="shifted"),
        pytest.param(RANDOM.normal(0, 2.0, 5_000), id="wider"),
        pytest.param(RANDOM.standard_t(2, 5_000), id="heavy tails"),
        pytest.param(RANDOM.normal(30, 1.0, 5_000), id="beyond the grid"),
        pytest.param(np.zeros(500), id="constant"),
    ],
)
def test_kolmogorov_smirnov_and_wasserstein_agree_with_scipy_on_raw_values(current: np.ndarray) -> None:
    """KS to the largest mass of a fine bin, Wasserstein to the width of one, or a thousandth."""
    a, b = numbers(REFERENCE), numbers(current)
    tolerance = np.minimum(a.counts / a.finite, b.counts / b.finite).max()
    exact = stats.ks_2samp(REFERENCE, current)
    assert exact.statistic - tolerance - 1e-9 <= STATISTICS["ks_test"](a, b) <= exact.statistic + 1e-9
    raw = stats.wasserstein_distance(REFERENCE, current)
    assert STATISTICS["wasserstein_distance"](a, b) == pytest.approx(raw, abs=NUMERIC.columns[0].width, rel=1e-3)


def test_pvalues_agree_with_scipy() -> None:
    """Both are the usual asymptotic ones."""
    current = RANDOM.normal(0.03, 1, 5_000)
    a, b = numbers(REFERENCE), numbers(current)
    exact = stats.kstwobign.sf(STATISTICS["ks_test"](a, b) * math.sqrt(20_000 * 5_000 / 25_000))
    assert ks_pvalue(a, b) == pytest.approx(exact, rel=1e-6)
    c, d = letters(LETTERS[RANDOM.integers(0, 5, 900)]), letters(LETTERS[RANDOM.integers(0, 4, 700)])
    table = np.stack([Tally.of(c).grouped, Tally.of(d).grouped])
    expected = stats.chi2_contingency(table[:, table.sum(axis=0) > 0], correction=False)
    assert STATISTICS["chi_squared_test"](c, d) == pytest.approx(expected.statistic)
    assert chi_squared_pvalue(c, d) == pytest.approx(expected.pvalue)


def test_without_values_no_pvalue_speaks_against_the_reference() -> None:
    """No rows and a single group have nothing to reject."""
    nothing = empty(NUMERIC).columns["x"]
    assert ks_pvalue(numbers(REFERENCE), nothing) == 1
    assert chi_squared_pvalue(nothing, nothing) == 1


@pytest.mark.parametrize("move", [1e-4, -1e-4, 0.3, -0.49])
@pytest.mark.parametrize("reference", [np.full(1_000, 3.0), np.arange(2_400) % 24.0], ids=["constant", "hours"])
def test_a_move_of_whole_numbers_within_a_half_is_seen(reference: np.ndarray, move: float) -> None:
    """Kolmogorov and Smirnov's statistic is the exact one; no row keeps its group."""
    spec = ProfileSpec.from_sample({"x": reference})
    before, after = (profile({"x": v}, spec).columns["x"] for v in (reference, reference + move))
    assert STATISTICS["ks_test"](before, after) == pytest.approx(stats.ks_2samp(reference, reference + move).statistic)
    assert STATISTICS["js_distance"](before, after) == 1


def test_a_frequent_value_among_others_that_moves_a_little_is_seen() -> None:
    """Half of the rows are exactly zero, then just above it; the others stay."""
    others = RANDOM.lognormal(size=5_000)
    reference, current = (np.concatenate([np.full(5_000, value), others]) for value in (0.0, 1e-4))
    spec = ProfileSpec.from_sample({"x": reference})
    before, after = (profile({"x": v}, spec).columns["x"] for v in (reference, current))
    assert STATISTICS["ks_test"](before, after) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_a_move_far_outside_the_grid_is_drift_by_default(noise: float) -> None:
    """Five percent of the rows move from 50 to 500, which was in the same bin as long as there was only one outside."""
    random = np.random.default_rng(0)
    far = random.random(20_000) < 0.05
    reference, current = (
        np.where(far, place + noise * random.normal(size=far.size), random.normal(size=far.size)) for place in (50, 500)
    )
    spec = ProfileSpec.from_sample({"x": reference})
    before, after = (profile({"x": v}, spec).columns["x"] for v in (reference, current))
    assert STATISTICS["js_distance"](before, after) > 5 * NEGLIGIBLE["js_distance"]
    assert STATISTICS["ks_test"](before, after) == pytest.approx(0.05, abs=0.005)
    assert STATISTICS["population_stability_index"](before, after) > 0.25


def test_one_outlier_does_not_hide_a_shift() -> None:
    """With bins from smallest to largest value all rows would share one bin."""
    reference = np.append(RANDOM.normal(size=9_999), 1e6)
    spec = ProfileSpec.from_sample({"x": reference})
    before, after = (profile({"x": v}, spec).columns["x"] for v in (reference, np.append(reference[:-1] + 0.3, 1e6)))
    exact = stats.ks_2samp(reference, reference + 0.3).statistic
    assert STATISTICS["ks_test"](before, after) == pytest.approx(exact, abs=0.005)


def test_a_sentinel_value_outside_the_range_is_seen() -> None:
    """Two percent of rows with the value -999 move the index, although the lowest decile is five times as large."""
    broken = REFERENCE.copy()
    broken[:400] = -999
    assert STATISTICS["population_stability_index"](numbers(REFERENCE), numbers(broken)) > 0.04


def test_the_index_of_an_empty_group_stays_small_in_a_small_window() -> None:
    """Smoothing adds half a row to each group, so ten rows that miss some groups raise no alarm."""
    ten = numbers(np.random.default_rng(1).normal(size=10))
    assert STATISTICS["population_stability_index"](numbers(REFERENCE), ten) < 3


def test_the_index_of_unchanged_windows_is_as_large_as_theory_says() -> None:
    """Its mean over windows without change is about the number of groups, less one, times 1/n + 1/m."""
    random = np.random.default_rng(2)
    windows = [numbers(random.normal(size=1_000)) for _ in range(80)]
    mean = np.mean([STATISTICS["population_stability_index"](numbers(REFERENCE), w) for w in windows])
    assert mean == pytest.approx(9.5 * (1 / 1_000 + 1 / 20_000), rel=0.25)


def test_drift_of_two_profiles_holds_every_statistic_that_applies() -> None:
    """And refuses profiles that were made differently."""
    spec = ProfileSpec.from_sample({"n": REFERENCE[:100], "c": LETTERS[:3]})
    some = profile({"n": REFERENCE[:50], "c": LETTERS[[0, 1] * 25]}, spec)
    result = drift(some, merge(some, some))
    assert set(result["n"]) == {s.name for s in STATISTICS.values() if s.numeric}
    assert set(result["c"]) == {s.name for s in STATISTICS.values() if s.categorical}
    with pytest.raises(ValueError, match="different specifications"):
        drift(some, empty(NUMERIC))
    with pytest.raises(ValueError, match="different grids"):
        STATISTICS["ks_test"](some.columns["n"], numbers(REFERENCE))
    with pytest.raises(ValueError, match="not defined for CategoricalColumn"):
        STATISTICS["ks_test"](some.columns["c"], some.columns["c"])


def test_equal_shares_are_no_difference_however_small_one_side_is() -> None:
    """Half a row weighs the same share on both sides."""
    many, few = (letters(np.repeat(LETTERS[:5], times)) for times in (2_000, 2))
    assert STATISTICS["population_stability_index"](many, few) == pytest.approx(0, abs=1e-12)


def test_thinned_tallies_scatter_as_samples_of_so_many_rows_do() -> None:
    """Mean, spread and number of rows; tallies of fewer rows stay as they are."""
    random = np.random.default_rng(3)
    drawn = [numbers(np.where(random.random(800) < 0.1, np.nan, random.normal(size=800))) for _ in range(400)]
    seen = [numbers(np.where(random.random(200) < 0.1, np.nan, random.normal(size=200))) for _ in range(400)]
    thin, real = Tally.stack(drawn).thinned(200, random), Tally.stack(seen)
    assert np.allclose(thin.rows, 200)
    for a, b in ((thin.grouped, real.grouped), (thin.missing[:, None], real.missing[:, None])):
        assert a.mean(axis=0) == pytest.approx(b.mean(axis=0), rel=0.2, abs=1)
        assert np.sqrt(a.var(axis=0).sum()) == pytest.approx(np.sqrt(b.var(axis=0).sum()), rel=0.1)
    distance = STATISTICS["wasserstein_distance"].compare
    wide = [profile({"x": random.normal(scale=4, size=400)}, NUMERIC).columns["x"] for _ in range(60)]
    whole, thinner = Tally.stack(wide), Tally.stack(wide).thinned(200, random)
    reference = Tally.of(numbers(REFERENCE))
    assert distance(reference, thinner).mean() == pytest.approx(distance(reference, whole).mean(), rel=0.05)
    assert np.array_equal(real.thinned(200, random).counts, real.counts)
    assert np.array_equal(real.thinned(10_000, random).missing, real.missing)
