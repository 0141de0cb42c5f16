"""Profiles count every row, merge without loss, and are restored from bytes and JSON exactly."""

import math
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.profiles.column_profile import ColumnProfile, merge_columns
from ml.profiles.column_values import data_type_of, numbers
from ml.profiles.numeric_grid import NumericColumn, numeric_column, places_of
from ml.profiles.specification import CategoricalColumn, ProfileSpec
from ml.profiles.table_profile import Profile, empty, merge, merge_all, profile

SPEC = ProfileSpec.from_sample(
    {
        "number": np.random.default_rng(0).normal(size=2_000),
        "whole": np.arange(24),
        "name": ["a"] * 5 + ["b"] * 3 + ["c"],
        "flag": np.array([True, False]),
    }
)
NUMBERS = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([math.nan, math.inf, -math.inf, 0.0]))
STORED = "9mWBiqXyP7J4AWNgAAERBzBFkGCBqDvgC1X/YT9EixKMbw/hyzkwQhgM6DQTVBwAQUcFiQ=="
"""The profile of -1, 0.5, 1.5, 2.5 and 9 as an earlier release stored it, on the grid of two bins from 0 to 2."""
Row = tuple[float, int, str | None, bool | None]
ROWS = st.lists(
    st.tuples(
        NUMBERS,
        st.integers(-5, 40),
        st.sampled_from(["a", "b", "c", "unseen", None]),
        st.sampled_from([True, False, None]),
    ),
    max_size=30,
)


def profile_of(rows: list[Row]) -> Profile:
    """Profile rows of the four columns of `SPEC`."""
    names = ("number", "whole", "name", "flag")
    columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    return profile(
        {**columns, "number": np.array(columns["number"], float), "whole": np.array(columns["whole"], float)}, SPEC
    )


def assert_same_rows(a: Profile, b: Profile) -> None:
    """Fail unless two profiles say the same: counts exactly, moments to rounding."""
    for name, one in a.columns.items():
        other = b.columns[name]
        assert np.array_equal(one.counts, other.counts), name
        for exact in ("count", "nulls", "nans", "infinities", "zeros"):
            assert getattr(one, exact) == getattr(other, exact), (name, exact)
        for close, scale in (
            ("minimum", 0),
            ("maximum", 0),
            ("mean", 1e6),
            ("m2", 1e13),
            ("below", 1e7),
            ("above", 1e7),
        ):
            np.testing.assert_allclose(getattr(one, close), getattr(other, close), rtol=1e-9, atol=1e-12 * scale)


@settings(max_examples=60, deadline=None)
@given(ROWS, ROWS, ROWS)
def test_profiles_of_parts_merge_to_the_profile_of_the_whole_in_any_order(
    a: list[Row], b: list[Row], c: list[Row]
) -> None:
    """Merging loses nothing, and neither order nor grouping of the parts matters."""
    one, two, three = profile_of(a), profile_of(b), profile_of(c)
    whole = profile_of(a + b + c)
    assert_same_rows(merge(merge(one, two), three), whole)
    assert_same_rows(merge(one, merge(two, three)), whole)
    assert_same_rows(merge(three, merge(two, one)), whole)


@settings(max_examples=40, deadline=None)
@given(ROWS)
def test_a_profile_comes_back_from_bytes_and_json_as_it_was(rows: list[Row]) -> None:
    """Nothing is rounded on the way through a Delta column or an MLflow artifact."""
    before = profile_of(rows)
    assert Profile.from_bytes(before.to_bytes(), SPEC) == before
    after = Profile.from_json(before.to_json())
    assert after == before
    assert after.spec == SPEC


@settings(max_examples=40, deadline=None)
@given(ROWS)
def test_every_row_is_counted_once(rows: list[Row]) -> None:
    """Finite values, NaN, infinities and nulls add up to the rows."""
    for column in profile_of(rows).columns.values():
        assert column.finite + column.nans + column.infinities + column.nulls == len(rows)
        assert column.counts.sum() == column.finite


def test_moments_and_range_are_those_of_the_finite_values() -> None:
    """They equal those of pandas."""
    values = np.array([3.0, -1.0, 0.0, np.nan, np.inf, 7.5])
    finite = pd.Series([3.0, -1.0, 0.0, 7.5])
    column = profile({"x": values}, ProfileSpec.from_sample({"x": values})).columns["x"]
    assert (column.count, column.nans, column.infinities, column.zeros) == (6, 1, 1, 1)
    assert (column.minimum, column.maximum) == (-1.0, 7.5)
    assert column.mean == pytest.approx(finite.mean())
    assert column.standard_deviation == pytest.approx(finite.std())
    assert column.missing_rate == pytest.approx(1 / 6)


def test_a_value_far_away_does_not_disturb_mean_and_deviation() -> None:
    """A constant column of large numbers has deviation zero, also after merging."""
    spec = ProfileSpec.from_sample({"x": np.array([0.0, 1.0])})
    part = profile({"x": np.full(1_000, 1e9 + 0.1)}, spec)
    assert merge(part, part).columns["x"].standard_deviation == pytest.approx(0, abs=1e-6)


def test_one_outlier_does_not_widen_the_bins() -> None:
    """The grid follows the bulk; the outlier counts above it, with its distance."""
    values = np.append(np.random.default_rng(1).normal(size=9_999), 1e12)
    spec = ProfileSpec.from_sample({"x": values})
    grid = spec.columns[0]
    assert isinstance(grid, NumericColumn)
    assert grid.width < 0.02
    column = profile({"x": values}, spec).columns["x"]
    assert column.above == pytest.approx(1e12, rel=1e-6)


def test_a_heavy_tail_leaves_the_bulk_enough_bins() -> None:
    """No bin holds a tenth of a Pareto sample; between the outer quantiles alone one would hold two thirds."""
    values = np.random.default_rng(2).pareto(1.0, 20_000)
    spec = ProfileSpec.from_sample({"x": values})
    counts = profile({"x": values}, spec).columns["x"].counts
    assert counts.max() < 0.1 * counts.sum()
    assert np.sort(counts)[-5:].sum() < 0.5 * counts.sum()


def test_each_whole_number_of_a_short_range_has_a_bin_of_its_own() -> None:
    """Hours of the day are counted exactly."""
    hours = np.repeat(np.arange(24), np.arange(1, 25))
    column = profile({"hour": hours}, ProfileSpec.from_sample({"hour": hours})).columns["hour"]
    assert column.counts[column.counts > 0].tolist() == list(range(1, 25))


def test_a_column_is_discrete_if_most_of_its_values_come_again() -> None:
    """Prices are; rare amounts that are all different are not, beside whatever comes often."""
    random = np.random.default_rng(0)
    prices = random.choice([0.99, 1.49, 4.99, 9.99], 1_000)
    amounts = np.where(np.arange(1_000) < 30, random.normal(size=1_000), 0.0)
    found = [numeric_column("x", "double", numbers(values)) for values in (prices, amounts, np.full(1_000, 3.5))]
    assert [one.discrete for one in found] == [True, False, True]
    assert [one.atoms for one in found] == [(0.99, 1.49, 4.99, 9.99), (0.0,), (3.5,)]


def test_coarse_groups_hold_equal_shares_of_the_sample() -> None:
    """Ten groups of a continuous column hold a tenth each, to the mass of a fine bin."""
    values = np.random.default_rng(3).normal(size=50_000)
    spec = ProfileSpec.from_sample({"x": values})
    column = profile({"x": values}, spec).columns["x"]
    shares = np.add.reduceat(column.counts, spec.columns[0].groups) / 50_000
    assert shares[shares > 0.01] == pytest.approx(np.full(10, 0.1), abs=0.01)


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(6).standard_t(1, 4_000),
        np.random.default_rng(6).integers(0, 24, 4_000).astype(float),
        np.where(np.random.default_rng(6).random(4_000) < 0.3, 0.0, np.random.default_rng(7).lognormal(0, 3, 4_000)),
    ],
    ids=["heavy tails", "whole", "half zero"],
)
def test_every_value_lies_between_the_boundaries_of_its_place(values: np.ndarray) -> None:
    """Places follow the order of the values, at atoms, in the grid and far outside; also for values never seen before."""
    column = ProfileSpec.from_sample({"x": values}).columns[0]
    assert isinstance(column, NumericColumn)
    assert len(column.boundaries) == column.places - 1
    tried = np.concatenate([values, values + 1e-3, 100 * values, [-1e300, 1e300]])
    places = places_of(column, tried)
    edges = np.concatenate([[-np.inf], column.boundaries, [np.inf]])
    slack = 1e-9 * np.abs(tried)
    assert (edges[places] <= tried + slack).all()
    assert (tried - slack <= edges[places + 1]).all()


def test_a_profile_that_an_earlier_release_stored_is_read_and_compared() -> None:
    """Its columns have neither bins by distance nor places of single values; its fingerprint is unchanged."""
    stored = (
        '{"spec": [{"name": "x", "data_type": "double", "low": 0.0, "width": 1.0, "bins": 2, "groups": [0, 1, 2, 3]}], '
        f'"profile": "{STORED}"}}'
    )
    before = Profile.from_json(stored)
    assert before.columns["x"].counts.tolist() == [1, 1, 1, 2]
    assert before.columns["x"].quantile(0.5) == pytest.approx(1.5)
    assert profile({"x": np.array([-1.0, 0.5, 1.5, 2.5, 9.0])}, before.spec) == before
    assert Profile.from_json(before.to_json()) == before


def test_quantiles_come_from_the_histogram() -> None:
    """The median and the extremes agree with numpy to a bin."""
    values = np.random.default_rng(4).normal(size=20_000)
    column = profile({"x": values}, ProfileSpec.from_sample({"x": values})).columns["x"]
    for share in (0.0, 0.01, 0.25, 0.5, 0.99, 1.0):
        assert column.quantile(share) == pytest.approx(np.quantile(values, share), abs=0.05)


def test_categories_unseen_in_the_sample_count_as_others() -> None:
    """And those beyond the number that is kept do too."""
    spec = ProfileSpec.from_sample({"c": ["a"] * 3 + ["b"] * 2 + ["d"]}, kept_categories=2)
    column = profile({"c": ["a", "b", "d", "new", None]}, spec).columns["c"]
    assert column.counts.tolist() == [1, 1, 2]
    assert (column.count, column.nulls) == (4, 1)


def test_booleans_are_names_and_dates_and_timestamps_are_numbers() -> None:
    """Each type has its kind, and its values the stated unit."""
    spec = ProfileSpec.from_sample(
        {
            "flag": [True, None, False],
            "day": [date(1970, 1, 11), None],
            "at": [datetime(1970, 1, 1, 1, tzinfo=UTC)],
            "code": np.array([7, 8, 8]),
        },
        categorical=["code"],
    )
    assert [column.data_type for column in spec.columns] == ["boolean", "date", "timestamp", "bigint"]
    result = profile(
        {
            "flag": [True, True, None],
            "day": [date(1970, 1, 11), None],
            "at": pd.to_datetime(["1970-01-01T01:00Z"]),
            "code": np.array([8]),
        },
        spec,
    )
    assert result.columns["flag"].counts[spec.columns[0].categories.index("true")] == 2
    assert result.columns["day"].mean == 10
    assert result.columns["at"].mean == 3_600
    assert isinstance(spec.columns[3], CategoricalColumn)
    assert result.columns["code"].counts[spec.columns[3].categories.index("8")] == 1


def test_dates_of_any_year_are_days() -> None:
    """Placeholders such as the year 9999 are dates too."""
    spec = ProfileSpec.from_sample({"day": [date(1970, 1, 1), date(9999, 12, 31)]})
    column = profile({"day": [date(1, 1, 1), date(9999, 12, 31)]}, spec).columns["day"]
    assert (column.minimum, column.maximum) == (-719_162, 2_932_896)


def test_whole_numbers_are_the_same_categories_in_a_column_with_gaps() -> None:
    """A gap turns them into floats."""
    spec = ProfileSpec.from_sample({"code": [1, 2, 3]}, categorical=["code"])
    column = profile({"code": pd.Series([1, 2, None])}, spec).columns["code"]
    assert isinstance(column.column, CategoricalColumn)
    assert [column.counts[column.column.categories.index(name)] for name in "12"] == [1, 1]


@pytest.mark.parametrize("sample", [[], [None, None], [math.nan], [5.0], [2.5] * 100, [math.inf]], ids=str)
def test_no_rows_one_row_a_constant_and_all_missing_have_profiles(sample: Any) -> None:
    """Any later value has a place, however small the sample."""
    spec = ProfileSpec.from_sample({"x": np.array(sample, float)})
    column = profile({"x": np.array([*sample, -1e300, 0.0, 1e300], float)}, spec).columns["x"]
    assert column.rows == len(sample) + 3
    assert column.counts.sum() == column.finite
    assert merge_columns(column, column).rows == 2 * column.rows
    nothing = profile({"x": np.array([], float)}, spec)
    assert nothing == empty(spec)
    assert math.isnan(nothing.columns["x"].mean)
    assert math.isnan(nothing.columns["x"].missing_rate)


def test_merging_the_empty_profile_changes_nothing() -> None:
    """The profile of no rows is the neutral element."""
    some = profile_of([(1.0, 2, "a", True), (math.nan, 3, None, None)])
    assert merge(some, empty(SPEC)) == some
    assert merge_all([], SPEC) == empty(SPEC)


def test_profiles_of_different_specifications_do_not_merge() -> None:
    """Bins of different grids must not be added."""
    other = ProfileSpec.from_sample({"x": np.arange(10.0)})
    with pytest.raises(ValueError, match="different specifications"):
        merge(empty(SPEC), empty(other))
    with pytest.raises(ValueError, match="was made with specification"):
        Profile.from_bytes(empty(other).to_bytes(), SPEC)


def test_a_missing_column_and_a_text_among_numbers_are_named() -> None:
    """The message names the column and the value."""
    with pytest.raises(ValueError, match="column name, flag missing"):
        profile({"number": [1.0], "whole": [1]}, SPEC)
    with pytest.raises(ValueError, match=r"holds 'x' \(str\)"):
        profile({"number": ["x"], "whole": [1], "name": ["a"], "flag": [True]}, SPEC)
    with pytest.raises(ValueError, match="the sample lacks"):
        ProfileSpec.from_sample({"x": [1.0]}, categorical=["y"])


def test_a_profile_is_small() -> None:
    """Fifty columns of a million rows fit into a table's cell."""
    values = np.random.default_rng(5).normal(size=100_000)
    spec = ProfileSpec.from_sample({f"x{i}": values for i in range(50)})
    assert len(profile({f"x{i}": values for i in range(50)}, spec).to_json()) < 100_000


def test_the_type_of_a_column_is_named_as_in_spark_sql() -> None:
    """Types named as Spark SQL names them; whole numbers with gaps arrive as double."""
    assert data_type_of(np.array([1.0])) == "double"
    assert data_type_of(np.array([1])) == "bigint"
    assert data_type_of(["x", None]) == "string"
    assert data_type_of([None]) == "string"


def test_a_column_profile_is_equal_to_nothing_else() -> None:
    """Comparison with another type is left to that type."""
    assert profile_of([]).columns["number"] != "number"
    assert isinstance(profile_of([]).columns["number"], ColumnProfile)
