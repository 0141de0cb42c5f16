"""Rows of the profile and drift tables have the names of Databricks data profiling and only declared types."""

from datetime import UTC, date, datetime

import numpy as np
import pytest

from ml.monitoring.findings import Window
from ml.monitoring.profile_tables import drift_rows, profile_rows
from ml.profiles.specification import ProfileSpec
from ml.profiles.table_profile import Profile, empty, profile
from ml.spec.profile_columns import DRIFT_COLUMNS, PROFILE_COLUMNS

MAY = Window(start=datetime(2013, 5, 1, tzinfo=UTC), end=datetime(2013, 6, 1, tzinfo=UTC))
APRIL = Window(start=datetime(2013, 4, 1, tzinfo=UTC), end=MAY.start)
DATA = {"x": np.array([0.0, 1.0, 2.0, np.nan, np.inf]), "c": ["a", "a", "b", None, "a"], "d": [date(2013, 5, 1)] * 5}
SPEC = ProfileSpec.from_sample(DATA)
PYTHON = {"string": str, "bigint": int, "double": float, "timestamp": datetime}
DATABRICKS_PROFILE = {
    "log_type",
    "granularity",
    "slice_key",
    "slice_value",
    "column_name",
    "count",
    "data_type",
    "num_nulls",
    "avg",
    "min",
    "max",
    "stddev",
    "num_zeros",
    "num_nan",
    "distinct_count",
    "median",
    "percent_null",
    "percent_nan",
    "percent_zeros",
}
DATABRICKS_DRIFT = {
    "drift_type",
    "granularity",
    "slice_key",
    "slice_value",
    "column_name",
    "data_type",
    "count_delta",
    "avg_delta",
    "percent_null_delta",
    "percent_zeros_delta",
    "js_distance",
    "ks_test",
    "wasserstein_distance",
    "population_stability_index",
    "chi_squared_test",
    "tv_distance",
    "l_infinity_distance",
}


def rows_of(what: Profile) -> tuple[list, list]:
    """Return the rows of both tables for a profile, compared with another of the same specification."""
    before = profile({**DATA, "x": np.zeros(5)}, SPEC)
    return (
        profile_rows(MAY, what, granularity="1 month", model_id="3"),
        drift_rows(MAY, what, before, APRIL, drift_type="CONSECUTIVE", granularity="1 month"),
    )


def test_the_tables_have_the_columns_of_databricks() -> None:
    """A dashboard written for its tables finds every name here."""
    assert {name for name, _, _ in PROFILE_COLUMNS} >= DATABRICKS_PROFILE
    assert {name for name, _, _ in DRIFT_COLUMNS} >= DATABRICKS_DRIFT


@pytest.mark.parametrize("what", [profile(DATA, SPEC), empty(SPEC)], ids=["rows", "no rows"])
def test_every_row_fits_its_declared_columns(what: str) -> None:
    """All columns in order, each value of its declared type or missing, never NaN."""
    for rows, declared in zip(rows_of(what), (PROFILE_COLUMNS, DRIFT_COLUMNS), strict=True):
        for row in rows:
            assert list(row) == [name for name, _, _ in declared]
            for name, kind, _ in declared:
                assert row[name] is None or (isinstance(row[name], PYTHON[kind]) and row[name] == row[name]), name


def test_the_profile_row_describes_the_column() -> None:
    """Counts, moments, shares in percent."""
    rows = {row["column_name"]: row for row in rows_of(profile(DATA, SPEC))[0]}
    assert list(rows) == [":table", "x", "c", "d"]
    x = rows["x"]
    assert (x["count"], x["num_nan"], x["percent_nan"], x["num_zeros"], x["num_infinite"]) == (5, 1, 20.0, 1, 1)
    assert (x["avg"], x["min"], x["max"], x["stddev"]) == (1.0, 0.0, 2.0, 1.0)
    assert (rows["c"]["num_nulls"], rows["c"]["percent_null"], rows["c"]["distinct_count"]) == (1, 20.0, 2)
    assert rows["c"]["avg"] is None
    assert rows["d"]["data_type"] == "date"


def test_the_row_of_the_table_holds_the_mergeable_profile() -> None:
    """Windows and slices can be merged again from the table alone."""
    whole = profile(DATA, SPEC)
    row = rows_of(whole)[0][0]
    assert row["count"] == 5
    assert Profile.from_json(row["profile"]) == whole


def test_categories_beyond_those_known_by_name_have_no_distinct_count() -> None:
    """An unknown number is missing."""
    (row,) = [
        r for r in rows_of(profile({**DATA, "c": ["a", "new", "b", "a", "a"]}, SPEC))[0] if r["column_name"] == "c"
    ]
    assert row["distinct_count"] is None


def test_the_drift_row_states_what_was_compared() -> None:
    """Both windows, the type, differences and statistics."""
    rows = {row["column_name"]: row for row in rows_of(profile(DATA, SPEC))[1]}
    x = rows["x"]
    assert (x["window_start"], x["window_cmp_start"], x["drift_type"]) == (MAY.start, APRIL.start, "CONSECUTIVE")
    assert (x["count_delta"], x["avg_delta"], x["percent_zeros_delta"]) == (0, 1.0, -80.0)
    assert x["ks_test"] > 0
    assert x["ks_test_pvalue"] < 1
    assert (x["l_infinity_distance"], rows["c"]["ks_test"]) == (None, None)
    assert rows["c"]["l_infinity_distance"] == 0


def test_a_drift_type_that_does_not_exist_is_refused() -> None:
    """With those that do."""
    some = profile(DATA, SPEC)
    with pytest.raises(ValueError, match="give BASELINE or CONSECUTIVE"):
        drift_rows(MAY, some, some, APRIL, drift_type="baseline", granularity="1 month")
