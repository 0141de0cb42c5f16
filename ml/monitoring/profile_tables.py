"""Profiles and drift as rows of tables whose columns are named as those of Databricks data profiling.

Dashboards and alerts written for its tables work with these. They differ because there are no struct columns:
``window`` is ``window_start`` and ``window_end``, and the two tests have their p-value in a column of its own.
"""

from collections.abc import Mapping
from typing import Any

from ml.drift.statistics import chi_squared_pvalue, drift, ks_pvalue
from ml.monitoring.findings import WHOLE_TABLE, Window
from ml.profiles.column_profile import ColumnProfile
from ml.profiles.numeric_grid import NumericColumn
from ml.profiles.specification import CategoricalColumn
from ml.profiles.table_profile import Profile
from ml.spec.profile_columns import DRIFT_COLUMNS, PROFILE_COLUMNS

Row = dict[str, Any]


def profile_rows(
    window: Window,
    profile: Profile,
    *,
    granularity: str,
    model_id: str | None = None,
    log_type: str = "INPUT",
    slice_key: str | None = None,
    slice_value: str | None = None,
) -> list[Row]:
    """Return one row for the table and one for each column, keyed by the names in `PROFILE_COLUMNS`."""
    where = {
        "window_start": window.start,
        "window_end": window.end,
        "log_type": log_type,
        "granularity": granularity,
        "model_id": model_id,
        "slice_key": slice_key,
        "slice_value": slice_value,
    }
    whole = {"column_name": WHOLE_TABLE, "count": profile.rows, "profile": profile.to_json()}
    return [
        _complete({**where, **row}, PROFILE_COLUMNS) for row in (whole, *map(_column_row, profile.columns.values()))
    ]


def drift_rows(
    window: Window,
    current: Profile,
    compared: Profile,
    compared_window: Window,
    *,
    drift_type: str,
    granularity: str,
    model_id: str | None = None,
    slice_key: str | None = None,
    slice_value: str | None = None,
) -> list[Row]:
    """Return one row for each column, keyed by the names in `DRIFT_COLUMNS`.

    Parameters
    ----------
    current
        Profile of the window.
    compared, compared_window
        The profile to compare with: the training profile (``BASELINE``) or the window before (``CONSECUTIVE``).

    Raises
    ------
    ValueError
        If `drift_type` is neither, or the profiles were made with different specifications.
    """
    if drift_type not in ("BASELINE", "CONSECUTIVE"):
        raise ValueError(f"drift_type is {drift_type!r}: give BASELINE or CONSECUTIVE.")
    where = {
        "window_start": window.start,
        "window_end": window.end,
        "granularity": granularity,
        "model_id": model_id,
        "slice_key": slice_key,
        "slice_value": slice_value,
        "window_cmp_start": compared_window.start,
        "window_cmp_end": compared_window.end,
        "drift_type": drift_type,
    }
    return [
        _complete({**where, **_deltas(compared.columns[name], current.columns[name]), **values}, DRIFT_COLUMNS)
        for name, values in drift(compared, current).items()
    ]


def _column_row(column: ColumnProfile) -> Row:
    kind = column.column
    row: Row = {
        "column_name": kind.name,
        "data_type": kind.data_type,
        "count": column.count,
        "num_nulls": column.nulls,
        "percent_null": _percent(column.nulls, column.rows),
    }
    if isinstance(kind, CategoricalColumn):
        all_named = not column.counts[-1]
        return {**row, "distinct_count": int((column.counts > 0).sum()) if all_named else None}
    return {
        **row,
        "num_nan": column.nans,
        "percent_nan": _percent(column.nans, column.rows),
        "num_zeros": column.zeros,
        "percent_zeros": _percent(column.zeros, column.rows),
        "num_infinite": column.infinities,
        "avg": column.mean,
        "stddev": column.standard_deviation,
        "min": column.minimum,
        "max": column.maximum,
        "median": column.quantile(0.5),
    }


def _deltas(before: ColumnProfile, after: ColumnProfile) -> Row:
    row: Row = {
        "column_name": after.column.name,
        "data_type": after.column.data_type,
        "count_delta": after.count - before.count,
        "percent_null_delta": _difference(_percent(after.nulls, after.rows), _percent(before.nulls, before.rows)),
    }
    if isinstance(after.column, NumericColumn):
        row["avg_delta"] = after.mean - before.mean
        row["percent_zeros_delta"] = _difference(_percent(after.zeros, after.rows), _percent(before.zeros, before.rows))
        row["ks_test_pvalue"] = ks_pvalue(before, after)
    row["chi_squared_test_pvalue"] = chi_squared_pvalue(before, after)
    return row


def _complete(row: Mapping[str, Any], columns: tuple[tuple[str, str, str], ...]) -> Row:
    """Return the row with every column of the table; undefined values are missing, never NaN."""
    return {name: None if (value := row.get(name)) is None or value != value else value for name, _, _ in columns}


def _percent(part: int, rows: int) -> float | None:
    return 100 * part / rows if rows else None


def _difference(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else after - before
