"""The values of one column for profiling: numbers without nulls, or categories with their counts.

They are made here from numpy arrays and values that `pandas` can read. Callers with Arrow data make the two records
themselves (`pipelines.dataframes.profiling`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """The values of a numeric column.

    Attributes
    ----------
    values
        Shape (values,), float64; may hold NaN and infinities. Dates count in days, timestamps in seconds since 1970.
    nulls
        Number of rows without a value.
    """

    values: NDArray[np.float64]
    nulls: int = 0


@dataclass(frozen=True, kw_only=True)
class Categories:
    """The distinct values of a categorical column and how often each occurs, as two sequences of the same length.

    Attributes
    ----------
    others
        Number of rows whose value is, as the caller knows, none of the specified categories.
    """

    values: Sequence[str]
    counts: Sequence[int]
    others: int = 0
    nulls: int = 0


def data_type_of(raw: Any) -> str:
    """Return the Spark SQL name of the type of these values; ``string`` if no other type fits."""
    series = pd.Series(raw)
    inferred = pd.api.types.infer_dtype(series, skipna=True)
    if pd.api.types.is_float_dtype(series.dtype):  # an integer column with gaps looks like this too
        return "double"
    known = {
        "integer": "bigint",
        "floating": "double",
        "mixed-integer-float": "double",
        "decimal": "double",
        "boolean": "boolean",
        "date": "date",
        "datetime": "timestamp",
        "datetime64": "timestamp",
    }
    return known.get(inferred, "string")


def numbers(raw: Any) -> Numbers:
    """Read numbers, dates or timestamps.

    Raises
    ------
    ValueError
        If a value is none of these; the message shows the first one.
    """
    if isinstance(raw, np.ndarray) and raw.dtype.kind in "fiu":
        return Numbers(values=raw.astype(np.float64, copy=False))
    series = pd.Series(raw)
    present = series[series.notna()]
    return Numbers(values=_as_float(present), nulls=len(series) - len(present))


def categories(raw: Any) -> Categories:
    """Read categories: texts unchanged, booleans as ``true`` and ``false``, other values by ``str``."""
    series = pd.Series(raw)
    counted = series.value_counts(dropna=True)
    return Categories(
        values=[category_name(value) for value in counted.index.tolist()],
        counts=[int(count) for count in counted],
        nulls=int(series.isna().sum()),
    )


def category_name(value: object) -> str:
    """Return the text under which a value of a categorical column is counted.

    A whole number has the same name if a gap in the column has turned it into a float.
    """
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _as_float(present: "pd.Series[Any]") -> NDArray[np.float64]:
    kind = pd.api.types.infer_dtype(present)
    if kind == "date":
        return present.to_numpy().astype("datetime64[D]").astype(np.float64)
    if kind in ("datetime", "datetime64"):
        micros = pd.to_datetime(present, utc=True).astype("datetime64[us, UTC]").astype("int64").to_numpy()
        return np.asarray(micros / 1e6, dtype=np.float64)
    try:
        return present.to_numpy(dtype=np.float64)
    except (TypeError, ValueError):
        wrong = next(value for value in present if not isinstance(value, int | float | np.number))
        raise ValueError(
            f"a numeric column holds {wrong!r} ({type(wrong).__name__}): give numbers, dates or timestamps, or declare "
            "the column categorical."
        ) from None
