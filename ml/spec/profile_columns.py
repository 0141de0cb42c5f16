"""Names, Spark SQL types and meanings of the columns of the profile and the drift table, as Databricks names them.

Declarations import this module: standard library only. `ml.monitoring.profile_tables` fills the rows.
"""

DRIFT_STATISTICS = (
    "population_stability_index",
    "js_distance",
    "wasserstein_distance",
    "ks_test",
    "chi_squared_test",
    "tv_distance",
    "l_infinity_distance",
    "missing_rate_difference",
)
"""The names of the statistics in `ml.drift.statistics`, each of which has its column."""

_WHERE = (
    ("window_start", "timestamp", "begin of the window"),
    ("window_end", "timestamp", "end of the window, exclusive"),
    ("log_type", "string", "INPUT for what was scored, BASELINE for what the model was trained on"),
    ("granularity", "string", "length of the window, for example 1 month"),
    ("model_id", "string", "version of the model that scored the rows"),
    ("slice_key", "string", "column that was sliced by; missing for all rows"),
    ("slice_value", "string", "its value in this slice; missing for all rows"),
    ("column_name", "string", ":table for what concerns all columns"),
    ("data_type", "string", "Spark SQL type of the column"),
)
PROFILE_COLUMNS: tuple[tuple[str, str, str], ...] = (
    *_WHERE,
    ("count", "bigint", "rows that hold a value; for :table all rows"),
    ("num_nulls", "bigint", "rows that do not"),
    ("percent_null", "double", "their share in percent"),
    ("num_nan", "bigint", "rows that hold NaN"),
    ("percent_nan", "double", "their share in percent"),
    ("num_zeros", "bigint", "rows that hold 0"),
    ("percent_zeros", "double", "their share in percent"),
    ("num_infinite", "bigint", "rows that hold an infinity; not among Databricks' columns"),
    ("avg", "double", "mean of the finite values"),
    ("stddev", "double", "sample standard deviation of the finite values"),
    ("min", "double", "smallest finite value"),
    ("max", "double", "largest finite value"),
    ("median", "double", "interpolated in the histogram"),
    ("distinct_count", "bigint", "distinct categories, where all are known by name"),
    (
        "profile",
        "string",
        "the mergeable profile of all columns as JSON, on the row of :table; not among Databricks' columns",
    ),
)
"""Name, Spark SQL type and meaning of each column of the profile table."""
DRIFT_COLUMNS: tuple[tuple[str, str, str], ...] = (
    *(column for column in _WHERE if column[0] != "log_type"),
    ("window_cmp_start", "timestamp", "begin of what it is compared with"),
    ("window_cmp_end", "timestamp", "end of what it is compared with"),
    ("drift_type", "string", "BASELINE against the training profile, CONSECUTIVE against the window before"),
    ("count_delta", "bigint", "difference in count"),
    ("avg_delta", "double", "difference in avg"),
    ("percent_null_delta", "double", "difference in percent_null"),
    ("percent_zeros_delta", "double", "difference in percent_zeros"),
    *((statistic, "double", "see ml.drift.statistics") for statistic in DRIFT_STATISTICS),
    ("ks_test_pvalue", "double", "for independent rows"),
    ("chi_squared_test_pvalue", "double", "for independent rows"),
)
"""Name, Spark SQL type and meaning of each column of the drift table."""
