"""Encodes rows of a table for an estimator; the encoder is fitted with the model and stored in it."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from ml.models.estimators import accepts
from ml.spec.errors import LakehouseError
from ml.spec.estimator import Encoding

ORDINAL_CATEGORIES = 250
"""Distinct codes per column; rarer categories count as unseen (histogram gradient boosting allows at most 255)."""
RARE_CATEGORY = 20
"""Categories with fewer training rows get no one-hot column and count as unseen."""
_NUMBERS = frozenset({"integer", "floating", "mixed-integer-float", "decimal", "boolean", "empty"})


class ColumnError(LakehouseError, ValueError):
    """Columns that are not those of the model; the message lists every mistake."""


def encoder(
    encoding: Encoding,
    estimator: Any,
    rows: pd.DataFrame,
    numeric: Sequence[str],
    categorical: Sequence[str],
    empty: Collection[str],
) -> ColumnTransformer:
    """Return the unfitted encoder, numbers first.

    One-hot: missing numbers become the median, an indicator column marks them, and numbers are scaled; a category
    unseen in training gets zeros in all columns. Ordinal: numbers are unchanged, missing and unseen categories are
    missing; an estimator that allows no missing values gets the median and the code -1 instead.

    Parameters
    ----------
    estimator
        Decides whether the matrix may be sparse and hold missing values.
    rows
        The training rows, from `typed`. Their categories are counted here, by column, because scikit-learn counts in
        Python, value by value.
    empty
        Columns without a value in training; they are left out.
    """
    missing_allowed, sparse_allowed = accepts(estimator)
    if encoding is Encoding.ONE_HOT:
        kept = [_frequent(rows[name], least=RARE_CATEGORY) for name in categorical if name not in empty]
        numbers, categories = _one_hot(kept, sparse=sparse_allowed)
    else:
        most = min(ORDINAL_CATEGORIES, estimator.get_params(deep=False).get("max_bins", ORDINAL_CATEGORIES))
        kept = [_frequent(rows[name].dropna(), most=most) for name in categorical if name not in empty]
        numbers, categories = _ordinal(kept, missing_allowed=missing_allowed)
    parts = [
        ("numeric", numbers, [name for name in numeric if name not in empty]),
        ("categorical", categories, [name for name in categorical if name not in empty]),
        ("numeric_empty", "drop", [name for name in numeric if name in empty]),
        ("categorical_empty", "drop", [name for name in categorical if name in empty]),
    ]
    return ColumnTransformer([part for part in parts if part[2]], sparse_threshold=0.3 if sparse_allowed else 0.0)


def trained_columns(fitted: ColumnTransformer) -> tuple[list[str], list[str]]:
    """Return the numeric and the categorical columns of an encoder, including those that it leaves out."""
    columns = {name: list(chosen) for name, _, chosen in fitted.transformers}
    numeric, categorical = ([*columns.get(k, []), *columns.get(f"{k}_empty", [])] for k in ("numeric", "categorical"))
    return numeric, categorical


def typed(inputs: pd.DataFrame, numeric: Sequence[str], categorical: Sequence[str]) -> pd.DataFrame:
    """Return the columns in the order of training: numbers as float64, categories as text, missing as NaN.

    Raises
    ------
    ColumnError
        If columns are missing, extra or repeated, or a numeric one holds text or infinities.
    """
    mistakes = column_mistakes(list(inputs.columns), [*numeric, *categorical])
    if not mistakes:
        mistakes = [sentence for name in numeric for sentence in _number_mistakes(inputs[name])]
    if mistakes:
        raise ColumnError("; ".join(mistakes))
    columns: dict[str, NDArray[Any]] = {name: _numbers(inputs[name]) for name in numeric}
    columns |= {name: _texts(inputs[name]) for name in categorical}
    return pd.DataFrame(columns, index=inputs.index)


def column_mistakes(got: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Return one sentence for each kind of difference between the columns; their order does not matter."""
    names = list(got)
    parts = (
        ("missing columns", sorted(set(wanted) - set(names))),
        ("columns the model does not know", sorted(set(names) - set(wanted))),
        ("columns that repeat", sorted({name for name in names if names.count(name) > 1})),
    )
    return [f"{kind}: {', '.join(map(str, found))}" for kind, found in parts if found]


def _frequent(column: "pd.Series[Any]", *, least: int = 1, most: int | None = None) -> NDArray[np.object_]:
    """Return the categories with at least `least` rows, the `most` frequent of them, in order; missing is the last.

    At least one is kept, also if every category is rare.
    """
    counts = column.value_counts(dropna=False).sort_index(kind="stable").nlargest(most or len(column), keep="first")
    kept = counts[counts >= min(least, counts.iloc[0])].index
    return np.array([*sorted(kept.dropna()), *([np.nan] if kept.hasnans else [])], dtype=object)


def _one_hot(kept: Sequence[NDArray[np.object_]], *, sparse: bool) -> tuple[Any, Any]:
    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    categories = OneHotEncoder(categories=kept, handle_unknown="ignore", sparse_output=sparse, dtype=np.float64)
    return numbers, categories


def _ordinal(kept: Sequence[NDArray[np.object_]], *, missing_allowed: bool) -> tuple[Any, Any]:
    codes = OrdinalEncoder(
        categories=kept,
        handle_unknown="use_encoded_value",
        unknown_value=np.nan,
        encoded_missing_value=np.nan,
        dtype=np.float64,
    )
    if missing_allowed:
        return "passthrough", codes
    filled = make_pipeline(codes, SimpleImputer(strategy="constant", fill_value=-1.0))
    return SimpleImputer(strategy="median"), filled


def _number_mistakes(column: "pd.Series[Any]") -> list[str]:
    kind = pd.api.types.infer_dtype(column, skipna=True)
    if kind not in _NUMBERS:
        return [f"column {column.name!r} must hold numbers and holds {kind} values"]
    infinite = int(np.isinf(_numbers(column)).sum())
    return [f"column {column.name!r} holds {infinite} infinite values: mark unknown as missing"] if infinite else []


def _numbers(column: "pd.Series[Any]") -> NDArray[np.float64]:
    return np.asarray(pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan))


def _texts(column: "pd.Series[Any]") -> NDArray[np.object_]:
    """Return categories as text; 3 and 3.0 are the same category, because gaps turn a batch's integers into floats."""
    codes, values = pd.factorize(column)
    whole = [int(v) if isinstance(v, float) and v.is_integer() else v for v in values]
    texts = np.array([*map(str, whole), np.nan], dtype=object)
    return texts[codes]
